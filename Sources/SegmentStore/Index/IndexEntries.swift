import Codecs
import StorageIO

/// A value of an index table: fields of fixed width, sealed with a checksum over the key and the fields.
///
/// LMDB has no checksums of its own: of single-bit flips in its pages it reports about one in two hundred.
protocol IndexEntry: Sendable {
  func fields() -> [UInt8]
  init(decoding fields: [UInt8]) throws(FormatFailure)
}

extension IndexEntry {
  func sealed(under key: [UInt8]) -> [UInt8] {
    let fields = fields()
    var writer = ByteWriter(byteCount: fields.count + 4)
    writer.put(fields, at: 0)
    writer.put((key + fields).withRawSpan { CRC32C.checksum(of: $0) }, at: fields.count)
    return writer.bytes
  }

  init(sealed value: [UInt8], under key: [UInt8]) throws(StoreError) {
    guard value.count >= 4 else { throw StoreError(index: FormatFailure(.damaged, "entry of \(value.count) bytes")) }
    let fields = Array(value.dropLast(4))
    let stored: UInt32 = ByteReader(value).get(fields.count)
    let computed = (key + fields).withRawSpan { CRC32C.checksum(of: $0) }
    guard stored == computed else {
      throw StoreError(
        index: FormatFailure(.damaged, "entry with CRC32C \(hex(stored)) whose bytes give \(hex(computed))"))
    }
    do throws(FormatFailure) { try self.init(decoding: fields) } catch { throw StoreError(index: error) }
  }
}

private func expect(_ fields: [UInt8], _ byteCount: Int, _ what: String) throws(FormatFailure) -> ByteReader {
  guard fields.count == byteCount else {
    throw FormatFailure(.damaged, "\(what) entry of \(fields.count) bytes, \(byteCount) expected")
  }
  return ByteReader(fields)
}

/// Where a record lies.
struct RecordLocation: Hashable, Sendable {
  static let byteCount = Offset.end

  let segment: SegmentID
  let offset: Int
  /// Header, payload and alignment.
  let recordByteCount: Int

  var end: Int { offset + recordByteCount }

  enum Offset {
    static let segment = 0
    static let offset = segment + 8
    static let recordByteCount = offset + 8
    static let end = recordByteCount + 8

    static let fields = FormatField.list(
      ["segment": segment, "offset": offset, "recordByteCount": recordByteCount], end: end)
  }

  func put(into writer: inout ByteWriter, at offset: Int) {
    writer.put(segment.rawValue, at: offset + Offset.segment)
    writer.put(UInt64(self.offset), at: offset + Offset.offset)
    writer.put(UInt64(recordByteCount), at: offset + Offset.recordByteCount)
  }

  init(segment: SegmentID, offset: Int, recordByteCount: Int) {
    self.segment = segment
    self.offset = offset
    self.recordByteCount = recordByteCount
  }

  init(_ reader: ByteReader, at offset: Int) {
    segment = SegmentID(rawValue: reader.get(offset + Offset.segment))
    self.offset = Int(clamping: reader.get(offset + Offset.offset, as: UInt64.self))
    recordByteCount = Int(clamping: reader.get(offset + Offset.recordByteCount, as: UInt64.self))
  }
}

/// Table `files`: one file and how far it has come.
struct FileEntry: IndexEntry, Hashable {
  enum State: UInt8, Sendable {
    /// Being stored; its writer is alive or will be rolled back.
    case writing = 1
    /// Durable as a whole.
    case ready = 2
    /// Deleted for good; its parts are still being taken out of the index.
    case deleting = 3
  }

  var state: State
  var writer: WriterID
  var manifestLocation: RecordLocation
  /// The commit record that made the file visible.
  var commit: Sequence
  /// The parts that are still in `parts`, counted from the end of the file, while it is `deleting`.
  var remainingPartCount: Int
  var manifest: Manifest

  enum Offset {
    static let state = 0
    static let reserved = state + 1
    static let writer = reserved + 7
    static let manifestLocation = writer + 8
    static let commit = manifestLocation + RecordLocation.byteCount
    static let remainingPartCount = commit + 8
    static let manifest = remainingPartCount + 8

