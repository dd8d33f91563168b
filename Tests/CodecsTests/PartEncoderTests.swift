import Codecs
import Testing

@Suite("PartEncoder") struct PartEncoderTests {
  private let decoder = PartDecoder()

  @Test("keeps 1 MiB of random bytes intact", arguments: Method.some)
  func incompressible(method: Method) throws {
    let raw = randomBytes(1 << 20, seed: 8)
    let stored = try #require(
      try PartEncoder.encoded(raw, method.codec, level: method.level, capacity: raw.count + 8192))
    #expect(stored.count > raw.count)
    #expect(try decoder.decoded(stored, method.codec, byteCount: raw.count) == raw)
  }

  @Test("copies stored parts", arguments: [0, 1, 4095, 1 << 20])
  func storedRoundTrip(byteCount: Int) throws {
    let raw = randomBytes(byteCount, seed: 9)
    #expect(try decoder.decoded(raw, .stored, byteCount: byteCount) == raw)
  }

  @Test("decodes zeros from no bytes", arguments: [0, 1, 4095, 1 << 20])
  func zeros(byteCount: Int) throws {
    #expect(try decoder.decoded([], .zeros, byteCount: byteCount) == [UInt8](repeating: 0, count: byteCount))
  }

  @Test("writes the header and the Adler-32 of RFC 1950", arguments: 1...12, [0, 1, 5000, 20_000])
  func zlibFormat(level: Int, byteCount: Int) throws {
    let raw = textBytes(byteCount, seed: 10)
    let stored = try #require(try PartEncoder.encoded(raw, .zlib, level: level, capacity: byteCount + 512))
    #expect(stored[0] == 0x78)
    #expect((Int(stored[0]) << 8 | Int(stored[1])) % 31 == 0)
    #expect(stored[1] & 0x20 == 0)
    #expect(stored.suffix(4).reduce(0) { sum, byte in sum << 8 | UInt32(byte) } == adler32(raw))
  }

  @Test("writes one zstd frame that tells its length and needs no dictionary", arguments: [0, 1, 5000, 300_000])
  func zstdFormat(byteCount: Int) throws {
    let raw = textBytes(byteCount, seed: 10)
    for level in [1, 9, 19] {
      let stored = try #require(try PartEncoder.encoded(raw, .zstd, level: level, capacity: byteCount + 512))
      // RFC 8878, 3.1.1: magic number, then flags: length of the content size, single segment, checksum, dictionary.
      #expect(stored.starts(with: [0x28, 0xb5, 0x2f, 0xfd]))
      #expect(stored[4] & 0x20 != 0, "one segment: its window is the part")
      #expect(stored[4] & 0x07 == 0, "neither checksum nor dictionary")
    }
  }

  @Test("says nil when the part does not fit, and writes nothing behind its room", arguments: [1, 500, 5_000, 50_000])
  func doesNotFit(byteCount: Int) throws {
    for raw in [randomBytes(byteCount, seed: 12), textBytes(byteCount, seed: 13)] {
      for method in Method.some {
        let stored = try #require(
          try PartEncoder.encoded(raw, method.codec, level: method.level, capacity: byteCount + 4096))
        for missing in [1, 2, 5, stored.count / 2, stored.count - 1, stored.count] where missing <= stored.count {
          let short = try PartEncoder.encoded(
            raw, method.codec, level: method.level, capacity: stored.count - missing)
          // Where there is less room an engine may find another way, but none that takes more than there is.
          if let short {
            #expect(short.count <= stored.count - missing)
            #expect(try decoder.decoded(short, method.codec, byteCount: byteCount) == raw)
          }
        }
        #expect(try PartEncoder.encoded(raw, method.codec, level: method.level, capacity: 0) == nil)
      }
    }
  }

  @Test("tells parts that compress from parts that do not", arguments: Method.some)
  func looksCompressible(method: Method) throws {
    func looks(_ raw: [UInt8]) throws -> Bool {
      try PartEncoder.looksCompressible(raw, method.codec, level: method.level)
    }
    let byteCount = 1 << 20
    let random = randomBytes(byteCount, seed: 13)
    #expect(try looks(textBytes(byteCount, seed: 14)))
    #expect(try looks([UInt8](repeating: 0, count: byteCount)))
    #expect(try !looks(random))
    #expect(try looks(Array(random[..<(16 << 10)])))
    #expect(try !looks(Array(random[..<(16 << 10 + 1)])))
    #expect(try looks(Array(random[..<(byteCount / 2)]) + textBytes(byteCount / 2, seed: 15)))
  }

  @Test("refuses a level that the codec does not have", arguments: [0, 13, 20, -1])
  func levels(level: Int) async {
    #expect(!Compression(.zlib, level: level).levels.contains(level))
    #expect(!Compression(.lz4, level: level).levels.contains(level))
    #expect(Compression(.zstd, level: level).levels.contains(level) == (level == 13))
    await #expect(processExitsWith: .failure) { _ = try PartEncoder.encoded([1], .zlib, level: 13, capacity: 100) }
  }
}

@Suite("Codec") struct CodecTests {
  @Test("has the numbers and names of the record format")
  func numbers() {
    let codecs: [Codec] = [.stored, .zlib, .zstd, .lz4, .zeros]
    #expect(codecs.map(\.rawValue) == [0, 1, 2, 3, 4])
    #expect(codecs.map(\.description) == ["stored", "zlib", "zstd", "lz4", "zeros"])
    #expect(codecs.map(\.isSupported) == [true, true, true, true, true])
    #expect(!Codec(rawValue: 5).isSupported)
    #expect(Codec(rawValue: 9).description == "codec 9")
  }
}
