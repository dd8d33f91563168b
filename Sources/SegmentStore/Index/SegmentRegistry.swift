import LMDB
import StorageIO

/// The segments of a store: id -> state, owner, bytes used and bytes alive.
struct SegmentRegistry: Sendable {
  private let segments: Table
  /// The segments that are not sealed, that a writer owns or that hold moved manifests, so that none is looked for among
  /// all.
  private let open: Table

  init(segments: Table, open: Table) {
    self.segments = segments
    self.open = open
  }

  func segment<Access>(
    _ id: SegmentID, in transaction: borrowing Transaction<Access>
  ) throws(StoreError) -> SegmentEntry? {
    try transaction.entry(segments, id.key)
  }

  /// The segment, which something else in the index refers to.
  func existing<Access>(
    _ id: SegmentID, in transaction: borrowing Transaction<Access>
  ) throws(StoreError) -> SegmentEntry {
    guard let entry = try segment(id, in: transaction) else {
      throw StoreError(index: FormatFailure(.damaged, "segment \(id) is not in the index"))
    }
    return entry
  }

  func set(_ id: SegmentID, _ entry: SegmentEntry, in transaction: borrowing WriteTransaction) throws(StoreError) {
    try transaction.put(segments, id.key, entry)
    if entry.isListed {
      try transaction.put(open, id.key, Marker())
    } else {
      try transaction.remove(open, id.key)
    }
  }

  func remove(_ id: SegmentID, in transaction: borrowing WriteTransaction) throws(StoreError) {
    try transaction.remove(segments, id.key)
    try transaction.remove(open, id.key)
  }

  /// The segments that are listed: some for each writing thread, those left by writers that have gone, and those that a
  /// compaction has begun with.
  func listedSegments<Access>(
    in transaction: borrowing Transaction<Access>
  ) throws(StoreError) -> [(id: SegmentID, entry: SegmentEntry)] {
    var ids: [SegmentID] = []
    try transaction.forEach(open, as: Marker.self) { (key, _) throws(StoreError) in
      SegmentID(key: key).map { ids.append($0) }
      return true
    }
    var found: [(id: SegmentID, entry: SegmentEntry)] = []
    for id in ids { found.append((id, try existing(id, in: transaction))) }
    return found
  }

  func forEach<Access>(
    in transaction: borrowing Transaction<Access>, _ body: (SegmentID, SegmentEntry) throws(StoreError) -> Void
  ) throws(StoreError) {
    try transaction.forEach(segments) { (key, entry: SegmentEntry) throws(StoreError) in
      guard let id = SegmentID(key: key) else {
        throw StoreError(index: FormatFailure(.damaged, "segment key \(key)"))
      }
      try body(id, entry)
      return true
    }
  }

  /// What the records take that something needs.
  /// - Complexity: O(segments).
  func liveByteCount<Access>(in transaction: borrowing Transaction<Access>) throws(StoreError) -> Int {
    var sum = 0
    try forEach(in: transaction) { (_, entry) in sum += entry.liveByteCount }
    return sum
  }

  /// Lets `owner` go of segments. Only then can those in which nothing is alive be removed.
  func disown(
    _ ids: Set<SegmentID>, by owner: WriterID, in transaction: borrowing WriteTransaction
  ) throws(StoreError) {
    for id in ids {
      guard var entry = try segment(id, in: transaction), entry.owner == owner else { continue }
      entry.owner = WriterID(rawValue: 0)
      try set(id, entry, in: transaction)
    }
  }

  /// Notes that a segment holds first copies of manifests that were moved.
  func noteMovedManifests(in id: SegmentID, in transaction: borrowing WriteTransaction) throws(StoreError) {
    var entry = try existing(id, in: transaction)
    entry.holdsMovedManifests = true
    try set(id, entry, in: transaction)
  }

  // MARK: Accounts

  /// Counts appended records as used, and as alive.
  func add(_ records: AppendedRecords, in transaction: borrowing WriteTransaction) throws(StoreError) {
    for (id, summary) in records.segments {
      var entry = try existing(id, in: transaction)
      entry.usedByteCount = max(entry.usedByteCount, summary.end)
      entry.recordCount = max(entry.recordCount, summary.recordCount)
      entry.liveByteCount += summary.liveByteCount
      try set(id, entry, in: transaction)
    }
  }

  /// Counts records as alive that were appended without being counted so.
  func revive(_ locations: [RecordLocation], in transaction: borrowing WriteTransaction) throws(StoreError) {
    for (id, byteCount) in byteCounts(locations) {
      var entry = try existing(id, in: transaction)
      entry.liveByteCount += byteCount
      try set(id, entry, in: transaction)
    }
  }

  /// Counts records as dead that were alive.
  /// - Returns: Those of their segments in which nothing is alive now and to which nobody appends.
  func release(
    _ locations: [RecordLocation], in transaction: borrowing WriteTransaction
  ) throws(StoreError) -> Set<SegmentID> {
    var empty: Set<SegmentID> = []
    for (id, byteCount) in byteCounts(locations) {
      var entry = try existing(id, in: transaction)
      guard entry.liveByteCount >= byteCount else {
        throw StoreError(
          index: FormatFailure(
            .damaged, "segment \(id) has \(entry.liveByteCount) live bytes and should lose \(byteCount)"))
      }
      entry.liveByteCount -= byteCount
      try set(id, entry, in: transaction)
      if entry.liveByteCount == 0 && entry.owner.rawValue == 0 { empty.insert(id) }
    }
    return empty
  }

  private func byteCounts(_ locations: [RecordLocation]) -> [SegmentID: Int] {
    locations.reduce(into: [:]) { $0[$1.segment, default: 0] += $1.recordByteCount }
  }
}

/// What a set of records adds to the accounts of the segments they lie in.
struct AppendedRecords: Hashable, Sendable {
  struct Summary: Hashable, Sendable {
    var liveByteCount = 0
    var end = 0
    var recordCount = 0
  }

  private(set) var segments: [SegmentID: Summary] = [:]

  var liveByteCount: Int { segments.values.reduce(0) { $0 + $1.liveByteCount } }

  /// - Parameter isAlive: Whether anything will need the record once the index names it.
  mutating func add(_ record: AppendedRecord, isAlive: Bool = true) {
    var summary = segments[record.location.segment, default: Summary()]
    if isAlive { summary.liveByteCount += record.location.recordByteCount }
    summary.end = max(summary.end, record.location.end)
    summary.recordCount = max(summary.recordCount, record.recordCount)
    segments[record.location.segment] = summary
  }
}

/// A record that was appended, and how many its segment holds with it.
struct AppendedRecord: Hashable, Sendable {
  let location: RecordLocation
  let recordCount: Int
}
