import CLMDB
import CLMDBGuard
import Glibc
import Mutants
import Synchronization

/// An LMDB environment: the tables in one directory, shared by threads and processes.
///
/// One process writes at a time, readers never wait. Commits are durable when they return.
/// It closes when the last reference goes; every transaction holds one.
@safe public final class Environment: @unchecked Sendable {
  private static let lastNumber = Atomic<UInt64>(0)

  private struct State {
    /// Transactions that run or are about to begin.
    var transactionCount = 0
    var isOpeningTables = false
    /// The thread whose write transaction runs.
    var writerThread: pthread_t?
    /// Why nothing of the environment may be used any more: it has lost its map, or met damage.
    var failure: LMDBError?
    /// Whether a transaction could not even be aborted, so that closing would free what is still referred to.
    var isAbandoned = false
  }

  // Why `Sendable` is unchecked: the C handle is not, but LMDB lets any thread begin transactions on it.
  let pointer: OpaquePointer
  private let identity: DirectoryIdentity
  private let state = Mutex(State())
  /// Whether `state.failure` is set; for a look at every call.
  private let failed = Atomic<Bool>(false)
  /// Reads pages without LMDB.
  let pageReader: PageReader
  /// Tells the tables of this environment from those of any other that this process opens.
  let number: UInt64

  /// Opens the environment in `directory`, which must exist.
  ///
  /// Creating one is not crash-safe before the first commit, and never syncs the directory.
  /// - Parameters:
  ///   - directory: the bytes of a path without NUL, on a local file system.
  ///   - mapByteCount: the most that the tables may grow to, a multiple of the page size; takes address space only.
  ///   - maximumTableCount: how many tables can be open, at least 1.
  ///   - maximumReaderCount: how many read transactions all processes together can have; the process
  ///     that opens first decides. At least 1.
  ///   - creates: makes the environment where there is none. When false, that is `isNotFound`.
  ///   - fileMode: the mode of new files, for example 0o600.
  /// - Throws: ``LMDBError``: `isAlreadyOpen` when this process has it open, by whatever path;
  ///   `isDamaged` when the meta pages make no sense or the file was cut short.
  public init(
    directory: [UInt8], mapByteCount: Int, maximumTableCount: Int, maximumReaderCount: Int, creates: Bool,
    fileMode: UInt32
  ) throws(LMDBError) {
    precondition(
      mapByteCount > 0 && maximumTableCount > 0 && maximumReaderCount > 0,
      "a map of \(mapByteCount) bytes, \(maximumTableCount) tables, \(maximumReaderCount) readers")
    guard !directory.contains(0) else {
      throw LMDBError(code: EINVAL, operation: "mdb_env_open", detail: "the path of the directory has a NUL byte")
    }
    let path = directory.map { CChar(bitPattern: $0) }
    let limits = (mapByteCount, UInt32(clamping: maximumTableCount), UInt32(clamping: maximumReaderCount))
    number = Self.lastNumber.add(1, ordering: .relaxed).newValue
    do throws(LMDBError) {
      identity = try DirectoryIdentity(path: path + [0])
      (unsafe pointer, pageReader) = try unsafe Self.openOnce(
        identity, path: path, limits: limits, creates: creates, fileMode: fileMode)
      // A throw from here runs deinit, which closes and unregisters.
      // LMDB walks the table of free pages only after it was checked.
      try checkPages()
      if !Mutant.noIndexFileCheck.isActive { try checkFileLength() }
    } catch {
      throw error.located(in: directory)
    }
  }

  deinit {
    // An environment that lost a transaction in the middle of something is left as it is, and counts as open.
    if state.withLock({ $0.isAbandoned }) { return }
    // Safe: each transaction holds a reference, so none runs any more.
    if unsafe pfs_mdb_env_close(pointer) == MDB_SUCCESS { OpenEnvironments.remove(identity) }
  }

  /// Opens the tables called `names`, in this order, in one transaction.
  ///
  /// Call it right after opening: LMDB does not guard its list of tables, so it traps while another
  /// transaction of this process runs.
  /// - Parameters:
  ///   - names: without NUL, 1 ... 511 bytes each; at most as many as the environment was opened for, over all calls.
  ///   - creates: makes the tables that are not there, durably, and waits for the writer to do so. When
  ///     false this neither writes nor waits.
  /// - Throws: ``LMDBError``: `isNotFound` when a table is not there and `creates` is false. No table is open then.
  public func openTables(_ names: [String], creates: Bool) throws(LMDBError) -> [Table] {
    state.withLock { state in
      precondition(state.transactionCount == 0, "tables are opened while a transaction runs")
      state.isOpeningTables = true
    }
    defer { state.withLock { $0.isOpeningTables = false } }
    let flags = creates ? 0 : UInt32(MDB_RDONLY)
    // Safe: the transaction ends below on each path, on the thread that began it.
    let transaction = try unsafe begin(flags: flags, opensTables: true)
    defer { transactionEnded(writerThread: nil) }
    var tables: [Table] = []
    for name in names {
      precondition(!name.utf8.contains(0) && !name.isEmpty, "table name \(name.debugDescription)")
      var identifier: MDB_dbi = 0
      let code = unsafe pfs_mdb_dbi_open(transaction, name, creates ? UInt32(MDB_CREATE) : 0, &identifier)
      guard code == MDB_SUCCESS else {
        note(code)
        unsafe abort(transaction)
        throw LMDBError(code: code, operation: "mdb_dbi_open", detail: "table \(name)")
      }
      tables.append(Table(name: name, identifier: identifier, environmentNumber: number))
    }
    // The commit keeps the tables open, even that of a transaction that wrote nothing.
    let code = unsafe pfs_mdb_txn_commit(transaction)
    if code == LMDBError.faultCode { unsafe abort(transaction) }
    try check(code, "mdb_txn_commit")
    return tables
  }

