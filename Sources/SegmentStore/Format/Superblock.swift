import Codecs
import StorageIO

/// The file `STORE`: what the store is and how it was made. Written once, never changed.
struct Superblock: Hashable, Sendable {
  static let fileName = Array("STORE".utf8)
  static let byteCount = 4096
  static let magic = Array("PFSSTORE".utf8)

  let uuid: StoreUUID
  let segmentByteCount: Int
  let partByteCount: Int
  let createdNanoseconds: Int64
  /// Nil when there is none.
  let quotaByteCount: Int?

  enum Offset {
    static let magic = 0
    static let version = magic + 8
    static let byteCount = version + 4
    static let compatibleFlags = byteCount + 4
    static let incompatibleFlags = compatibleFlags + 8
    static let uuid = incompatibleFlags + 8
    static let segmentByteCount = uuid + StoreUUID.byteCount
    static let partByteCount = segmentByteCount + 8
    static let created = partByteCount + 8
    static let quotaByteCount = created + 8
    static let reserved = quotaByteCount + 8
    static let checksum = Superblock.byteCount - 4

    static let fields = FormatField.list(
      [
        "magic": magic, "version": version, "byteCount": byteCount, "compatibleFlags": compatibleFlags,
        "incompatibleFlags": incompatibleFlags, "uuid": uuid, "segmentByteCount": segmentByteCount,
        "partByteCount": partByteCount, "created": created, "quotaByteCount": quotaByteCount,
        "reserved": reserved, "checksum": checksum,
      ], end: Superblock.byteCount)
  }

  func encoded() -> [UInt8] {
    var writer = ByteWriter(byteCount: Superblock.byteCount)
    writer.put(Superblock.magic, at: Offset.magic)
    writer.put(Format.version, at: Offset.version)
    writer.put(UInt32(Superblock.byteCount), at: Offset.byteCount)
    writer.put(uuid.bytes, at: Offset.uuid)
    writer.put(UInt64(segmentByteCount), at: Offset.segmentByteCount)
    writer.put(UInt64(partByteCount), at: Offset.partByteCount)
    writer.put(createdNanoseconds, at: Offset.created)
    writer.put(UInt64(quotaByteCount ?? 0), at: Offset.quotaByteCount)
    writer.put(CRC32C.checksum(of: writer.bytes, upTo: Offset.checksum), at: Offset.checksum)
    return writer.bytes
  }

  init(
    uuid: StoreUUID, segmentByteCount: Int, partByteCount: Int, createdNanoseconds: Int64, quotaByteCount: Int? = nil
  ) {
    self.uuid = uuid
    self.segmentByteCount = segmentByteCount
    self.partByteCount = partByteCount
    self.createdNanoseconds = createdNanoseconds
    self.quotaByteCount = quotaByteCount
  }

  init(decoding bytes: [UInt8]) throws(FormatFailure) {
    guard bytes.starts(with: Superblock.magic) else {
      throw FormatFailure(.notThisKind, "the file STORE does not begin as a pfs superblock does")
    }
    guard bytes.count == Superblock.byteCount else {
      throw FormatFailure(.damaged, "STORE: \(Superblock.byteCount) bytes expected, \(bytes.count) found")
    }
    let reader = ByteReader(bytes)
    // The version before the checksum: a newer format may place its checksum elsewhere.
    let version: UInt32 = reader.get(Offset.version)
    let unknownFlags = reader.get(Offset.incompatibleFlags, as: UInt64.self) & ~Format.knownIncompatibleFlags
    if version > Format.version {
      throw FormatFailure(.newerVersion, "format version \(version); this program reads up to \(Format.version)")
    }
    let computed = CRC32C.checksum(of: bytes, upTo: Offset.checksum)
    let stored: UInt32 = reader.get(Offset.checksum)
    guard computed == stored else {
      throw FormatFailure(.damaged, "STORE: stored CRC32C \(hex(stored)), bytes give \(hex(computed))")
    }
    if unknownFlags != 0 {
      throw FormatFailure(.newerVersion, "feature bits 0x\(String(unknownFlags, radix: 16)), unknown to this program")
    }
    let segmentByteCount: UInt64 = reader.get(Offset.segmentByteCount)
    let partByteCount: UInt64 = reader.get(Offset.partByteCount)
    let byteCount: UInt32 = reader.get(Offset.byteCount)
    guard version >= 1, byteCount == Superblock.byteCount,
      Format.segmentByteCounts.contains(Int(clamping: segmentByteCount)),
      segmentByteCount.nonzeroBitCount == 1, partByteCount >= UInt64(Format.minimumPartByteCount),
      partByteCount <= UInt64(Format.maximumPartByteCount(segmentByteCount: Int(segmentByteCount))),
      reader.isZero(Offset.reserved..<Offset.checksum)
    else {
      throw FormatFailure(
        .damaged, "STORE: segments of \(segmentByteCount) and parts of \(partByteCount) bytes, or reserved bytes used")
    }
    let quotaByteCount = Int(clamping: reader.get(Offset.quotaByteCount, as: UInt64.self))
    self.init(
      uuid: StoreUUID(bytes: reader.get(Offset.uuid, byteCount: StoreUUID.byteCount)),
      segmentByteCount: Int(segmentByteCount), partByteCount: Int(partByteCount),
      createdNanoseconds: reader.get(Offset.created), quotaByteCount: quotaByteCount == 0 ? nil : quotaByteCount)
  }
}

/// A checksum as messages show it.
func hex(_ checksum: UInt32) -> String {
  let digits = String(checksum, radix: 16)
  return String(repeating: "0", count: 8 - digits.count) + digits
}

extension CRC32C {
  /// The checksum of the first `end` bytes.
  static func checksum(of bytes: [UInt8], from start: Int = 0, upTo end: Int) -> UInt32 {
    Array(bytes[start..<end]).withRawSpan { CRC32C.checksum(of: $0) }
  }
}
