import Codecs

/// SplitMix64, so that a failing random test can be run again from the seed in its name.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) {
    state = seed
  }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    return mixed ^ mixed >> 31
  }
}

/// One seed that never changes and one that always does; both show in the name of the test case.
let seeds: [UInt64] = [20_260_101, UInt64.random(in: 1...UInt64.max)]

func randomBytes(_ count: Int, seed: UInt64) -> [UInt8] {
  var generator = SeededGenerator(seed: seed)
  var bytes: [UInt8] = []
  bytes.reserveCapacity(count + 7)
  while bytes.count < count {
    var word = generator.next()
    for _ in 0..<8 {
      bytes.append(UInt8(truncatingIfNeeded: word))
      word >>= 8
    }
  }
  bytes.removeLast(bytes.count - count)
  return bytes
}

/// Words in random order: about as compressible as prose.
func textBytes(_ count: Int, seed: UInt64) -> [UInt8] {
  let words = ["segment", "part", "the", "of", "a", "index", "sealed", "writes", "durable", "and", "reader"]
  var generator = SeededGenerator(seed: seed)
  var bytes: [UInt8] = []
  while bytes.count < count {
    bytes += Array(words[Int.random(in: 0..<words.count, using: &generator)].utf8)
    bytes.append(0x20)
  }
  bytes.removeLast(bytes.count - count)
  return bytes
}

extension [UInt8] {
  /// Lends the bytes as the modules under test take them.
  func lend<Result, Failure: Error>(
    _ body: (RawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    // Safe: any byte is a valid UInt8.
    try body(unsafe span.bytes)
  }

  /// Lends the bytes for writing.
  mutating func lendMutable<Result, Failure: Error>(
    _ body: (inout MutableRawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    var elements = mutableSpan
    // Safe: any byte is a valid UInt8.
    var bytes = unsafe elements.mutableBytes
    return try body(&bytes)
  }
}

extension PartEncoder {
  /// What `raw` encodes to, or nil when it takes more than `capacity` bytes, or nearly.
  static func encoded(
    _ raw: [UInt8], _ codec: Codec, level: Int = 1, capacity: Int
  ) throws(CodecFailure) -> [UInt8]? {
    let compression = Compression(codec, level: level)
    let source = GuardedMemory(raw)
    let destination = GuardedMemory(byteCount: capacity)
    // At the end of the pages, less what the alignment takes.
    let byteCount = compression.workspaceByteCount(partByteCount: raw.count)
    let workspace = GuardedMemory(byteCount: (byteCount + 63) / 64 * 64)
    let count = try source.lend { (raw) throws(CodecFailure) in
      try destination.lendMutable { (destination) throws(CodecFailure) in
        try workspace.lendMutable { (workspace) throws(CodecFailure) in
          try PartEncoder.encode(raw, with: compression, into: &destination, workspace: &workspace)
        }
      }
    }
    return count.map { count in Array(destination.bytes.prefix(count)) }
  }

  /// Whether a sample of `raw` gets smaller.
  static func looksCompressible(_ raw: [UInt8], _ codec: Codec, level: Int = 1) throws(CodecFailure) -> Bool {
    let compression = Compression(codec, level: level)
    let byteCount = compression.workspaceByteCount(partByteCount: raw.count)
    let workspace = GuardedMemory(byteCount: (byteCount + 63) / 64 * 64)
    return try GuardedMemory(raw).lend { (raw) throws(CodecFailure) in
      try workspace.lendMutable { (workspace) throws(CodecFailure) in
        try PartEncoder.looksCompressible(raw, with: compression, workspace: &workspace)
      }
    }
  }
}

extension PartDecoder {
  /// What `stored` decodes to.
  func decoded(_ stored: [UInt8], _ codec: Codec, byteCount: Int) throws(CodecFailure) -> [UInt8] {
    let destination = GuardedMemory(byteCount: byteCount)
    try destination.lendMutable { (destination) throws(CodecFailure) in
      try GuardedMemory(stored).lend { (stored) throws(CodecFailure) in
        try self.decode(stored, with: codec, into: &destination)
      }
    }
    return destination.bytes
  }

  /// What can be decoded of `stored`, and how much of it is not filled up.
  func decodedStart(
    _ stored: [UInt8], _ codec: Codec, byteCount: Int
  ) throws(CodecFailure) -> (bytes: [UInt8], count: Int) {
    let destination = GuardedMemory(byteCount: byteCount)
    let count = try destination.lendMutable { (destination) throws(CodecFailure) in
      try GuardedMemory(stored).lend { (stored) throws(CodecFailure) in
        try self.decodeStart(of: stored, with: codec, into: &destination)
      }
    }
    return (destination.bytes, count)
  }

  /// The failure that decoding ends with, or nil when it succeeds.
  func failure(_ stored: [UInt8], _ codec: Codec, byteCount: Int) -> CodecFailure? {
    do throws(CodecFailure) {
      _ = try decoded(stored, codec, byteCount: byteCount)
      return nil
    } catch {
      return error
    }
  }
}

/// RFC 1950 section 8.2.
func adler32(_ bytes: [UInt8]) -> UInt32 {
  var (low, high) = (UInt32(1), UInt32(0))
  for byte in bytes {
    low = (low + UInt32(byte)) % 65521
    high = (high + low) % 65521
  }
  return high << 16 | low
}
