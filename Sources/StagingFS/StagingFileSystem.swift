import SegmentStore
import StorageIO
import Synchronization

/// A tree of files in memory with a hard quota, to stage what is to be kept: see ``commit(into:under:from:writers:options:cancellation:progress:)``.
///
/// Any thread may call, several at once. Everything is charged to the quota before it is allocated: bytes, names, what
/// the tree itself takes, and exports as long as they live. A file has many readers or one writer; who waits for one is let in
/// in the order of coming. No call on one file waits for another file, and none waits while the tree is locked.
///
/// Calls block while they wait for a file, so from Swift's tasks use ``AsyncStagingFileSystem``.
public final class StagingFileSystem: Sendable {
  /// What a tree has in it, and what it takes.
  public struct Statistics: Hashable, Sendable {
    public internal(set) var quotaByteCount = 0
    /// What is charged, overhead and exports included.
    public internal(set) var usedByteCount = 0
    public internal(set) var fileCount = 0
    /// Without the root.
    public internal(set) var directoryCount = 0
    public internal(set) var chunkCount = 0
    /// What a chunk is charged beside its bytes, and a file or directory beside its chunks.
    public internal(set) var overheadPerChunkByteCount = 0
    public internal(set) var overheadPerNodeByteCount = 0

    public var freeByteCount: Int { quotaByteCount - usedByteCount }
  }

  /// What is known of a file or directory.
  public struct Status: Hashable, Sendable {
    public let isDirectory: Bool
    /// 0 for a directory; of a file that is being written, what it had before, or what was flushed last.
    public let byteCount: Int
    /// Nanoseconds since 1970.
    public let createdNanoseconds: Int64
    public let modifiedNanoseconds: Int64
    /// How often the file was changed since it was made or imported; 0 for a directory.
    public let generation: Int
  }

  /// A moment in the life of a tree, to ask later what has changed since.
  public struct Mark: Hashable, Sendable {
    let changeNumber: UInt64
  }

  let quota: StagingQuota
  let memory: MemoryWatch
  let overflow: OverflowGroup?
  let storage: StagingStorage
  private let defaultLockTimeout: LockTimeout
  private let tree: Monitor<StagingTree>
  private let changes = Atomic<UInt64>(0)

  /// Makes an empty tree.
  /// - Parameters:
  ///   - quota: The most bytes that it may take, overhead included.
  ///   - maximumNodeCount: The most files and directories; nil: as many as the quota has room for.
  ///   - defaultLockTimeout: How long a call waits for a file that somebody else has open, unless it says otherwise.
  /// - Throws: `.invalidArgument`; `.quotaExceeded` when there is not even room for the root; `.memoryShortage`.
  public convenience init(
    quota: Int, maximumNodeCount: Int? = nil, defaultLockTimeout: LockTimeout = .duration(.seconds(30)),
    storage: StagingStorage = .automatic, memoryGuard: MemoryGuard = .none, overflow: StagingOverflow? = nil
  ) throws(StagingError) {
    let reserve = StagingFileSystem.contentReserveByteCount(quota, overflow)
    try self.init(
      StagingQuota(limitByteCount: quota, contentReserveByteCount: reserve), maximumNodeCount, defaultLockTimeout,
      storage, memoryGuard, overflow, availableMemory: SystemMemory.availableByteCount)
  }

  /// Makes an empty tree whose memory is taken from that of `store`: what the store's operations may use is less by the quota
  /// as long as the tree lives.
  /// - Throws: As the other; `.quotaExceeded` when the store could not work with what would be left.
  public convenience init(
    quota: Int, sharingMemoryOf store: Store, maximumNodeCount: Int? = nil,
    defaultLockTimeout: LockTimeout = .duration(.seconds(30)), storage: StagingStorage = .automatic,
    memoryGuard: MemoryGuard = .none, overflow: StagingOverflow? = nil
  ) throws(StagingError) {
    guard quota > 0, let reservation = store.reserveMemory(quota) else {
      let available = store.reservableMemoryByteCount
      throw StagingError(
        .quotaExceeded, requested: quota, available: available,
        "the store can spare \(available) bytes of its memory limit, and a quota of \(quota) was wanted")
    }
    let reserve = StagingFileSystem.contentReserveByteCount(quota, overflow)
    try self.init(
      StagingQuota(limitByteCount: quota, reservation: reservation, contentReserveByteCount: reserve),
      maximumNodeCount, defaultLockTimeout, storage, memoryGuard, overflow,
      availableMemory: SystemMemory.availableByteCount)
  }

