import StorageIO

extension Store {
  /// Stores every regular file below `root`, under `prefix`, a slash and its path below `root`.
  ///
  /// Each file is stored for itself, several at a time. Symbolic links, pipes, sockets and devices are not stored:
  /// they are reported as failures, and so is a file that cannot be read; the others go on. A store below `root` is
  /// left out, so that a store never swallows itself.
  /// - Parameters:
  ///   - onStored, onFailed: called from any thread, several at once.
  /// - Throws: What stops the whole: the root cannot be read, `.cancelled`, `.noSpace`, `.durabilityUnknown`; files
  ///   stored until then stay.
  public func putTree(
    _ root: FilePath, as prefix: FileName, _ options: PutOptions = PutOptions(),
    cancellation: Cancellation = Cancellation(), progress: @escaping @Sendable (Int) -> Void = { _ in },
    onStored: @escaping @Sendable (StoredFile) -> Void, onFailed: @escaping @Sendable (FilePath, StoreError) -> Void
  ) throws(StoreError) -> TreeResult {
    try TreePut(
      store: self, session: try writerSession(), group: nil, options: options, cancellation: cancellation,
      progress: progress
    ).run(root, prefix, onStored: onStored, onFailed: onFailed)
  }
}

extension PutGroup {
  /// Stores every regular file below `root`, as ``Store/putTree(_:as:_:cancellation:progress:onStored:onFailed:)`` does,
  /// to become visible with the others of the group.
  /// - Throws: The first failure of all: what cannot be stored, a link for example, fails the whole. What was stored until
  ///   then stays in the group: roll it back.
  public func putTree(
    _ root: FilePath, as prefix: FileName, _ options: PutOptions = PutOptions(),
    cancellation: Cancellation = Cancellation(), progress: @escaping @Sendable (Int) -> Void = { _ in }
  ) throws(StoreError) {
    do throws(StoreError) {
      _ = try TreePut(
        store: store, session: try store.writerSession(), group: self, options: options, cancellation: cancellation,
        progress: progress
      ).run(root, prefix, onStored: { _ in }, onFailed: { _, _ in })
    } catch {
      try cancellation.check()
      throw error
    }
  }
}

/// Stores the files of a tree, several at a time.
private struct TreePut {
  let store: Store
  let session: WriterSession
  let group: PutGroup?
  let options: PutOptions
  let cancellation: Cancellation
  let progress: @Sendable (Int) -> Void

  func run(
    _ root: FilePath, _ prefix: FileName, onStored: @escaping @Sendable (StoredFile) -> Void,
    onFailed: @escaping @Sendable (FilePath, StoreError) -> Void
  ) throws(StoreError) -> TreeResult {
    let (store, session, group, options) = (store, session, group, options)
    let (cancellation, progress) = (cancellation, progress)
    let files = ParallelFiles<TreeFile>(cancellation: cancellation)
    let walk = TreeWalk(storeStatus: try TreeWalk.status(of: store.path)) { (path, error) throws(StoreError) in
      // All or nothing; but that a store does not hold itself is no failure.
      if group != nil && error.code != .invalidArgument { throw error }
      files.countFailure()
      onFailed(path, error)
    }
    return try files.run(
      produce: { (handOver: (TreeFile) throws(StoreError) -> Void) throws(StoreError) in
        // A tree is one put, and its files begin together.
        var ids = FileIDRange(session)
        try walk.run(root, prefix.bytes) { (path, name) throws(StoreError) in
          try handOver(TreeFile(id: try ids.next(), path: path, name: name))
        }
        try ids.giveBack()
      },
      isFatal: { group != nil || $0.stopsEverything },
      work: { (file: TreeFile) throws(StoreError) in
        let put = PutPipeline(
          store: store, session: session, name: try FileName(file.name), options: options, group: group,
          cancellation: cancellation, progress: progress)
        onStored(try put.run(.file(file.path), as: file.id))
      },
      failed: { (file, error) in onFailed(file.path, error) })
  }
}

/// Ids for many files, taken by the dozen: each commit of the index for several of them.
struct FileIDRange {
  private static let fileCount = 64
  private let session: WriterSession
  private var ids: Range<UInt64> = 0..<0

  init(_ session: WriterSession) { self.session = session }

  mutating func next() throws(StoreError) -> FileID {
    if ids.isEmpty { ids = try session.identifiers.takeFiles(FileIDRange.fileCount, through: session.perform) }
    defer { ids = (ids.lowerBound + 1)..<ids.upperBound }
    return FileID(rawValue: ids.lowerBound)
  }

  /// Gives those back that were not needed.
  func giveBack() throws(StoreError) {
    try session.identifiers.giveBackFiles(ids, through: session.perform)
  }
}

/// A file that a walk found, and the name it is to be stored under.
private struct TreeFile: Sendable {
  let id: FileID
  let path: FilePath
  let name: [UInt8]
}

/// Goes through a directory tree, depth first, without following symbolic links.
private struct TreeWalk {
  /// The directory that is left out.
  let storeStatus: FileStatus
  let report: (FilePath, StoreError) throws(StoreError) -> Void

  static func status(of path: FilePath) throws(StoreError) -> FileStatus {
    try translating { () throws(SystemCallFailure) in try FileSystem.status(of: path) }
  }

  func run(
    _ root: FilePath, _ name: [UInt8], _ found: (FilePath, [UInt8]) throws(StoreError) -> Void
  ) throws(StoreError) {
    let directory: Directory
    let status: FileStatus
    do throws(SystemCallFailure) {
      directory = try Directory.open(root)
      status = try FileSystem.status(of: root)
    } catch {
      throw StoreError(user: error)
    }
    if isStore(status) { throw StoreError(.invalidArgument, "'\(root)': is the store itself") }
    try visit(directory, name, found)
  }

  private func visit(
    _ directory: Directory, _ name: [UInt8], _ found: (FilePath, [UInt8]) throws(StoreError) -> Void
  ) throws(StoreError) {
    var listing: DirectoryListing?
    while true {
      let entry: [UInt8]?
      do throws(SystemCallFailure) {
        if listing == nil { listing = try directory.listing() }
        entry = try listing?.next()
      } catch {
        try report(directory.path, StoreError(user: error))
        return
      }
      guard let entry else { return }
      do throws(StoreError) {
        try visit(entry, in: directory, name + [UInt8(ascii: "/")] + entry, found)
      } catch  where error.code == .unusableFile {
        try report(directory.path.appending(entry), error)
      }
    }
  }

  private func visit(
    _ entry: [UInt8], in directory: Directory, _ name: [UInt8], _ found: (FilePath, [UInt8]) throws(StoreError) -> Void
  ) throws(StoreError) {
    let path = directory.path.appending(entry)
    let status: FileStatus
    do throws(SystemCallFailure) { status = try directory.status(of: entry) } catch { throw StoreError(user: error) }
    switch status.kind {
    case .file:
      try found(path, name)
    case .directory:
      if isStore(status) {
        try report(path, StoreError(.invalidArgument, "'\(path)': is the store itself; left out"))
        return
      }
      let inner: Directory
      do throws(SystemCallFailure) { inner = try directory.openDirectory(entry) } catch {
        throw StoreError(user: error)
      }
      try visit(inner, name, found)
    case .symbolicLink:
      throw StoreError(.unusableFile, "'\(path)': is a symbolic link; links are not stored")
    case .other:
      throw StoreError(.unusableFile, "'\(path)': is not a regular file; not stored")
    }
  }

  private func isStore(_ status: FileStatus) -> Bool {
    status.device == storeStatus.device && status.inode == storeStatus.inode
  }
}