    static let fields = FormatField.list(
      [
        "state": state, "reserved": reserved, "writer": writer, "manifestLocation": manifestLocation,
        "commit": commit, "remainingPartCount": remainingPartCount,
      ], end: manifest)
  }

  func fields() -> [UInt8] {
    var writer = ByteWriter(byteCount: Offset.manifest)
    writer.put(state.rawValue, at: Offset.state)
    writer.put(self.writer.rawValue, at: Offset.writer)
    manifestLocation.put(into: &writer, at: Offset.manifestLocation)
    writer.put(commit.rawValue, at: Offset.commit)
    writer.put(UInt64(remainingPartCount), at: Offset.remainingPartCount)
    return writer.bytes + manifest.encoded()
  }

  init(
    state: State, writer: WriterID, manifestLocation: RecordLocation, commit: Sequence, remainingPartCount: Int,
    manifest: Manifest
  ) {
    self.state = state
    self.writer = writer
    self.manifestLocation = manifestLocation
    self.commit = commit
    self.remainingPartCount = remainingPartCount
    self.manifest = manifest
  }

  init(decoding fields: [UInt8]) throws(FormatFailure) {
    guard fields.count >= Offset.manifest, let state = State(rawValue: fields[Offset.state]) else {
      throw FormatFailure(.damaged, "file entry of \(fields.count) bytes, or of unknown state")
    }
    let reader = ByteReader(fields)
    self.init(
      state: state, writer: WriterID(rawValue: reader.get(Offset.writer)),
      manifestLocation: RecordLocation(reader, at: Offset.manifestLocation),
      commit: Sequence(rawValue: reader.get(Offset.commit)),
      remainingPartCount: Int(clamping: reader.get(Offset.remainingPartCount, as: UInt64.self)),
      manifest: try Manifest(decoding: Array(fields[Offset.manifest...])))
  }
}

/// Table `parts`: where a part is and what it must be. 40 bytes and the checksum.
struct PartEntry: IndexEntry, Hashable {
  enum State: UInt8, Sendable { case live = 1 }

  let segment: SegmentID
  let offset: Int
  let storedByteCount: Int
  let rawByteCount: Int
  let codec: Codec
  let state: State
  let digest: MD5Digest

  var recordByteCount: Int { Format.aligned(RecordHeader.byteCount + storedByteCount) }

  var location: RecordLocation {
    RecordLocation(segment: segment, offset: offset, recordByteCount: recordByteCount)
  }

  enum Offset {
    static let segment = 0
    static let offset = segment + 8
    static let storedByteCount = offset + 4
    static let rawByteCount = storedByteCount + 4
    static let codec = rawByteCount + 4
    static let state = codec + 1
    static let reserved = state + 1
    static let digest = reserved + 2
    static let end = digest + MD5Digest.byteCount

    static let fields = FormatField.list(
      [
        "segment": segment, "offset": offset, "storedByteCount": storedByteCount, "rawByteCount": rawByteCount,
        "codec": codec, "state": state, "reserved": reserved, "digest": digest,
      ], end: end)
  }

  func fields() -> [UInt8] {
    var writer = ByteWriter(byteCount: Offset.end)
    writer.put(segment.rawValue, at: Offset.segment)
    writer.put(UInt32(offset), at: Offset.offset)
    writer.put(UInt32(storedByteCount), at: Offset.storedByteCount)
    writer.put(UInt32(rawByteCount), at: Offset.rawByteCount)
    writer.put(codec.rawValue, at: Offset.codec)
    writer.put(state.rawValue, at: Offset.state)
    writer.put(digest.bytes, at: Offset.digest)
    return writer.bytes
  }

  init(segment: SegmentID, offset: Int, storedByteCount: Int, rawByteCount: Int, codec: Codec, digest: MD5Digest) {
    self.segment = segment
    self.offset = offset
    self.storedByteCount = storedByteCount
    self.rawByteCount = rawByteCount
    self.codec = codec
    state = .live
    self.digest = digest
  }

