import LMDB
import Mutants
import StorageIO
import Synchronization

public typealias File = StorageIO.File
public typealias FilePath = StorageIO.FilePath
public typealias Directory = StorageIO.Directory

/// A store of files in one directory: put, get, delete, look up.
///
/// Any thread may call, several at once, and so may several processes on one store. Calls block until they are done,
/// so they do not belong on Swift's cooperative pool. Open a store once in a process, share the object, and
/// ``close()`` it: what was stored is safe without, but the next open then has to clean up.
public final class Store: Sendable {
  /// What a process may use.
  public struct Configuration: Hashable, Sendable {
    /// The memory of all operations together, in bytes.
    public var memoryByteCount = 256 << 20
    /// Nil: as many as there are processors.
    public var workerCount: Int?
    /// How long an operation waits for a file that another one uses.
    public var lockTimeoutSeconds = 10.0
    /// Whether the store is compacted behind those who delete, when much of it is dead: for processes that live long.
    public var compactsInBackground = true
    /// Nil: as the file system allows. Set by tests.
    package var isMapped: Bool?
    /// False for those who only look, and must change nothing.
    package var recoversAtOpen = true
    /// False for those who look at the segments alone: whatever needs the index then fails.
    package var opensIndex = true
    /// Puts that are about to be gone on with.
    package var resumedNames = ResumedNames()
    /// Nil: the store's own. Otherwise the directory of an index that was made elsewhere, for looking only.
    package var indexDirectory: FilePath?

    var wantedWorkerCount: Int { max(1, workerCount ?? SystemThread.processorCount) }

    public init() {}
  }

  public let path: FilePath
  let superblock: Superblock
  let configuration: Configuration
  let segmentDirectory: Directory
  let reader: SegmentReader
  let locks: LockBytes
  let highWater: HighWater
  let reserve: Reserve
  let budget: MemoryBudget
  let workers: WorkerPool
  let zeroDigests = ZeroDigests()
  let quota: Quota
  let spaceThread = SpaceThread()
  let backgroundCompaction = BackgroundCompaction()
  private let isMapped: Bool
  private let session = Monitor(SessionState.none)
  /// Nil once the store is closed: from then on its index may be made anew.
  private let open: Monitor<Open?>

  /// The index, unless it is not wanted, and the lock that says that somebody uses the store.
  private struct Open {
    let index: Index?
    let lock: ByteLock
  }

  /// The writing side, which comes with the first write.
  private enum SessionState {
    case none
    case starting
    case open(WriterSession)
    /// A sync failed before there was a session: this process writes no more.
    case failed(StoreError)
    case closed
  }

  // MARK: Opening and closing

  /// Opens the store in the directory `path`, and puts right what a writer that died has left.
  /// - Throws: `.noStore`, `.notAStore`, `.newerFormat`, `.indexDamaged`, `.memoryLimitTooSmall` (which names the
  ///   smallest that works), `.busy`, `.io`.
  public convenience init(
    at path: FilePath, _ configuration: Configuration = Configuration()
  ) throws(StoreError) {
    try self.init(StoreDirectory(opening: path), configuration)
  }

  init(_ directory: StoreDirectory, _ configuration: Configuration) throws(StoreError) {
    path = directory.path
    self.configuration = configuration
    superblock = directory.superblock
    quota = Quota(limitByteCount: superblock.quotaByteCount)
    isMapped = configuration.isMapped ?? directory.fileSystem.protectsMappedWrites
    let workerCount = try MemoryPlan.workerCount(
      wanted: configuration.wantedWorkerCount,
      limitByteCount: configuration.memoryByteCount, partByteCount: superblock.partByteCount,
      scratchByteCount: PutOptions().workspaceByteCount(partByteCount: superblock.partByteCount)
        + (isMapped ? 0 : SegmentAppender.scratchByteCount(capacity: superblock.partByteCount)))
    budget = MemoryBudget(limitByteCount: configuration.memoryByteCount)
    budget.setAside(workerCount * MemoryPlan.workerByteCount)
    workers = WorkerPool(workerCount: workerCount)
    locks = directory.locks
    highWater = directory.highWater
    reserve = directory.reserve
    guard let lock = try locks.acquire(.store, .shared, timeoutSeconds: configuration.lockTimeoutSeconds) else {
      throw StoreError(.busy, "'\(path)': its index is being rebuilt or compacted")
    }
    segmentDirectory = try directory.openSegments()
    reader = SegmentReader(
      directory: segmentDirectory, segmentByteCount: superblock.segmentByteCount,
      storePrefix: superblock.uuid.prefix)
    let index = configuration.opensIndex ? try Store.openIndex(of: directory, configuration) : nil
    self.open = Monitor(Open(index: index, lock: lock))
    if configuration.recoversAtOpen && configuration.opensIndex {
      IndexReplacement.removeLeftovers(in: directory)
      try recover()
    }
  }

