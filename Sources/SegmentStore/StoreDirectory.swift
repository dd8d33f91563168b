import LMDB
import Mutants
import StorageIO

/// The directory of a store and the files in it: how a store is made and found.
struct StoreDirectory {
  static let segmentsName = Array("segments".utf8)

  let path: FilePath
  let superblock: Superblock
  let fileSystem: FileSystem.Kind

  private(set) var locks: LockBytes
  var highWater: HighWater { HighWater(path: path.appending(HighWater.fileName)) }
  var reserve: Reserve { Reserve(path: path.appending(Reserve.fileName)) }

  // MARK: Opening

  private init(path: FilePath, superblock: Superblock, fileSystem: FileSystem.Kind) {
    self.path = path
    self.superblock = superblock
    self.fileSystem = fileSystem
    locks = LockBytes(path: path.appending(LockBytes.fileName))
  }

  init(opening path: FilePath) throws(StoreError) {
    self.path = path
    locks = LockBytes(path: path.appending(LockBytes.fileName))
    fileSystem = try StoreDirectory.localFileSystem(of: path)
    let bytes: [UInt8]
    do throws(SystemCallFailure) {
      let file = try File.open(path.appending(Superblock.fileName), .noFollow)
      // One byte more than there should be, to see whether there is.
      bytes = try file.bytes(at: 0, byteCount: Superblock.byteCount + 1)
    } catch  where error.isNotFound {
      throw StoreError(
        .notAStore, "'\(path)': is not a pfs store: it has no file STORE",
        advice: StoreDirectory.hasSegments(path)
          ? "if STORE was lost, write what its segments hold to another place with 'pfs salvage DIR'"
          : "name a store with --store, or make one in an empty place with 'pfs init'")
    } catch {
      throw StoreError(error)
    }
    do throws(FormatFailure) { superblock = try Superblock(decoding: bytes) } catch {
      switch error.kind {
      case .newerVersion:
        throw StoreError(
          .newerFormat, "'\(path)': made by a newer pfs: \(error)", advice: "use the version that made it, or newer")
      case .notThisKind: throw StoreError(.notAStore, "'\(path)': is not a pfs store: \(error)")
      case .damaged:
        throw StoreError(
          .corrupt, "'\(path)': \(error)",
          advice: "write what its segments hold to another place with 'pfs salvage DIR'")
      }
    }
  }

  /// Opens a store whose STORE may be gone: its segments say the same, but for the part size, which only puts need.
  static func salvaging(
    _ path: FilePath, onFinding: (Finding) -> Void
  ) throws(StoreError) -> StoreDirectory {
    do throws(StoreError) {
      return try StoreDirectory(opening: path)
    } catch  where error.code == .corrupt || error.code == .notAStore || error.code == .io {
      let segments: Directory
      do throws(SystemCallFailure) {
        segments = try Directory.open(path.appending(segmentsName))
      } catch let failure {
        throw StoreError(.notAStore, "'\(path)': is not a pfs store, and has no segments: \(failure)")
      }
      guard let header = try commonHeader(of: segments) else { throw error }
      onFinding(Finding(.storeFile, "\(error.message); the segments were asked instead"))
      let partByteCount = Format.maximumPartByteCount(segmentByteCount: header.segmentByteCount)
      return StoreDirectory(
        path: path,
        superblock: Superblock(
          uuid: header.uuid, segmentByteCount: header.segmentByteCount,
          partByteCount: min(Format.defaultPartByteCount, partByteCount),
          createdNanoseconds: header.createdNanoseconds),
        fileSystem: try localFileSystem(of: path))
    }
  }

  /// An intact header, of the store to which most segments say they belong: one of another store may be among them.
  private static func commonHeader(of segments: Directory) throws(StoreError) -> SegmentHeader? {
    let names = try translating { () throws(SystemCallFailure) in try segments.entries() }
    var found: [StoreUUID: (header: SegmentHeader, count: Int)] = [:]
    for id in names.compactMap(SegmentID.init(fileName:)).sorted() {
      do {
        let file = try segments.open(id.fileName, [.noFollow, .nonBlocking])
        let header = try SegmentHeader(decoding: try file.bytes(at: 0, byteCount: SegmentHeader.byteCount))
        if header.segment == id { found[header.uuid, default: (header, 0)].count += 1 }
      } catch {}
    }
    // Of two that as many name, the one of the oldest segment.
    return found.values.max { ($0.count, $1.header.segment) < ($1.count, $0.header.segment) }?.header
  }

