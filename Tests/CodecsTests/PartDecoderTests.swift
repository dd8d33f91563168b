import Codecs
import Testing

@Suite("PartDecoder") struct PartDecoderTests {
  private let decoder = PartDecoder()
  private let raw: [UInt8]
  private let stored: [UInt8]

  init() throws {
    raw = textBytes(600, seed: 20)
    stored = try #require(try PartEncoder.encoded(raw, .zlib, capacity: 700))
  }

  @Test("reports every stream that is cut off as damaged")
  func truncated() {
    for byteCount in 0..<stored.count {
      let failure = decoder.failure(Array(stored[..<byteCount]), .zlib, byteCount: raw.count)
      #expect(failure?.code == .damagedStream, "\(byteCount) of \(stored.count) bytes: \(String(describing: failure))")
    }
  }

  @Test("reports bytes after the end of the stream", arguments: [1, 2, 64, 5000])
  func extended(extraByteCount: Int) {
    for extra in [[UInt8](repeating: 0, count: extraByteCount), randomBytes(extraByteCount, seed: 21)] {
      #expect(decoder.failure(stored + extra, .zlib, byteCount: raw.count)?.code == .damagedStream)
    }
    #expect(decoder.failure(stored + stored, .zlib, byteCount: raw.count)?.code == .damagedStream)
  }

  @Test("never takes a stream with a flipped bit for another part")
  func flippedBits() throws {
    var failureCount = 0
    for position in stored.indices {
      for bit in 0..<8 {
        var damaged = stored
        damaged[position] ^= 1 << UInt8(bit)
        do throws(CodecFailure) {
          // A bit that pads the last block, or belongs to a code that is not used, may change without a change of meaning.
          #expect(try decoder.decoded(damaged, .zlib, byteCount: raw.count) == raw, "byte \(position) bit \(bit)")
        } catch {
          #expect(error.code == .damagedStream || error.code == .wrongLength, "\(error)")
          failureCount += 1
        }
      }
    }
    #expect(failureCount >= stored.count * 8 - 16)
    #expect(try decoder.decoded(stored, .zlib, byteCount: raw.count) == raw)
  }

