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
  static let byteCount = 24

  let segment: SegmentID
  let offset: Int
  /// Header, payload and alignment.
  let recordByteCount: Int

  var end: Int { offset + recordByteCount }

  func put(into writer: inout ByteWriter, at offset: Int) {
    writer.put(segment.rawValue, at: offset)
    writer.put(UInt64(self.offset), at: offset + 8)
    writer.put(UInt64(recordByteCount), at: offset + 16)
  }

  init(segment: SegmentID, offset: Int, recordByteCount: Int) {
    self.segment = segment
    self.offset = offset
    self.recordByteCount = recordByteCount
  }

  init(_ reader: ByteReader, at offset: Int) {
    segment = SegmentID(rawValue: reader.get(offset))
    self.offset = Int(clamping: reader.get(offset + 8, as: UInt64.self))
    recordByteCount = Int(clamping: reader.get(offset + 16, as: UInt64.self))
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

  private static let headByteCount = 8 + 8 + RecordLocation.byteCount + 8 + 8

  func fields() -> [UInt8] {
    var writer = ByteWriter(byteCount: FileEntry.headByteCount)
    writer.put(state.rawValue, at: 0)
    writer.put(self.writer.rawValue, at: 8)
    manifestLocation.put(into: &writer, at: 16)
    writer.put(commit.rawValue, at: 16 + RecordLocation.byteCount)
    writer.put(UInt64(remainingPartCount), at: 24 + RecordLocation.byteCount)
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
    guard fields.count >= FileEntry.headByteCount, let state = fields.first.flatMap(State.init(rawValue:)) else {
      throw FormatFailure(.damaged, "file entry of \(fields.count) bytes, or of unknown state")
    }
    let reader = ByteReader(fields)
    self.init(
      state: state, writer: WriterID(rawValue: reader.get(8)), manifestLocation: RecordLocation(reader, at: 16),
      commit: Sequence(rawValue: reader.get(16 + RecordLocation.byteCount)),
      remainingPartCount: Int(clamping: reader.get(24 + RecordLocation.byteCount, as: UInt64.self)),
      manifest: try Manifest(decoding: Array(fields[FileEntry.headByteCount...])))
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

  func fields() -> [UInt8] {
    var writer = ByteWriter(byteCount: 40)
    writer.put(segment.rawValue, at: 0)
    writer.put(UInt32(offset), at: 8)
    writer.put(UInt32(storedByteCount), at: 12)
    writer.put(UInt32(rawByteCount), at: 16)
    writer.put(codec.rawValue, at: 20)
    writer.put(state.rawValue, at: 21)
    writer.put(digest.bytes, at: 24)
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
    let reader = try expect(fields, 40, "part")
    guard reader.get(21) == State.live.rawValue else { throw FormatFailure(.damaged, "part entry of unknown state") }
    self.init(
      segment: SegmentID(rawValue: reader.get(0)), offset: Int(reader.get(8, as: UInt32.self)),
      storedByteCount: Int(reader.get(12, as: UInt32.self)), rawByteCount: Int(reader.get(16, as: UInt32.self)),
      codec: Codec(rawValue: reader.get(20)), digest: MD5Digest(bytes: reader.get(24, byteCount: 16)))
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

  func fields() -> [UInt8] {
    var writer = ByteWriter(byteCount: 40)
    writer.put(state.rawValue, at: 0)
    writer.put(owner.rawValue, at: 8)
    writer.put(UInt64(usedByteCount), at: 16)
    writer.put(UInt64(liveByteCount), at: 24)
    writer.put(UInt64(recordCount), at: 32)
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
    let reader = try expect(fields, 40, "segment")
    guard let state = State(rawValue: reader.get(0)) else {
      throw FormatFailure(.damaged, "segment entry of unknown state \(reader.get(0, as: UInt8.self))")
    }
    self.init(
      state: state, owner: WriterID(rawValue: reader.get(8)),
      usedByteCount: Int(clamping: reader.get(16, as: UInt64.self)),
      liveByteCount: Int(clamping: reader.get(24, as: UInt64.self)),
      recordCount: Int(clamping: reader.get(32, as: UInt64.self)))
  }
}

/// Table `writers`: a process that writes. Alive as long as it holds its byte of `locks`.
struct WriterEntry: IndexEntry, Hashable {
  let startedNanoseconds: Int64

  init(startedNanoseconds: Int64) { self.startedNanoseconds = startedNanoseconds }

  func fields() -> [UInt8] {
    var writer = ByteWriter(byteCount: 8)
    writer.put(startedNanoseconds, at: 0)
    return writer.bytes
  }

  init(decoding fields: [UInt8]) throws(FormatFailure) {
    startedNanoseconds = try expect(fields, 8, "writer").get(0)
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

  func fields() -> [UInt8] {
    var writer = ByteWriter(byteCount: RecordLocation.byteCount + 8)
    location.put(into: &writer, at: 0)
    writer.put(manifestSegment.rawValue, at: RecordLocation.byteCount)
    return writer.bytes
  }

  init(decoding fields: [UInt8]) throws(FormatFailure) {
    let reader = try expect(fields, RecordLocation.byteCount + 8, "tombstone")
    location = RecordLocation(reader, at: 0)
    manifestSegment = SegmentID(rawValue: reader.get(RecordLocation.byteCount))
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

  func fields() -> [UInt8] {
    var writer = ByteWriter(byteCount: RecordLocation.byteCount + 8)
    location.put(into: &writer, at: 0)
    writer.put(UInt64(liveFileCount), at: RecordLocation.byteCount)
    return writer.bytes
  }

  init(decoding fields: [UInt8]) throws(FormatFailure) {
    let reader = try expect(fields, RecordLocation.byteCount + 8, "commit")
    location = RecordLocation(reader, at: 0)
    liveFileCount = Int(clamping: reader.get(RecordLocation.byteCount, as: UInt64.self))
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