  private static func contentReserveByteCount(_ quota: Int, _ overflow: StagingOverflow?) -> Int {
    overflow == nil ? 0 : max(0, quota) / 8
  }

  init(
    _ quota: StagingQuota, _ maximumNodeCount: Int?, _ defaultLockTimeout: LockTimeout, _ storage: StagingStorage,
    _ memoryGuard: MemoryGuard, _ overflow: StagingOverflow? = nil, availableMemory: @escaping @Sendable () -> Int?
  ) throws(StagingError) {
    guard quota.limitByteCount > 0, maximumNodeCount ?? 1 >= 0 else {
      throw StagingError(
        .invalidArgument, "a quota of \(quota.limitByteCount) bytes and \(maximumNodeCount ?? 0) nodes")
    }
    self.quota = quota
    self.storage = storage
    self.defaultLockTimeout = defaultLockTimeout
    self.overflow = overflow.map { OverflowGroup($0, quotaByteCount: quota.limitByteCount) }
    memory = try MemoryWatch(memoryGuard, quotaByteCount: quota.limitByteCount, available: availableMemory)
    tree = Monitor(try StagingTree(maximumNodeCount: maximumNodeCount, quota))
  }

  // MARK: Files

  /// Opens a file. It stays locked until the handle is closed: for reading beside other readers, otherwise for this
  /// handle alone.
  /// - Parameters:
  ///   - byteCount: Writes up to this size then cannot fail for want of room: the file is filled up with zeros to there,
  ///     or with ``StagingStorage/sequential`` and ``OpenMode/append``, which write at the end, has room set aside.
  ///   - lockTimeout: Nil: the default of the tree.
  /// - Throws: `.notFound`, `.isDirectory`, `.isNotDirectory`, `.badPath`; `.exists` for ``OpenMode/createNew``;
  ///   `.lockTimeout`; `.quotaExceeded`, `.nodeLimitExceeded`, `.memoryShortage`: then the tree is as before.
  public func open(
    _ path: StagingPath, _ mode: OpenMode = .read, preallocating byteCount: Int = 0,
    lockTimeout: LockTimeout? = nil
  ) throws(StagingError) -> StagingHandle {
    var deadline = Deadline(lockTimeout ?? defaultLockTimeout)
    while true {
      let (file, isNew) = try fileToOpen(path, mode)
      if isNew {
        return try StagingHandle(self, file, path, mode, StagedContent(), isNew: true).preallocating(byteCount)
      }
      // Taken out of the state by who may write in place: so it has one owner, and is not copied.
      let content = file.enter(mode.access, &deadline) { state -> StagedContent? in
        if state.isRemoved { return nil }
        // Refused below: it cannot be changed in place.
        if state.content.overflowed != nil { return state.content }
        return mode.takesContent ? state.takeContent() : mode == .read ? state.content : StagedContent()
      }
      guard let content else { throw deadline.error(path.description) }
      if let content {
        if mode.takesContent, content.overflowed != nil {
          file.leave(mode.access)
          throw StagingError(.wrongMode, "'\(path)': is in the store already; it can be read or written anew")
        }
        let own = mode.replaces ? StagedContent() : content
        return try StagingHandle(self, file, path, mode, own, isNew: false).preallocating(byteCount)
      }
      // It was removed while we waited; perhaps there is another one by now.
      file.leave(mode.access)
    }
  }

  /// Opens a file for the time of `body`: closes it at the end, and gives up what was written when `body` throws.
  public func withFile<R>(
    _ path: StagingPath, _ mode: OpenMode = .read, lockTimeout: LockTimeout? = nil,
    _ body: (StagingHandle) throws -> R
  ) throws -> R {
    let handle = try open(path, mode, lockTimeout: lockTimeout)
    do {
      let result = try body(handle)
      try handle.close()
      return result
    } catch {
      handle.discard()
      throw error
    }
  }

  /// The bytes of a file; without a copy if they were written in one piece.
  public func read(_ path: StagingPath, lockTimeout: LockTimeout? = nil) throws(StagingError) -> [UInt8] {
    let handle = try open(path, lockTimeout: lockTimeout)
    defer { handle.discard() }
    return try handle.read()
  }

