import LMDB
import StorageIO

/// Joins what has just died with dead records beside it that died earlier, and gives back the whole pages of what is long
/// enough by now.
///
/// The headers in the segment say what lies there, the index whether anything needs it: only in segments of which all is in
/// the index that counts. What has no intact header is left alone, and so is what no tombstone buries and no compaction moved.
struct DeadStretches {
  let store: Store
  /// Nil for one who only looks.
  let session: WriterSession?

  /// How far from what died dead neighbours are looked for.
  private static let reachByteCount = 64 << 10

  func punch(_ dead: DeadSpace.Extents) throws(StoreError) {
    for (segment, extents) in dead {
      guard let entry = try entry(of: segment) else { continue }
      // One in which nothing is alive goes as a whole. Its entry goes first, for which a full disk may have no room.
      if entry.liveByteCount == 0 && entry.owner.rawValue == 0 && store.reserve.isWhole { continue }
      let stretches = try stretches(around: extents, of: segment, entry)
      DeadPages.punch(stretches, of: segment, in: store.segmentDirectory)
    }
  }

  private func entry(of segment: SegmentID) throws(StoreError) -> SegmentEntry? {
    let index = try store.index
    return try index.read { (transaction) throws(StoreError) in try index.segments.segment(segment, in: transaction) }
  }

  /// What can be punched: `extents` with their dead neighbours, as far as they are long enough.
  func stretches(
    around extents: [Range<Int>], of segment: SegmentID, _ entry: SegmentEntry
  ) throws(StoreError) -> [Range<Int>] {
    let bytes: SegmentBytes
    do throws(StoreError) { bytes = try SegmentBytes(segment, of: store) } catch { return [] }
    var stretches = extents
    if isWhollyIndexed(entry) {
      let end = min(entry.usedByteCount, bytes.byteCount)
      do throws(StoreError) { stretches = try joined(extents, upTo: end, bytes) } catch  where error.code == .io {}
    }
    let least = DeadPages.leastByteCount(in: store)
    var punchable: [Range<Int>] = []
    var next = extents[...]
    for stretch in stretches {
      next = next.drop { $0.upperBound <= stretch.lowerBound }
      // One that was found beside them has had its turn.
      guard let extent = next.first, extent.lowerBound < stretch.upperBound, stretch.count >= least else { continue }
      let start = try start(of: stretch, bytes)
      if start < stretch.upperBound { punchable.append(start..<stretch.upperBound) }
    }
    return punchable
  }

  /// Whether the index names all records up to the used end that anybody needs. Not so while a put may have some there.
  private func isWhollyIndexed(_ entry: SegmentEntry) -> Bool {
    if entry.owner.rawValue == 0 { return true }
    guard let session else { return false }
    return entry.owner == session.writer && !session.segments.hasRunningPuts
  }

  // MARK: Neighbours

  private func joined(_ extents: [Range<Int>], upTo end: Int, _ bytes: SegmentBytes) throws(StoreError) -> [Range<Int>]
  {
    var found = extents
    var gapStart = SegmentHeader.byteCount
    for extent in extents + [end..<end] {
      let gap = gapStart..<max(gapStart, extent.lowerBound)
      if gap.count <= 2 * DeadStretches.reachByteCount {
        found += try deadRecords(in: gap, bytes)
      } else {
        found += try deadRecords(in: gap.prefix(DeadStretches.reachByteCount), bytes)
        found += try deadRecords(in: gap.suffix(DeadStretches.reachByteCount), beginsAtRecord: false, bytes)
      }
      gapStart = max(gapStart, extent.upperBound)
    }
    return DeadSpace.joined(found)
  }

  /// The dead records in a range of bytes, those that lie in it as a whole, and what is left of others: nothing but zeros.
  /// - Parameter beginsAtRecord: false where the range may begin inside a record, which may end in zeros and be alive.
  private func deadRecords(
    in range: Range<Int>, beginsAtRecord: Bool = true, _ bytes: SegmentBytes
  ) throws(StoreError) -> [Range<Int>] {
    var headers: [RecordHeader] = []
    var zeros: [Range<Int>] = []
    var offset = (range.lowerBound + Format.alignment - 1) & ~(Format.alignment - 1)
    while offset < range.upperBound {
      let header = try bytes.nextRecord(from: offset, upTo: range.upperBound)
      if beginsAtRecord || !headers.isEmpty {
        zeros += try zeroRanges(in: offset..<(header?.offset ?? range.upperBound), bytes)
      }
      guard let header else { break }
      headers.append(header)
      offset = header.location.end
    }
    if headers.isEmpty { return zeros }
    let index = try store.index
    let found = headers
    return try index.read { (transaction) throws(StoreError) in
      var dead = zeros
      for header in found where try isDead(header, index, in: transaction) {
        dead.append(header.offset..<header.location.end)
      }
      return dead
    }
  }

  /// Where bytes between records are zero up to both ends, as punching leaves them: a piece at the start, one at the end, or
  /// all. Behind a search that began in the middle of a record there may be anything else.
  private func zeroRanges(in gap: Range<Int>, _ bytes: SegmentBytes) throws(StoreError) -> [Range<Int>] {
    if gap.isEmpty { return [] }
    let content = try bytes.bytes(at: gap.lowerBound, byteCount: gap.count)
    guard let last = content.lastIndex(where: { $0 != 0 }) else { return [gap] }
    let start = Format.aligned(gap.lowerBound + last + 1)
    return start < gap.upperBound ? [start..<gap.upperBound] : []
  }

  private func isDead(
    _ header: RecordHeader, _ index: Index, in transaction: borrowing ReadTransaction
  ) throws(StoreError) -> Bool {
    switch header.kind {
    case .part:
      if let entry = try index.parts.part(header.part, in: transaction) {
        return entry.state == .live && entry.location != header.location
      }
      return try index.files.tombstone(of: header.file, in: transaction) != nil
    case .manifest:
      if let entry = try index.files.file(header.file, in: transaction) {
        return entry.state == .ready && entry.manifestLocation != header.location
      }
      return try index.files.tombstone(of: header.file, in: transaction) != nil
    case .commit:
      return try index.files.commit(header.sequence, in: transaction)?.location != header.location
    default:
      // Tombstones are small, and needed for long.
      return false
    }
  }

  /// Where punching may begin: not inside a record whose payload somebody reads without the index, as the header that stays
  /// would say that there is a manifest or a commit.
  private func start(of stretch: Range<Int>, _ bytes: SegmentBytes) throws(StoreError) -> Int {
    var start = (stretch.lowerBound + pageByteCount - 1) & ~(pageByteCount - 1)
    var offset = stretch.lowerBound
    while offset < start, let header = try bytes.nextRecord(from: offset, upTo: stretch.upperBound),
      header.offset < start
    {
      offset = header.location.end
      if offset > start, header.kind != .part { start = (offset + pageByteCount - 1) & ~(pageByteCount - 1) }
    }
    return start
  }
}

extension Range<Int> {
  fileprivate func prefix(_ count: Int) -> Range<Int> { lowerBound..<Swift.min(upperBound, lowerBound + count) }
  fileprivate func suffix(_ count: Int) -> Range<Int> { Swift.max(lowerBound, upperBound - count)..<upperBound }
}
