import CLMDB

/// Checks one snapshot of all tables, but for what is in their leaves.
///
/// Each page is free, or used in one place. So a page number that a flipped bit changed shows: it now names a page that
/// is used elsewhere, or is free, or does not hold together. That is also true of a way that leads to an older snapshot,
/// which by itself looks sound: what is old and not new is free.
struct SnapshotCheck {
  private let reader: PageReader
  private let snapshot: MetaPages.Snapshot
  /// The pages found so far, those that are free first.
  private(set) var pages: PageSet

  init(_ reader: PageReader, _ snapshot: MetaPages.Snapshot) {
    self.reader = reader
    self.snapshot = snapshot
    pages = PageSet(lastPage: snapshot.lastPage)
  }

  // MARK: Free pages

  /// Collects the free pages: LMDB writes to them, whatever else they hold.
  /// - Complexity: O(free pages).
  mutating func collectFreePages() throws(LMDBError) {
    var last: UInt64 = 0
    for leaf in try leaves(of: snapshot.freeTable, .integers) {
      for index in 0..<leaf.entryCount {
        let transaction = Array(leaf.key(at: index)).number(at: 0, byteCount: leaf.key(at: index).count)
        guard leaf.key(at: index).count == 8, last < transaction, transaction <= snapshot.transactionNumber else {
          throw LMDBError(damaged: leaf.number, "pages freed by transaction \(transaction), after \(last)")
        }
        last = transaction
        try collect(try freeList(index, of: leaf), of: leaf.number)
      }
    }
    // A transaction frees the pages that it replaces; only the first of all has none.
    guard last == snapshot.transactionNumber || snapshot.transactionNumber <= 1 else {
      throw LMDBError(
        code: MDB_CORRUPTED, operation: "data.mdb",
        detail: "the last transaction is \(snapshot.transactionNumber), the last that freed pages \(last)")
    }
  }

  /// The list of an entry of the table of free pages.
  private mutating func freeList(_ index: Int, of leaf: TreePage) throws(LMDBError) -> [UInt8] {
    let value = leaf.value(at: index)
    guard let overflow = value.overflow else { return Array(value.inline) }
    let bytes = try reader.overflow(
      overflow.page, byteCount: overflow.byteCount, of: leaf.number, lastPage: snapshot.lastPage)
    let pageCount = reader.overflowPageCount(overflow.byteCount)
    for page in overflow.page..<overflow.page + UInt64(pageCount) { try pages.insert(page, "page \(leaf.number)") }
    return bytes
  }

  /// A list is a count and that many page numbers, eight bytes each, the highest first (`MDB_IDL` in midl.h of LMDB).
  private mutating func collect(_ list: [UInt8], of leaf: UInt64) throws(LMDBError) {
    let count = list.count < 8 ? .max : list.number(at: 0, byteCount: 8)
    guard list.count >= 8, list.count % 8 == 0, count <= UInt64(list.count / 8 - 1) else {
      throw LMDBError(damaged: leaf, "a list of \(count) free pages in \(list.count) bytes")
    }
    var previous = UInt64.max
    for index in 1..<Int(count) + 1 {
      let page = list.number(at: 8 * index, byteCount: 8)
      guard page < previous, page <= snapshot.lastPage else {
        throw LMDBError(damaged: leaf, "free page \(page) after \(previous), the last is \(snapshot.lastPage)")
      }
      try pages.insert(page, "the list of free pages in page \(leaf)")
      previous = page
    }
  }

  // MARK: Tables

  /// Collects the pages of all tables; the free ones are there already.
  /// - Complexity: O(branch pages).
  mutating func collectTables() throws(LMDBError) {
    var records: [TableRecord] = []
    for leaf in try leaves(of: snapshot.mainTable, .bytes) {
      for index in 0..<leaf.entryCount {
        let name = String(decoding: leaf.key(at: index), as: UTF8.self)
        let value = leaf.value(at: index)
        guard leaf.isTable(at: index), value.overflow == nil else {
          throw LMDBError(damaged: leaf.number, "'\(name)' is not a table")
        }
        records.append(try TableRecord(Array(value.inline), of: name))
      }
    }
    for record in records {
      try TreePath(reader: reader, record: record, lastPage: snapshot.lastPage).collect(into: &pages)
    }
  }

  /// The leaves of a table, in order; all its pages are added.
  private mutating func leaves(
    of record: TableRecord, _ order: TreePage.Order
  ) throws(LMDBError) -> [TreePage] {
    guard let root = record.root else { return [] }
    var leaves: [TreePage] = []
    var waiting = [(number: root, level: 1)]
    while let (number, level) = waiting.popLast() {
      guard number <= snapshot.lastPage else {
        throw LMDBError(damaged: number, "a table leads to it, the last page is \(snapshot.lastPage)")
      }
      try pages.insert(number, "a table")
      let page = try reader.treePage(number, order)
      guard page.isLeaf == (level == record.depth) else {
        throw LMDBError(damaged: number, "level \(level) of \(record.depth) in its table")
      }
      if page.isLeaf {
        leaves.append(page)
      } else {
        // The last goes first, so that leaves come in order.
        for index in (0..<page.entryCount).reversed() { waiting.append((page.child(at: index), level + 1)) }
      }
    }
    return leaves
  }
}