  /// Makes a file of `bytes`, which are taken over without a copy, or replaces what is in it; all or nothing.
  public func write(
    _ bytes: [UInt8], to path: StagingPath, lockTimeout: LockTimeout? = nil
  ) throws(StagingError) {
    let handle = try open(path, .write, lockTimeout: lockTimeout)
    do throws(StagingError) {
      try handle.adopt(bytes)
    } catch {
      handle.discard()
      throw error
    }
    try handle.close()
  }

  private func fileToOpen(
    _ path: StagingPath, _ mode: OpenMode
  ) throws(StagingError) -> (file: StagedFile, isNew: Bool) {
    try path.check()
    return try tree.withLock { (tree) throws(StagingError) in
      let place = tree.findPlace(path)
      if let entry = place.entry {
        guard let file = entry.file else { throw StagingError(.isDirectory, "'\(path)': is a directory") }
        if mode == .createNew { throw StagingError(.exists, "'\(path)': is there already") }
        return (file, false)
      }
      guard mode.makesFile else { throw StagingError(.notFound, "'\(path)': there is no such file") }
      let parent = if let found = place.parent, found.isDirectory { found } else { try tree.parent(of: path) }
      try tree.checkRoom(for: 1)
      let file = StagedFile(changeNumber: nextChangeNumber())
      let entry = try tree.make(.file(file), path.lastComponent)
      // Nobody else has it yet, so this cannot fail.
      var deadline = Deadline(.zero)
      _ = file.enter(.write, &deadline) { _ in () }
      tree.add(entry, to: parent)
      return (file, true)
    }
  }

  /// Takes a file out that was made by a handle which gave up.
  func takeBack(_ file: StagedFile, _ path: StagingPath) {
    let removed = tree.withLock { tree in tree.place(of: file, before: path).map { tree.remove($0.entry) } }
    file.withState { $0.isRemoved = true }
    withExtendedLifetime(removed) {}
  }

  /// Fixes the path of a file that its writer is about to hand over to the store.
  func beginOverflow(of file: StagedFile, _ path: StagingPath) -> StagingPath {
    tree.withLock { tree in
      file.withState { $0.isOverflowing = true }
      return tree.place(of: file, before: path)?.path ?? path
    }
  }

  // MARK: For the parts of this type

  func nextChangeNumber() -> UInt64 { changes.add(1, ordering: .relaxed).newValue }

  /// This moment: what is closed from now on is a change since.
  public var mark: Mark { Mark(changeNumber: changes.load(ordering: .relaxed)) }

  /// Looks at the tree under its lock.
  func look<R>(_ body: (StagingTree) throws(StagingError) -> R) throws(StagingError) -> R {
    try tree.withLock { (tree) throws(StagingError) in try body(tree) }
  }

  /// Runs `body` under the lock of the tree. When it finds a file busy, waits for that file without the lock, and
  /// runs it again while it has the file: `body` must not have changed anything by then.
  ///
  /// One file is held at a time, so that no two calls can wait for each other. For a call on one file that means first
  /// come, first served.
  func change<R>(
    _ lockTimeout: LockTimeout?, _ body: (StagingTree, HeldFile?) throws(TreeFailure) -> R
  ) throws(StagingError) -> R {
    var deadline = Deadline(lockTimeout ?? defaultLockTimeout)
    var held: HeldFile?
    defer { held?.leave() }
    while true {
      do throws(TreeFailure) {
        return try tree.withLock { (tree) throws(TreeFailure) in try body(tree, held) }
      } catch {
        switch error {
        case .failed(let error): throw error
        case .busy(let file, let access, let path):
          held?.leave()
          held = nil
          guard file.enter(access, &deadline, { _ in () }) != nil else { throw deadline.error(path.description) }
          held = HeldFile(file: file, access: access)
        }
      }
    }
  }
}

/// A file that a change of the tree has waited for.
struct HeldFile {
  let file: StagedFile
  let access: StagedFile.Access

  func leave() { file.leave(access) }
}

extension StagedFile {
  /// Throws `.busy` unless the file could be entered now, or was by the one who asks.
  func checkFree(
    for access: Access, _ held: HeldFile?, _ path: StagingPath
  ) throws(TreeFailure) {
    if held?.file == self, held?.access == access || held?.access == .write { return }
    guard withState({ $0.queue.canGive(access) }) else { throw .busy(self, access, path) }
  }
}

/// Runs `body`, turning its error into a failure of a change.
func failing<R>(_ body: () throws(StagingError) -> R) throws(TreeFailure) -> R {
  do throws(StagingError) { return try body() } catch { throw .failed(error) }
}
