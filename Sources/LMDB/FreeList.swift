import CLMDB

extension Transaction {
  /// How many pages from `firstPage` on are free in this snapshot.
  ///
  /// Read transactions only. A record of the free page table is a count and that many page numbers,
  /// eight bytes each (`MDB_IDL` in midl.h of LMDB).
  /// - Complexity: O(free pages).
  func freePageCount(from firstPage: Int = 0) throws(LMDBError) -> Int {
    let wordByteCount = MemoryLayout<UInt64>.size
    var freePageCount = 0
    var cursor = try freeTableCursor()
    while try cursor.move(MDB_NEXT) {
      let record = try cursor.value
      let words = stride(from: 0, to: record.count - record.count % wordByteCount, by: wordByteCount).map { offset in
        record[offset..<offset + wordByteCount].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      }
      guard let count = words.first, count < words.count else {
        throw LMDBError(
          code: MDB_CORRUPTED, operation: "mdb_cursor_get",
          detail: "free page list of \(words.first ?? 0) numbers in \(record.count) bytes")
      }
      freePageCount += words.dropFirst().prefix(Int(count)).count { $0 >= firstPage }
    }
    return freePageCount
  }
}
