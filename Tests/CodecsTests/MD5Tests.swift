import Codecs
import Testing

@Suite("MD5") struct MD5Tests {
  @Test(
    "hashes the test suite of RFC 1321",
    arguments: [
      ("", "d41d8cd98f00b204e9800998ecf8427e"),
      ("a", "0cc175b9c0f1b6a831c399e269772661"),
      ("abc", "900150983cd24fb0d6963f7d28e17f72"),
      ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
      ("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
      ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "d174ab98d277d9f5a5611c2c9f419d9f"),
      (
        "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
        "57edf4a22be3c955ac49da2e2107b67a"
      ),
    ])
  func standardVectors(message: String, expected: String) {
    let bytes = Array(message.utf8)
    #expect(bytes.lend { MD5.digest(of: $0) }.description == expected)
    for laneCount in MD5.supportedLaneCounts {
      let parts = [Range<Int>](repeating: bytes.indices, count: 3)
      let digests = bytes.lend { MD5.digests(of: parts, in: $0, laneCount: laneCount) }
      #expect(digests.map(\.description) == [expected, expected, expected], "\(laneCount) lanes")
    }
    #expect(referenceMD5(bytes[...]) == bytes.lend { MD5.digest(of: $0) }.bytes)
  }

  @Test("names a kernel that this CPU has")
  func laneCount() {
    #expect(MD5.supportedLaneCounts.first == MD5.laneCount)
    #expect(MD5.supportedLaneCounts.last == 4)
  }

  @Test("hashes parts of one length, whatever the padding does to it", arguments: MD5.supportedLaneCounts)
  func equalLengths(laneCount: Int) {
    let bytes = randomBytes(41 * 130, seed: 1)
    for byteCount in [0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 129] {
      let parts = (0..<laneCount + 1).map { index in index * 130..<index * 130 + byteCount }
      expectDigests(of: parts, in: bytes, laneCount: laneCount, "\(byteCount) bytes")
    }
  }

  @Test("hashes any number of parts in one call", arguments: MD5.supportedLaneCounts)
  func anyCount(laneCount: Int) {
    let bytes = randomBytes(40 * 97 + 200, seed: 2)
    for count in 0...40 {
      let parts = (0..<count).map { index in index * 97..<index * 97 + (index * 53) % 200 }
      expectDigests(of: parts, in: bytes, laneCount: laneCount, "\(count) parts")
    }
  }

  @Test("hashes parts of mixed lengths in one call", arguments: MD5.supportedLaneCounts, seeds)
  func mixedLengths(laneCount: Int, seed: UInt64) {
    let bytes = randomBytes(20_000, seed: seed)
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<12 {
      let parts = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
        let start = Int.random(in: 0...bytes.count, using: &generator)
        let longest = Bool.random(using: &generator) ? 130 : 3000
        let byteCount = Int.random(in: 0...min(longest, bytes.count - start), using: &generator)
        return start..<start + byteCount
      }
      expectDigests(of: parts, in: bytes, laneCount: laneCount, "seed \(seed)")
    }
  }

  @Test("hashes a part of 1 MiB beside short ones", arguments: MD5.supportedLaneCounts)
  func longBesideShort(laneCount: Int) {
    let mebibyte = 1 << 20
    let bytes = randomBytes(mebibyte + 65, seed: 3)
    let long = referenceMD5(bytes[..<mebibyte])
    let longer = bytes.lend { MD5.digest(of: $0) }
    let parts = [0..<64, 0..<0, 0..<mebibyte, 0..<63, 0..<mebibyte + 65, 0..<1000, 0..<mebibyte]
    let digests = bytes.lend { MD5.digests(of: parts, in: $0, laneCount: laneCount) }
    #expect(digests[2].bytes == long)
    #expect(digests[4] == longer)
    #expect(digests[6].bytes == long)
    for index in [0, 1, 3, 5] { #expect(digests[index].bytes == referenceMD5(bytes[parts[index]])) }
  }

  @Test("hashes parts of no bytes at all")
  func emptySpan() {
    let bytes: [UInt8] = []
    let digests = bytes.lend { MD5.digests(of: [0..<0, 0..<0], in: $0) }
    #expect(digests.map(\.bytes) == [referenceMD5([]), referenceMD5([])])
  }

  @Test("refuses a part that passes the end of the bytes")
  func outOfBounds() async {
    await #expect(processExitsWith: .failure) {
      let bytes = [UInt8](repeating: 0, count: 64)
      _ = bytes.lend { MD5.digests(of: [0..<64, 1..<65], in: $0) }
    }
  }

  private func expectDigests(
    of parts: [Range<Int>], in bytes: [UInt8], laneCount: Int, _ comment: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let digests = bytes.lend { MD5.digests(of: parts, in: $0, laneCount: laneCount) }
    let expected = parts.map { part in MD5Digest(bytes: referenceMD5(bytes[part])) }
    #expect(digests == expected, "\(comment), parts \(parts)", sourceLocation: sourceLocation)
  }
}

@Suite("MD5Stream") struct MD5StreamTests {
  @Test("gives the same digest however the message is cut", arguments: seeds)
  func anyCut(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    for byteCount in [0, 1, 55, 56, 63, 64, 65, 127, 128, 129, 1000] {
      let bytes = randomBytes(byteCount, seed: seed)
      var stream = MD5Stream()
      var offset = 0
      while offset < byteCount {
        let end = min(byteCount, offset + Int.random(in: 0...130, using: &generator))
        Array(bytes[offset..<end]).lend { stream.update($0) }
        offset = end
      }
      #expect(stream.finish().bytes == referenceMD5(bytes[...]), "\(byteCount) bytes, seed \(seed)")
    }
  }

  @Test("takes digests as their bytes, and goes on after a finish")
  func digestsOfDigests() {
    var stream = MD5Stream()
    var message: [UInt8] = []
    for index in 0..<9 {
      let digest = MD5Digest(bytes: randomBytes(16, seed: UInt64(index)))
      stream.update(digest)
      message += digest.bytes
      #expect(stream.finish().bytes == referenceMD5(message[...]))
    }
  }
}

@Suite("MD5Digest") struct MD5DigestTests {
  @Test("keeps its bytes in order")
  func byteOrder() {
    let bytes = (0..<16).map { UInt8($0 * 17) }
    let digest = MD5Digest(bytes: bytes)
    #expect(digest.bytes == bytes)
    #expect(digest.description == "00112233445566778899aabbccddeeff")
    #expect(MemoryLayout<MD5Digest>.size == MD5Digest.byteCount)
  }

  @Test("equals only a digest of the same bytes", arguments: 0..<16)
  func equality(position: Int) {
    var bytes = randomBytes(16, seed: 4)
    let digest = MD5Digest(bytes: bytes)
    bytes[position] ^= 1
    #expect(MD5Digest(bytes: bytes) != digest)
    bytes[position] ^= 1
    #expect(MD5Digest(bytes: bytes).hashValue == digest.hashValue)
  }
}
