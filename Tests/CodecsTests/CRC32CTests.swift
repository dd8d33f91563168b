import Codecs
import Testing

@Suite("CRC32C") struct CRC32CTests {
  @Test("gives the check value of the standard")
  func checkValue() {
    #expect(Array("123456789".utf8).lend { CRC32C.checksum(of: $0) } == 0xe306_9283)
  }

  @Test("gives the values of RFC 3720 for 32 bytes")
  func standardVectors() {
    #expect([UInt8](repeating: 0, count: 32).lend { CRC32C.checksum(of: $0) } == 0x8a91_36aa)
    #expect([UInt8](repeating: 0xff, count: 32).lend { CRC32C.checksum(of: $0) } == 0x62a8_ab43)
    #expect([UInt8](0..<32).lend { CRC32C.checksum(of: $0) } == 0x46dd_794e)
  }

  @Test("agrees with the polynomial bit by bit", arguments: seeds)
  func lengths(seed: UInt64) {
    let bytes = randomBytes(600, seed: seed)
    for byteCount in [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 63, 64, 65, 255, 256, 257, 599, 600] {
      let part = Array(bytes[..<byteCount])
      #expect(part.lend { CRC32C.checksum(of: $0) } == bitwise(part), "\(byteCount) bytes, seed \(seed)")
    }
  }

  @Test("continues where it stopped, at any cut", arguments: seeds)
  func continuation(seed: UInt64) {
    let bytes = randomBytes(200, seed: seed)
    let whole = bytes.lend { CRC32C.checksum(of: $0) }
    for cut in 0...bytes.count {
      let first = Array(bytes[..<cut]).lend { CRC32C.checksum(of: $0) }
      let both = Array(bytes[cut...]).lend { CRC32C.checksum(of: $0, continuing: first) }
      #expect(both == whole, "cut at \(cut), seed \(seed)")
    }
  }

  @Test("is the same in runs as in one go", arguments: [1, 7, 64, 199, 200, 201])
  func runs(runByteCount: Int) {
    let bytes = randomBytes(200, seed: 5)
    let inRuns = bytes.lend { CRC32C.checksum(of: $0, continuing: 0, runByteCount: runByteCount) }
    #expect(inRuns == bitwise(bytes))
  }

  /// The reflected Castagnoli polynomial, one bit at a time.
  private func bitwise(_ bytes: [UInt8]) -> UInt32 {
    var register = UInt32.max
    for byte in bytes {
      register ^= UInt32(byte)
      for _ in 0..<8 { register = register >> 1 ^ (register & 1 == 1 ? 0x82f6_3b78 : 0) }
    }
    return ~register
  }
}
