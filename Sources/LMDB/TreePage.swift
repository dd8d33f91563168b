import CLMDB

/// A branch or leaf page of a table, checked: all that it points to lies inside it, and its keys rise.
///
/// LMDB trusts its pages; what it does with a wrong length while it copies or compacts one can write anywhere in memory.
/// The layout is that of `MDB_page` and `MDB_node` in mdb.c of LMDB 0.9, on 64-bit little-endian machines.
struct TreePage {
  static let headerByteCount = 16
  private static let numberOffset = 0
  private static let flagsOffset = 10
  private static let lowerOffset = 12
  private static let upperOffset = 14
  private static let branchFlag = 1
  private static let leafFlag = 2

  private static let nodeHeaderByteCount = 8
  private static let nodeFlagsOffset = 4
  private static let keyByteCountOffset = 6
  private static let overflowFlag = 1
  private static let tableFlag = 2

  /// How the keys of a table are ordered.
  enum Order {
    case bytes
    /// Eight bytes, the lowest first: the table of free pages.
    case integers
  }

  let number: UInt64
  let isLeaf: Bool
  let entryCount: Int
  private let bytes: [UInt8]

  /// Takes the bytes of page `number`.
  init(_ bytes: [UInt8], number: UInt64, order: Order) throws(LMDBError) {
    self.bytes = bytes
    self.number = number
    let found = bytes.number(at: Self.numberOffset, byteCount: 8)
    let flags = Int(bytes.number(at: Self.flagsOffset, byteCount: 2))
    guard found == number, flags == Self.leafFlag || flags == Self.branchFlag else {
      throw LMDBError(damaged: number, "its head says page \(found) and flags \(flags)")
    }
    isLeaf = flags == Self.leafFlag
    let lower = Int(bytes.number(at: Self.lowerOffset, byteCount: 2))
    let upper = Int(bytes.number(at: Self.upperOffset, byteCount: 2))
    guard Self.headerByteCount <= lower, lower % 2 == 0, lower <= upper, upper <= bytes.count else {
      throw LMDBError(damaged: number, "its free room is \(lower)..<\(upper) of \(bytes.count) bytes")
    }
    entryCount = (lower - Self.headerByteCount) / 2
    guard entryCount >= (isLeaf ? 1 : 2) else { throw LMDBError(damaged: number, "it has \(entryCount) entries") }
    try checkNodes(upper: upper)
    // The first key of a branch counts as below all others, whatever it is.
    for index in (isLeaf ? 1 : 2)..<max(entryCount, isLeaf ? 1 : 2) {
      guard precedes(key(at: index - 1), key(at: index), order) else {
        throw LMDBError(damaged: number, "key \(index) does not come after the one before it")
      }
    }
  }

  /// The nodes fill the page from `upper` on, without a gap.
  private func checkNodes(upper: Int) throws(LMDBError) {
    var nodeByteCount = 0
    for index in 0..<entryCount {
      let offset = offset(at: index)
      guard upper <= offset, offset % 2 == 0, offset + Self.nodeHeaderByteCount <= bytes.count else {
        throw LMDBError(damaged: number, "node \(index) begins at \(offset)")
      }
      let byteCount = Self.nodeHeaderByteCount + keyByteCount(offset) + (isLeaf ? inlineByteCount(offset) : 0)
      let isFirstOfBranch = !isLeaf && index == 0
      guard keyByteCount(offset) <= Table.keyByteCounts.upperBound, isFirstOfBranch || keyByteCount(offset) > 0,
        offset + byteCount <= bytes.count, !isLeaf || nodeFlags(offset) & ~(Self.overflowFlag | Self.tableFlag) == 0
      else {
        throw LMDBError(damaged: number, "node \(index) at \(offset) has \(byteCount) bytes")
      }
      nodeByteCount += byteCount + byteCount % 2
    }
    guard nodeByteCount == bytes.count - upper else {
      throw LMDBError(damaged: number, "its nodes have \(nodeByteCount) bytes, not \(bytes.count - upper)")
    }
  }

  // MARK: Entries

  func key(at index: Int) -> ArraySlice<UInt8> {
    let start = offset(at: index) + Self.nodeHeaderByteCount
    return bytes[start..<start + keyByteCount(offset(at: index))]
  }

  /// The page that the entry of a branch leads to.
  func child(at index: Int) -> UInt64 { bytes.number(at: offset(at: index), byteCount: 6) }

  /// The value of an entry of a leaf, or where it overflows: the first page and the number of bytes.
  func value(at index: Int) -> (inline: ArraySlice<UInt8>, overflow: (page: UInt64, byteCount: Int)?) {
    let offset = offset(at: index)
    let start = offset + Self.nodeHeaderByteCount + keyByteCount(offset)
    let isOverflowing = nodeFlags(offset) & Self.overflowFlag != 0
    return (
      bytes[start..<start + inlineByteCount(offset)],
      isOverflowing ? (bytes.number(at: start, byteCount: 8), valueByteCount(offset)) : nil
    )
  }

  /// Whether the value of an entry describes a table.
  func isTable(at index: Int) -> Bool { nodeFlags(offset(at: index)) & Self.tableFlag != 0 }

  /// The number of entries whose keys are below `key`, or not above it.
  func count(below key: [UInt8], orEqual: Bool) -> Int {
    var low = 0
    var high = entryCount
    while low < high {
      let middle = (low + high) / 2
      let isBefore =
        orEqual
        ? !key.lexicographicallyPrecedes(self.key(at: middle)) : self.key(at: middle).lexicographicallyPrecedes(key)
      if isBefore { low = middle + 1 } else { high = middle }
    }
    return low
  }

  private func offset(at index: Int) -> Int {
    Int(bytes.number(at: Self.headerByteCount + 2 * index, byteCount: 2))
  }

  private func keyByteCount(_ offset: Int) -> Int {
    Int(bytes.number(at: offset + Self.keyByteCountOffset, byteCount: 2))
  }

  private func nodeFlags(_ offset: Int) -> Int { Int(bytes.number(at: offset + Self.nodeFlagsOffset, byteCount: 2)) }

  private func valueByteCount(_ offset: Int) -> Int { Int(bytes.number(at: offset, byteCount: 4)) }

  /// What the value takes in the page itself: a page number where it overflows.
  private func inlineByteCount(_ offset: Int) -> Int {
    nodeFlags(offset) & Self.overflowFlag != 0 ? 8 : valueByteCount(offset)
  }

  private func precedes(_ left: ArraySlice<UInt8>, _ right: ArraySlice<UInt8>, _ order: Order) -> Bool {
    switch order {
    case .bytes: left.lexicographicallyPrecedes(right)
    case .integers: left.count == 8 && right.count == 8 && left.reversed().lexicographicallyPrecedes(right.reversed())
    }
  }
}

extension [UInt8] {
  /// The little-endian number of `byteCount` bytes at `offset`.
  func number(at offset: Int, byteCount: Int) -> UInt64 {
    var number: UInt64 = 0
    for position in stride(from: offset + byteCount - 1, through: offset, by: -1) {
      number = number << 8 | UInt64(self[position])
    }
    return number
  }
}

extension LMDBError {
  /// A page of `data.mdb` that does not hold together.
  init(damaged page: UInt64, _ text: String) {
    self.init(code: MDB_CORRUPTED, operation: "data.mdb", detail: "page \(page): \(text)")
  }
}
