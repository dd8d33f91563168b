import Codecs
import StorageIO

/// The checksum of the bytes of an object: CRC32C over all blocks that hold anything but zeros, each behind its number.
///
/// A hole has no share in it and is not read, so that sealing a large sparse array costs what is in it.
enum PayloadSum {
  static let blockByteCount = 64 << 10

  static func sum(of range: Range<Int>, in map: ChunkMap) throws(ChunkStoreError) -> UInt32 {
    var sum: UInt32 = 0
    var offset = range.lowerBound
    while offset < range.upperBound {
      guard let data = try map.nextData(from: offset), data < range.upperBound else { break }
      let dataEnd = min(try map.nextHole(from: data), range.upperBound)
      // Whole blocks, counted from the start of the object.
      var block = (max(data, offset) - range.lowerBound) / blockByteCount
      while range.lowerBound + block * blockByteCount < dataEnd {
        let start = range.lowerBound + block * blockByteCount
        let end = min(start + blockByteCount, range.upperBound)
        let (number, previous) = (block, sum)
        sum = try map.withBytes(start..<end) { (bytes) throws(ChunkStoreError) in
          ZeroCheck.isAllZero(bytes) ? previous : add(bytes, block: number, to: previous)
        }
        block += 1
      }
      offset = range.lowerBound + block * blockByteCount
    }
    return sum
  }

  private static func add(_ bytes: RawSpan, block: Int, to sum: UInt32) -> UInt32 {
    var writer = ByteWriter(byteCount: 8)
    writer.put(UInt64(block), at: 0)
    return CRC32C.checksum(of: bytes, continuing: checksum(writer.bytes, continuing: sum))
  }
}
