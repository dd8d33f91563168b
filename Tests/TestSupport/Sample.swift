import Foundation

/// Bytes to store: the same for the same kind and seed, and of any length without much work.
///
/// A random window of 256 KiB is cut into blocks, which repeat in a shuffled order; each begins with its number, so
/// that no two are equal. Repetitions are too far apart for a codec with the reach of zlib.
public struct Sample: Sendable {
  /// What the bytes are like.
  public enum Kind: Hashable, Sendable, CaseIterable {
    /// Words and lines; shrinks to less than half.
    case text
    /// Records of small numbers; shrinks.
    case binary
    /// Noise; does not shrink.
    case random
    /// Nothing but zeros.
    case zeros
  }

  /// The length of a block, each of which begins with 16 bytes that are nowhere else.
  public static let blockByteCount = 64 << 10

  private let kind: Kind
  private let seed: UInt64
  private static let windowByteCount = 256 << 10

  public init(_ kind: Kind, seed: UInt64) {
    self.kind = kind
    self.seed = seed
  }

  /// The first `byteCount` bytes.
  public func bytes(_ byteCount: Int) -> Data {
    var data = Data(capacity: byteCount)
    forEachBlock(byteCount) { data.append($0) }
    return data
  }

  /// Makes a file of the first `byteCount` bytes.
  public func write(_ byteCount: Int, to path: BytePath) throws {
    try path.write(Data())
    var pending = Data()
    var failure: (any Error)?
    forEachBlock(byteCount) { block in
      pending.append(block)
      guard pending.count >= 1 << 20, failure == nil else { return }
      do { try path.append(pending) } catch { failure = error }
      pending.removeAll(keepingCapacity: true)
    }
    if let failure { throw failure }
    try path.append(pending)
  }

  private func forEachBlock(_ byteCount: Int, _ body: (Data) -> Void) {
    let window = window(min(Sample.windowByteCount, byteCount))
    var random = SeededGenerator(seed: seed ^ 0x626C_6F63_6B73)
    var position = 0
    while position < byteCount {
      let length = min(Sample.blockByteCount, byteCount - position)
      let start = Int(random.next() % UInt64(max(1, window.count - length)))
      var block = Data(window[start..<start + length])
      if kind != .zeros, length >= 16 {
        let stamp = [random.next(), UInt64(position)]
        stamp.withUnsafeBytes { block.replaceSubrange(0..<16, with: $0) }
      }
      body(block)
      position += length
    }
  }

  private func window(_ byteCount: Int) -> Data {
    var random = SeededGenerator(seed: seed)
    var data = Data(capacity: byteCount + 64)
    switch kind {
    case .zeros: return Data(count: byteCount)
    case .random:
      while data.count < byteCount { withUnsafeBytes(of: random.next()) { data.append(contentsOf: $0) } }
    case .binary:
      while data.count < byteCount {
        let (value, small) = (random.next(), random.next() & 0xFF)
        let record = [UInt64(data.count), value & 0xFFFF, small, small << 32]
        record.withUnsafeBytes { data.append(contentsOf: $0) }
      }
    case .text:
      let syllables = ["ba", "co", "den", "fi", "gra", "hu", "kel", "lo", "mi", "nor", "pe", "ris", "sta", "tu", "va"]
      while data.count < byteCount {
        var word = random.next()
        for _ in 0...word % 3 {
          word >>= 4
          data.append(contentsOf: syllables[Int(word % 15)].utf8)
        }
        data.append(word & 0xF0 == 0 ? UInt8(ascii: "\n") : UInt8(ascii: " "))
      }
    }
    return data.prefix(byteCount)
  }
}
