import CLMDB
import CLMDBGuard

/// A position in one table, for the length of one call: no cursor outlives the function that made it.
@safe struct Cursor: ~Copyable {
  private let pointer: OpaquePointer
  private let environment: Environment
  private var foundKey = unsafe MDB_val()
  private var foundValue = unsafe MDB_val()

  /// Opens a cursor in a running transaction, which must outlive it.
  init(_ environment: Environment, transaction: OpaquePointer, table: MDB_dbi) throws(LMDBError) {
    var opened: OpaquePointer?
    // Safe: the caller lends a running transaction; LMDB checks that it knows the table.
    try environment.check(unsafe pfs_mdb_cursor_open(transaction, table, &opened), "mdb_cursor_open")
    guard let opened = unsafe opened else { throw LMDBError(code: MDB_CORRUPTED, operation: "mdb_cursor_open") }
    unsafe pointer = opened
    self.environment = environment
  }

  // Safe: the cursor is open until here, and the transaction that it belongs to is running.
  // One that a fault has left in the middle of something stays behind: 400 bytes or so.
  deinit { if !environment.hasFailed { unsafe environment.note(pfs_mdb_cursor_close(pointer)) } }

  /// Moves as `operation` says; false when there is no such entry.
  mutating func move(_ operation: MDB_cursor_op) throws(LMDBError) -> Bool {
    // Safe: the cursor is open, and LMDB fills in both values before they are looked at.
    try found(unsafe pfs_mdb_cursor_get(pointer, &foundKey, &foundValue, operation))
  }

  /// Moves to the first entry whose key is not below `key`; false when there is none.
  mutating func moveToFirst(atLeast key: [UInt8]) throws(LMDBError) -> Bool {
    // Safe: LMDB points `foundKey` into the map when it finds an entry, and nobody looks at it otherwise.
    let code = unsafe withValue(key) { value in
      let code = unsafe pfs_mdb_cursor_get(pointer, &value, &foundValue, MDB_SET_RANGE)
      unsafe foundKey = unsafe value
      return code
    }
    return try found(code)
  }

  /// A copy of the key that the last successful move found.
  var key: [UInt8] {
    get throws(LMDBError) {
      // Safe: no write happened since the move, so that the bytes still are where LMDB found them.
      try unsafe environment.copy(key: foundKey)
    }
  }

  /// A copy of the value that the last successful move found.
  var value: [UInt8] {
    get throws(LMDBError) {
      // Safe: as for `key`.
      try unsafe environment.copy(value: foundValue)
    }
  }

  private func found(_ code: Int32) throws(LMDBError) -> Bool {
    if code == MDB_NOTFOUND { return false }
    try environment.check(code, "mdb_cursor_get")
    return true
  }
}

/// Calls `body` with `bytes` as LMDB takes keys and values; they are valid for the call only.
func withValue(_ bytes: [UInt8], _ body: (inout MDB_val) -> Int32) -> Int32 {
  // Safe: the array outlives the call, and LMDB does not write through keys and values it is given.
  unsafe bytes.withUnsafeBytes { buffer in
    var value = unsafe MDB_val(
      mv_size: buffer.count, mv_data: UnsafeMutableRawPointer(mutating: buffer.baseAddress))
    return unsafe body(&value)
  }
}
