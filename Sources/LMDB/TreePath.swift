import CLMDB

/// Goes down the pages of one table in one snapshot and checks each on the way: it holds together by itself, and its
/// keys lie where the pages above it say.
struct TreePath {
  /// A leaf, and the keys that belong into it: from `low` on, below `high`; nil where nothing limits them.
  struct Leaf {
    let page: TreePage
    let low: [UInt8]?
    let high: [UInt8]?
  }

  /// Which leaf is meant by a key.
  enum Side {
    /// The one that has the key, if any has.
    case at
    /// The one that has the highest key below it.
    case before
  }

  let reader: PageReader
  let record: TableRecord
  /// The highest page number there is.
  let lastPage: UInt64
  /// The pages that must not be part of any table.
  var freePages: PageSet?

  /// The leaf for `key`, or the first one; nil when the table is empty.
  /// - Parameter checksNeighbours: also checks the pages that LMDB may merge with those on the way.
  func leaf(_ side: Side = .at, _ key: [UInt8]?, checksNeighbours: Bool = false) throws(LMDBError) -> Leaf? {
    guard let root = record.root else { return nil }
    var leaf = Leaf(page: try page(root, level: 1, low: nil, high: nil), low: nil, high: nil)
    for level in 2..<max(record.depth + 1, 2) {
      let branch = leaf.page
      // The first key of a branch stands for all that is below the second.
      let index = key.map { max(1, branch.count(below: $0, orEqual: side == .at)) - 1 } ?? 0
      let neighbours = checksNeighbours ? [index - 1, index + 1] : []
      for neighbour in neighbours where (0..<branch.entryCount).contains(neighbour) {
        _ = try child(neighbour, of: leaf, level: level)
      }
      leaf = try child(index, of: leaf, level: level)
    }
    return leaf
  }

  /// Adds every page of the table to `pages`, in which none may be yet. The leaves themselves are not read.
  /// - Complexity: O(branch pages), one in some hundred.
  func collect(into pages: inout PageSet) throws(LMDBError) {
    guard let root = record.root else { return }
    try pages.insert(root, "the root of a table")
    if record.depth == 1 { return }
    try collect(below: Leaf(page: try page(root, level: 1, low: nil, high: nil), low: nil, high: nil), 2, &pages)
  }

  private func collect(below branch: Leaf, _ level: Int, _ pages: inout PageSet) throws(LMDBError) {
    for index in 0..<branch.page.entryCount {
      try pages.insert(branch.page.child(at: index), "page \(branch.page.number)")
      if level < record.depth {
        try collect(below: try child(index, of: branch, level: level), level + 1, &pages)
      }
    }
  }

  /// Calls `body` with each leaf, in order.
  func forEachLeaf(_ body: (TreePage) throws(LMDBError) -> Void) throws(LMDBError) {
    guard let root = record.root else { return }
    try forEachLeaf(below: Leaf(page: try page(root, level: 1, low: nil, high: nil), low: nil, high: nil), 1, body)
  }

  private func forEachLeaf(
    below node: Leaf, _ level: Int, _ body: (TreePage) throws(LMDBError) -> Void
  ) throws(LMDBError) {
    if node.page.isLeaf { return try body(node.page) }
    for index in 0..<node.page.entryCount {
      try forEachLeaf(below: try child(index, of: node, level: level + 1), level + 1, body)
    }
  }

  /// The value of an entry of a leaf, wherever it is.
  func value(at index: Int, of leaf: TreePage) throws(LMDBError) -> ArraySlice<UInt8> {
    let value = leaf.value(at: index)
    guard let overflow = value.overflow else { return value.inline }
    return try reader.overflow(overflow.page, byteCount: overflow.byteCount, of: leaf.number, lastPage: lastPage)[...]
  }

  private func child(_ index: Int, of parent: Leaf, level: Int) throws(LMDBError) -> Leaf {
    let low = index > 0 ? Array(parent.page.key(at: index)) : parent.low
    let high = index + 1 < parent.page.entryCount ? Array(parent.page.key(at: index + 1)) : parent.high
    let page = try page(parent.page.child(at: index), level: level, low: low, high: high)
    return Leaf(page: page, low: low, high: high)
  }

  private func page(_ number: UInt64, level: Int, low: [UInt8]?, high: [UInt8]?) throws(LMDBError) -> TreePage {
    guard (2...lastPage).contains(number), freePages?.contains(number) != true else {
      throw LMDBError(damaged: number, "a table leads to it, though it is free or behind the last, \(lastPage)")
    }
    let page = try reader.treePage(number)
    guard page.isLeaf == (level == record.depth) else {
      throw LMDBError(damaged: number, "level \(level) of \(record.depth) in its table")
    }
    let first = page.key(at: page.isLeaf ? 0 : 1)
    let last = page.key(at: page.entryCount - 1)
    if let low, first.lexicographicallyPrecedes(low) {
      throw LMDBError(damaged: number, "its first key is below those that belong there")
    }
    if let high, !last.lexicographicallyPrecedes(high) {
      throw LMDBError(damaged: number, "its last key is above those that belong there")
    }
    return page
  }
}

/// A set of page numbers.
struct PageSet {
  private var words: [UInt64]

  init(lastPage: UInt64) {
    words = [UInt64](repeating: 0, count: Int(lastPage / 64) + 1)
  }

  func contains(_ page: UInt64) -> Bool {
    page / 64 < UInt64(words.count) && words[Int(page / 64)] & (1 << (page % 64)) != 0
  }

  /// Adds a page, which must be one that the file can have and not be there yet.
  mutating func insert(_ page: UInt64, _ what: @autoclosure () -> String) throws(LMDBError) {
    guard page >= 2, page / 64 < UInt64(words.count), !contains(page) else {
      throw LMDBError(damaged: page, "\(what()) names it, which is used elsewhere or cannot be")
    }
    words[Int(page / 64)] |= 1 << (page % 64)
  }
}
