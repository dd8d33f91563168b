import CLMDB
import CLMDBGuard

/// The pages of the snapshot that a transaction began with, checked before LMDB changes them, and where it finds nothing.
///
/// A value that is found proves itself, by a checksum that its owner puts there. A key that is not found does not: a
/// flipped bit may have led past it. And what LMDB changes it also moves about, by lengths that it takes from the page.
final class SnapshotPages {
  private let environment: Environment
  /// Nil until it is needed.
  private var lastPage: UInt64?
  /// The free pages, for a transaction that writes.
  private let freePages: PageSet?
  private var records: [MDB_dbi: TableRecord] = [:]
  /// The leaf that was checked last, for each table: keys are often put, or looked for, in order.
  private var leaves: [MDB_dbi: TreePath.Leaf] = [:]
  /// The same with the neighbours of its pages: what is true of one key of a leaf is true of all. The pages are those of
  /// the snapshot, which nobody writes to while the transaction runs.
  private var leavesWithNeighbours: [MDB_dbi: TreePath.Leaf] = [:]

  init(_ environment: Environment, lastPage: UInt64? = nil, freePages: PageSet? = nil) {
    self.environment = environment
    self.lastPage = lastPage
    self.freePages = freePages
  }

  /// Checks what LMDB will change to put `key`, or to delete it.
  func check<Access>(
    _ table: Table, _ key: [UInt8], deletes: Bool, in transaction: borrowing Transaction<Access>
  ) throws(LMDBError) {
    if let leaf = leavesWithNeighbours[table.identifier], leaf.isFor(key) { return }
    if !deletes, let leaf = leaves[table.identifier], leaf.isFor(key) { return }
    let leaf = try path(table, transaction).leaf(.at, key, checksNeighbours: deletes)
    if deletes { leavesWithNeighbours[table.identifier] = leaf } else { leaves[table.identifier] = leaf }
  }

  /// The keys next to `key`, which was not found, in a leaf or two that are sound: none but these may have been `key`.
  func neighbours<Access>(
    _ table: Table, _ key: [UInt8], in transaction: borrowing Transaction<Access>
  ) throws(LMDBError) -> [[UInt8]] {
    let path = try path(table, transaction)
    var found = leaves[table.identifier]
    if found?.isFor(key) != true { found = try path.leaf(.at, key) }
    guard let leaf = found else { return [] }
    leaves[table.identifier] = leaf
    let position = leaf.page.count(below: key, orEqual: false)
    // A transaction that writes may have removed it; for any other it is there, and LMDB went another way.
    if freePages == nil, position < leaf.page.entryCount, leaf.page.key(at: position).elementsEqual(key) {
      throw LMDBError(damaged: leaf.page.number, "it has a key that is not found")
    }
    // At the edge, the key that separates two leaves may be the one that is wrong.
    if position == 0, let low = leaf.low { _ = try path.leaf(.before, low) }
    if position == leaf.page.entryCount, let high = leaf.high { _ = try path.leaf(.at, high) }
    return (position - 1...position + 1).filter { (0..<leaf.page.entryCount).contains($0) }
      .map { Array(leaf.page.key(at: $0)) }
  }

  /// Checks the leaves from that of `first` to that of `last`, or to the end of the table.
  func checkLeaves<Access>(
    _ table: Table, from first: [UInt8]?, through last: [UInt8]?, in transaction: borrowing Transaction<Access>
  ) throws(LMDBError) {
    let path = try path(table, transaction)
    var leaf = try path.leaf(.at, first)
    while let current = leaf, let high = current.high {
      // Not by what stands above the leaves: a key that separates two of them may be the one that is wrong, and then lead
      // past the second one those who look for a key in it.
      if let last, !Array(current.page.key(at: current.page.entryCount - 1)).lexicographicallyPrecedes(last) { return }
      leaf = try path.leaf(.at, high)
    }
  }

  func sum<Access>(of table: Table, in transaction: borrowing Transaction<Access>) throws(LMDBError) -> TableSum {
    var sum = TableSum()
    let path = try path(table, transaction)
    try path.forEachLeaf { (leaf) throws(LMDBError) in
      for index in 0..<leaf.entryCount {
        sum.add(EntryDigest.of(leaf.key(at: index), try path.value(at: index, of: leaf)))
      }
    }
    return sum
  }

  private func path<Access>(
    _ table: Table, _ transaction: borrowing Transaction<Access>
  ) throws(LMDBError) -> TreePath {
    let record: TableRecord
    if let known = records[table.identifier] {
      record = known
    } else {
      record = try TableRecord(try transaction.tableRecord(table), of: table.name)
      records[table.identifier] = record
    }
    if lastPage == nil { lastPage = try environment.lastPageNumber() }
    let highest = lastPage ?? 0
    return TreePath(reader: environment.pageReader, record: record, lastPage: highest, freePages: freePages)
  }
}

extension TreePath.Leaf {
  /// Whether `key` belongs into this leaf.
  fileprivate func isFor(_ key: [UInt8]) -> Bool {
    let isBelow = low.map { key.lexicographicallyPrecedes($0) } ?? false
    let isAbove = high.map { !key.lexicographicallyPrecedes($0) } ?? false
    return !isBelow && !isAbove
  }
}
