import SegmentStore
import StorageIO

/// The calls of a staging tree for Swift's tasks: a task that waits for a file is suspended, and blocks no thread of the
/// cooperative pool. Each throws what its twin in ``StagingFileSystem`` does, and `.systemLimit` when the system has no
/// thread left. The end of a task does not end a call that it has made.
public struct AsyncStagingFileSystem: Sendable {
  public let fileSystem: StagingFileSystem

  public init(_ fileSystem: StagingFileSystem) { self.fileSystem = fileSystem }

  /// Runs `body`, which may wait, on a thread for that.
  public func perform<R: Sendable>(
    _ body: @escaping @Sendable (StagingFileSystem) throws(StagingError) -> R
  ) async throws(StagingError) -> R {
    let fileSystem = fileSystem
    return try await CallThreads.shared.run { () throws(StagingError) in try body(fileSystem) }
  }

  // MARK: Files

  public func open(
    _ path: StagingPath, _ mode: OpenMode = .read, preallocating byteCount: Int = 0, lockTimeout: LockTimeout? = nil
  ) async throws(StagingError) -> AsyncStagingHandle {
    try await perform { (fileSystem) throws(StagingError) in
      AsyncStagingHandle(
        try fileSystem.open(path, mode, preallocating: byteCount, lockTimeout: lockTimeout), path, mode)
    }
  }

  public func read(_ path: StagingPath, lockTimeout: LockTimeout? = nil) async throws(StagingError) -> [UInt8] {
    try await perform { (fileSystem) throws(StagingError) in try fileSystem.read(path, lockTimeout: lockTimeout) }
  }

  public func write(
    _ bytes: [UInt8], to path: StagingPath, lockTimeout: LockTimeout? = nil
  ) async throws(StagingError) {
    try await perform { (fileSystem) throws(StagingError) in
      try fileSystem.write(bytes, to: path, lockTimeout: lockTimeout)
    }
  }

  // MARK: Changing

  public func makeDirectory(
    _ path: StagingPath, makingParents: Bool = false, mayExist: Bool = false
  ) async throws(StagingError) {
    try await perform { (fileSystem) throws(StagingError) in
      try fileSystem.makeDirectory(path, makingParents: makingParents, mayExist: mayExist)
    }
  }

  public func rename(_ path: StagingPath, to newPath: StagingPath) async throws(StagingError) {
    try await perform { (fileSystem) throws(StagingError) in try fileSystem.rename(path, to: newPath) }
  }

  public func move(_ path: StagingPath, to newPath: StagingPath) async throws(StagingError) {
    try await perform { (fileSystem) throws(StagingError) in try fileSystem.move(path, to: newPath) }
  }

  public func remove(_ path: StagingPath, lockTimeout: LockTimeout? = nil) async throws(StagingError) {
    try await perform { (fileSystem) throws(StagingError) in try fileSystem.remove(path, lockTimeout: lockTimeout) }
  }

  public func removeTree(_ path: StagingPath, lockTimeout: LockTimeout? = nil) async throws(StagingError) {
    try await perform { (fileSystem) throws(StagingError) in
      try fileSystem.removeTree(path, lockTimeout: lockTimeout)
    }
  }

  public func copy(
    _ path: StagingPath, to newPath: StagingPath, lockTimeout: LockTimeout? = nil
  ) async throws(StagingError) {
    try await perform { (fileSystem) throws(StagingError) in
      try fileSystem.copy(path, to: newPath, lockTimeout: lockTimeout)
    }
  }

  public func copyTree(
    _ path: StagingPath, to newPath: StagingPath, lockTimeout: LockTimeout? = nil
  ) async throws(StagingError) {
    try await perform { (fileSystem) throws(StagingError) in
      try fileSystem.copyTree(path, to: newPath, lockTimeout: lockTimeout)
    }
  }

  // MARK: Looking

  public func exists(_ path: StagingPath) async throws(StagingError) -> Bool {
    try await perform { $0.exists(path) }
  }

  public func isFile(_ path: StagingPath) async throws(StagingError) -> Bool {
    try await perform { $0.isFile(path) }
  }

  public func isDirectory(_ path: StagingPath) async throws(StagingError) -> Bool {
    try await perform { $0.isDirectory(path) }
  }