  /// LMDB makes its lock file anew where it is missing, and sets space aside for it.
  private static func openIndex(
    of directory: StoreDirectory, _ configuration: Configuration
  ) throws(StoreError) -> Index {
    guard configuration.recoversAtOpen else { return try directory.openIndex(in: configuration.indexDirectory) }
    return try directory.reserve.lend { () throws(StoreError) in
      try directory.openIndex(in: configuration.indexDirectory)
    }
  }

  deinit {
    // What fails here is put right by the next open.
    do throws(StoreError) { try close() } catch {}
  }

  /// Ends all threads and lets go of segments, so that the next writer goes on with them. Call it when no operation
  /// runs; later calls of operations throw. Waits for the space of deleted files that is still coming back, and stops a
  /// compaction that runs behind them.
  /// - Throws: What kept this from being a clean end. Nothing acknowledged is affected, and the next open cleans up.
  public func close() throws(StoreError) {
    // Nobody else holds the index then, and a process that wrote may have left much of it free.
    if try closeSession() { try compactIndexAtClose() }
  }

  /// - Returns: Whether this process wrote.
  private func closeSession() throws(StoreError) -> Bool {
    let open = session.wait { state -> WriterSession?? in
      switch state {
      case .starting: return nil
      case .none, .failed, .closed:
        state = .closed
        return .some(nil)
      case .open(let session):
        state = .closed
        return session
      }
    }
    spaceThread.close()
    backgroundCompaction.close()
    workers.close()
    // The index closes with its last user, so that the same process may open the store again.
    defer { self.open.withLock { $0 = nil } }
    guard let open else { return false }
    defer { reserve.refill() }
    try open.close(of: self)
    return true
  }

  /// What tells this store from all others, as RFC 9562 writes it.
  public var uuid: String { superblock.uuid.description }

  // MARK: Files

  /// Stores a file. On return it is durable: it survives a loss of power.
  /// - Parameters:
  ///   - progress: told the bytes of each part as it is stored, from any thread.
  /// - Throws: `.unusableFile`, `.sourceChanged`, `.noSpace`, `.cancelled`, `.memoryLimitTooSmall`,
  ///   `.io`; then nothing is stored. `.durabilityUnknown`: the next open shows whether it is.
  public func put(
    _ source: PutSource, as name: FileName, _ options: PutOptions = PutOptions(),
    cancellation: Cancellation = Cancellation(), progress: @escaping @Sendable (Int) -> Void = { _ in }
  ) throws(StoreError) -> StoredFile {
    try PutPipeline(
      store: self, session: try writerSession(), name: name, options: options,
      cancellation: cancellation, progress: progress
    ).run(source)
  }

  /// Restores a file, or some of its bytes: exactly, or it fails and leaves nothing under the name of the target.
  ///
  /// Waits for nobody but a delete of the same file. A restored file is durable, with its mode and date.
  /// - Returns: What of a damaged file could not be restored exactly, for a get that salvages; otherwise nothing.
  /// - Throws: `.notFound`; `.corrupt`, which names file, part, segment and offset, and has all `losses`; `.exists`,
  ///   `.unusableFile`, `.noSpace`, `.busy`, `.cancelled`, `.memoryLimitTooSmall`, `.io`; `.invalidArgument` for a range
  ///   that begins behind the end, and for options that exclude one another.
  @discardableResult public func get(
    _ id: FileID, to target: GetTarget, _ options: GetOptions = GetOptions(),
    cancellation: Cancellation = Cancellation(), progress: @escaping @Sendable (Int) -> Void = { _ in }
  ) throws(StoreError) -> LossReport {
    let (lock, entry) = try readLocked(id, cancellation)
    defer { withExtendedLifetime(lock) {} }
    return try GetPipeline(store: self, options: options, cancellation: cancellation, progress: progress)
      .run(id, entry, to: target)
  }

  // MARK: Inside

