/// Bytes that are the same for the same seed: runs of text, of numbers, of noise and of zeros.
public struct Corpus: Sendable {
  private var state: UInt64

  public init(seed: UInt64) { state = seed &+ 0x9E37_79B9_7F4A_7C15 }

  /// SplitMix64, by Sebastiano Vigna (public domain).
  private mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }

  public func bytes(_ byteCount: Int) -> [UInt8] {
    var generator = self
    var result: [UInt8] = []
    result.reserveCapacity(byteCount + 8192)
    let words = ["segment", "store ", "part of ", "the ", "file\n", "0123", " and ", "index, "].map { Array($0.utf8) }
    while result.count < byteCount {
      let choice = generator.next() % 4
      let runEnd = result.count + Int(generator.next() % 8192)
      while result.count < runEnd {
        switch choice {
        case 0: result += words[Int(generator.next() % 8)]
        case 1: result += [UInt8(truncatingIfNeeded: generator.next() & 3), 0, 0, UInt8(truncatingIfNeeded: runEnd)]
        case 2: withUnsafeBytes(of: generator.next()) { result += $0 }
        default: result += [UInt8](repeating: 0, count: 64)
        }
      }
    }
    result.removeLast(result.count - byteCount)
    return result
  }
}