  /// Throws when STORE is of another store than the segments, none of which belongs to it: all would be set aside as
  /// strange, for want of one file that is the right one.
  func checkSegmentsAreOfNoOther(_ segments: Directory) throws(StoreError) {
    guard let header = try StoreDirectory.commonHeader(of: segments), header.uuid != superblock.uuid else { return }
    throw StoreError(
      .corrupt, "'\(path)': STORE is of store \(superblock.uuid), its segments are of store \(header.uuid)",
      advice: "put the right STORE back, or write what the segments hold to another place with 'pfs salvage DIR'")
  }

  func openSegments() throws(StoreError) -> Directory {
    do throws(SystemCallFailure) { return try Directory.open(path.appending(StoreDirectory.segmentsName)) } catch {
      guard error.isNotFound else { throw StoreError(error) }
      throw StoreError(.notAStore, "'\(path)': its segments cannot be opened: \(error)")
    }
  }

  /// - Parameter elsewhere: Nil for the store's own.
  func openIndex(in elsewhere: FilePath? = nil) throws(StoreError) -> Index {
    let directory = elsewhere ?? path.appending(Index.directoryName)
    do throws(SystemCallFailure) {
      _ = try FileSystem.status(of: directory.appending("data.mdb"))
    } catch  where error.isNotFound {
      throw StoreError(
        .indexDamaged, "'\(path)': the index is missing ('\(directory)/data.mdb')", advice: StoreError.indexAdvice)
    } catch {
      throw StoreError(error)
    }
    let index = try Index(directory: directory, creates: false)
    try index.checkBelongs(to: superblock.uuid)
    return index
  }

  /// The file in which bytes are locked holds nothing: one that was lost is made again.
  func makeLocksIfMissing() throws(StoreError) {
    try translating { () throws(SystemCallFailure) in
      _ = try File.open(locks.path, [.write, .create, .noFollow])
    }
  }

  private static func hasSegments(_ path: FilePath) -> Bool {
    do throws(SystemCallFailure) {
      return try FileSystem.status(of: path.appending(segmentsName)).kind == .directory
    } catch {
      return false
    }
  }

  /// For those who must change nothing here: takes a file in `directory` in the place of one that was lost, so that they
  /// lock as everybody does, though nobody else sees it.
  /// - Returns: Whether it was lost.
  mutating func replaceLostLocks(in directory: FilePath) throws(StoreError) -> Bool {
    do throws(SystemCallFailure) {
      _ = try FileSystem.status(of: locks.path)
      return false
    } catch  where error.isNotFound {
      locks = LockBytes(path: directory.appending(LockBytes.fileName))
      try makeLocksIfMissing()
      return true
    } catch {
      throw StoreError(error)
    }
  }

  /// The file system of `path`, which must be the machine's own.
  private static func localFileSystem(of path: FilePath) throws(StoreError) -> FileSystem.Kind {
    let kind: FileSystem.Kind
    do throws(SystemCallFailure) { kind = try FileSystem.kind(of: path) } catch  where error.isNotFound {
      throw StoreError(.noStore, "'\(path)': no such store", advice: "make one with 'pfs init', or by storing a file")
    } catch {
      throw StoreError(error)
    }
    if kind.isRemote {
      throw StoreError(
        .unusableFile, "'\(path)': is on \(kind): a store needs a file system of this machine",
        advice: "its locks and its index do not work over a network")
    }
    return kind
  }

  // MARK: Making

