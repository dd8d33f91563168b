import StorageIO

/// Where records died, gathered over a whole operation: joined where they touch, so that space comes back in few pieces.
struct DeadSpace {
  /// Sixteen bytes each.
  private static let extentLimit = 65_536

  /// In order, within each segment.
  typealias Extents = [SegmentID: [Range<Int>]]

  private var extents: Extents = [:]
  private var extentCount = 0
  private var joinedCount = 0

  var isEmpty: Bool { extents.isEmpty }

  /// Whether it takes as much memory as it may.
  var isFull: Bool { extentCount >= DeadSpace.extentLimit }

  mutating func add(_ locations: [RecordLocation]) {
    for location in locations where location.recordByteCount > 0 {
      extents[location.segment, default: []].append(location.offset..<location.end)
      extentCount += 1
    }
    joinIfMany()
  }

  mutating func add(_ more: Extents) {
    for (segment, ranges) in more {
      extents[segment, default: []] += ranges
      extentCount += ranges.count
    }
    joinIfMany()
  }

  private mutating func joinIfMany() {
    if extentCount > max(DeadSpace.extentLimit / 2, 2 * joinedCount) { join() }
  }

  /// The extents of each segment, joined and in order; afterwards it is empty.
  mutating func takeAll() -> Extents {
    join()
    defer { self = DeadSpace() }
    return extents
  }

  private mutating func join() {
    for id in extents.keys { extents[id] = DeadSpace.joined(extents[id, default: []]) }
    extentCount = extents.values.reduce(0) { $0 + $1.count }
    joinedCount = extentCount
  }

  /// The same bytes in as few ranges as possible, in order.
  static func joined(_ ranges: [Range<Int>]) -> [Range<Int>] {
    var joined: [Range<Int>] = []
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = joined.last, last.upperBound >= range.lowerBound {
        joined[joined.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
      } else {
        joined.append(range)
      }
    }
    return joined
  }
}

/// Pages that hold nothing but dead records.
enum DeadPages {
  /// A punch costs the same for 4 KiB as for this much. What is smaller waits until its neighbours die, or for compaction.
  private static let leastByteCount = 64 << 10
  /// In small segments that would be most of the file.
  private static let leastSegmentShare = 16

  /// How long a stretch must be to be punched: on a disk that is full nothing waits.
  static func leastByteCount(in store: Store) -> Int {
    guard store.reserve.isWhole else { return pageByteCount }
    return min(leastByteCount, store.superblock.segmentByteCount / leastSegmentShare)
  }

  /// The whole pages in an extent.
  static func pages(of extent: Range<Int>) -> Range<Int>? {
    let start = (extent.lowerBound + pageByteCount - 1) & ~(pageByteCount - 1)
    let end = extent.upperBound & ~(pageByteCount - 1)
    return start < end ? start..<end : nil
  }

  /// Gives the pages back that hold nothing but these records, which nothing needs any more.
  static func punch(_ locations: [RecordLocation], in segments: Directory) {
    var dead = DeadSpace()
    dead.add(locations)
    for (segment, extents) in dead.takeAll() { punch(extents, of: segment, in: segments) }
  }

  /// Gives the pages in `extents` back. Best effort: where it fails, compaction does it.
  ///
  /// Whole pages, and no other byte: a page that was zeroed in part is written, may be torn by a crash or be there before the
  /// hole is, and what is left of a dead record would look damaged. Nothing needs what a record leaves behind a hole.
  static func punch(_ extents: [Range<Int>], of segment: SegmentID, in segments: Directory) {
    if extents.isEmpty { return }
    do throws(SystemCallFailure) {
      let file = try segments.open(segment.fileName, [.write, .noFollow])
      for extent in extents {
        guard let pages = pages(of: extent) else { continue }
        try file.deallocate(pages)
      }
    } catch {}
  }
}