  /// Whether every page counts. Then transactions are kept small: LMDB writes changed pages anew, and its file never shrinks.
  var hasLittleRoom: Bool {
    if !reserve.isWhole { return true }
    do throws(SystemCallFailure) { return try FileSystem.freeByteCount(at: path) < Store.littleRoomByteCount } catch {
      return false
    }
  }

  /// More than the pages of the largest transaction, and those that it cannot use again at once.
  private static let littleRoomByteCount = 64 << 20

  var index: Index {
    get throws(StoreError) {
      guard let index = open.withLock({ $0?.index }) else { throw StoreError(.invalidArgument, "the store is closed") }
      return index
    }
  }

  /// The writing side of this process, made at the first call.
  func writerSession() throws(StoreError) -> WriterSession {
    let existing = try session.wait { state -> Result<WriterSession?, StoreError>? in
      switch state {
      case .starting: return nil
      case .open(let session): return .success(session)
      case .failed(let error): return .failure(error)
      case .closed: return .failure(StoreError(.invalidArgument, "the store is closed"))
      case .none:
        state = .starting
        return .success(nil)
      }
    }.get()
    if let existing { return existing }
    do throws(StoreError) {
      // What an earlier writer left must be right before this one begins, whatever happened at open.
      try Recovery(store: self).run()
      let made = try WriterSession(
        index: try index, superblock: superblock, segmentDirectory: segmentDirectory, locks: locks, isMapped: isMapped)
      session.withLock { $0 = .open(made) }
      return made
    } catch {
      session.withLock { $0 = error.code == .durabilityUnknown ? .failed(error) : .none }
      throw error
    }
  }

  func batchPartCount(partByteCount: Int, scratchByteCount: Int) throws(StoreError) -> Int {
    try MemoryPlan.batchPartCount(
      partByteCount: partByteCount, scratchByteCount: scratchByteCount,
      limitByteCount: budget.limitByteCount - budget.reservedByteCount,
      workerCount: workers.workerCount, wantedWorkerCount: configuration.wantedWorkerCount)
  }

  /// The memory that appending a part takes besides the part: none where it is encoded into a mapping.
  func writeScratchByteCount(partByteCount: Int) -> Int {
    isMapped ? 0 : SegmentAppender.scratchByteCount(capacity: partByteCount)
  }

  private func recover() throws(StoreError) {
    do throws(StoreError) { try Recovery(store: self).run() } catch  where error.code == .noSpace || error.code == .io {
      // Reading needs no recovery; the first write tries again and says why it cannot.
    }
  }

  private func readyEntry(_ id: FileID) throws(StoreError) -> FileEntry {
    let index = try index
    let entry = try index.read { (transaction) throws(StoreError) in
      let entry = try index.files.file(id, in: transaction)
      if entry == nil { try index.checkSums(of: Index.tablesOfFiles, in: transaction) }
      return entry
    }
    guard let entry, entry.state != .deleting else { throw StoreError(.notFound, "no file with id \(id)") }
    guard entry.state == .ready else {
      throw StoreError(.notFound, "file \(id) '\(entry.manifest.name)' is not ready: it is still being stored")
    }
    return entry
  }

  /// A ready file that nobody deletes as long as the lock lives.
  func readLocked(
    _ id: FileID, _ cancellation: Cancellation
  ) throws(StoreError) -> (lock: ByteLock, entry: FileEntry) {
    _ = try readyEntry(id)
    let lock = try lock(id, .shared, cancellation)
    // Looked at again: only under the lock can nobody delete it.
    return (lock, try readyEntry(id))
  }

  func deletableEntry(_ id: FileID) throws(StoreError) -> FileEntry {
    let index = try index
    let entry = try index.read { (transaction) throws(StoreError) in try index.files.file(id, in: transaction) }
    if let entry, entry.isInterrupted { return entry }
    return try readyEntry(id)
  }

  func lock(
    _ id: FileID, _ mode: ByteLock.Mode, _ cancellation: Cancellation, timeoutSeconds: Double? = nil
  ) throws(StoreError) -> ByteLock {
    let lock = try locks.acquire(
      .file(id), mode, timeoutSeconds: timeoutSeconds ?? configuration.lockTimeoutSeconds, cancellation: cancellation)
    if let lock { return lock }
    try cancellation.check()
    throw StoreError(
      .busy, "file \(id) is in use: waited \(configuration.lockTimeoutSeconds) s for it",
      advice: "try again, or wait longer with --lock-timeout")
  }
}