  /// Makes a store at `path`, whole or not at all: in a temporary directory beside it that is synced, with a first
  /// durable commit of the index, and then renamed.
  static func create(at path: FilePath, _ superblock: Superblock) throws(StoreError) {
    let parentPath = path.parent
    let name = path.lastComponent
    guard !name.isEmpty, name != [UInt8(ascii: ".")], name != Array("..".utf8) else {
      throw StoreError(.invalidArgument, "'\(path)': name the directory that the store is to be")
    }
    do throws(SystemCallFailure) { try FileSystem.makeDirectories(parentPath) } catch { throw StoreError(user: error) }
    _ = try localFileSystem(of: parentPath)
    let parent: Directory
    do throws(SystemCallFailure) { parent = try Directory.open(parentPath) } catch { throw StoreError(user: error) }
    try checkFree(name, parent)
    let prefix = [UInt8(ascii: ".")] + name + Array(".pfs-init-".utf8)
    removeLeftovers(prefix, from: parent)

    let temporaryName: [UInt8]
    do throws(SystemCallFailure) {
      let digits = try Random.bytes(8).map { String($0, radix: 16) }.joined()
      temporaryName = Mutant.makeStoreInPlace.isActive ? name : prefix + Array(digits.utf8)
    } catch {
      throw StoreError(error)
    }
    let temporary = parentPath.appending(temporaryName)
    do throws(StoreError) {
      let making = try fill(temporary, superblock)
      defer { withExtendedLifetime(making) {} }
      if Mutant.makeStoreInPlace.isActive { return }
      // An empty directory may be replaced; anything else that appeared meanwhile may not.
      let replaces = try isEmptyDirectory(name, parent)
      do throws(SystemCallFailure) {
        try parent.rename(temporaryName, to: name, replacing: replaces)
        if !Mutant.noParentSyncAtInit.isActive { try parent.sync() }
      } catch {
        throw error.isExists ? exists(path) : StoreError(error)
      }
    } catch {
      remove(temporaryName, from: parent)
      throw error
    }
  }

  /// Makes everything in `path`.
  /// - Returns: A lock that says that somebody is at it.
  private static func fill(_ path: FilePath, _ superblock: Superblock) throws(StoreError) -> ByteLock? {
    let making = try translating { () throws(SystemCallFailure) in
      try Directory.make(path)
      let locks = path.appending(LockBytes.fileName)
      _ = try File.open(locks, [.write, .createNew])
      return try ByteLock.acquire(locks, byte: LockBytes.Subject.store.byte, .exclusive, timeoutSeconds: 0)
    }
    try translating { () throws(SystemCallFailure) in
      try Directory.make(path.appending(Index.directoryName))
      try Directory.make(path.appending(segmentsName))
      let highWater = try File.open(path.appending(HighWater.fileName), [.write, .createNew])
      try highWater.write([UInt8](repeating: 0, count: HighWater.byteCount), at: 0)
      try highWater.sync()
      let reserve = try File.open(path.appending(Reserve.fileName), [.write, .createNew])
      do throws(SystemCallFailure) { try reserve.allocate(0..<Reserve.byteCount) } catch  where error.isNotSupported {
        // A file system that cannot set space aside: a delete on a full disk has to do without.
      }
      try reserve.sync()
      let file = try File.open(path.appending(Superblock.fileName), [.write, .createNew])
      try file.write(superblock.encoded(), at: 0)
      try file.sync()
    }
    // LMDB's own creation is not crash-safe; with a first commit and the syncs below it is.
    let index = try Index(directory: path.appending(Index.directoryName), creates: true)
    try index.initialize(for: superblock.uuid)
    try translating { () throws(SystemCallFailure) in
      // LMDB leaves the modes of its files to the umask. By name: closing `lock.mdb` would drop the locks of the index.
      let indexDirectory = try Directory.open(path.appending(Index.directoryName))
      for file in try indexDirectory.entries() { try indexDirectory.setMode(of: file, 0o600) }
      try File.open(path.appending(Index.directoryName).appending("data.mdb")).sync()
      for directory in [path.appending(Index.directoryName), path.appending(segmentsName), path] {
        try Directory.open(directory).sync()
      }
    }
    return making
  }

  /// Removes what those left who died while they made a store here: its directory is there, and nobody holds its lock.
  private static func removeLeftovers(_ prefix: [UInt8], from parent: Directory) {
    do throws(SystemCallFailure) {
      for entry in try parent.entries() where entry.starts(with: prefix) {
        do throws(SystemCallFailure) {
          if try isAbandoned(parent.path.appending(entry)) { remove(entry, from: parent) }
        } catch {}
      }
    } catch {}
  }

