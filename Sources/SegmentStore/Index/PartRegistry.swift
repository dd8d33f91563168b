import LMDB
import StorageIO

/// The parts of a store: id -> segment, offset, lengths, codec, MD5 and state.
struct PartRegistry: Sendable {
  private let parts: Table

  init(parts: Table) { self.parts = parts }

  /// The parts `numbers` of a file, in order.
  /// - Throws: `.indexDamaged` when one is missing.
  func parts<Access>(
    _ numbers: Range<Int>, of manifest: Manifest, in transaction: borrowing Transaction<Access>
  ) throws(StoreError) -> [(id: PartID, entry: PartEntry)] {
    var found: [(id: PartID, entry: PartEntry)] = []
    found.reserveCapacity(numbers.count)
    for id in manifest.partIDs(numbers) {
      guard let entry = try part(id, in: transaction) else {
        throw StoreError(index: FormatFailure(.damaged, "part \(id) of '\(manifest.name)' is missing"))
      }
      found.append((id, entry))
    }
    return found
  }

  func part<Access>(_ id: PartID, in transaction: borrowing Transaction<Access>) throws(StoreError) -> PartEntry? {
    try transaction.entry(parts, id.key)
  }

  func set(_ id: PartID, _ entry: PartEntry, in transaction: borrowing WriteTransaction) throws(StoreError) {
    try transaction.put(parts, id.key, entry, appending: true)
  }

  func remove(_ id: PartID, in transaction: borrowing WriteTransaction) throws(StoreError) {
    try transaction.remove(parts, id.key)
  }

  func count<Access>(in transaction: borrowing Transaction<Access>) throws(StoreError) -> Int {
    do throws(LMDBError) { return try transaction.entryCount(parts) } catch { throw StoreError(error) }
  }

  /// Calls `body` with every part, in order of ids.
  func forEach<Access>(
    in transaction: borrowing Transaction<Access>, _ body: (PartID, PartEntry) throws(StoreError) -> Void
  ) throws(StoreError) {
    try transaction.forEach(parts) { (key, entry: PartEntry) throws(StoreError) in
      guard let id = PartID(key: key) else { throw StoreError(index: FormatFailure(.damaged, "part key \(key)")) }
      try body(id, entry)
      return true
    }
  }
}

extension Manifest {
  /// The extents without what lies behind their first `count` parts.
  func extents(ofFirst count: Int) -> [PartExtent] {
    var left = count
    var kept: [PartExtent] = []
    for extent in extents where left > 0 {
      kept.append(PartExtent(first: extent.first, count: min(extent.count, left)))
      left -= extent.count
    }
    return kept
  }

  /// The ids of the parts `numbers`, in order; fewer when the extents hold fewer.
  func partIDs(_ numbers: Range<Int>) -> [PartID] {
    var ids: [PartID] = []
    ids.reserveCapacity(numbers.count)
    var firstNumber = 0
    for extent in extents {
      let overlap = numbers.clamped(to: firstNumber..<(firstNumber + extent.count))
      for number in overlap { ids.append(PartID(rawValue: extent.first.rawValue + UInt64(number - firstNumber))) }
      firstNumber += extent.count
    }
    return ids
  }
}
