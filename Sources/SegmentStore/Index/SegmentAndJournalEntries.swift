import StorageIO

/// Table `segments`: how much of a segment is used, how much of that is alive, and who may append.
struct SegmentEntry: IndexEntry, Hashable {
  enum State: UInt8, Sendable {
    case open = 1
    case sealed = 2
    /// Nothing in it counts any more, and its file is being removed: when it is gone, so is the entry.
    case retired = 3
  }

  var state: State
  /// Whether manifests were moved out of it, whose first copies it still holds: as long as it exists, a file that was
  /// deleted since needs its tombstone, wherever its newest manifest lies.
  var holdsMovedManifests = false
  /// The writer that appends to it; zero when nobody does.
  var owner: WriterID
  /// The bytes up to the end of the last record the index knows, the footer included once sealed.
  var usedByteCount: Int
  /// The records among them that something still needs.
  var liveByteCount: Int
  var recordCount: Int

  /// The records that nothing needs any more: what is neither alive nor header nor footer.
  var deadByteCount: Int { max(0, usedByteCount - ownByteCount - liveByteCount) }

  /// Header and footer.
  var ownByteCount: Int {
    SegmentHeader.byteCount + (state != .open ? SegmentFooter.byteCount(recordCount: recordCount) : 0)
  }

  /// Whether it is listed in `open_segments`, so that it need not be looked for among all.
  var isListed: Bool { state == .open || owner.rawValue != 0 || holdsMovedManifests }

  /// Whether a writer may take it over. One in which nothing counts has perhaps no header, or no file.
  var isFree: Bool { state == .open && owner.rawValue == 0 && usedByteCount > 0 }

  enum Offset {
    static let state = 0
    static let flags = state + 1
    static let reserved = flags + 1
    static let owner = reserved + 6
    static let usedByteCount = owner + 8
    static let liveByteCount = usedByteCount + 8
    static let recordCount = liveByteCount + 8
    static let end = recordCount + 8

    static let fields = FormatField.list(
      [
        "state": state, "flags": flags, "reserved": reserved, "owner": owner, "usedByteCount": usedByteCount,
        "liveByteCount": liveByteCount, "recordCount": recordCount,
      ], end: end)
  }

  private static let movedManifestsFlag: UInt8 = 1

  func fields() -> [UInt8] {
    var writer = ByteWriter(byteCount: Offset.end)
    writer.put(state.rawValue, at: Offset.state)
    writer.put(holdsMovedManifests ? SegmentEntry.movedManifestsFlag : 0, at: Offset.flags)
    writer.put(owner.rawValue, at: Offset.owner)
    writer.put(UInt64(usedByteCount), at: Offset.usedByteCount)
    writer.put(UInt64(liveByteCount), at: Offset.liveByteCount)
    writer.put(UInt64(recordCount), at: Offset.recordCount)
    return writer.bytes
  }

  init(state: State, owner: WriterID, usedByteCount: Int, liveByteCount: Int, recordCount: Int) {
    self.state = state
    self.owner = owner
    self.usedByteCount = usedByteCount
    self.liveByteCount = liveByteCount
    self.recordCount = recordCount
  }

  init(decoding fields: [UInt8]) throws(FormatFailure) {
    let reader = try expect(fields, Offset.end, "segment")
    guard let state = State(rawValue: reader.get(Offset.state)) else {
      throw FormatFailure(.damaged, "segment entry of unknown state \(reader.get(Offset.state, as: UInt8.self))")
    }
    let used: UInt64 = reader.get(Offset.usedByteCount)
    let live: UInt64 = reader.get(Offset.liveByteCount)
    let count: UInt64 = reader.get(Offset.recordCount)
    // Bounds for arithmetic; that no more is alive than used holds at the end of a transaction, not inside.
    let largest = UInt64(Format.segmentByteCounts.upperBound)
    guard used <= largest, live <= largest, count <= largest, used % UInt64(Format.alignment) == 0 else {
      throw FormatFailure(.damaged, "segment entry: \(live) of \(used) bytes alive in \(count) records")
    }
    self.init(
      state: state, owner: WriterID(rawValue: reader.get(Offset.owner)), usedByteCount: Int(used),
      liveByteCount: Int(live), recordCount: Int(count))
    holdsMovedManifests = reader.get(Offset.flags, as: UInt8.self) & SegmentEntry.movedManifestsFlag != 0
  }
}

