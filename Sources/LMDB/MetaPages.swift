import CLMDB
import Glibc

/// The two meta pages at the start of `data.mdb`, checked before LMDB sees them.
///
/// LMDB trusts them: a page size of 0 divides by zero, a root beyond the end of the file raises SIGBUS.
/// The layout is that of `MDB_page` and `MDB_meta` in mdb.c of LMDB 0.9, on 64-bit little-endian machines.
struct MetaPages {
  private static let pageHeaderByteCount = 16
  private static let pageFlagsOffset = 10
  private static let magicOffset = pageHeaderByteCount
  private static let versionOffset = magicOffset + 4
  private static let fixedAddressOffset = versionOffset + 4
  private static let mapByteCountOffset = fixedAddressOffset + 8
  private static let freeTableOffset = mapByteCountOffset + 8
  private static let tableByteCount = 48
  private static let rootInTableOffset = 40
  private static let mainTableOffset = freeTableOffset + tableByteCount
  private static let lastPageOffset = mainTableOffset + tableByteCount
  private static let transactionOffset = lastPageOffset + 8
  private static let byteCount = transactionOffset + 8

  private static let magic: UInt64 = 0xBEEF_C0DE
  private static let version: UInt64 = 1
  private static let metaPageFlag: UInt64 = 0x08
  private static let noPage = UInt64.max
  private static let pageByteCounts: ClosedRange<UInt64> = 512...65_536

  /// Throws unless `data.mdb` at `path`, a C string, starts with two meta pages that LMDB can work with.
  ///
  /// A file that is not there, or has no bytes yet, passes when the caller `creates` the environment.
  static func check(path: [CChar], creates: Bool) throws(LMDBError) {
    var descriptor: Int32
    // Safe: `path` ends in NUL by the contract of this function.
    repeat { descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC) } while descriptor < 0 && errno == EINTR
    guard descriptor >= 0 else {
      if errno == ENOENT && creates { return }
      throw LMDBError(code: errno, operation: "open", detail: "data.mdb")
    }
    // Closing drops no lock: LMDB locks lock.mdb only.
    defer { close(descriptor) }

