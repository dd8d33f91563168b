import CLMDB
import CLMDBGuard

extension Transaction where Access == WriteAccess {
  /// Sets the value of `key`, whether there was one before or not.
  ///
  /// After an error that does not come from the key alone the transaction can only be ended: further
  /// calls and ``commit()`` throw `MDB_BAD_TXN`.
  /// - Parameters:
  ///   - value: 0 ... 2^32 - 1 bytes; copied before return.
  ///   - appending: says that the key is likely above all others. LMDB then fills pages to the brim
  ///     instead of splitting them in half; a key that is not above all others is put as usual.
  /// - Throws: ``LMDBError`` when the key does not have 1 ... 511 bytes, when the map is full, or when
  ///   the index is damaged.
  /// - Complexity: O(log n), and a copy of the value.
  public func put(
    _ table: Table, _ key: [UInt8], _ value: [UInt8], appending: Bool = false
  ) throws(LMDBError) {
    try Table.check(key, "mdb_put")
    try pages.check(table, key, deletes: false, in: self)
    var existing: [UInt8]?
    if try !add(table, key, value, flags: appending ? UInt32(MDB_APPEND) : UInt32(MDB_NOOVERWRITE)) {
      existing = try self.value(table, key)
      _ = try add(table, key, value, flags: 0)
    }
    changes.note(table, key, old: existing, new: value)
  }

  /// Removes `key` and its value; false when there was no such key.
  ///
  /// Takes new pages too, because LMDB copies what it changes: a full map can refuse it.
  /// - Throws: ``LMDBError`` as ``put(_:_:_:appending:)``.
  /// - Complexity: O(log n).
  public func delete(_ table: Table, _ key: [UInt8]) throws(LMDBError) -> Bool {
    try Table.check(key, "mdb_del")
    try pages.check(table, key, deletes: true, in: self)
    guard let existing = try value(table, key) else { return false }
    let identifier = identifier(of: table)
    let running = try unsafe running
    // Safe: the transaction is running; the value is looked at in tables with duplicates only.
    try check(unsafe withValue(key) { unsafe pfs_mdb_del(running, identifier, &$0) }, "mdb_del", table)
    changes.note(table, key, old: existing, new: nil)
    return true
  }

  /// Makes all changes visible and durable; blocks until they are on disk.
  ///
  /// The transaction has ended whatever happens. On a full disk or an I/O error nothing of it is
  /// visible, save that a failed write of the meta page leaves open which of both will be found after the
  /// environment, which then panics, is opened again.
  /// - Throws: ``LMDBError``, `isNoSpace` on a full disk (`EIO` where the last write was cut short).
  public consuming func commit() throws(LMDBError) {
    let environment = environment
    // Safe: LMDB frees the transaction in every case but a fault, and `end` gives the pointer away only once.
    let code = try unsafe end { ending in
      let code = unsafe pfs_mdb_txn_commit(ending)
      if code == PFS_MDB_FAULT { unsafe environment.abort(ending) }
      return code
    }
    try environment.check(code, "mdb_txn_commit")
  }

  /// What this transaction has changed so far in the sums of the tables, by their names.
  public var tableChanges: [String: TableSum] { changes.sums }

  /// Puts an entry as `flags` say; false where they forbid it, for the key is there or is not above all others.
  private func add(
    _ table: Table, _ key: [UInt8], _ value: [UInt8], flags: UInt32
  ) throws(LMDBError) -> Bool {
    let identifier = identifier(of: table)
    let running = try unsafe running
    // Safe: the transaction is running, and both arrays outlive the call that copies them.
    let code = unsafe withValue(key) { key in
      unsafe withValue(value) { value in unsafe pfs_mdb_put(running, identifier, &key, &value, flags) }
    }
    if code == MDB_KEYEXIST { return false }
    try check(code, "mdb_put", table)
    return true
  }
}