/// Table `writers`: a process that writes. Alive as long as it holds its byte of `locks`.
struct WriterEntry: IndexEntry, Hashable {
  let startedNanoseconds: Int64

  init(startedNanoseconds: Int64) { self.startedNanoseconds = startedNanoseconds }

  enum Offset {
    static let started = 0
    static let end = started + 8

    static let fields = FormatField.list(["started": started], end: end)
  }

  func fields() -> [UInt8] {
    var writer = ByteWriter(byteCount: Offset.end)
    writer.put(startedNanoseconds, at: Offset.started)
    return writer.bytes
  }

  init(decoding fields: [UInt8]) throws(FormatFailure) {
    startedNanoseconds = try expect(fields, Offset.end, "writer").get(Offset.started)
  }
}

/// Table `tombstones`: a tombstone record that is still needed, and the segment whose manifest makes it so.
struct TombstoneEntry: IndexEntry, Hashable {
  var location: RecordLocation
  var manifestSegment: SegmentID
  /// Whether the record counts as alive. One beside the only manifest that it buries does not: they go together.
  var isCounted: Bool

  init(location: RecordLocation, manifestSegment: SegmentID, isCounted: Bool) {
    self.location = location
    self.manifestSegment = manifestSegment
    self.isCounted = isCounted
  }

  enum Offset {
    static let location = 0
    static let manifestSegment = location + RecordLocation.byteCount
    static let flags = manifestSegment + 8
    static let reserved = flags + 1
    static let end = reserved + 7

    static let fields = FormatField.list(
      ["location": location, "manifestSegment": manifestSegment, "flags": flags, "reserved": reserved], end: end)
  }

  private static let countedFlag: UInt8 = 1

  func fields() -> [UInt8] {
    var writer = ByteWriter(byteCount: Offset.end)
    location.put(into: &writer, at: Offset.location)
    writer.put(manifestSegment.rawValue, at: Offset.manifestSegment)
    writer.put(isCounted ? TombstoneEntry.countedFlag : 0, at: Offset.flags)
    return writer.bytes
  }

  init(decoding fields: [UInt8]) throws(FormatFailure) {
    let reader = try expect(fields, Offset.end, "tombstone")
    location = try RecordLocation(reader, at: Offset.location)
    manifestSegment = SegmentID(rawValue: reader.get(Offset.manifestSegment))
    isCounted = reader.get(Offset.flags, as: UInt8.self) & TombstoneEntry.countedFlag != 0
  }
}

/// Table `commits`: a commit record and how many of the files it names are still there.
struct CommitEntry: IndexEntry, Hashable {
  var location: RecordLocation
  var liveFileCount: Int

  init(location: RecordLocation, liveFileCount: Int) {
    self.location = location
    self.liveFileCount = liveFileCount
  }

  enum Offset {
    static let location = 0
    static let liveFileCount = location + RecordLocation.byteCount
    static let end = liveFileCount + 8

    static let fields = FormatField.list(["location": location, "liveFileCount": liveFileCount], end: end)
  }

  func fields() -> [UInt8] {
    var writer = ByteWriter(byteCount: Offset.end)
    location.put(into: &writer, at: Offset.location)
    writer.put(UInt64(liveFileCount), at: Offset.liveFileCount)
    return writer.bytes
  }

  init(decoding fields: [UInt8]) throws(FormatFailure) {
    let reader = try expect(fields, Offset.end, "commit")
    location = try RecordLocation(reader, at: Offset.location)
    liveFileCount = Int(clamping: reader.get(Offset.liveFileCount, as: UInt64.self))
  }
}