  /// Whether nobody is at it any more: not one that was begun just now, between its directory and its lock.
  private static func isAbandoned(_ path: FilePath) throws(SystemCallFailure) -> Bool {
    let locks = path.appending(LockBytes.fileName)
    var hasLocks = true
    let status: FileStatus
    do throws(SystemCallFailure) { status = try FileSystem.status(of: locks) } catch  where error.isNotFound {
      hasLocks = false
      status = try FileSystem.status(of: path)
    }
    guard Clock.wallNanoseconds() - status.modifiedNanoseconds > leftoverAgeNanoseconds else { return false }
    guard hasLocks else { return true }
    return try ByteLock.acquire(locks, byte: LockBytes.Subject.store.byte, .exclusive, timeoutSeconds: 0) != nil
  }

  private static let leftoverAgeNanoseconds: Int64 = 60_000_000_000

  private static func checkFree(_ name: [UInt8], _ parent: Directory) throws(StoreError) {
    do throws(SystemCallFailure) { _ = try parent.status(of: name) } catch {
      if error.isNotFound { return }
      throw StoreError(user: error)
    }
    if try !isEmptyDirectory(name, parent) { throw exists(parent.path.appending(name)) }
  }

  private static func isEmptyDirectory(_ name: [UInt8], _ parent: Directory) throws(StoreError) -> Bool {
    do throws(SystemCallFailure) {
      return try parent.openDirectory(name).entries().isEmpty
    } catch {
      if error.isNotFound || error.isEscape { return false }
      throw StoreError(user: error)
    }
  }

  private static func exists(_ path: FilePath) -> StoreError {
    StoreError(.exists, "'\(path)': exists already and is not an empty directory")
  }

  /// Best effort: the failure that led here is the one to report.
  static func remove(_ name: [UInt8], from parent: Directory) {
    do throws(SystemCallFailure) {
      guard try parent.status(of: name).kind == .directory else { return try parent.removeFile(name) }
      let directory = try parent.openDirectory(name)
      for entry in try directory.entries() { remove(entry, from: directory) }
      try parent.removeDirectory(name)
    } catch {}
  }
}

extension Store {
  /// What is fixed when a store is made.
  public struct CreationOptions: Hashable, Sendable {
    /// A power of two from 64 KiB to 4 GiB.
    public var segmentByteCount = Format.defaultSegmentByteCount
    /// 4 KiB to half a segment.
    public var partByteCount = Format.defaultPartByteCount
    /// The most bytes that stored files may take, with their headers; nil for no limit.
    public var quotaByteCount: Int?

    public init() {}
  }

  /// Makes an empty store in the directory `path`, which must not exist or be empty; directories above it are made.
  ///
  /// After a crash there is a whole store or none. Durable on return.
  /// - Throws: `.exists`, `.invalidArgument`, `.unusableFile`, `.noSpace`, `.io`.
  public static func create(
    at path: FilePath, _ options: CreationOptions = CreationOptions()
  ) throws(StoreError) {
    let segmentByteCount = options.segmentByteCount
    guard Format.segmentByteCounts.contains(segmentByteCount), segmentByteCount.nonzeroBitCount == 1 else {
      throw StoreError(
        .invalidArgument,
        "a segment size of \(describe(segmentByteCount)): it must be a power of two from 64 KiB to 4 GiB")
    }
    let largest = Format.maximumPartByteCount(segmentByteCount: segmentByteCount)
    guard (Format.minimumPartByteCount...largest).contains(options.partByteCount) else {
      throw StoreError(
        .invalidArgument,
        "a part size of \(describe(options.partByteCount)): with segments of \(describe(segmentByteCount)) it must be "
          + "\(describe(Format.minimumPartByteCount)) to \(describe(largest))")
    }
    if let quotaByteCount = options.quotaByteCount, quotaByteCount < 1 {
      throw StoreError(.invalidArgument, "a quota of \(quotaByteCount) bytes: it must be at least 1")
    }
    let uuid = try translating { () throws(SystemCallFailure) in try StoreUUID() }
    try StoreDirectory.create(
      at: path,
      Superblock(
        uuid: uuid, segmentByteCount: segmentByteCount, partByteCount: options.partByteCount,
        createdNanoseconds: Clock.wallNanoseconds(), quotaByteCount: options.quotaByteCount))
  }
}
