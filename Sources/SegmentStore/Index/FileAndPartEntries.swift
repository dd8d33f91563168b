import Codecs
import StorageIO

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

  init(_ reader: ByteReader, at offset: Int) throws(FormatFailure) {
    segment = SegmentID(rawValue: reader.get(offset + Offset.segment))
    let start: UInt64 = reader.get(offset + Offset.offset)
    let count: UInt64 = reader.get(offset + Offset.recordByteCount)
    let largest = UInt64(Format.segmentByteCounts.upperBound)
    guard start <= largest, count <= largest - start, (start | count) % UInt64(Format.alignment) == 0 else {
      throw FormatFailure(.damaged, "a record of \(count) bytes at \(start) of segment \(segment)")
    }
    self.offset = Int(start)
    recordByteCount = Int(count)
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
  /// While it is `writing`: whether it is kept when its writer dies, so that somebody can go on with it.
  var isResumable: Bool
  /// Nobody's, when it is 0: then the file waits to be gone on with, or to be deleted.
  var writer: WriterID
  var manifestLocation: RecordLocation
  /// The commit record that made the file visible.
  var commit: Sequence
  /// While it is `deleting`: the first so many of its parts are still in `parts`.
  var remainingPartCount: Int
  var manifest: Manifest

  /// Whether it was being stored by somebody who left it to be gone on with.
  var isInterrupted: Bool { state == .writing && isResumable && writer.rawValue == 0 }

  enum Offset {
    static let state = 0
    static let flags = state + 1
    static let reserved = flags + 1
    static let writer = reserved + 6
    static let manifestLocation = writer + 8
    static let commit = manifestLocation + RecordLocation.byteCount
    static let remainingPartCount = commit + 8
    static let manifest = remainingPartCount + 8

    static let fields = FormatField.list(
      [
        "state": state, "flags": flags, "reserved": reserved, "writer": writer, "manifestLocation": manifestLocation,
        "commit": commit, "remainingPartCount": remainingPartCount,
      ], end: manifest)
  }

  private static let resumableFlag: UInt8 = 1

  func fields() -> [UInt8] {
    var writer = ByteWriter(byteCount: Offset.manifest)
    writer.put(state.rawValue, at: Offset.state)
    writer.put(isResumable ? FileEntry.resumableFlag : 0, at: Offset.flags)
    writer.put(self.writer.rawValue, at: Offset.writer)
    manifestLocation.put(into: &writer, at: Offset.manifestLocation)
    writer.put(commit.rawValue, at: Offset.commit)
    writer.put(UInt64(remainingPartCount), at: Offset.remainingPartCount)
    return writer.bytes + manifest.encoded()
  }

  init(
    state: State, writer: WriterID, manifestLocation: RecordLocation, commit: Sequence, remainingPartCount: Int,
    manifest: Manifest, isResumable: Bool = false
  ) {
    self.state = state
    self.isResumable = isResumable
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
      manifestLocation: try RecordLocation(reader, at: Offset.manifestLocation),
      commit: Sequence(rawValue: reader.get(Offset.commit)),
      remainingPartCount: Int(clamping: reader.get(Offset.remainingPartCount, as: UInt64.self)),
      manifest: try Manifest(decoding: Array(fields[Offset.manifest...])),
      isResumable: reader.get(Offset.flags, as: UInt8.self) & FileEntry.resumableFlag != 0)
  }
}

/// Table `parts`: where a part is and what it must be. 40 bytes and the checksum.
struct PartEntry: IndexEntry, Hashable {
  enum State: UInt8, Sendable {
    case live = 1
    /// Its record could not be found when the index was made anew: nothing but its length is known.
    case lost = 2
  }

  let segment: SegmentID
  let offset: Int
  let storedByteCount: Int
  let rawByteCount: Int
  let codec: Codec
  let state: State
  let digest: MD5Digest

  /// 0 for a lost part.
  var recordByteCount: Int { state == .lost ? 0 : Format.aligned(RecordHeader.byteCount + storedByteCount) }

  /// Of a lost part: nothing, in segment 0.
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

  private init(lostByteCount: Int) {
    segment = SegmentID(rawValue: 0)
    offset = 0
    storedByteCount = 0
    rawByteCount = lostByteCount
    codec = .stored
    state = .lost
    digest = MD5Digest(bytes: [UInt8](repeating: 0, count: MD5Digest.byteCount))
  }

  /// A part of `rawByteCount` bytes whose record is gone.
  static func lost(rawByteCount: Int) -> PartEntry { PartEntry(lostByteCount: rawByteCount) }

  init(decoding fields: [UInt8]) throws(FormatFailure) {
    let reader = try expect(fields, Offset.end, "part")
    guard let state = State(rawValue: reader.get(Offset.state)) else {
      throw FormatFailure(.damaged, "part entry of unknown state \(reader.get(Offset.state, as: UInt8.self))")
    }
    if state == .lost {
      self.init(lostByteCount: Int(reader.get(Offset.rawByteCount, as: UInt32.self)))
      return
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
