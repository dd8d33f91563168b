import CLMDB
import Glibc

/// Reads pages of `data.mdb` beside LMDB: what cannot be read is an error, not a signal.
struct PageReader {
  /// Open as long as the environment is.
  let descriptor: Int32
  let pageByteCount: Int

  /// The bytes of page `number`, and of those after it that belong to the same value.
  func bytes(ofPage number: UInt64, pageCount: Int = 1) throws(LMDBError) -> [UInt8] {
    let wantedByteCount = pageCount * pageByteCount
    var readByteCount = 0
    // Safe: `pread` is given the room of the buffer and says how much of it was filled.
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: wantedByteCount) { buffer, count in
      repeat {
        readByteCount = unsafe pread(
          descriptor, buffer.baseAddress, wantedByteCount, off_t(clamping: number) * off_t(pageByteCount))
      } while readByteCount < 0 && errno == EINTR
      count = max(readByteCount, 0)
    }
    guard readByteCount >= 0 else {
      throw LMDBError(code: errno, operation: "pread", detail: "data.mdb, page \(number)")
    }
    guard bytes.count == wantedByteCount else {
      throw LMDBError(damaged: number, "the file ends after \(bytes.count) of its \(wantedByteCount) bytes")
    }
    return bytes
  }

  /// The pages that a value of `byteCount` bytes takes when it has pages of its own.
  func overflowPageCount(_ byteCount: Int) -> Int {
    (TreePage.headerByteCount + byteCount + pageByteCount - 1) / pageByteCount
  }

  /// The bytes of a value with pages of its own, the first of which an entry of page `leaf` names.
  func overflow(_ page: UInt64, byteCount: Int, of leaf: UInt64, lastPage: UInt64) throws(LMDBError) -> [UInt8] {
    let pageCount = overflowPageCount(byteCount)
    guard page >= 2, pageCount <= Int(lastPage), page <= lastPage + 1 - UInt64(pageCount) else {
      throw LMDBError(damaged: leaf, "\(byteCount) bytes in page \(page)")
    }
    let bytes = try bytes(ofPage: page, pageCount: pageCount)
    // More pages than it takes: LMDB leaves them to a shorter value that takes the place of one it has just written.
    guard bytes.number(at: 0, byteCount: 8) == page, bytes.number(at: 10, byteCount: 2) == 4,
      bytes.number(at: 12, byteCount: 4) >= pageCount
    else { throw LMDBError(damaged: page, "it is not the first of \(pageCount) with one value") }
    return Array(bytes[TreePage.headerByteCount..<TreePage.headerByteCount + byteCount])
  }

  /// The page `number` of a table, checked.
  func treePage(_ number: UInt64, _ order: TreePage.Order = .bytes) throws(LMDBError) -> TreePage {
    try TreePage(try bytes(ofPage: number), number: number, order: order)
  }
}

/// What LMDB knows of one table (`MDB_db` in mdb.c).
struct TableRecord {
  static let byteCount = 48
  private static let flagsOffset = 4
  private static let depthOffset = 6
  private static let rootOffset = 40
  private static let noPage = UInt64.max
  /// All that say how keys and values are ordered; the flags of the environment stand above them in a meta page.
  private static let orderFlags: UInt64 = 0x7F
  private static let integerKeyFlag: UInt64 = 0x08

  /// The number of pages from the root to a leaf, both counted.
  let depth: Int
  /// Nil when the table is empty.
  let root: UInt64?

  /// - Parameter order: how the keys must be ordered.
  init(_ bytes: [UInt8], of name: String, _ order: TreePage.Order = .bytes) throws(LMDBError) {
    guard bytes.count == Self.byteCount else {
      throw LMDBError(code: MDB_CORRUPTED, operation: "data.mdb", detail: "table \(name): \(bytes.count) bytes")
    }
    let flags = bytes.number(at: Self.flagsOffset, byteCount: 2) & Self.orderFlags
    // LMDB would look for keys in another order than they lie in, and find none.
    guard flags == (order == .integers ? Self.integerKeyFlag : 0) else {
      throw LMDBError(code: MDB_CORRUPTED, operation: "data.mdb", detail: "table \(name): flags \(flags)")
    }
    depth = Int(bytes.number(at: Self.depthOffset, byteCount: 2))
    let number = bytes.number(at: Self.rootOffset, byteCount: 8)
    root = number == Self.noPage ? nil : number
    // LMDB goes down 32 pages at most.
    guard (1...32).contains(depth) == (root != nil), depth <= 32 else {
      throw LMDBError(
        code: MDB_CORRUPTED, operation: "data.mdb", detail: "table \(name): root \(number) of depth \(depth)")
    }
  }
}
