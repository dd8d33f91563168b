import StorageIO

/// The directory of a store and the files in it: how a store is made and found.
struct TypedStoreDirectory {
  static let locksName = "locks"

  let path: FilePath
  let superblock: ChunkSuperblock

  // MARK: Opening

  init(opening path: FilePath) throws(ChunkStoreError) {
    self.path = path
    try TypedStoreDirectory.checkLocal(path)
    let bytes: [UInt8]
    do throws(SystemCallFailure) {
      let file = try File.open(path.appending(ChunkSuperblock.fileName), [.noFollow, .nonBlocking])
      // One byte more than there should be, to see whether there is.
      bytes = try file.bytes(at: 0, byteCount: ChunkSuperblock.byteCount + 1)
    } catch {
      guard error.isNotFound else { throw ChunkStoreError(error) }
      throw ChunkStoreError(.notAStore, "'\(path)' is not a store of chunks: it has no file CHUNKS")
    }
    do throws(FormatFailure) { superblock = try ChunkSuperblock(decoding: bytes) } catch {
      let code: ChunkStoreError.Code =
        switch error.kind {
        case .newerVersion: .newerFormat
        case .notThisKind: .notAStore
        case .damaged: .corrupt
        }
      throw ChunkStoreError(code, "'\(path)': \(error.message)")
    }
  }

  /// Takes the lock of the store, for all as long as it lives.
  func lock(_ mode: ByteLock.Mode, timeoutSeconds: Double) throws(ChunkStoreError) -> ByteLock {
    let lock = try translating { () throws(SystemCallFailure) in
      try ByteLock.acquire(
        path.appending(TypedStoreDirectory.locksName), byte: 0, mode, timeoutSeconds: timeoutSeconds)
    }
    if let lock { return lock }
    throw ChunkStoreError(
      .busy, "'\(path)' is open \(mode == .shared ? "for writing" : "") by another; waited \(timeoutSeconds) s")
  }

  func openChunks(isWritable: Bool) throws(ChunkStoreError) -> ChunkFiles {
    do throws(SystemCallFailure) {
      return ChunkFiles(
        directory: try Directory.open(path.appending(ChunkFiles.directoryName)),
        storePrefix: ChunkFormat.storePrefix(of: superblock.uuid), isWritable: isWritable)
    } catch {
      guard error.isNotFound else { throw ChunkStoreError(error) }
      throw ChunkStoreError(.notAStore, "'\(path)': its chunks cannot be opened: \(error)")
    }
  }

  func openIndex(named name: [UInt8] = ChunkIndex.directoryName) throws(ChunkStoreError) -> ChunkIndex {
    let directory = path.appending(name)
    do throws(SystemCallFailure) { _ = try FileSystem.status(of: directory.appending("data.mdb")) } catch {
      guard error.isNotFound else { throw ChunkStoreError(error) }
      throw ChunkStoreError(index: "'\(directory)/data.mdb' is missing")
    }
    let index = try ChunkIndex(directory: directory, creates: false)
    try index.checkBelongs(to: superblock.uuid)
    return index
  }

  /// Locks and shared mappings need the machine's own file system.
  private static func checkLocal(_ path: FilePath) throws(ChunkStoreError) {
    let kind: FileSystem.Kind
    do throws(SystemCallFailure) { kind = try FileSystem.kind(of: path) } catch {
      guard error.isNotFound else { throw ChunkStoreError(error) }
      throw ChunkStoreError(.noStore, "'\(path)': no such store", advice: "make one with TypedStore.create")
    }
    if kind.isRemote {
      throw ChunkStoreError(.invalidArgument, "'\(path)' is on \(kind): a store needs a file system of this machine")
    }
  }

  // MARK: Making