  init(decoding fields: [UInt8]) throws(FormatFailure) {
    let reader = try expect(fields, Offset.end, "part")
    guard reader.get(Offset.state) == State.live.rawValue else {
      throw FormatFailure(.damaged, "part entry of unknown state")
    }
    self.init(
      segment: SegmentID(rawValue: reader.get(Offset.segment)),
      offset: Int(reader.get(Offset.offset, as: UInt32.self)),
      storedByteCount: Int(reader.get(Offset.storedByteCount, as: UInt32.self)),
      rawByteCount: Int(reader.get(Offset.rawByteCount, as: UInt32.self)),
      codec: Codec(rawValue: reader.get(Offset.codec)),
      digest: MD5Digest(bytes: reader.get(Offset.digest, byteCount: MD5Digest.byteCount)))
  }
}

/// Table `segments`: how much of a segment is used, how much of that is alive, and who may append.
struct SegmentEntry: IndexEntry, Hashable {
  enum State: UInt8, Sendable { case open = 1, sealed = 2 }

  var state: State
  /// The writer that appends to it; zero when nobody does.
  var owner: WriterID
  /// The bytes up to the end of the last record the index knows, the footer included once sealed.
  var usedByteCount: Int
  /// The records among them that something still needs.
  var liveByteCount: Int
  var recordCount: Int

  enum Offset {
    static let state = 0
    static let reserved = state + 1
    static let owner = reserved + 7
    static let usedByteCount = owner + 8
    static let liveByteCount = usedByteCount + 8
    static let recordCount = liveByteCount + 8
    static let end = recordCount + 8

    static let fields = FormatField.list(
      [
        "state": state, "reserved": reserved, "owner": owner, "usedByteCount": usedByteCount,
        "liveByteCount": liveByteCount, "recordCount": recordCount,
      ], end: end)
  }

  func fields() -> [UInt8] {
    var writer = ByteWriter(byteCount: Offset.end)
    writer.put(state.rawValue, at: Offset.state)
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
    self.init(
      state: state, owner: WriterID(rawValue: reader.get(Offset.owner)),
      usedByteCount: Int(clamping: reader.get(Offset.usedByteCount, as: UInt64.self)),
      liveByteCount: Int(clamping: reader.get(Offset.liveByteCount, as: UInt64.self)),
      recordCount: Int(clamping: reader.get(Offset.recordCount, as: UInt64.self)))
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
  let location: RecordLocation
  let manifestSegment: SegmentID

  init(location: RecordLocation, manifestSegment: SegmentID) {
    self.location = location
    self.manifestSegment = manifestSegment
  }

  enum Offset {
    static let location = 0
    static let manifestSegment = location + RecordLocation.byteCount
    static let end = manifestSegment + 8

    static let fields = FormatField.list(["location": location, "manifestSegment": manifestSegment], end: end)
  }

  func fields() -> [UInt8] {
    var writer = ByteWriter(byteCount: Offset.end)
    location.put(into: &writer, at: Offset.location)
    writer.put(manifestSegment.rawValue, at: Offset.manifestSegment)
    return writer.bytes
  }

  init(decoding fields: [UInt8]) throws(FormatFailure) {
    let reader = try expect(fields, Offset.end, "tombstone")
    location = RecordLocation(reader, at: Offset.location)
    manifestSegment = SegmentID(rawValue: reader.get(Offset.manifestSegment))
  }
}

/// Table `commits`: a commit record and how many of the files it names are still there.
struct CommitEntry: IndexEntry, Hashable {
  let location: RecordLocation
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
    location = RecordLocation(reader, at: Offset.location)
    liveFileCount = Int(clamping: reader.get(Offset.liveFileCount, as: UInt64.self))
  }
}

/// An entry whose key says it all.
struct Marker: IndexEntry, Hashable {
  init() {}
  func fields() -> [UInt8] { [] }
  init(decoding fields: [UInt8]) throws(FormatFailure) { _ = try expect(fields, 0, "marker") }
}

/// Table `meta`, key `counters`.
extension Counters: IndexEntry {
  func fields() -> [UInt8] { encoded() }
}

/// Table `meta`, key `store`.
extension StoreUUID: IndexEntry {
  func fields() -> [UInt8] { bytes }

  init(decoding fields: [UInt8]) throws(FormatFailure) {
    self.init(bytes: try expect(fields, StoreUUID.byteCount, "store").bytes)
  }
}