  @Test("never takes a stream with random damage for a part of another length or Adler-32", arguments: seeds)
  func randomDamage(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<2000 {
      var damaged = stored
      let first = Int.random(in: 0..<damaged.count, using: &generator)
      let last = Int.random(in: first..<damaged.count, using: &generator)
      for position in first...last { damaged[position] = UInt8.random(in: 0...255, using: &generator) }
      for byteCount in [raw.count, Int.random(in: 0...2000, using: &generator)] {
        do throws(CodecFailure) {
          // Adler-32 is all that a stream has: "and" and "ble" are one to it. The CRC of the record and the MD5 of the
          // part are there for the rest.
          let decoded = try decoder.decoded(damaged, .zlib, byteCount: byteCount)
          #expect(
            decoded.count == raw.count && adler32(decoded) == adler32(raw),
            "damage to \(first)...\(last), seed \(seed)")
        } catch {
          #expect(error.code == .damagedStream || error.code == .wrongLength, "\(error)")
        }
      }
    }
  }

  @Test("reports a length that is not that of the part", arguments: [0, 1, 599, 601, 1200, 100_000])
  func wrongLength(byteCount: Int) {
    #expect(decoder.failure(stored, .zlib, byteCount: byteCount)?.code == .wrongLength)
    #expect(decoder.failure(raw, .stored, byteCount: byteCount)?.code == .wrongLength)
  }

  @Test("reports an empty part where bytes were expected, and the reverse")
  func emptyParts() throws {
    let empty = try #require(try PartEncoder.encoded([], .zlib, capacity: 16))
    #expect(try decoder.decoded(empty, .zlib, byteCount: 0) == [])
    #expect(decoder.failure(empty, .zlib, byteCount: 1)?.code == .wrongLength)
    #expect(decoder.failure([], .zlib, byteCount: 0)?.code == .damagedStream)
    #expect(decoder.failure([], .zlib, byteCount: 1)?.code == .damagedStream)
    #expect(decoder.failure([], .stored, byteCount: 1)?.code == .wrongLength)
    #expect(decoder.failure([0], .zeros, byteCount: 1)?.code == .damagedStream)
  }

  @Test("reports a stream that needs a dictionary as damaged")
  func presetDictionary() {
    // RFC 1950 section 2.2: FDICT is bit 5 of the second byte; 0x78bb is a multiple of 31.
    let failure = decoder.failure([0x78, 0xbb, 1, 2, 3, 4, 3, 0, 0, 0, 0, 1], .zlib, byteCount: 0)
    #expect(failure?.code == .damagedStream)
  }

  @Test("throws for a codec it does not have", arguments: [Codec(rawValue: 5), Codec(rawValue: 255)])
  func unsupported(codec: Codec) {
    #expect(decoder.failure(stored, codec, byteCount: raw.count)?.code == .unsupportedCodec)
  }

  @Test("gives what inflates before a cut, exactly, and zeros behind it")
  func startOfTruncated() throws {
    var last = 0
    for byteCount in 0...stored.count {
      let (bytes, count) = try decoder.decodedStart(Array(stored[..<byteCount]), .zlib, byteCount: raw.count)
      #expect(bytes == Array(raw[..<count]) + [UInt8](repeating: 0, count: raw.count - count), "cut at \(byteCount)")
      #expect(count >= last)
      last = count
    }
    #expect(last == raw.count)
    // One that is long enough for zlib's fast loop, which writes in larger steps.
    let long = textBytes(200_000, seed: 23)
    let whole = try #require(try PartEncoder.encoded(long, .zlib, capacity: 200_000))
    for byteCount in stride(from: 0, to: whole.count, by: 997) {
      let (bytes, count) = try decoder.decodedStart(Array(whole[..<byteCount]), .zlib, byteCount: long.count)
      #expect(bytes == Array(long[..<count]) + [UInt8](repeating: 0, count: long.count - count), "cut at \(byteCount)")
      #expect(byteCount < 2000 || count > byteCount / 2, "\(count) bytes of \(byteCount)")
    }
  }

  @Test("gives what comes out of a stream with a flipped bit, and zeros behind that")
  func startOfFlipped() throws {
    for position in stored.indices {
      var damaged = stored
      damaged[position] ^= 0x10
      let (bytes, count) = try decoder.decodedStart(damaged, .zlib, byteCount: raw.count)
      #expect((0...raw.count).contains(count))
      #expect(bytes[count...].allSatisfy { $0 == 0 }, "byte \(position)")
    }
    #expect(try decoder.decoded(stored, .zlib, byteCount: raw.count) == raw)
  }

  @Test("gives the start of a stored part, and of zeros all", arguments: [0, 1, 599, 600, 700])
  func startOfStored(byteCount: Int) throws {
    let given = Array((raw + raw)[..<byteCount])
    let (bytes, count) = try decoder.decodedStart(given, .stored, byteCount: raw.count)
    #expect(count == min(byteCount, raw.count))
    #expect(bytes == given.prefix(raw.count) + [UInt8](repeating: 0, count: raw.count - count))
    #expect(try decoder.decodedStart(given, .zeros, byteCount: 7) == ([UInt8](repeating: 0, count: 7), 7))
    #expect(throws: CodecFailure.self) { try decoder.decodedStart(given, Codec(rawValue: 5), byteCount: 7) }
  }

  @Test("says what was expected and what was found")
  func message() {
    let failure = decoder.failure(stored, .zlib, byteCount: 601)
    #expect(
      failure?.description
        == "wrongLength: zlib part of \(stored.count) stored bytes: expected 601 raw bytes, found 600")
  }
}