  public func list(_ path: StagingPath = .root) async throws(StagingError) -> [[UInt8]] {
    try await perform { (fileSystem) throws(StagingError) in try fileSystem.list(path) }
  }

  public func status(_ path: StagingPath) async throws(StagingError) -> StagingFileSystem.Status {
    try await perform { (fileSystem) throws(StagingError) in try fileSystem.status(path) }
  }

  public func byteCount(of path: StagingPath) async throws(StagingError) -> Int {
    try await perform { (fileSystem) throws(StagingError) in try fileSystem.byteCount(of: path) }
  }

  public func statistics() async throws(StagingError) -> StagingFileSystem.Statistics {
    try await perform { $0.statistics() }
  }

  public func walk(
    _ path: StagingPath = .root
  ) async throws(StagingError) -> [StagingFileSystem.WalkedDirectory] {
    try await perform { (fileSystem) throws(StagingError) in try fileSystem.walk(path) }
  }

  public func glob(_ pattern: String) async throws(StagingError) -> [StagingPath] {
    try await perform { (fileSystem) throws(StagingError) in try fileSystem.glob(pattern) }
  }

  // MARK: In and out

  public func export(
    _ path: StagingPath, lockTimeout: LockTimeout? = nil
  ) async throws(StagingError) -> ExportedFile {
    try await perform { (fileSystem) throws(StagingError) in try fileSystem.export(path, lockTimeout: lockTimeout) }
  }

  public func exportTree(
    _ path: StagingPath = .root, changedSince mark: StagingFileSystem.Mark? = nil, lockTimeout: LockTimeout? = nil
  ) async throws(StagingError) -> [ExportedFile] {
    try await perform { (fileSystem) throws(StagingError) in
      try fileSystem.exportTree(path, changedSince: mark, lockTimeout: lockTimeout)
    }
  }

  public func importTree(
    _ files: [(path: StagingPath, bytes: [UInt8])], lockTimeout: LockTimeout? = nil
  ) async throws(StagingError) {
    try await perform { (fileSystem) throws(StagingError) in
      try fileSystem.importTree(files, lockTimeout: lockTimeout)
    }
  }

  /// The files one by one; each step is done on a thread for that.
  public func exportSequence(
    _ path: StagingPath = .root, changedSince mark: StagingFileSystem.Mark? = nil, lockTimeout: LockTimeout? = nil
  ) async throws(StagingError) -> AsyncExportSequence {
    AsyncExportSequence(
      try await perform { (fileSystem) throws(StagingError) in
        try fileSystem.exportSequence(path, changedSince: mark, lockTimeout: lockTimeout)
      })
  }

  public func importFile(
    _ source: FilePath, as path: StagingPath, lockTimeout: LockTimeout? = nil
  ) async throws(StagingError) {
    try await perform { (fileSystem) throws(StagingError) in
      try fileSystem.importFile(source, as: path, lockTimeout: lockTimeout)
    }
  }

  // MARK: The store

  /// As ``StagingFileSystem/commit(into:under:from:writers:options:cancellation:progress:)``. To end it with the task, cancel
  /// `cancellation`.
  @discardableResult
  public func commit(
    into store: Store, under prefix: StagingPath = .root, from path: StagingPath = .root,
    writers: OpenWriters = .areRefused, options: PutOptions = PutOptions(),
    cancellation: Cancellation = Cancellation(), progress: @escaping @Sendable (Int) -> Void = { _ in }
  ) async throws(StagingError) -> [FileID] {
    try await perform { (fileSystem) throws(StagingError) in
      try fileSystem.commit(
        into: store, under: prefix, from: path, writers: writers, options: options, cancellation: cancellation,
        progress: progress)
    }
  }

  /// As ``StagingFileSystem/load(from:under:into:lockTimeout:cancellation:)``.
  @discardableResult
  public func load(
    from store: Store, under prefix: StagingPath = .root, into path: StagingPath = .root,
    lockTimeout: LockTimeout? = nil, cancellation: Cancellation = Cancellation()
  ) async throws(StagingError) -> Int {
    try await perform { (fileSystem) throws(StagingError) in
      try fileSystem.load(
        from: store, under: prefix, into: path, lockTimeout: lockTimeout, cancellation: cancellation)
    }
  }
}
