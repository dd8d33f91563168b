import StorageIO

/// The file `CHUNKS`: what the store is. Written once, never changed.
struct ChunkSuperblock: Hashable, Sendable {
  static let fileName = Array("CHUNKS".utf8)
  static let byteCount = 4096
  private static let magic = Array("PFSTYPED".utf8)
  private static let uuidByteCount = 16

  let uuid: [UInt8]
  let chunkByteCount: Int
  let createdNanoseconds: Int64

  private enum Offset {
    static let magic = 0
    static let version = magic + 8
    static let byteCount = version + 4
    static let uuid = byteCount + 4
    static let chunkByteCount = uuid + uuidByteCount
    static let created = chunkByteCount + 8
    static let reserved = created + 8
    static let checksum = ChunkSuperblock.byteCount - 4
  }

  init(uuid: [UInt8], chunkByteCount: Int, createdNanoseconds: Int64) {
    precondition(uuid.count == ChunkSuperblock.uuidByteCount, "a UUID has 16 bytes")
    self.uuid = uuid
    self.chunkByteCount = chunkByteCount
    self.createdNanoseconds = createdNanoseconds
  }

  func encoded() -> [UInt8] {
    var writer = ByteWriter(byteCount: ChunkSuperblock.byteCount)
    writer.put(ChunkSuperblock.magic, at: Offset.magic)
    writer.put(ChunkFormat.version, at: Offset.version)
    writer.put(UInt32(ChunkSuperblock.byteCount), at: Offset.byteCount)
    writer.put(uuid, at: Offset.uuid)
    writer.put(UInt64(chunkByteCount), at: Offset.chunkByteCount)
    writer.put(createdNanoseconds, at: Offset.created)
    writer.put(checksum(Array(writer.bytes[..<Offset.checksum])), at: Offset.checksum)
    return writer.bytes
  }

  init(decoding bytes: [UInt8]) throws(FormatFailure) {
    guard bytes.starts(with: ChunkSuperblock.magic) else {
      throw FormatFailure(.notThisKind, "the file CHUNKS does not begin as that of a store does")
    }
    guard bytes.count == ChunkSuperblock.byteCount else {
      throw FormatFailure(.damaged, "CHUNKS: \(ChunkSuperblock.byteCount) bytes expected, \(bytes.count) found")
    }
    let reader = ByteReader(bytes)
    // Before the checksum, which a newer format may have elsewhere.
    let version: UInt32 = reader.get(Offset.version)
    if version > ChunkFormat.version {
      throw FormatFailure(.newerVersion, "format \(version); this program reads up to \(ChunkFormat.version)")
    }
    let (computed, stored) = (checksum(Array(bytes[..<Offset.checksum])), reader.get(Offset.checksum, as: UInt32.self))
    guard computed == stored else {
      throw FormatFailure(.damaged, "CHUNKS: stored CRC32C \(hex(stored)), bytes give \(hex(computed))")
    }
    let chunkByteCount = Int(clamping: reader.get(Offset.chunkByteCount, as: UInt64.self))
    guard version >= 1, reader.get(Offset.byteCount, as: UInt32.self) == ChunkSuperblock.byteCount,
      ChunkFormat.chunkByteCounts.contains(chunkByteCount), reader.isZero(Offset.reserved..<Offset.checksum)
    else { throw FormatFailure(.damaged, "CHUNKS: chunks of \(chunkByteCount) bytes, or reserved bytes used") }
    self.init(
      uuid: reader.get(Offset.uuid, byteCount: ChunkSuperblock.uuidByteCount), chunkByteCount: chunkByteCount,
      createdNanoseconds: reader.get(Offset.created))
  }
}
