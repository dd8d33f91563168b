import CLMDB
import CLMDBGuard
import Glibc

/// The access of a ``ReadTransaction``.
public enum ReadAccess {}
/// The access of a ``WriteTransaction``.
public enum WriteAccess {}

/// A snapshot of all tables, as they were when it began.
///
/// Any thread may use it, one at a time. While it lives, pages that were freed since cannot be used
/// again and the file grows with each write: keep it short, never hold one across user I/O.
public typealias ReadTransaction = Transaction<ReadAccess>

/// Changes to the tables that become visible and durable together, or not at all.
///
/// It must be used and finished on the thread that began it; anything else traps, because LMDB would
/// accept the commit and then hang at the next one. So no `await` may stand between begin and end.
/// It sees its own changes, and ends without a trace unless ``commit()`` returns.
public typealias WriteTransaction = Transaction<WriteAccess>

/// A running transaction; the reading half, which both kinds share.
///
/// Write a look-up once, for both, as `func find<Access>(in transaction: borrowing Transaction<Access>)`.
@safe public struct Transaction<Access>: ~Copyable {
  /// A key and its value, both copied out of the map.
  public typealias Entry = (key: [UInt8], value: [UInt8])

  let environment: Environment
  /// Nil once the transaction has ended.
  private var pointer: OpaquePointer?
  /// The thread that began it, for a write transaction.
  private let writerThread: pthread_t?
  /// The snapshot that it began with.
  let pages: SnapshotPages
  /// What it has changed, if it is to write.
  let changes = TableChanges()

  /// Takes over a transaction that was just begun, and keeps `environment` open.
  init(environment: Environment, pointer: OpaquePointer, writerThread: pthread_t?, pages: SnapshotPages) {
    self.environment = environment
    unsafe self.pointer = unsafe pointer
    self.writerThread = writerThread
    self.pages = pages
  }

  deinit {
    guard let running = unsafe pointer else { return }
    checkThread()
    // Safe: the pointer is of a running transaction, and nobody can use it after this.
    unsafe environment.abort(running)
    environment.transactionEnded(writerThread: writerThread)
  }

  /// Ends the transaction now rather than at the end of the scope; what it wrote is gone.
  public consuming func abort() {}

  /// The value of `key`, or nil when the table has no such key.
  /// - Throws: ``LMDBError`` when the key does not have 1 ... 511 bytes, or the index is damaged.
  /// - Complexity: O(log n), and a copy of the value.
  public func value(_ table: Table, _ key: [UInt8]) throws(LMDBError) -> [UInt8]? {
    try Table.check(key, "mdb_get")
    let identifier = identifier(of: table)
    var found = unsafe MDB_val()
    let running = try unsafe running
    // Safe: the transaction is running, and LMDB fills in `found` when it returns success.
    let code = unsafe withValue(key) { unsafe pfs_mdb_get(running, identifier, &$0, &found) }
    if code == MDB_NOTFOUND { return nil }
    try check(code, "mdb_get", table)
    // Safe: nothing was written since LMDB found the value.
    return try unsafe environment.copy(value: found)
  }

  /// The entries next to `key`, which was not found: at most one on each side.
  ///
  /// What can tell the absence of a key from damage: the pages that would have the key are checked, and a key that a
  /// flipped bit turned into another is next to the place where it belongs, or out of order.
  /// - Throws: ``LMDBError`` when those pages do not hold together.
  /// - Complexity: O(log n).
  public func neighbours(_ table: Table, _ key: [UInt8]) throws(LMDBError) -> [Entry] {
    var entries: [Entry] = []
    for key in try pages.neighbours(table, key, in: self) {
      // This transaction may have removed it since.
      if let value = try value(table, key) { entries.append((key, value)) }
    }
    return entries
  }

  /// The first `limit` entries in key order, from the first key that is not below `key`, or from the start.
  ///
  /// Fewer than `limit` only at the end of the table. The values are in memory together: choose `limit`
  /// by their size, and page on with ``entries(_:after:limit:)``.
  /// - Parameter limit: at least 1.
  /// - Throws: ``LMDBError`` when the key does not have 1 ... 511 bytes, or the index is damaged.
  /// - Complexity: O(log n + limit), and a copy of each entry.
  public func entries(_ table: Table, from key: [UInt8]? = nil, limit: Int) throws(LMDBError) -> [Entry] {
    var cursor = try cursor(table)
    guard let key else { return try collect(&cursor, cursor.move(MDB_FIRST), table, from: nil, limit: limit) }
    try Table.check(key, "mdb_cursor_get")
    return try collect(&cursor, cursor.moveToFirst(atLeast: key), table, from: key, limit: limit)
  }

  /// The first `limit` entries in key order whose keys are above `key`, which need not exist.
  ///
  /// Otherwise as ``entries(_:from:limit:)``.
  public func entries(_ table: Table, after key: [UInt8], limit: Int) throws(LMDBError) -> [Entry] {
    try Table.check(key, "mdb_cursor_get")
    var cursor = try cursor(table)
    var isFound = try cursor.moveToFirst(atLeast: key)
    if isFound, try cursor.key == key { isFound = try cursor.move(MDB_NEXT) }
    return try collect(&cursor, isFound, table, from: key, limit: limit)
  }

  /// The entry with the highest key, or nil when the table is empty.
  /// - Complexity: O(log n), and a copy of the entry.
  public func lastEntry(_ table: Table) throws(LMDBError) -> Entry? {
    var cursor = try cursor(table)
    guard try cursor.move(MDB_LAST) else { return nil }
    return (try cursor.key, try cursor.value)
  }

