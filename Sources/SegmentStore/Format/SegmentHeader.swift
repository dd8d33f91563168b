import Codecs
import StorageIO

/// The first 4,096 bytes of a segment file.
struct SegmentHeader: Hashable, Sendable {
  static let byteCount = 4096
  static let magic = Array("PFSSEG\r\n".utf8)

  let uuid: StoreUUID
  let segment: SegmentID
  let segmentByteCount: Int
  let createdNanoseconds: Int64
  let writer: WriterID
  /// The counters when the segment was made: whoever makes the index anew goes on above the highest it finds.
  let counters: Counters

  enum Offset {
    static let magic = 0
    static let version = magic + 8
    static let byteCount = version + 4
    static let compatibleFlags = byteCount + 4
    static let incompatibleFlags = compatibleFlags + 8
    static let uuid = incompatibleFlags + 8
    static let segment = uuid + StoreUUID.byteCount
    static let segmentByteCount = segment + 8
    static let created = segmentByteCount + 8
    static let writer = created + 8
    static let counters = writer + 8
    static let reserved = counters + Counters.byteCount
    static let checksum = SegmentHeader.byteCount - 4

    static let fields = FormatField.list(
      [
        "magic": magic, "version": version, "byteCount": byteCount, "compatibleFlags": compatibleFlags,
        "incompatibleFlags": incompatibleFlags, "uuid": uuid, "segment": segment,
        "segmentByteCount": segmentByteCount, "created": created, "writer": writer, "counters": counters,
        "reserved": reserved, "checksum": checksum,
      ], end: SegmentHeader.byteCount)
  }

  func encoded() -> [UInt8] {
    var writer = ByteWriter(byteCount: SegmentHeader.byteCount)
    writer.put(SegmentHeader.magic, at: Offset.magic)
    writer.put(Format.version, at: Offset.version)
    writer.put(UInt32(SegmentHeader.byteCount), at: Offset.byteCount)
    writer.put(uuid.bytes, at: Offset.uuid)
    writer.put(segment.rawValue, at: Offset.segment)
    writer.put(UInt64(segmentByteCount), at: Offset.segmentByteCount)
    writer.put(createdNanoseconds, at: Offset.created)
    writer.put(self.writer.rawValue, at: Offset.writer)
    writer.put(counters.encoded(), at: Offset.counters)
    writer.put(CRC32C.checksum(of: writer.bytes, upTo: Offset.checksum), at: Offset.checksum)
    return writer.bytes
  }

  init(
    uuid: StoreUUID, segment: SegmentID, segmentByteCount: Int, createdNanoseconds: Int64, writer: WriterID,
    counters: Counters
  ) {
    self.uuid = uuid
    self.segment = segment
    self.segmentByteCount = segmentByteCount
    self.createdNanoseconds = createdNanoseconds
    self.writer = writer
    self.counters = counters
  }

  init(decoding bytes: [UInt8]) throws(FormatFailure) {
    guard bytes.count == SegmentHeader.byteCount, bytes.starts(with: SegmentHeader.magic) else {
      throw FormatFailure(.notThisKind, "no segment header")
    }
    let reader = ByteReader(bytes)
    let version: UInt32 = reader.get(Offset.version)
    if version > Format.version { throw FormatFailure(.newerVersion, "segment format version \(version)") }
    let computed = CRC32C.checksum(of: bytes, upTo: Offset.checksum)
    let stored: UInt32 = reader.get(Offset.checksum)
    guard computed == stored else {
      throw FormatFailure(.damaged, "segment header: stored CRC32C \(hex(stored)), bytes give \(hex(computed))")
    }
    let unknownFlags = reader.get(Offset.incompatibleFlags, as: UInt64.self) & ~Format.knownIncompatibleFlags
    if unknownFlags != 0 {
      throw FormatFailure(.newerVersion, "segment feature bits 0x\(String(unknownFlags, radix: 16))")
    }
    let segmentByteCount: UInt64 = reader.get(Offset.segmentByteCount)
    let byteCount: UInt32 = reader.get(Offset.byteCount)
    guard version >= 1, byteCount == SegmentHeader.byteCount, segmentByteCount.nonzeroBitCount == 1,
      Format.segmentByteCounts.contains(Int(clamping: segmentByteCount)),
      reader.isZero(Offset.reserved..<Offset.checksum)
    else { throw FormatFailure(.damaged, "segment header: size \(segmentByteCount), or reserved bytes used") }
    self.init(
      uuid: StoreUUID(bytes: reader.get(Offset.uuid, byteCount: StoreUUID.byteCount)),
      segment: SegmentID(rawValue: reader.get(Offset.segment)),
      segmentByteCount: Int(segmentByteCount), createdNanoseconds: reader.get(Offset.created),
      writer: WriterID(rawValue: reader.get(Offset.writer)),
      counters: try Counters(decoding: reader.get(Offset.counters, byteCount: Counters.byteCount)))
  }
}

/// The next number of each kind that has not been given out.
struct Counters: Hashable, Sendable {
  static let byteCount = Offset.end

  var nextFile: UInt64 = 1
  var nextPart: UInt64 = 1
  var nextSegment: UInt64 = 1
  var nextWriter: UInt64 = 1
  var nextSequence: UInt64 = 1

  enum Offset {
    static let nextFile = 0
    static let nextPart = nextFile + 8
    static let nextSegment = nextPart + 8
    static let nextWriter = nextSegment + 8
    static let nextSequence = nextWriter + 8
    static let end = nextSequence + 8

    static let fields = FormatField.list(
      [
        "nextFile": nextFile, "nextPart": nextPart, "nextSegment": nextSegment, "nextWriter": nextWriter,
        "nextSequence": nextSequence,
      ], end: end)
  }

  init() {}

  /// Takes `count` numbers that follow one another.
  mutating func take(
    _ counter: WritableKeyPath<Counters, UInt64>, _ count: UInt64 = 1
  ) throws(StoreError) -> Range<UInt64> {
    let first = self[keyPath: counter]
    let (end, overflowed) = first.addingReportingOverflow(count)
    guard !overflowed else { throw StoreError(index: FormatFailure(.damaged, "a counter has reached its end")) }
    self[keyPath: counter] = end
    return first..<end
  }

  /// The higher of each pair.
  func raised(to other: Counters) -> Counters {
    var result = self
    for counter in [\Counters.nextFile, \.nextPart, \.nextSegment, \.nextWriter, \.nextSequence] {
      result[keyPath: counter] = max(self[keyPath: counter], other[keyPath: counter])
    }
    return result
  }

  func encoded() -> [UInt8] {
    var writer = ByteWriter(byteCount: Counters.byteCount)
    writer.put(nextFile, at: Offset.nextFile)
    writer.put(nextPart, at: Offset.nextPart)
    writer.put(nextSegment, at: Offset.nextSegment)
    writer.put(nextWriter, at: Offset.nextWriter)
    writer.put(nextSequence, at: Offset.nextSequence)
    return writer.bytes
  }

  init(decoding bytes: [UInt8]) throws(FormatFailure) {
    guard bytes.count == Counters.byteCount else {
      throw FormatFailure(.damaged, "counters of \(bytes.count) bytes, \(Counters.byteCount) expected")
    }
    let reader = ByteReader(bytes)
    nextFile = reader.get(Offset.nextFile)
    nextPart = reader.get(Offset.nextPart)
    nextSegment = reader.get(Offset.nextSegment)
    nextWriter = reader.get(Offset.nextWriter)
    nextSequence = reader.get(Offset.nextSequence)
  }
}
