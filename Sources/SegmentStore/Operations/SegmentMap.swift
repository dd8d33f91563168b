import StorageIO

/// Where in the segments the live records lie, and what was given back: in steps, so many as a picture can show.
public struct SegmentMap: Sendable {
  /// What lies in some bytes of a tile, one step.
  public struct Step: Hashable, Sendable {
    /// Live records, and headers and footers of segments.
    public internal(set) var liveByteCount = 0
    public internal(set) var deadByteCount = 0
    public internal(set) var punchedByteCount = 0
    public internal(set) var freeByteCount = 0
  }

  /// The segments, in order of ids.
  public let segments: [SegmentSpace]
  public let segmentByteCount: Int
  /// How many segments share a tile, one after another. The last may have fewer.
  public let segmentsPerTile: Int
  public let stepsPerTile: Int
  private var steps: [Step]

  public var tileCount: Int { (segments.count + segmentsPerTile - 1) / segmentsPerTile }
  /// The bytes of a step, but for rounding; what no segment takes has no count in it.
  public var stepByteCount: Int { max(1, tileByteCount / stepsPerTile) }
  private var tileByteCount: Int { segmentsPerTile * segmentByteCount }

  /// The segments of a tile.
  public func segments(ofTile tile: Int) -> ArraySlice<SegmentSpace> {
    segments[tile * segmentsPerTile..<min((tile + 1) * segmentsPerTile, segments.count)]
  }

  public func steps(ofTile tile: Int) -> ArraySlice<Step> {
    steps[tile * stepsPerTile..<(tile + 1) * stepsPerTile]
  }

  /// - Parameter stepLimit: of all tiles together.
  init(_ segments: [SegmentSpace], segmentByteCount: Int, tileLimit: Int, stepLimit: Int) {
    self.segments = segments
    self.segmentByteCount = segmentByteCount
    segmentsPerTile = max(1, (segments.count + tileLimit - 1) / tileLimit)
    let tileCount = (segments.count + segmentsPerTile - 1) / segmentsPerTile
    stepsPerTile = max(1, min(SegmentMap.maximumStepCount, stepLimit / max(1, tileCount)))
    steps = [Step](repeating: Step(), count: tileCount * stepsPerTile)
  }

  private static let maximumStepCount = 1024

  /// Counts the bytes of `range` of a segment, as far as it lies in there.
  mutating func add(_ range: Range<Int>, ofSegment number: Int, to field: WritableKeyPath<Step, Int>) {
    let tile = number / segmentsPerTile
    let start = number % segmentsPerTile * segmentByteCount
    var rest = range.clamped(to: 0..<segmentByteCount)
    while !rest.isEmpty {
      let step = min((start + rest.lowerBound) * stepsPerTile / tileByteCount, stepsPerTile - 1)
      // The first byte of the next step, rounded up as the division above rounds down.
      let next = ((step + 1) * tileByteCount + stepsPerTile - 1) / stepsPerTile - start
      let end = min(rest.upperBound, next)
      steps[tile * stepsPerTile + step][keyPath: field] += end - rest.lowerBound
      rest = end..<rest.upperBound
    }
  }

  /// Takes for dead what was counted as dead and turned out to be something else.
  mutating func settle() {
    for index in steps.indices {
      let step = steps[index]
      steps[index].deadByteCount = max(0, step.deadByteCount - step.liveByteCount - step.punchedByteCount)
    }
  }
}

extension Store {
  /// Where in the segments what lies. While others write, of several moments.
  /// - Parameters:
  ///   - tileLimit: the most tiles that the picture has; more segments than that share them.
  ///   - stepLimit: of all tiles together. Bounds the memory.
  /// - Complexity: O(parts + files + segments + what was punched out of them).
  public func segmentMap(
    tileLimit: Int, stepLimit: Int, cancellation: Cancellation = Cancellation()
  ) throws(StoreError) -> SegmentMap {
    precondition(tileLimit > 0 && stepLimit > 0, "\(tileLimit) tiles, \(stepLimit) steps")
    let index = try index
    var spaces: [SegmentSpace] = []
    var entries: [SegmentEntry] = []
    var numbers: [SegmentID: Int] = [:]
    for (id, entry) in try segmentEntries() {
      guard let space = try space(of: id, entry) else { continue }
      numbers[id] = spaces.count
      spaces.append(space)
      entries.append(entry)
    }
    var map = SegmentMap(
      spaces, segmentByteCount: superblock.segmentByteCount, tileLimit: tileLimit, stepLimit: stepLimit)
    for (number, entry) in entries.enumerated() {
      let used = max(entry.usedByteCount, SegmentHeader.byteCount)
      let footer = max(SegmentHeader.byteCount, used - (entry.ownByteCount - SegmentHeader.byteCount))
      map.add(0..<SegmentHeader.byteCount, ofSegment: number, to: \.liveByteCount)
      map.add(footer..<used, ofSegment: number, to: \.liveByteCount)
      map.add(0..<used, ofSegment: number, to: \.deadByteCount)
      map.add(used..<(used + spaces[number].freeByteCount), ofSegment: number, to: \.freeByteCount)
      // The holes a second time: to keep them would take memory.
      _ = try space(of: spaces[number].id, entry) { map.add($0, ofSegment: number, to: \.punchedByteCount) }
    }
    let walk = IndexWalk(index: index, cancellation: cancellation, report: { _ in }, advance: {})
    try walk.forEachRecord { (records) in
      for record in records where record.isCounted {
        guard let number = numbers[record.location.segment] else { continue }
        let range = record.location.offset..<max(record.location.offset, record.location.end)
        map.add(range, ofSegment: number, to: \.liveByteCount)
      }
    }
    map.settle()
    return map
  }
}
