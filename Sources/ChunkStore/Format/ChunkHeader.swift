import StorageIO

/// The first page of a chunk file: of what store, which chunk, how large. Objects begin behind it.
struct ChunkHeader: Hashable, Sendable {
  static let byteCount = 4096
  private static let magic = Array("PFSCHUNK".utf8)

  let storePrefix: UInt64
  let chunk: ChunkID
  /// Of the file.
  let chunkByteCount: Int

  private enum Offset {
    static let magic = 0
    static let version = magic + 8
    static let reserved = version + 4
    static let storePrefix = reserved + 4
    static let chunk = storePrefix + 8
    static let chunkByteCount = chunk + 8
    static let checksum = chunkByteCount + 8
    /// Outside the checksum: an ``EndHint``.
    static let endHint = 64
    static let end = endHint + EndHint.byteCount
  }

  static let endHintOffset = Offset.endHint

  func encoded() -> [UInt8] {
    var writer = ByteWriter(byteCount: ChunkHeader.byteCount)
    writer.put(ChunkHeader.magic, at: Offset.magic)
    writer.put(ChunkFormat.version, at: Offset.version)
    writer.put(storePrefix, at: Offset.storePrefix)
    writer.put(chunk.rawValue, at: Offset.chunk)
    writer.put(UInt64(chunkByteCount), at: Offset.chunkByteCount)
    writer.put(checksum(Array(writer.bytes[..<Offset.checksum])), at: Offset.checksum)
    writer.put(EndHint(nextFreeOffset: ChunkHeader.byteCount).encoded(), at: Offset.endHint)
    return writer.bytes
  }

  init(storePrefix: UInt64, chunk: ChunkID, chunkByteCount: Int) {
    self.storePrefix = storePrefix
    self.chunk = chunk
    self.chunkByteCount = chunkByteCount
  }

  init(decoding bytes: [UInt8]) throws(FormatFailure) {
    guard bytes.count >= Offset.end, bytes.starts(with: ChunkHeader.magic) else {
      throw FormatFailure(.damaged, "the file does not begin as a chunk does")
    }
    let reader = ByteReader(bytes)
    let version: UInt32 = reader.get(Offset.version)
    if version > ChunkFormat.version {
      throw FormatFailure(.newerVersion, "format \(version); this program reads up to \(ChunkFormat.version)")
    }
    let (computed, stored) = (checksum(Array(bytes[..<Offset.checksum])), reader.get(Offset.checksum, as: UInt32.self))
    guard computed == stored else {
      throw FormatFailure(.damaged, "stored CRC32C \(hex(stored)), bytes give \(hex(computed))")
    }
    self.init(
      storePrefix: reader.get(Offset.storePrefix), chunk: ChunkID(rawValue: reader.get(Offset.chunk)),
      chunkByteCount: Int(clamping: reader.get(Offset.chunkByteCount, as: UInt64.self)))
  }
}

/// Where the next object of a chunk would begin. Written behind every flush for whoever looks at the file; what counts is
/// in the index, and a rebuild finds it from the objects.
struct EndHint {
  static let byteCount = 16

  let nextFreeOffset: Int

  func encoded() -> [UInt8] {
    var writer = ByteWriter(byteCount: EndHint.byteCount)
    writer.put(UInt64(nextFreeOffset), at: 0)
    writer.put(checksum(Array(writer.bytes[..<8])), at: 8)
    return writer.bytes
  }
}
