import CLMDB
import CLMDBGuard

/// What becomes of an environment in which a call has met damaged pages.
///
/// LMDB was left in the middle of something, so nothing of the environment is used after that, but for aborting the
/// transactions that run: the lock that lets one process write is in the file `lock.mdb`, and the others wait for it.
extension Environment {
  /// Throws when `code` is not success; after a fault, so does every later call.
  func check(_ code: Int32, _ operation: String, detail: @autoclosure () -> String = "") throws(LMDBError) {
    if code == MDB_SUCCESS { return }
    note(code)
    throw LMDBError(code: code, operation: operation, detail: detail())
  }

  /// Makes every later call throw when `code` is that of a fault.
  func note(_ code: Int32) {
    if code == LMDBError.faultCode { fail(LMDBError(code: code, operation: "an earlier call of LMDB")) }
  }

  /// Ends a transaction without a trace. One that faults even so stays, and the environment with it.
  func abort(_ transaction: OpaquePointer) {
    // Safe: the caller gives a running transaction away.
    if unsafe pfs_mdb_txn_abort(transaction) == LMDBError.faultCode {
      note(LMDBError.faultCode)
      abandon()
    }
  }

  /// Copies a key that LMDB found, so that nothing points into the map any more.
  func copy(key found: MDB_val) throws(LMDBError) -> [UInt8] {
    guard unsafe found.mv_size <= Table.keyByteCounts.upperBound else {
      throw LMDBError(
        code: MDB_CORRUPTED, operation: "mdb_cursor_get", detail: "a key of \(unsafe found.mv_size) bytes")
    }
    return try unsafe copy(found)
  }

  /// Copies a value that LMDB found, as ``copy(key:)``.
  func copy(value found: MDB_val) throws(LMDBError) -> [UInt8] {
    var found = unsafe found
    // Safe: LMDB found the value in a running transaction; where it cannot be read, that is a code.
    let code = unsafe pfs_mdb_check_value(&found, pageReader.pageByteCount)
    try check(code, "mdb_get", detail: "a value of \(unsafe found.mv_size) bytes")
    return try unsafe copy(found)
  }

  private func copy(_ found: MDB_val) throws(LMDBError) -> [UInt8] {
    var found = unsafe found
    var code: Int32 = MDB_SUCCESS
    // Safe: the buffer has room for as many bytes as are copied; it counts as filled when the copy says so.
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: found.mv_size) { buffer, count in
      code = unsafe found.mv_size == 0 ? MDB_SUCCESS : pfs_mdb_copy(buffer.baseAddress, &found)
      count = unsafe code == MDB_SUCCESS ? found.mv_size : 0
    }
    try check(code, "mdb_get", detail: "a value of \(unsafe found.mv_size) bytes")
    return bytes
  }
}