  /// Begins a transaction that sees all that was committed before, and nothing later; does not wait.
  /// - Throws: ``LMDBError``: `isReadersFull` when all slots are taken, those of dead processes not counted.
  public func beginRead() throws(LMDBError) -> ReadTransaction {
    // Safe: the new value is the only owner of the pointer.
    let transaction = try unsafe begin(flags: UInt32(MDB_RDONLY))
    return unsafe ReadTransaction(
      environment: self, pointer: transaction, writerThread: nil, pages: SnapshotPages(self))
  }

  /// Begins the write transaction; blocks while another thread or process has one.
  ///
  /// A thread that has one already traps here, because it would wait for itself.
  public func beginWrite() throws(LMDBError) -> WriteTransaction {
    let thread = pthread_self()
    state.withLock { state in
      let isWriting = state.writerThread.map { pthread_equal($0, thread) != 0 } ?? false
      precondition(!isWriting, "this thread has a write transaction already")
    }
    // Safe: the new value is the only owner of the pointer, and checks that it stays on this thread.
    let transaction = try unsafe begin(flags: 0)
    state.withLock { $0.writerThread = thread }
    do throws(LMDBError) {
      let pages = try pagesToWrite(after: unsafe mdb_txn_id(transaction))
      return unsafe WriteTransaction(environment: self, pointer: transaction, writerThread: thread, pages: pages)
    } catch {
      unsafe abort(transaction)
      transactionEnded(writerThread: thread)
      throw error
    }
  }

  /// Gives back the reader slots of processes that died, and returns how many there were.
  ///
  /// As long as they are taken, no page that was freed since can be used again.
  public func removeStaleReaders() throws(LMDBError) -> Int {
    var staleCount: Int32 = 0
    // Safe: the environment is open as long as `self` lives.
    try check(unsafe pfs_mdb_reader_check(pointer, &staleCount), "mdb_reader_check")
    return Int(staleCount)
  }

  /// Notes that a transaction has ended; `writerThread` is the one that began it if it was to write.
  func transactionEnded(writerThread: pthread_t?) {
    state.withLock { state in
      state.transactionCount -= 1
      // The next writer may have begun already, on another thread.
      if state.writerThread == writerThread { state.writerThread = nil }
    }
  }

  // MARK: Failure

  /// Whether nothing of the environment may be used any more.
  public var hasFailed: Bool { failed.load(ordering: .relaxed) }

  /// Throws the error that ended the use of the environment, if there was one.
  func checkUsable() throws(LMDBError) {
    guard hasFailed, let failure = state.withLock({ $0.failure }) else { return }
    throw failure
  }

  /// Makes every later call throw `failure`, or the first that there was.
  func fail(_ failure: LMDBError) {
    state.withLock { $0.failure = $0.failure ?? failure }
    failed.store(true, ordering: .relaxed)
  }

  /// Leaves the environment open for as long as the process lives.
  func abandon() {
    state.withLock { $0.isAbandoned = true }
  }

  /// Begins a transaction, with one retry after what a retry can mend.
  private func begin(flags: UInt32, opensTables: Bool = false) throws(LMDBError) -> OpaquePointer {
    try state.withLock { (state) throws(LMDBError) in
      precondition(state.isOpeningTables == opensTables, "a transaction begins while tables are opened")
      if let failure = state.failure { throw failure }
      state.transactionCount += 1
    }
    var transaction: OpaquePointer?
    // Safe: the environment is open as long as `self` lives, and `transaction` outlives the calls.
    var code = unsafe pfs_mdb_txn_begin(pointer, flags, &transaction)
    do throws(LMDBError) {
      if code == MDB_MAP_RESIZED { try adoptGrownMap() }
      if code == MDB_READERS_FULL, !Mutant.keepDeadReaders.isActive { _ = try removeStaleReaders() }
    } catch {
      transactionEnded(writerThread: nil)
      throw error
    }
    if code == MDB_MAP_RESIZED || code == MDB_READERS_FULL {
      code = unsafe pfs_mdb_txn_begin(pointer, flags, &transaction)
    }
    guard code == MDB_SUCCESS, let transaction = unsafe transaction else {
      transactionEnded(writerThread: nil)
      note(code)
      throw LMDBError(code: code, operation: "mdb_txn_begin")
    }
    return unsafe transaction
  }