    // Another process may write one while both are read, but not each time.
    for _ in 0..<16 {
      do throws(LMDBError) { return try check(descriptor, creates: creates) } catch {}
    }
    try check(descriptor, creates: creates)
  }

  private static func check(_ descriptor: Int32, creates: Bool) throws(LMDBError) {
    let first = try read(descriptor, at: 0)
    if first.isEmpty && creates { return }
    let pageByteCount = try checkFixedFields(of: first, number: 0, expectedPageByteCount: nil)
    let second = try read(descriptor, at: pageByteCount)
    _ = try checkFixedFields(of: second, number: 1, expectedPageByteCount: pageByteCount)
    try checkTransactionNumbers(of: first, second)

    // The length is taken after the pages: another process may append, and writes the roots last.
    var status = stat()
    // Safe: `status` outlives the call.
    guard unsafe fstat(descriptor, &status) == 0 else { throw LMDBError(code: errno, operation: "fstat") }
    let filePageCount = UInt64(status.st_size) / pageByteCount
    for (number, page) in [first, second].enumerated() {
      try checkPageNumbers(of: page, number: number, pageByteCount: pageByteCount, filePageCount: filePageCount)
    }
  }

  /// Reads the bytes of one meta page, fewer where the file ends.
  private static func read(_ descriptor: Int32, at offset: UInt64) throws(LMDBError) -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < byteCount {
      var piece = [UInt8](repeating: 0, count: byteCount - bytes.count)
      // Safe: the array has room for its count for the length of the call.
      let count = unsafe pread(descriptor, &piece, piece.count, off_t(offset) + off_t(bytes.count))
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw LMDBError(code: errno, operation: "pread", detail: "data.mdb") }
      if count == 0 { break }
      bytes += piece.prefix(count)
    }
    return bytes
  }

  /// Checks what never changes in a meta page; returns the page size in bytes.
  private static func checkFixedFields(
    of page: [UInt8], number: Int, expectedPageByteCount: UInt64?
  ) throws(LMDBError) -> UInt64 {
    guard page.count == byteCount else {
      throw damage(number, "ends after \(page.count) bytes")
    }
    guard field(page, pageFlagsOffset, 2) & metaPageFlag != 0, field(page, magicOffset, 4) == magic else {
      throw damage(number, "not a meta page of LMDB")
    }
    let foundVersion = field(page, versionOffset, 4)
    guard foundVersion == version else {
      throw damage(number, "version \(foundVersion), expected \(version)", code: MDB_VERSION_MISMATCH)
    }
    // The page size stands in the first four bytes of the free page table, unused there otherwise.
    let pageByteCount = field(page, freeTableOffset, 4)
    guard pageByteCounts.contains(pageByteCount), pageByteCount.nonzeroBitCount == 1 else {
      throw damage(number, "page size \(pageByteCount), expected a power of two in \(pageByteCounts)")
    }
    if let expectedPageByteCount, pageByteCount != expectedPageByteCount {
      throw damage(number, "page size \(pageByteCount), expected \(expectedPageByteCount) as in page 0")
    }
    return pageByteCount
  }

  /// Checks that the transactions that wrote the pages followed each other: each writes the page of the one before the
  /// last. LMDB takes the snapshot with the higher number, even one that is damaged to be so.
  private static func checkTransactionNumbers(of first: [UInt8], _ second: [UInt8]) throws(LMDBError) {
    let numbers = [first, second].map { field($0, transactionOffset, 8) }
    let isNew = numbers == [0, 0]
    let isAlternating = numbers[0] % 2 == 0 && numbers[1] % 2 == 1
    let distance = numbers[0] > numbers[1] ? numbers[0] - numbers[1] : numbers[1] - numbers[0]
    guard isNew || (isAlternating && distance == 1) else {
      throw damage(0, "written by transaction \(numbers[0]), and the other by \(numbers[1])")
    }
  }

  /// Checks that the roots lie inside the file and the last page inside the map.
  ///
  /// The last page itself may lie behind the end of the file: LMDB does not write pages that a
  /// transaction took and gave back.
  private static func checkPageNumbers(
    of page: [UInt8], number: Int, pageByteCount: UInt64, filePageCount: UInt64
  ) throws(LMDBError) {
    for (table, offset) in [("free page", freeTableOffset), ("main", mainTableOffset)] {
      let root = field(page, offset + rootInTableOffset, 8)
      guard root == noPage || (2..<max(filePageCount, 2)).contains(root) else {
        throw damage(number, "root of the \(table) table is page \(root), the file has \(filePageCount)")
      }
    }
    _ = try checkedLastPage(of: page, number: number, pageByteCount: pageByteCount)
  }

  private static func checkedLastPage(
    of page: [UInt8], number: Int, pageByteCount: UInt64
  ) throws(LMDBError) -> UInt64 {
    let lastPage = field(page, lastPageOffset, 8)
    let mapPageCount = field(page, mapByteCountOffset, 8) / pageByteCount
    guard lastPage < mapPageCount else {
      throw damage(number, "last page is \(lastPage), the map has \(mapPageCount)")
    }
    return lastPage
  }

  /// What one meta page says of its snapshot.
  struct Snapshot {
    let transactionNumber: UInt64
    let lastPage: UInt64
    let freeTable: TableRecord
    let mainTable: TableRecord
  }

  /// What the meta page `number`, which has passed ``check(path:creates:)``, says now. What others count with is checked
  /// again: it may have been damaged since.
  static func snapshot(_ number: Int, _ reader: PageReader) throws(LMDBError) -> Snapshot {
    let page = try reader.bytes(ofPage: UInt64(number))
    func record(_ offset: Int, _ name: String, _ order: TreePage.Order) throws(LMDBError) -> TableRecord {
      try TableRecord(Array(page[offset..<offset + tableByteCount]), of: name, order)
    }
    return Snapshot(
      transactionNumber: page.number(at: transactionOffset, byteCount: 8),
      lastPage: try checkedLastPage(of: page, number: number, pageByteCount: UInt64(reader.pageByteCount)),
      freeTable: try record(freeTableOffset, "of free pages", .integers),
      mainTable: try record(mainTableOffset, "of tables", .bytes))
  }

  private static func damage(_ number: Int, _ text: String, code: Int32 = MDB_INVALID) -> LMDBError {
    LMDBError(code: code, operation: "mdb_env_open", detail: "data.mdb, meta page \(number): \(text)")
  }

  /// The little-endian number of `byteCount` bytes at `offset`.
  private static func field(_ page: [UInt8], _ offset: Int, _ byteCount: Int) -> UInt64 {
    page.number(at: offset, byteCount: byteCount)
  }
}
