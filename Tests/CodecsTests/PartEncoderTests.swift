import Codecs
import Testing

@Suite("PartEncoder") struct PartEncoderTests {
  private let encoder = PartEncoder()
  private let decoder = PartDecoder()

  @Test("gives back at every level what it was given", arguments: 1...9)
  func zlibRoundTrip(level: Int) throws {
    let mebibyte = 1 << 20
    let parts = [
      [], [7], [0, 0], textBytes(4096, seed: 5), textBytes(mebibyte, seed: 6), randomBytes(100_000, seed: 7),
      [UInt8](repeating: 0, count: 70_000),
    ]
    for raw in parts {
      let stored = try #require(
        try encoder.encoded(raw, .zlib, level: level, capacity: raw.count + raw.count / 1000 + 64))
      #expect(try decoder.decoded(stored, .zlib, byteCount: raw.count) == raw, "\(raw.count) bytes")
      if raw.count == mebibyte { #expect(stored.count < mebibyte / 2) }
    }
  }

  @Test("keeps 1 MiB of random bytes intact")
  func incompressible() throws {
    let raw = randomBytes(1 << 20, seed: 8)
    let stored = try #require(try encoder.encoded(raw, .zlib, level: 1, capacity: raw.count + 4096))
    #expect(stored.count > raw.count)
    #expect(try decoder.decoded(stored, .zlib, byteCount: raw.count) == raw)
  }

  @Test("copies stored parts", arguments: [0, 1, 4095, 1 << 20])
  func storedRoundTrip(byteCount: Int) throws {
    let raw = randomBytes(byteCount, seed: 9)
    let stored = try encoder.encoded(raw, .stored, capacity: byteCount + 3)
    #expect(stored == raw)
    #expect(try decoder.decoded(raw, .stored, byteCount: byteCount) == raw)
  }

  @Test("takes no bytes for zeros", arguments: [0, 1, 4095, 1 << 20])
  func zerosRoundTrip(byteCount: Int) throws {
    let raw = [UInt8](repeating: 0, count: byteCount)
    #expect(try encoder.encoded(raw, .zeros, capacity: 0) == [])
    #expect(try decoder.decoded([], .zeros, byteCount: byteCount) == raw)
  }

  @Test("refuses to encode as zeros what is not zero")
  func zerosOfSomething() async {
    await #expect(processExitsWith: .failure) {
      _ = try PartEncoder().encoded([0, 0, 1], .zeros, capacity: 3)
    }
  }

  @Test("writes the header and the Adler-32 of RFC 1950", arguments: 1...9, [0, 1, 5000, 20_000])
  func zlibFormat(level: Int, byteCount: Int) throws {
    let raw = textBytes(byteCount, seed: 10)
    let stored = try #require(try encoder.encoded(raw, .zlib, level: level, capacity: byteCount + 64))
    #expect(stored[0] == 0x78)
    #expect((Int(stored[0]) << 8 | Int(stored[1])) % 31 == 0)
    #expect(stored[1] & 0x20 == 0)
    #expect(stored.suffix(4).reduce(0) { sum, byte in sum << 8 | UInt32(byte) } == adler32(raw))
  }

  @Test("encodes the same whatever the encoder did before")
  func reuse() throws {
    let raw = textBytes(30_000, seed: 11)
    for level in [1, 9, 3, 4, 1, 6, 6, 9] {
      let fresh = try PartEncoder().encoded(raw, .zlib, level: level, capacity: raw.count)
      #expect(try encoder.encoded(raw, .zlib, level: level, capacity: raw.count) == fresh)
      #expect(try encoder.encoded(raw, .zlib, level: 10 - level, capacity: 100) == nil)
      _ = raw.lend { encoder.looksCompressible($0) }
      #expect(try encoder.encoded(raw, .zlib, level: level, capacity: raw.count) == fresh)
    }
  }

  @Test("says nil when the part does not fit, and only then", arguments: [0, 1, 500, 50_000])
  func doesNotFit(byteCount: Int) throws {
    let raw = randomBytes(byteCount, seed: 12)
    for codec in [Codec.stored, .zlib] {
      let stored = try #require(try encoder.encoded(raw, codec, capacity: byteCount + 200))
      #expect(try encoder.encoded(raw, codec, capacity: stored.count) == stored, "\(codec)")
      for missing in [1, 2, 5, stored.count] where 0 < missing && missing <= stored.count {
        #expect(try encoder.encoded(raw, codec, capacity: stored.count - missing) == nil, "\(codec) less \(missing)")
      }
      #expect(try encoder.encoded(raw, codec, capacity: stored.count) == stored, "\(codec) again")
    }
  }

  @Test("throws for a codec it does not have", arguments: [Codec.zstd, .lz4, Codec(rawValue: 5), Codec(rawValue: 255)])
  func unsupported(codec: Codec) {
    #expect(!codec.isSupported)
    let failure = #expect(throws: CodecFailure.self) { try encoder.encoded([1], codec, capacity: 9) }
    #expect(failure?.code == .unsupportedCodec)
  }

  @Test("tells parts that compress from parts that do not")
  func looksCompressible() {
    let byteCount = 1 << 20
    let random = randomBytes(byteCount, seed: 13)
    #expect(textBytes(byteCount, seed: 14).lend { encoder.looksCompressible($0) })
    #expect([UInt8](repeating: 0, count: byteCount).lend { encoder.looksCompressible($0) })
    #expect(!random.lend { encoder.looksCompressible($0) })
    #expect(Array(random[..<(16 << 10)]).lend { encoder.looksCompressible($0) })
    #expect(!Array(random[..<(16 << 10 + 1)]).lend { encoder.looksCompressible($0) })
    let mixed = Array(random[..<(byteCount / 2)]) + textBytes(byteCount / 2, seed: 15)
    #expect(mixed.lend { encoder.looksCompressible($0) })
  }

  private func adler32(_ bytes: [UInt8]) -> UInt32 {
    var (low, high) = (UInt32(1), UInt32(0))
    for byte in bytes {
      low = (low + UInt32(byte)) % 65521
      high = (high + low) % 65521
    }
    return high << 16 | low
  }
}

@Suite("Codec") struct CodecTests {
  @Test("has the numbers and names of the record format")
  func numbers() {
    let codecs: [Codec] = [.stored, .zlib, .zstd, .lz4, .zeros]
    #expect(codecs.map(\.rawValue) == [0, 1, 2, 3, 4])
    #expect(codecs.map(\.description) == ["stored", "zlib", "zstd", "lz4", "zeros"])
    #expect(codecs.map(\.isSupported) == [true, true, false, false, true])
    #expect(Codec(rawValue: 9).description == "codec 9")
  }
}