  /// Maps the file anew, in the size that another process gave it.
  ///
  /// Only where the caller's own is the one transaction of this process: the others read from the old map.
  private func adoptGrownMap() throws(LMDBError) {
    // The lock is held over the system call because no other transaction may begin meanwhile.
    try state.withLock { (state) throws(LMDBError) in
      guard state.transactionCount == 1 else {
        throw LMDBError(
          code: MDB_MAP_RESIZED, operation: "mdb_txn_begin",
          detail: "\(state.transactionCount - 1) other transactions of this process hold the old map")
      }
      // Safe: nothing points into the old map, see above.
      let code = unsafe pfs_mdb_env_set_mapsize(pointer, 0)
      guard code == MDB_SUCCESS else {
        let failure = LMDBError(code: code, operation: "mdb_env_set_mapsize", detail: "open the environment again")
        state.failure = failure
        failed.store(true, ordering: .relaxed)
        throw failure
      }
    }
  }

  /// Registers, checks and opens the C environment in the directory at `path`; all of it or nothing.
  private static func openOnce(
    _ identity: DirectoryIdentity, path: [CChar], limits: (mapByteCount: Int, tableCount: UInt32, readerCount: UInt32),
    creates: Bool, fileMode: UInt32
  ) throws(LMDBError) -> (environment: OpaquePointer, pages: PageReader) {
    guard OpenEnvironments.insert(identity) else {
      throw LMDBError(code: LMDBError.alreadyOpenCode, operation: "mdb_env_open")
    }
    var isOpen = false
    // One that cannot be closed counts as open, as in deinit.
    defer { if !isOpen { OpenEnvironments.remove(identity) } }
    if !Mutant.noIndexFileCheck.isActive {
      try MetaPages.check(path: path + "/data.mdb".utf8CString, creates: creates)
    }
    try ReaderTable.reserve(
      path: path + "/lock.mdb".utf8CString, readerCount: Int(limits.readerCount), fileMode: fileMode)
    var retries = 0..<ReaderTable.openRetryCount
    while true {
      let environment = try unsafe create()
      do throws(LMDBError) {
        let pages = try unsafe open(environment, path: path + [0], limits: limits, fileMode: fileMode)
        try unsafe ReaderTable.checkIsSetUp(of: environment, pages)
        isOpen = true
        return unsafe (environment, pages)
      } catch {
        // Safe: nobody else knows the environment.
        isOpen = unsafe pfs_mdb_env_close(environment) != MDB_SUCCESS
        guard !isOpen, error.mayBeUnfinishedReaderTable, retries.popFirst() != nil else { throw error }
        ReaderTable.waitForOthers()
      }
    }
  }

  /// Makes a C environment that is not open yet.
  private static func create() throws(LMDBError) -> OpaquePointer {
    var created: OpaquePointer?
    // Safe: `created` outlives the call.
    let code = unsafe pfs_mdb_env_create(&created)
    guard code == MDB_SUCCESS, let environment = unsafe created else {
      throw LMDBError(code: code, operation: "mdb_env_create")
    }
    return unsafe environment
  }

  /// Opens a new C environment in the directory at `path`, a C string; after a throw it is still to be closed.
  private static func open(
    _ environment: OpaquePointer, path: [CChar],
    limits: (mapByteCount: Int, tableCount: UInt32, readerCount: UInt32), fileMode: UInt32
  ) throws(LMDBError) -> PageReader {
    // Safe: the environment was just made and nobody else knows it; `path` ends in NUL.
    try LMDBError.check(unsafe pfs_mdb_env_set_mapsize(environment, limits.mapByteCount), "mdb_env_set_mapsize")
    try LMDBError.check(unsafe mdb_env_set_maxdbs(environment, limits.tableCount), "mdb_env_set_maxdbs")
    try LMDBError.check(unsafe mdb_env_set_maxreaders(environment, limits.readerCount), "mdb_env_set_maxreaders")
    // Reader slots go with transactions, not threads. None of the flags that trade durability for speed.
    let flags = UInt32(MDB_NOTLS) | (Mutant.noIndexSync.isActive ? UInt32(MDB_NOSYNC) : 0)
    try LMDBError.check(unsafe pfs_mdb_env_open(environment, path, flags, fileMode), "mdb_env_open")
    // LMDB sets this on all its descriptors but this one.
    var descriptor: Int32 = -1
    try LMDBError.check(unsafe mdb_env_get_fd(environment, &descriptor), "mdb_env_get_fd")
    guard fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 else { throw LMDBError(code: errno, operation: "fcntl") }
    var pages = MDB_stat()
    try LMDBError.check(unsafe pfs_mdb_env_stat(environment, &pages), "mdb_env_stat")
    return PageReader(descriptor: descriptor, pageByteCount: Int(pages.ms_psize))
  }
}
