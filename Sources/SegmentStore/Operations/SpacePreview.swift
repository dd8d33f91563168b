import LMDB
import StorageIO

/// What the disk would get back if some files were deleted now: by the same rules as a delete, which looks at the same
/// things.
///
/// Memory grows with the pieces that the files lie in, and with the commit records that name them. One thread.
public final class SpacePreview {
  private let store: Store
  private var dead = DeadSpace()
  private var fileCountsByCommit: [Sequence: Int] = [:]
  private var deadByteCounts: [SegmentID: Int] = [:]
  /// How many tombstones there would be of files whose manifests lie there.
  private var manifestCounts: [SegmentID: Int] = [:]
  private var shrinkage = IndexShrinkage()

  public init(_ store: Store) { self.store = store }

  /// Counts a file as deleted, once.
  public func add(_ id: FileID) throws(StoreError) {
    let index = try store.index
    guard let entry = try index.read({ (transaction) throws(StoreError) in try index.files.file(id, in: transaction) })
    else { return }
    let manifest = entry.manifest
    shrinkage.remove(id, entry)
    for start in stride(from: 0, to: manifest.partCount, by: Reclamation.stepPartCount) {
      let numbers = start..<min(start + Reclamation.stepPartCount, manifest.partCount)
      let parts = try index.read { (transaction) throws(StoreError) in
        try index.parts.parts(numbers, of: manifest, in: transaction)
      }
      add(parts.filter { $0.entry.state == .live }.map(\.entry.location))
    }
    guard entry.manifestLocation.segment.rawValue != 0 else { return }
    add([entry.manifestLocation])
    fileCountsByCommit[entry.commit, default: 0] += 1
    manifestCounts[entry.manifestLocation.segment, default: 0] += 1
  }

  private func add(_ locations: [RecordLocation]) {
    dead.add(locations)
    for location in locations { deadByteCounts[location.segment, default: 0] += location.recordByteCount }
  }

  /// What would come back, in bytes.
  public func freedByteCount() throws(StoreError) -> Int {
    let index = try store.index
    for (commit, count) in fileCountsByCommit {
      let entry = try index.read { (transaction) throws(StoreError) in
        try index.files.commit(commit, in: transaction)
      }
      if let entry, entry.liveFileCount <= count { add([entry.location]) }
    }
    fileCountsByCommit = [:]
    let (gone, entries) = try removedSegments()
    let tombstoneCount = manifestCounts.reduce(0) { $0 + (gone.contains($1.key) ? 0 : $1.value) }
    var freed = shrinkage.byteCount(of: try store.indexSpace(), tombstoneCount: tombstoneCount)
    for id in gone { freed += status(of: id)?.allocatedByteCount ?? 0 }
    let stretches = DeadStretches(store: store, session: nil)
    for (id, extents) in dead.takeAll() {
      guard !gone.contains(id), let entry = entries[id] else { continue }
      for stretch in try stretches.stretches(around: extents, of: id, entry) {
        freed += allocatedByteCount(DeadPages.pages(of: stretch), of: id)
      }
    }
    return max(0, freed - (try tombstoneGrowth(gone)))
  }

  // MARK: Segments

  /// The segments in which nothing would be alive, those among them that only tombstones keep; and the entries of all that
  /// lose something.
  private func removedSegments() throws(StoreError) -> (gone: Set<SegmentID>, entries: [SegmentID: SegmentEntry]) {
    let index = try store.index
    let (deadByteCounts, manifestCounts) = (deadByteCounts, manifestCounts)
    return try index.read { (transaction) throws(StoreError) in
      var entries: [SegmentID: SegmentEntry] = [:]
      var live: [SegmentID: Int] = [:]
      try index.segments.forEach(in: transaction) { (id, entry) in
        live[id] = entry.liveByteCount - deadByteCounts[id, default: 0]
        if deadByteCounts[id] != nil { entries[id] = entry }
        if entry.owner.rawValue != 0 || entry.state == .retired { live[id] = .max }
      }
      let host = try SpacePreview.tombstoneHost(index, in: transaction)
      var gone: Set<SegmentID> = []
      while true {
        var next = Set(live.filter { $0.value <= 0 }.keys).subtracting(gone)
        // The new tombstones stay as long as the manifests they bury.
        if let host, manifestCounts.keys.contains(where: { $0 != host && !gone.union(next).contains($0) }) {
          next.remove(host)
        }
        if next.isEmpty { return (gone, entries) }
        gone.formUnion(next)
        try index.files.forEachTombstone(in: transaction) { (tombstone) in
          if next.contains(tombstone.manifestSegment), tombstone.isCounted {
            live[tombstone.location.segment, default: .max] -= tombstone.location.recordByteCount
          }
        }
      }
    }
  }

  /// The segment that the tombstones would go to: the first that nobody appends to.
  private static func tombstoneHost(
    _ index: Index, in transaction: borrowing ReadTransaction
  ) throws(StoreError) -> SegmentID? {
    try index.segments.listedSegments(in: transaction).first { $0.entry.isFree }?.id
  }

  /// What the tombstones would take that stay.
  private func tombstoneGrowth(_ gone: Set<SegmentID>) throws(StoreError) -> Int {
    let needed = manifestCounts.filter { !gone.contains($0.key) }
    if needed.isEmpty { return 0 }
    let byteCount = manifestCounts.values.reduce(0, +) * Format.aligned(RecordHeader.byteCount)
    let index = try store.index
    let (host, entry) = try index.read { (transaction) throws(StoreError) in
      let host = try SpacePreview.tombstoneHost(index, in: transaction)
      return (host, try host.map { (id) throws(StoreError) in try index.segments.existing(id, in: transaction) })
    }
    if let host, gone.contains(host) { return 0 }
    let start = entry?.usedByteCount ?? 0
    let end = (entry?.usedByteCount ?? SegmentHeader.byteCount) + byteCount
    return SegmentSpace.wholePages(end) - SegmentSpace.wholePages(start)
  }

  // MARK: Files

  private func status(of id: SegmentID) -> FileStatus? {
    do throws(SystemCallFailure) { return try store.segmentDirectory.status(of: id.fileName) } catch { return nil }
  }

  /// What of a range is on the disk: no holes.
  private func allocatedByteCount(_ range: Range<Int>?, of id: SegmentID) -> Int {
    guard let range else { return 0 }
    var sum = 0
    do throws(SystemCallFailure) {
      let file = try store.segmentDirectory.open(id.fileName, .noFollow)
      var offset = range.lowerBound
      while offset < range.upperBound, let data = try file.nextData(from: offset), data < range.upperBound {
        let hole = min(try file.nextHole(from: data), range.upperBound)
        sum += hole - max(data, offset)
        offset = hole
      }
    } catch {}
    return sum
  }
}
