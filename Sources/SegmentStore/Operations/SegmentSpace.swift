import LMDB
import StorageIO

/// What one segment takes, and for what: every byte of it is one of five things.
public struct SegmentSpace: Hashable, Sendable {
  public let id: SegmentID
  public let isSealed: Bool
  /// Records that something needs, their headers included.
  public internal(set) var liveByteCount = 0
  /// Records that nothing needs any more, as far as they are still on disk.
  public internal(set) var deadByteCount = 0
  /// What was given back of such records: holes in the file.
  public internal(set) var punchedByteCount = 0
  /// Set aside behind the records that the index knows: for later ones, and for those of puts that are not done.
  public internal(set) var freeByteCount = 0
  /// The header and the footer of the segment, the rest of its last page, and what the file system takes to remember
  /// where its pieces are.
  public internal(set) var overheadByteCount = 0
  /// What the file takes on disk, as `du` counts it.
  public internal(set) var diskByteCount = 0

  /// What it would take if nothing had been given back: the sum of the five.
  public var byteCount: Int {
    liveByteCount + deadByteCount + punchedByteCount + freeByteCount + overheadByteCount
  }

  /// Of no segment.
  public static let none = SegmentSpace(SegmentID(rawValue: 0), isSealed: true)

  init(_ id: SegmentID, isSealed: Bool) {
    self.id = id
    self.isSealed = isSealed
  }

  /// - Parameters:
  ///   - entry: what the index says of it.
  ///   - onHole: told what was given back, in order.
  init(
    _ id: SegmentID, _ entry: SegmentEntry, in directory: Directory, onHole: (Range<Int>) -> Void = { _ in }
  ) throws(SystemCallFailure) {
    self.init(id, isSealed: entry.state == .sealed)
    let file = try directory.open(id.fileName, [.noFollow, .nonBlocking])
    let status = try file.status()
    let usedByteCount = min(max(entry.usedByteCount, SegmentHeader.byteCount), status.byteCount)
    var punchedByteCount = 0
    // What was set aside and not written yet looks like a hole too, so none is looked for behind the records.
    try file.forEachHole(in: 0..<usedByteCount) { hole in
      punchedByteCount += hole.count
      onHole(hole)
    }
    diskByteCount = status.allocatedByteCount
    self.punchedByteCount = punchedByteCount
    liveByteCount = entry.liveByteCount
    deadByteCount = max(0, entry.deadByteCount - punchedByteCount)
    let rest = max(0, diskByteCount - liveByteCount - deadByteCount)
    let reservedByteCount = SegmentSpace.wholePages(status.byteCount) - SegmentSpace.wholePages(usedByteCount)
    freeByteCount = min(reservedByteCount, max(0, rest - entry.ownByteCount))
    overheadByteCount = rest - freeByteCount
  }

  /// Adds the figures of another one, for those who look at several at once.
  public mutating func add(_ other: SegmentSpace) {
    liveByteCount += other.liveByteCount
    deadByteCount += other.deadByteCount
    punchedByteCount += other.punchedByteCount
    freeByteCount += other.freeByteCount
    overheadByteCount += other.overheadByteCount
    diskByteCount += other.diskByteCount
  }

  static func wholePages(_ byteCount: Int) -> Int { (byteCount + pageByteCount - 1) & ~(pageByteCount - 1) }
}

extension Store {
  /// What each segment takes, in order of ids. While others write, of several moments.
  /// - Complexity: O(segments + what was punched out of them).
  public func segmentSpaces() throws(StoreError) -> [SegmentSpace] {
    var spaces: [SegmentSpace] = []
    for (id, entry) in try segmentEntries() {
      if let space = try space(of: id, entry) { spaces.append(space) }
    }
    return spaces
  }

  func segmentEntries() throws(StoreError) -> [(id: SegmentID, entry: SegmentEntry)] {
    let index = try index
    var entries: [(id: SegmentID, entry: SegmentEntry)] = []
    try index.read { (transaction) throws(StoreError) in
      try index.segments.forEach(in: transaction) { (id, entry) in entries.append((id, entry)) }
    }
    return entries
  }

  /// - Returns: Nil when its file was removed meanwhile, or not made yet, or is lost.
  func space(
    of id: SegmentID, _ entry: SegmentEntry, onHole: (Range<Int>) -> Void = { _ in }
  ) throws(StoreError) -> SegmentSpace? {
    do throws(SystemCallFailure) {
      return try SegmentSpace(id, entry, in: segmentDirectory, onHole: onHole)
    } catch  where error.isNotFound || error.isEscape {
      return nil
    } catch {
      throw StoreError(error)
    }
  }
}

extension Directory {
  /// What the directory and everything in it take, as `du` counts it. What is removed meanwhile does not count.
  func diskByteCount() throws(SystemCallFailure) -> Int {
    var sum = try status(of: [UInt8(ascii: ".")]).allocatedByteCount
    for name in try entries() {
      do throws(SystemCallFailure) {
        let status = try status(of: name)
        sum += status.kind == .directory ? try openDirectory(name).diskByteCount() : status.allocatedByteCount
      } catch  where error.isNotFound {}
    }
    return sum
  }
}
