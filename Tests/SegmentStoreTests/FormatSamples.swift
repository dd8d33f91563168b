import Codecs

@testable import SegmentStore

/// One of everything that the format has, with every field different from zero.
enum Samples {
  static let uuid = StoreUUID(bytes: (1...16).map { UInt8($0) })
  static let superblock = Superblock(
    uuid: uuid, segmentByteCount: 1 << 20, partByteCount: 8192, createdNanoseconds: 1_700_000_000_123_456_789,
    quotaByteCount: 1 << 40)
  static let footerFileByteCount = 4096 + 640 + 5 * RecordHeader.byteCount + SegmentFooter.trailerByteCount
  static let footer = SegmentFooter(
    segment: SegmentID(rawValue: 7), storePrefix: uuid.prefix, recordCount: 5, tableOffset: 4096 + 640,
    tableChecksum: 0xDEAD_BEEF)
  static let location = RecordLocation(segment: SegmentID(rawValue: 3), offset: 4096, recordByteCount: 192)
  static let digest = MD5Digest(bytes: (100..<116).map { UInt8($0) })
  static let partEntry = PartEntry(
    segment: SegmentID(rawValue: 7), offset: 8192, storedByteCount: 1000, rawByteCount: 4096, codec: .zlib,
    digest: digest)
  static let segmentEntry = SegmentEntry(
    state: .sealed, owner: WriterID(rawValue: 4), usedByteCount: 8960, liveByteCount: 4000, recordCount: 12)

  static let recordHeader = RecordHeader(
    kind: .part, codec: .zlib, rawByteCount: 4096, storedByteCount: 1000, storedChecksum: 0x0102_0304,
    segment: SegmentID(rawValue: 7), offset: 8192, storePrefix: uuid.prefix, sequence: Sequence(rawValue: 77),
    part: PartID(rawValue: 88), file: FileID(rawValue: 99), partNumber: 5, digest: digest)

  static var segmentHeader: SegmentHeader {
    var counters = Counters()
    counters.nextFile = 1
    counters.nextPart = 2
    counters.nextSegment = 3
    counters.nextWriter = 4
    counters.nextSequence = 5
    return SegmentHeader(
      uuid: uuid, segment: SegmentID(rawValue: 7), segmentByteCount: 1 << 20, createdNanoseconds: 5,
      writer: WriterID(rawValue: 6), counters: counters)
  }

  static var fileEntry: FileEntry {
    get throws {
      FileEntry(
        state: .ready, writer: WriterID(rawValue: 4), manifestLocation: location, commit: Sequence(rawValue: 9),
        remainingPartCount: 0, manifest: try manifest(extentCount: 2, nameByteCount: 5),
        isResumable: true)
    }
  }

  /// A manifest of `extentCount` extents of two parts each, the last part half full.
  static func manifest(extentCount: Int, nameByteCount: Int) throws -> Manifest {
    let partCount = extentCount * 2
    let byteCount = max(0, partCount * 4096 - 2048)
    return Manifest(
      byteCount: byteCount, storedByteCount: byteCount / 2, createdNanoseconds: 5, modifiedNanoseconds: -6,
      mode: 0o644, partByteCount: 4096, partCount: partCount, etagDigest: digest,
      name: try FileName([UInt8](repeating: 97, count: nameByteCount)),
      extents: (0..<extentCount).map { PartExtent(first: PartID(rawValue: UInt64($0 * 10 + 1)), count: 2) })
  }

  static func decodeRecord(_ bytes: [UInt8]) throws(FormatFailure) -> RecordHeader {
    try RecordHeader(
      decoding: bytes, segment: recordHeader.segment, offset: recordHeader.offset,
      storePrefix: recordHeader.storePrefix)
  }
}
