import Codecs
import Mutants
import StorageIO

/// The end of a sealed segment: the headers of its records once more, in order, and a trailer that finds them.
struct SegmentFooter: Hashable, Sendable {
  static let magic = Array("PFSFOOT\n".utf8)
  static let trailerByteCount = 64

  let segment: SegmentID
  let storePrefix: UInt64
  let recordCount: Int
  let tableOffset: Int
  let tableChecksum: UInt32

  /// The bytes that a footer of `recordCount` records takes.
  static func byteCount(recordCount: Int) -> Int {
    recordCount * RecordHeader.byteCount + trailerByteCount
  }

  enum Offset {
    static let magic = 0
    static let recordCount = magic + 8
    static let tableChecksum = recordCount + 4
    static let tableOffset = tableChecksum + 4
    static let segment = tableOffset + 8
    static let storePrefix = segment + 8
    static let reserved = storePrefix + 8
    static let checksum = SegmentFooter.trailerByteCount - 4

    static let fields = FormatField.list(
      [
        "magic": magic, "recordCount": recordCount, "tableChecksum": tableChecksum, "tableOffset": tableOffset,
        "segment": segment, "storePrefix": storePrefix, "reserved": reserved, "checksum": checksum,
      ], end: SegmentFooter.trailerByteCount)
  }

  func encodedTrailer() -> [UInt8] {
    var writer = ByteWriter(byteCount: SegmentFooter.trailerByteCount)
    writer.put(SegmentFooter.magic, at: Offset.magic)
    writer.put(UInt32(recordCount), at: Offset.recordCount)
    writer.put(tableChecksum, at: Offset.tableChecksum)
    writer.put(UInt64(tableOffset), at: Offset.tableOffset)
    writer.put(segment.rawValue, at: Offset.segment)
    writer.put(storePrefix, at: Offset.storePrefix)
    writer.put(CRC32C.checksum(of: writer.bytes, upTo: Offset.checksum), at: Offset.checksum)
    return writer.bytes
  }

  init(segment: SegmentID, storePrefix: UInt64, recordCount: Int, tableOffset: Int, tableChecksum: UInt32) {
    self.segment = segment
    self.storePrefix = storePrefix
    self.recordCount = recordCount
    self.tableOffset = tableOffset
    self.tableChecksum = tableChecksum
  }

  init(decodingTrailer bytes: [UInt8], fileByteCount: Int) throws(FormatFailure) {
    guard bytes.count == SegmentFooter.trailerByteCount, bytes.starts(with: SegmentFooter.magic) else {
      throw FormatFailure(.notThisKind, "no segment footer")
    }
    let reader = ByteReader(bytes)
    let computed = CRC32C.checksum(of: bytes, upTo: Offset.checksum)
    let stored: UInt32 = reader.get(Offset.checksum)
    guard computed == stored || Mutant.noFooterChecksum.isActive else {
      throw FormatFailure(.damaged, "segment footer: stored CRC32C \(hex(stored)), bytes give \(hex(computed))")
    }
    self.init(
      segment: SegmentID(rawValue: reader.get(Offset.segment)), storePrefix: reader.get(Offset.storePrefix),
      recordCount: Int(reader.get(Offset.recordCount, as: UInt32.self)),
      tableOffset: Int(clamping: reader.get(Offset.tableOffset, as: UInt64.self)),
      tableChecksum: reader.get(Offset.tableChecksum))
    let tableByteCount = recordCount * RecordHeader.byteCount
    guard tableOffset >= SegmentHeader.byteCount,
      tableOffset <= fileByteCount - SegmentFooter.trailerByteCount,
      fileByteCount - SegmentFooter.trailerByteCount - tableOffset == tableByteCount,
      reader.isZero(Offset.reserved..<Offset.checksum)
    else {
      throw FormatFailure(.damaged, "segment footer: \(recordCount) records at \(tableOffset) of \(fileByteCount)")
    }
  }
}