  /// Makes a store beside its place, durable, and then gives it its name.
  static func create(at path: FilePath, chunkByteCount: Int) throws(ChunkStoreError) {
    guard ChunkFormat.chunkByteCounts.contains(chunkByteCount), chunkByteCount % ChunkHeader.byteCount == 0 else {
      throw ChunkStoreError(
        .invalidArgument, "chunks of \(chunkByteCount) bytes: from 64 KiB to 1 TiB, a multiple of 4096")
    }
    let name = path.lastComponent
    guard !name.isEmpty, name != [UInt8(ascii: ".")], name != Array("..".utf8) else {
      throw ChunkStoreError(.invalidArgument, "'\(path)': name the directory that the store is to be")
    }
    try translating { () throws(SystemCallFailure) in try FileSystem.makeDirectories(path.parent) }
    try checkLocal(path.parent)
    let (parent, uuid, digits) = try translating { () throws(SystemCallFailure) in
      (
        try Directory.open(path.parent), try Random.bytes(16),
        try Random.bytes(8).map { String($0, radix: 16) }.joined()
      )
    }
    let temporary = Array(".".utf8) + name + Array(".making-\(digits)".utf8)
    do throws(ChunkStoreError) {
      try fill(
        path.parent.appending(temporary),
        ChunkSuperblock(
          uuid: uuid, chunkByteCount: chunkByteCount, createdNanoseconds: Clock.wallNanoseconds()))
      try publish(temporary, as: name, in: parent, path)
    } catch {
      remove(temporary, in: parent)
      throw error
    }
  }

  private static func fill(_ path: FilePath, _ superblock: ChunkSuperblock) throws(ChunkStoreError) {
    try translating { () throws(SystemCallFailure) in
      try Directory.make(path)
      try Directory.make(path.appending(ChunkFiles.directoryName))
      _ = try File.open(path.appending(locksName), [.write, .createNew])
      let file = try File.open(path.appending(ChunkSuperblock.fileName), [.write, .createNew])
      try file.write(superblock.encoded(), at: 0)
      try file.sync()
    }
    SpaceReserve(in: path).refill()
    try makeIndex(in: path.appending(ChunkIndex.directoryName), for: superblock)
    try translating { () throws(SystemCallFailure) in
      try Directory.open(path.appending(ChunkFiles.directoryName)).sync()
      try Directory.open(path).sync()
    }
  }

  /// Makes an empty index, with a first durable commit: LMDB's own creation is not safe in a crash.
  @discardableResult
  static func makeIndex(
    in directory: FilePath, for superblock: ChunkSuperblock
  ) throws(ChunkStoreError) -> ChunkIndex {
    try translating { () throws(SystemCallFailure) in try Directory.make(directory) }
    let index = try ChunkIndex(directory: directory, creates: true)
    try index.initialize(for: superblock.uuid)
    try translating { () throws(SystemCallFailure) in
      let opened = try Directory.open(directory)
      // LMDB leaves the modes of its files to the umask. By name: closing `lock.mdb` would drop the locks of the index.
      for file in try opened.entries() { try opened.setMode(of: file, 0o600) }
      try File.open(directory.appending("data.mdb")).sync()
      try opened.sync()
    }
    return index
  }

  private static func publish(
    _ temporary: [UInt8], as name: [UInt8], in parent: Directory, _ path: FilePath
  ) throws(ChunkStoreError) {
    do throws(SystemCallFailure) {
      // An empty directory may be in the way; anything else may not.
      do throws(SystemCallFailure) {
        if try parent.openDirectory(name).entries().isEmpty { try parent.removeDirectory(name) }
      } catch  where error.isNotFound {}
      try parent.rename(temporary, to: name, replacing: false)
      try parent.sync()
    } catch {
      throw error.isExists ? ChunkStoreError(.exists, "'\(path)': there is something already") : ChunkStoreError(error)
    }
  }

  /// Removes what was not finished, as far as that goes.
  private static func remove(_ name: [UInt8], in parent: Directory) {
    do throws(SystemCallFailure) {
      let directory = try parent.openDirectory(name)
      for inner in [ChunkIndex.directoryName, ChunkFiles.directoryName] {
        do throws(SystemCallFailure) {
          let opened = try directory.openDirectory(inner)
          for file in try opened.entries() { try opened.removeFile(file) }
          try directory.removeDirectory(inner)
        } catch  where error.isNotFound {}
      }
      for file in try directory.entries() { try directory.removeFile(file) }
      try parent.removeDirectory(name)
    } catch {}
  }
}
