import CLMDB

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
    var code = put(table, key, value, flags: appending ? UInt32(MDB_APPEND) : 0)
    if appending && code == MDB_KEYEXIST { code = put(table, key, value, flags: 0) }
    try check(code, "mdb_put", table)
  }

  /// Removes `key` and its value; false when there was no such key.
  ///
  /// Takes new pages too, because LMDB copies what it changes: a full map can refuse it.
  /// - Throws: ``LMDBError`` as ``put(_:_:_:appending:)``.
  /// - Complexity: O(log n).
  public func delete(_ table: Table, _ key: [UInt8]) throws(LMDBError) -> Bool {
    try Table.check(key, "mdb_del")
    let identifier = identifier(of: table)
    // Safe: the transaction is running; the value is looked at in tables with duplicates only.
    let code = unsafe withValue(key) { unsafe mdb_del(running, identifier, &$0, nil) }
    if code == MDB_NOTFOUND { return false }
    try check(code, "mdb_del", table)
    return true
  }

  /// Makes all changes visible and durable; blocks until they are on disk.
  ///
  /// The transaction has ended whatever happens. On a full disk or an I/O error nothing of it is
  /// visible, save that a failed write of the meta page leaves open which of both will be found after the
  /// environment, which then panics, is opened again.
  /// - Throws: ``LMDBError``, `isNoSpace` on a full disk (`EIO` where the last write was cut short).
  public consuming func commit() throws(LMDBError) {
    // Safe: LMDB frees the transaction in every case, and `end` gives the pointer away only once.
    try LMDBError.check(unsafe end { unsafe mdb_txn_commit($0) }, "mdb_txn_commit")
  }

  private func put(_ table: Table, _ key: [UInt8], _ value: [UInt8], flags: UInt32) -> Int32 {
    let identifier = identifier(of: table)
    // Safe: the transaction is running, and both arrays outlive the call that copies them.
    return unsafe withValue(key) { key in
      unsafe withValue(value) { value in unsafe mdb_put(running, identifier, &key, &value, flags) }
    }
  }
}
