import LMDB
import Mutants
import StorageIO

/// Which segments are worth being emptied, the best first.
///
/// The measure is that of M. Rosenblum and J. K. Ousterhout, "The design and implementation of a log-structured file
/// system", 1992: the space that comes back, times the age of what is there, over the bytes that have to be moved.
/// Old segments change little, so room won in them lasts.
struct CompactionPlan {
  struct Candidate {
    let segment: SegmentID
    let liveByteCount: Int
    /// What its file takes on disk, less what the records in it will take elsewhere.
    let gainByteCount: Int
    /// Whether it is emptied whatever the gain: a compaction began with it, or it is in too many pieces.
    let isDue: Bool
    let score: Double
  }

  private(set) var candidates: [Candidate] = []
  /// Segments in which nothing is alive.
  private(set) var empty: Set<SegmentID> = []
  /// Segments that nobody can look at. They take what the index says, and are not for a compaction.
  private(set) var unreadable: Set<SegmentID> = []
  private(set) var liveByteCount = 0
  private(set) var diskByteCount = 0

  /// More pieces than this make a file slow to read, and slow to remove.
  static let maximumExtentCount = 1024
  /// What has no more to give is left: a segment of 64 MiB with 1 MiB of dead space would cost a copy of 63. So is one page,
  /// which may be one in which the file system notes the pieces of the file.
  private static let smallestGainShare = 64
  /// On a full disk much is done for little.
  private static let smallestGainByteCountOnFullDisk = 64 << 10

  /// - Complexity: O(segments), with two system calls for each.
  init(_ store: Store) throws(StoreError) {
    let index = try store.index
    var smallestGainByteCount = max(
      pageByteCount, store.superblock.segmentByteCount / CompactionPlan.smallestGainShare)
    if !store.reserve.isWhole {
      smallestGainByteCount = min(smallestGainByteCount, CompactionPlan.smallestGainByteCountOnFullDisk)
    }
    var entries: [(id: SegmentID, entry: SegmentEntry)] = []
    try index.read { (transaction) throws(StoreError) in
      try index.segments.forEach(in: transaction) { (id, entry) in entries.append((id, entry)) }
    }
    let newest = entries.last?.id.rawValue ?? 0
    for (id, entry) in entries {
      var file: (byteCount: Int, allocatedByteCount: Int, extentCount: Int)
      do throws(SystemCallFailure) { file = try CompactionPlan.file(of: id, store) } catch {
        // One that is gone was removed by somebody since the index was read, or is lost.
        if error.isNotFound, try !index.needs(id) { continue }
        liveByteCount += entry.liveByteCount
        diskByteCount += entry.usedByteCount
        if entry.liveByteCount > 0 { unreadable.insert(id) }
        continue
      }
      // Cut short: it looks as if it took little.
      if file.byteCount < entry.usedByteCount, entry.liveByteCount > 0 { unreadable.insert(id) }
      // What is reserved ahead of an open segment goes back when its writer ends.
      if entry.state == .open { file.allocatedByteCount = min(file.allocatedByteCount, entry.usedByteCount) }
      liveByteCount += entry.liveByteCount
      diskByteCount += file.allocatedByteCount
      guard entry.owner.rawValue == 0 || Mutant.compactOwnedSegments.isActive, entry.usedByteCount > 0 else { continue }
      if entry.liveByteCount == 0 {
        empty.insert(id)
      } else {
        add(id, entry, file, age: newest - id.rawValue + 1, smallestGainByteCount)
      }
    }
    candidates.sort { ($0.isDue ? 1 : 0, $0.score) > ($1.isDue ? 1 : 0, $1.score) }
  }

  /// The candidates that bring the disk down to `ratio` times what is alive, and those that are due.
  func chosen(ratio: Double) -> [SegmentID] {
    var expectedByteCount = diskByteCount
    let wantedByteCount = Int(min(Double(liveByteCount) * max(ratio, 1), Double(Int.max / 2)))
    var chosen: [SegmentID] = []
    for candidate in candidates where candidate.isDue || expectedByteCount > wantedByteCount {
      chosen.append(candidate.segment)
      expectedByteCount -= candidate.gainByteCount
    }
    return chosen
  }

  private mutating func add(
    _ id: SegmentID, _ entry: SegmentEntry, _ file: (byteCount: Int, allocatedByteCount: Int, extentCount: Int),
    age: UInt64, _ smallestGainByteCount: Int
  ) {
    // Header and footer are taken elsewhere too, as far as the records move, and so is the rest of a last page.
    let liveShare = Double(entry.liveByteCount) / Double(max(1, entry.usedByteCount - entry.ownByteCount))
    let ownByteCount = Int(Double(entry.ownByteCount) * min(1, liveShare))
    let gain = file.allocatedByteCount - SegmentSpace.wholePages(entry.liveByteCount + ownByteCount)
    let isDue = entry.holdsMovedManifests || file.extentCount > CompactionPlan.maximumExtentCount
    guard isDue || gain > smallestGainByteCount else { return }
    candidates.append(
      Candidate(
        segment: id, liveByteCount: entry.liveByteCount, gainByteCount: gain, isDue: isDue,
        score: Double(gain) * Double(age) / Double(max(pageByteCount, entry.liveByteCount))))
  }

  private static func file(
    of id: SegmentID, _ store: Store
  ) throws(SystemCallFailure) -> (byteCount: Int, allocatedByteCount: Int, extentCount: Int) {
    let file = try store.segmentDirectory.open(id.fileName, [.noFollow, .nonBlocking])
    let status = try file.status()
    return (status.byteCount, status.allocatedByteCount, file.extentCount() ?? 0)
  }
}

extension Index {
  /// Whether something in the segment is alive now.
  fileprivate func needs(_ id: SegmentID) throws(StoreError) -> Bool {
    try read { (transaction) throws(StoreError) in
      try segments.segment(id, in: transaction).map { $0.liveByteCount > 0 } ?? false
    }
  }
}
