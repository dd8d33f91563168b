import Codecs
import Testing

/// A codec at a level, in the name of a test case.
struct Method: CustomTestStringConvertible, Sendable {
  let codec: Codec
  let level: Int
  var testDescription: String { "\(codec) \(level)" }

  /// One of each engine at its ends, and what lies between.
  static let some = [
    (Codec.zlib, [1, 2, 6, 9, 10, 12]), (.zstd, [1, 3, 5, 9, 13, 16, 19]), (.lz4, [1, 2, 3, 9, 12]),
  ].flatMap { codec, levels in levels.map { Method(codec: codec, level: $0) } }
  static let all = [Codec.zlib, .zstd, .lz4].flatMap { codec in
    Compression(codec).levels.map { Method(codec: codec, level: $0) }
  }
  static let fastest = [Codec.zlib, .zstd, .lz4].map { Method(codec: $0, level: 1) }
}

/// Bytes of many kinds.
private func corpora(_ byteCount: Int, seed: UInt64) -> [[UInt8]] {
  let text = textBytes(byteCount, seed: seed)
  let random = randomBytes(byteCount, seed: seed + 1)
  return [
    text, random, [UInt8](repeating: 0, count: byteCount), (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 / 3) },
    // Few symbols, no repetition; and stretches that compress beside others that do not.
    random.map { $0 & 3 },
    zip(text, random).enumerated().map { $0.offset >> 10 & 1 == 0 ? $0.element.0 : $0.element.1 },
  ]
}

@Suite("Engines") struct EngineTests {
  private let decoder = PartDecoder()

  @Test("give back at every level what they were given, at every boundary of length", arguments: Method.all)
  func lengths(method: Method) throws {
    for byteCount in [0, 1, 17, 4095, 4096, 16_385] {
      for raw in corpora(byteCount, seed: UInt64(byteCount)) { try roundTrip(raw, method) }
    }
  }

  @Test("give back parts of 1 MiB, and those of text get smaller than half", arguments: Method.some)
  func mebibyte(method: Method) throws {
    let text = textBytes(1 << 20, seed: 6)
    #expect(try roundTrip(text, method) < text.count / 2)
    try roundTrip(Array(randomBytes(1 << 19, seed: 7) + text.prefix(1 << 19)), method)
  }

  @Test("give back parts of half a segment", arguments: Method.fastest)
  func halfSegment(method: Method) throws {
    var raw: [UInt8] = []
    let block = textBytes(1 << 19, seed: 8) + randomBytes(1 << 19, seed: 9)
    for number in 0..<32 { raw += block.dropFirst(number) + block.prefix(number) }
    try roundTrip(raw, method)
  }

  @Test("give back random mixtures of random length", arguments: Method.some, seeds)
  func random(method: Method, seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<10 {
      var raw: [UInt8] = []
      for _ in 0..<Int.random(in: 1...6, using: &generator) {
        let byteCount = Int.random(in: 0...9000, using: &generator)
        raw += corpora(byteCount, seed: generator.next())[Int.random(in: 0..<6, using: &generator)]
      }
      try roundTrip(raw, method)
    }
  }

  @Test("write zlib streams that zlib, libdeflate and igzip read", arguments: 1...12)
  func zlibStreams(level: Int) throws {
    for byteCount in [0, 1, 4095, 4096, 50_000] {
      for raw in corpora(byteCount, seed: 70) {
        let stored = try #require(try PartEncoder.encoded(raw, .zlib, level: level, capacity: raw.count + 4096))
        #expect(ReferenceZlib.byZlib(stored, byteCount: byteCount) == raw)
        #expect(ReferenceZlib.byLibdeflate(stored, byteCount: byteCount) == raw)
        #expect(ReferenceZlib.byIgzip(stored, byteCount: byteCount) == raw)
      }
    }
  }

  @Test("read the streams of zlib", arguments: 0...9)
  func streamsOfZlib(level: Int) throws {
    for byteCount in [0, 1, 4095, 4096, 50_000] {
      for raw in corpora(byteCount, seed: 71) {
        let stored = try #require(ReferenceZlib.compress(raw, level: level))
        #expect(try decoder.decoded(stored, .zlib, byteCount: byteCount) == raw)
        #expect(ReferenceZlib.byIgzip(stored, byteCount: byteCount) == raw)
      }
    }
  }

  @Test("take what is in their workspace for nothing", arguments: Method.some)
  func workspaceContents(method: Method) throws {
    let raw = textBytes(30_000, seed: 11)
    let compression = Compression(method.codec, level: method.level)
    let byteCount = (compression.workspaceByteCount(partByteCount: raw.count) + 63) / 64 * 64
    let fresh = try #require(try PartEncoder.encoded(raw, method.codec, level: method.level, capacity: 40_000))
    let workspace = GuardedMemory(randomBytes(byteCount, seed: 12))
    let destination = GuardedMemory(byteCount: 40_000)
    for _ in 0..<3 {
      let count = try raw.lend { raw in
        try destination.lendMutable { destination in
          try workspace.lendMutable { workspace in
            _ = try PartEncoder.looksCompressible(raw, with: compression, workspace: &workspace)
            return try PartEncoder.encode(raw, with: compression, into: &destination, workspace: &workspace)
          }
        }
      }
      let byteCount = try #require(count)
      #expect(Array(destination.bytes.prefix(byteCount)) == fresh)
    }
  }

  /// Returns the stored bytes.
  @discardableResult private func roundTrip(_ raw: [UInt8], _ method: Method) throws -> Int {
    let capacity = raw.count + raw.count / 64 + 4096
    let stored = try #require(
      try PartEncoder.encoded(raw, method.codec, level: method.level, capacity: capacity), "\(raw.count) bytes")
    #expect(try decoder.decoded(stored, method.codec, byteCount: raw.count) == raw, "\(raw.count) bytes")
    let start = try decoder.decodedStart(stored, method.codec, byteCount: raw.count)
    #expect(start.count == raw.count && start.bytes == raw, "\(raw.count) bytes")
    return stored.count
  }
}
