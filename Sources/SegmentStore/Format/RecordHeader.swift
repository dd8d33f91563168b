import Codecs
import Mutants
import StorageIO

/// What a record is.
struct RecordKind: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  let rawValue: UInt8
  static let part = RecordKind(rawValue: 1)
  static let manifest = RecordKind(rawValue: 2)
  static let commit = RecordKind(rawValue: 3)
  static let tombstone = RecordKind(rawValue: 4)

  var isKnown: Bool { (1...4).contains(rawValue) }

  var description: String {
    isKnown ? ["part", "manifest", "commit", "tombstone"][Int(rawValue) - 1] : "kind \(rawValue)"
  }
}

/// The 128 bytes before every payload: enough to know, without the index, whose bytes follow and whether they are
/// intact.
struct RecordHeader: Hashable, Sendable {
  static let byteCount = 128
  static let magic: UInt32 = 0x3152_4650
  static let magicBytes = Array("PFR1".utf8)

  var kind: RecordKind
  var codec: Codec
  var rawByteCount: Int
  var storedByteCount: Int
  /// Of the payload as stored, so that it can be checked and moved without being decoded.
  var storedChecksum: UInt32
  var segment: SegmentID
  var offset: Int
  var storePrefix: UInt64
  var sequence: Sequence
  var part: PartID
  var file: FileID
  var partNumber: Int
  /// Of the raw bytes.
  var digest: MD5Digest

  /// The bytes of the segment that the record takes, alignment included.
  var recordByteCount: Int { Format.aligned(RecordHeader.byteCount + storedByteCount) }

  enum Offset {
    static let magic = 0
    static let checksum = magic + 4
    static let kind = checksum + 4
    static let codec = kind + 1
    static let flags = codec + 1
    static let rawByteCount = flags + 2
    static let storedByteCount = rawByteCount + 4
    static let storedChecksum = storedByteCount + 4
    static let segment = storedChecksum + 4
    static let offset = segment + 8
    static let storePrefix = offset + 8
    static let sequence = storePrefix + 8
    static let part = sequence + 8
    static let file = part + 8
    static let partNumber = file + 8
    static let digest = partNumber + 4
    static let reserved = digest + MD5Digest.byteCount

    static let fields = FormatField.list(
      [
        "magic": magic, "checksum": checksum, "kind": kind, "codec": codec, "flags": flags,
        "rawByteCount": rawByteCount, "storedByteCount": storedByteCount, "storedChecksum": storedChecksum,
        "segment": segment, "offset": offset, "storePrefix": storePrefix, "sequence": sequence, "part": part,
        "file": file, "partNumber": partNumber, "digest": digest, "reserved": reserved,
      ], end: RecordHeader.byteCount)
  }

  func encoded() -> [UInt8] {
    var writer = ByteWriter(byteCount: RecordHeader.byteCount)
    writer.put(RecordHeader.magic, at: Offset.magic)
    writer.put(kind.rawValue, at: Offset.kind)
    writer.put(codec.rawValue, at: Offset.codec)
    writer.put(UInt32(rawByteCount), at: Offset.rawByteCount)
    writer.put(UInt32(storedByteCount), at: Offset.storedByteCount)
    writer.put(storedChecksum, at: Offset.storedChecksum)
    writer.put(segment.rawValue, at: Offset.segment)
    writer.put(UInt64(offset), at: Offset.offset)
    writer.put(storePrefix, at: Offset.storePrefix)
    writer.put(sequence.rawValue, at: Offset.sequence)
    writer.put(part.rawValue, at: Offset.part)
    writer.put(file.rawValue, at: Offset.file)
    writer.put(UInt32(partNumber), at: Offset.partNumber)
    writer.put(digest.bytes, at: Offset.digest)
    let checksum = CRC32C.checksum(of: writer.bytes, from: Offset.kind, upTo: RecordHeader.byteCount)
    writer.put(checksum, at: Offset.checksum)
    return writer.bytes
  }

  init(
    kind: RecordKind, codec: Codec, rawByteCount: Int, storedByteCount: Int, storedChecksum: UInt32,
    segment: SegmentID, offset: Int, storePrefix: UInt64, sequence: Sequence, part: PartID, file: FileID,
    partNumber: Int, digest: MD5Digest
  ) {
    self.kind = kind
    self.codec = codec
    self.rawByteCount = rawByteCount
    self.storedByteCount = storedByteCount
    self.storedChecksum = storedChecksum
    self.segment = segment
    self.offset = offset
    self.storePrefix = storePrefix
    self.sequence = sequence
    self.part = part
    self.file = file
    self.partNumber = partNumber
    self.digest = digest
  }

  /// Decodes a header that was found at `offset` of `segment` of the store `storePrefix`: one that says it belongs
  /// elsewhere is no record, whatever its checksum.
  init(
    decoding bytes: [UInt8], segment: SegmentID, offset: Int, storePrefix: UInt64
  ) throws(FormatFailure) {
    precondition(bytes.count == RecordHeader.byteCount, "a header has \(RecordHeader.byteCount) bytes")
    let reader = ByteReader(bytes)
    let magic: UInt32 = reader.get(Offset.magic)
    guard magic == RecordHeader.magic else {
      throw FormatFailure(.damaged, "no record: magic \(hex(magic)), expected \(hex(RecordHeader.magic))")
    }
    let stored: UInt32 = reader.get(Offset.checksum)
    let computed = CRC32C.checksum(of: bytes, from: Offset.kind, upTo: RecordHeader.byteCount)
    guard stored == computed || Mutant.believeLengths.isActive else {
      throw FormatFailure(.damaged, "record header: stored CRC32C \(hex(stored)), bytes give \(hex(computed))")
    }
    self.init(
      kind: RecordKind(rawValue: reader.get(Offset.kind)), codec: Codec(rawValue: reader.get(Offset.codec)),
      rawByteCount: Int(reader.get(Offset.rawByteCount, as: UInt32.self)),
      storedByteCount: Int(reader.get(Offset.storedByteCount, as: UInt32.self)),
      storedChecksum: reader.get(Offset.storedChecksum),
      segment: SegmentID(rawValue: reader.get(Offset.segment)),
      offset: Int(clamping: reader.get(Offset.offset, as: UInt64.self)),
      storePrefix: reader.get(Offset.storePrefix), sequence: Sequence(rawValue: reader.get(Offset.sequence)),
      part: PartID(rawValue: reader.get(Offset.part)), file: FileID(rawValue: reader.get(Offset.file)),
      partNumber: Int(reader.get(Offset.partNumber, as: UInt32.self)),
      digest: MD5Digest(bytes: reader.get(Offset.digest, byteCount: MD5Digest.byteCount)))
    guard self.segment == segment, self.offset == offset, self.storePrefix == storePrefix else {
      throw FormatFailure(
        .damaged, "record of another place: it names segment \(self.segment) offset \(self.offset)")
    }
    guard reader.get(Offset.flags, as: UInt16.self) == 0, reader.isZero(Offset.reserved..<RecordHeader.byteCount),
      kind.isKnown
    else { throw FormatFailure(.newerVersion, "record of \(kind) with flags or reserved bytes set") }
    guard codec != .stored || rawByteCount == storedByteCount, codec != .zeros || storedByteCount == 0 else {
      throw FormatFailure(.damaged, "record of \(rawByteCount) bytes, \(codec), in \(storedByteCount)")
    }
  }
}