  /// The entry with the highest key below `key`, which need not exist; nil when there is none.
  /// - Throws: ``LMDBError`` when the key does not have 1 ... 511 bytes, or the index is damaged.
  /// - Complexity: O(log n), and a copy of the entry.
  public func lastEntry(_ table: Table, before key: [UInt8]) throws(LMDBError) -> Entry? {
    try Table.check(key, "mdb_cursor_get")
    var cursor = try cursor(table)
    // Where no key is at or above `key`, the last one of all is below it.
    let isFound = try cursor.moveToFirst(atLeast: key) ? cursor.move(MDB_PREV) : cursor.move(MDB_LAST)
    guard isFound else { return nil }
    return (try cursor.key, try cursor.value)
  }

  /// The number of entries in the table.
  public func entryCount(_ table: Table) throws(LMDBError) -> Int {
    var statistics = MDB_stat()
    // Safe: the transaction is running, and `statistics` outlives the call.
    try check(unsafe pfs_mdb_stat(running, identifier(of: table), &statistics), "mdb_stat", table)
    return statistics.ms_entries
  }

  /// What the entries of a table sum up to, as they are in its pages: each is read and checked, without LMDB.
  ///
  /// For read transactions: a write transaction that has changed the table sees what it was before.
  /// - Throws: ``LMDBError`` when those pages do not hold together.
  /// - Complexity: O(n), and reads every page of the table.
  public func sum(of table: Table) throws(LMDBError) -> TableSum {
    try pages.sum(of: table, in: self)
  }

  /// The number of the snapshot; that of a write transaction is one above the one it began with.
  public var number: UInt64 {
    get throws(LMDBError) {
      // Safe: the transaction is running.
      unsafe UInt64(mdb_txn_id(try running))
    }
  }

  /// A cursor over the table of free pages, which LMDB gives to read transactions only.
  func freeTableCursor() throws(LMDBError) -> Cursor {
    let freeTable: MDB_dbi = 0
    // Safe: the cursor is used and closed while this transaction is borrowed.
    return try unsafe Cursor(environment, transaction: running, table: freeTable)
  }

  /// Ends the transaction by `commit`, which takes the pointer whatever it returns.
  consuming func end(_ commit: (OpaquePointer) -> Int32) throws(LMDBError) -> Int32 {
    let ending = try unsafe running
    unsafe pointer = nil
    // Safe: the pointer is of a running transaction, and nobody can use it after this.
    let code = unsafe commit(ending)
    environment.transactionEnded(writerThread: writerThread)
    return code
  }

  /// The running transaction, on a thread that may use it.
  /// - Throws: ``LMDBError`` when the environment has failed: nothing of it may be used then.
  var running: OpaquePointer {
    get throws(LMDBError) {
      checkThread()
      guard let pointer = unsafe pointer else { preconditionFailure("the transaction has ended") }
      try environment.checkUsable()
      return unsafe pointer
    }
  }

  /// The number of a table of this environment.
  func identifier(of table: Table) -> MDB_dbi {
    precondition(table.environmentNumber == environment.number, "table \(table.name) is of another environment")
    return table.identifier
  }

  /// Throws when `code` is not success, and names the table.
  func check(_ code: Int32, _ operation: String, _ table: Table) throws(LMDBError) {
    try environment.check(code, operation, detail: "table \(table.name)")
  }

  private func checkThread() {
    guard let writerThread else { return }
    precondition(
      pthread_equal(writerThread, pthread_self()) != 0, "a write transaction is used off the thread that began it")
  }

  private func cursor(_ table: Table) throws(LMDBError) -> Cursor {
    // Safe: every caller uses and closes the cursor while this transaction is borrowed.
    try unsafe Cursor(environment, transaction: running, table: identifier(of: table))
  }

  /// Copies up to `limit` entries, from the one that the cursor is at when `isFound`.
  ///
  /// The keys rise, or it would never end; and the leaves they come from hold together, or some would be passed over.
  private func collect(
    _ cursor: inout Cursor, _ isFound: Bool, _ table: Table, from first: [UInt8]?, limit: Int
  ) throws(LMDBError) -> [Entry] {
    precondition(limit >= 1, "a page of \(limit) entries")
    var entries: [Entry] = []
    var isFound = isFound
    while isFound {
      let key = try cursor.key
      if let last = entries.last?.key, !last.lexicographicallyPrecedes(key) {
        throw LMDBError(
          code: MDB_CORRUPTED, operation: "mdb_cursor_get", detail: "table \(table.name): keys do not rise")
      }
      entries.append((key, try cursor.value))
      if entries.count == limit { break }
      isFound = try cursor.move(MDB_NEXT)
    }
    try pages.checkLeaves(table, from: first, through: isFound ? entries.last?.key : nil, in: self)
    return entries
  }

  /// What LMDB knows of a table in the snapshot, as its bytes.
  func tableRecord(_ table: Table) throws(LMDBError) -> [UInt8] {
    let mainTable: MDB_dbi = 1
    var found = unsafe MDB_val()
    let running = try unsafe running
    // Safe: the transaction is running, and LMDB fills in `found` when it returns success.
    let code = unsafe withValue(Array(table.name.utf8)) { unsafe pfs_mdb_get(running, mainTable, &$0, &found) }
    try check(code == MDB_NOTFOUND ? MDB_CORRUPTED : code, "mdb_get", table)
    return try unsafe environment.copy(value: found)
  }
}

// A region of isolation may still send a whole transaction; two threads may never share one.
@available(*, unavailable) extension Transaction: Sendable {}
