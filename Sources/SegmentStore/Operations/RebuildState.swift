import LMDB

/// What a rebuild keeps in memory: the accounts of the segments and the highest numbers.
struct RebuildState {
  var summary = RebuildSummary()
  private(set) var segments: [SegmentID: SegmentEntry] = [:]
  private(set) var hasMovedManifests = false
  private var counters = Counters()
  private let onFinding: (Finding) -> Void

  init(onFinding: @escaping (Finding) -> Void) { self.onFinding = onFinding }

  mutating func add(_ id: SegmentID, _ state: SegmentEntry.State, usedByteCount: Int, recordCount: Int) {
    summary.segmentCount += 1
    segments[id] = SegmentEntry(
      state: state, owner: WriterID(rawValue: 0), usedByteCount: usedByteCount, liveByteCount: 0,
      recordCount: recordCount)
  }

  mutating func addLive(_ location: RecordLocation) { addLive(location.recordByteCount, in: location.segment) }

  mutating func addLive(_ byteCount: Int, in segment: SegmentID) { segments[segment]?.liveByteCount += byteCount }

  /// A later copy of a manifest in `segment` was found.
  mutating func noteMovedManifest(in segment: SegmentID) {
    segments[segment]?.holdsMovedManifests = true
    hasMovedManifests = true
  }

  mutating func raise(to other: Counters) { counters = counters.raised(to: other) }

  /// Above everything that was found; where ids are taken in ranges, above the rest of the ranges too, of which some
  /// may have been used by records that are damaged. A put of known size takes all its parts at once.
  var safeCounters: Counters {
    var safe = counters
    safe.nextPart = safe.nextPart.advancedSaturating(by: UInt64(Format.maximumPartCount) + 1)
    safe.nextSequence = safe.nextSequence.advancedSaturating(by: IdentifierSource.sequenceCount)
    return safe
  }

  /// Something is named like a segment and is none.
  mutating func setAside(_ id: SegmentID, _ message: String) {
    summary.strangeSegments.append(id)
    report(.segment, message) { $0.segment = id }
  }

  mutating func report(_ kind: Finding.Kind, _ message: String, _ place: (inout Finding) -> Void) {
    var finding = Finding(kind, message)
    place(&finding)
    if finding.kind != .uncommittedFile { summary.findingCount += 1 }
    onFinding(finding)
  }
}

extension Counters {
  init(above segment: SegmentID) {
    self.init()
    nextSegment = segment.rawValue.advancedSaturating(by: 1)
  }

  init(above writer: WriterID) {
    self.init()
    nextWriter = writer.rawValue.advancedSaturating(by: 1)
  }

  init(above file: FileID) {
    self.init()
    nextFile = file.rawValue.advancedSaturating(by: 1)
  }

  init(above parts: PartExtent) {
    self.init()
    nextPart = parts.first.rawValue.advancedSaturating(by: UInt64(parts.count))
  }

  init(above record: RecordHeader) {
    self.init()
    nextFile = record.file.rawValue.advancedSaturating(by: 1)
    nextPart = record.part.rawValue.advancedSaturating(by: 1)
    nextSequence = record.sequence.rawValue.advancedSaturating(by: 1)
  }
}

extension UInt64 {
  /// A number that was read may be as high as there are: one that is taken after it is then refused, not wrapped.
  fileprivate func advancedSaturating(by distance: UInt64) -> UInt64 {
    let (sum, overflowed) = addingReportingOverflow(distance)
    return overflowed ? .max : sum
  }
}
