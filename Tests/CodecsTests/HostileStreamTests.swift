import Codecs
import Testing

/// What the decoders of zstd and lz4, whose formats carry no checksum here, do with bytes that nobody wrote: they yield
/// as many bytes as were asked for, or fail. Whether these are the right bytes the MD5 of the part tells.
@Suite("Hostile streams") struct HostileStreamTests {
  static let codecs = [Codec.zlib, .zstd, .lz4]
  private let decoder = PartDecoder()
  private let raw = textBytes(600, seed: 20)

  private func stored(_ codec: Codec) throws -> [UInt8] {
    try #require(try PartEncoder.encoded(raw, codec, capacity: 700))
  }

  private func isDamage(_ failure: CodecFailure?) -> Bool {
    failure?.code == .damagedStream || failure?.code == .wrongLength
  }

  @Test("that are cut off are reported", arguments: codecs)
  func truncated(codec: Codec) throws {
    let stored = try stored(codec)
    for byteCount in 0..<stored.count {
      let failure = decoder.failure(Array(stored[..<byteCount]), codec, byteCount: raw.count)
      #expect(isDamage(failure), "\(byteCount) of \(stored.count) bytes")
    }
  }

  @Test("with bytes behind their end are reported", arguments: codecs)
  func extended(codec: Codec) throws {
    let stored = try stored(codec)
    // A skippable frame of zstd, which would add nothing; and a second whole stream.
    let extras = [[0], randomBytes(64, seed: 21), [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0], stored]
    for extra in extras {
      #expect(isDamage(decoder.failure(stored + extra, codec, byteCount: raw.count)))
      #expect(isDamage(decoder.failure(extra + stored, codec, byteCount: raw.count)))
    }
  }

  @Test("of another length than expected are reported", arguments: codecs, [0, 1, 599, 601, 1200, 100_000])
  func wrongLength(codec: Codec, byteCount: Int) throws {
    let stored = try stored(codec)
    #expect(isDamage(decoder.failure(stored, codec, byteCount: byteCount)))
  }

  @Test("of no bytes at all, and for no bytes at all", arguments: codecs)
  func empty(codec: Codec) throws {
    let empty = try #require(try PartEncoder.encoded([], codec, capacity: 32))
    #expect(try decoder.decoded(empty, codec, byteCount: 0) == [])
    #expect(isDamage(decoder.failure(empty, codec, byteCount: 1)))
    for byteCount in [0, 1, 100] { #expect(isDamage(decoder.failure([], codec, byteCount: byteCount))) }
  }

  @Test("with one flipped bit give the length that was asked for, or fail", arguments: codecs)
  func flippedBits(codec: Codec) throws {
    let stored = try stored(codec)
    for position in stored.indices {
      for bit in 0..<8 {
        var damaged = stored
        damaged[position] ^= 1 << UInt8(bit)
        try check(damaged, codec, byteCount: raw.count)
      }
    }
    #expect(try decoder.decoded(stored, codec, byteCount: raw.count) == raw, "the decoder can be used again")
  }

  @Test("of random damage and random bytes do too", arguments: codecs, seeds)
  func randomDamage(codec: Codec, seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let streams = try [1, 9].map { level in
      try #require(
        try PartEncoder.encoded(textBytes(9000, seed: seed), codec, level: level, capacity: 9000), "seed \(seed)")
    }
    for turn in 0..<2000 {
      var damaged = streams[turn % 2]
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        let first = Int.random(in: 0..<damaged.count, using: &generator)
        let last = min(damaged.count - 1, first + Int.random(in: 0...8, using: &generator))
        for position in first...last { damaged[position] = UInt8.random(in: 0...255, using: &generator) }
      }
      if turn % 8 == 0 { damaged.removeLast(Int.random(in: 1..<damaged.count, using: &generator)) }
      if turn % 16 == 5 { damaged = randomBytes(Int.random(in: 0...300, using: &generator), seed: generator.next()) }
      try check(damaged, codec, byteCount: turn % 5 == 0 ? Int.random(in: 0...20_000, using: &generator) : 9000)
    }
  }

  @Test("that are cut off give what is before the cut, and zeros behind it", arguments: [Codec.zstd, .lz4])
  func startOfTruncated(codec: Codec) throws {
    let long = textBytes(300_000, seed: 23) + randomBytes(150_000, seed: 24) + textBytes(100_000, seed: 25)
    let whole = try #require(try PartEncoder.encoded(long, codec, capacity: long.count))
    var last = 0
    for byteCount in Array(stride(from: 0, to: whole.count, by: 4999)) + [whole.count - 1, whole.count] {
      let (bytes, count) = try decoder.decodedStart(Array(whole[..<byteCount]), codec, byteCount: long.count)
      #expect(bytes == Array(long[..<count]) + [UInt8](repeating: 0, count: long.count - count), "cut at \(byteCount)")
      #expect(count >= last)
      last = count
    }
    #expect(last == long.count)
  }

  @Test("that are damaged give what is before the damage, and zeros behind what came out", arguments: codecs)
  func startOfDamaged(codec: Codec) throws {
    let long = textBytes(400_000, seed: 26)
    var damaged = try #require(try PartEncoder.encoded(long, codec, capacity: long.count))
    let middle = damaged.count / 2
    for position in middle..<middle + 64 { damaged[position] = UInt8(truncatingIfNeeded: position &* 37) }
    let (bytes, count) = try decoder.decodedStart(damaged, codec, byteCount: long.count)
    #expect(count > 100_000, "found \(count)")
    #expect(bytes.prefix(100_000) == long.prefix(100_000))
    #expect(bytes[count...].allSatisfy { $0 == 0 })
  }

  @Test("of zstd that need a dictionary, a huge window, or do not tell their length are refused")
  func zstdHeaders() {
    let magic: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd]
    let lastBlockOfOneA: [UInt8] = [0x0b, 0x00, 0x00, 0x61]
    // RFC 8878, 3.1.1: a frame of one run of one byte, as it may be, and as it may not.
    #expect(decoder.failure(magic + [0x20, 1] + lastBlockOfOneA, .zstd, byteCount: 1) == nil)
    #expect(isDamage(decoder.failure(magic + [0x21, 7, 1] + lastBlockOfOneA, .zstd, byteCount: 1)), "dictionary")
    #expect(isDamage(decoder.failure(magic + [0x00, 0x58] + lastBlockOfOneA, .zstd, byteCount: 1)), "no length")
    let wide = magic + [0x80, 0x70, 1, 0, 0, 0] + lastBlockOfOneA
    #expect(isDamage(decoder.failure(wide, .zstd, byteCount: 1)), "a window of 16 MiB")
    #expect(decoder.failure(magic + [0x80, 0x68, 1, 0, 0, 0] + lastBlockOfOneA, .zstd, byteCount: 1) == nil)
    // One of zstd 0.7.
    #expect(isDamage(decoder.failure([0x27, 0xb5, 0x2f, 0xfd, 0x20, 1] + lastBlockOfOneA, .zstd, byteCount: 1)))
  }

  /// Decodes, and salvages, in memory behind which nobody may write.
  private func check(_ damaged: [UInt8], _ codec: Codec, byteCount: Int) throws {
    let failure = decoder.failure(damaged, codec, byteCount: byteCount)
    #expect(failure == nil || isDamage(failure), "\(String(describing: failure))")
    let (bytes, count) = try decoder.decodedStart(damaged, codec, byteCount: byteCount)
    #expect((0...byteCount).contains(count))
    #expect(bytes[count...].allSatisfy { $0 == 0 })
  }
}
