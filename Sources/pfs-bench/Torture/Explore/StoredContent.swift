/// Bytes of one version of one file: a function of seed, number and size.
struct StoredContent: Hashable, Sendable {
  let seed: UInt64
  /// Of the operation that stores it first, times 4; the files of a batch follow each other.
  let number: Int
  let size: ContentSize

  var byteCount: Int { size.byteCount }

  /// The stretches that hold data; what is between them is zeros, and holes in a source.
  var dataRanges: [Range<Int>] {
    guard size == .sparse else { return byteCount == 0 ? [] : [0..<byteCount] }
    // A hole of several batches, one of part of a page, and one at the end.
    return [0..<5000, 90_112..<98_000, 98_304..<102_400]
  }

  /// Half noise and half repetition, so that a codec has something to do and does not make it vanish.
  func bytes() -> [UInt8] {
    var generator = SplitMix64(seed: seed &+ UInt64(number &+ 1) &* 0xD134_2543_DE82_EF95)
    var bytes = [UInt8](repeating: 0, count: byteCount)
    for range in dataRanges {
      var offset = range.lowerBound
      while offset < range.upperBound {
        let word = generator.next()
        let isRepeated = offset & 0x300 == 0
        for index in 0..<min(8, range.upperBound - offset) {
          bytes[offset + index] = UInt8(truncatingIfNeeded: isRepeated ? 0x61 : word >> (8 * UInt64(index)))
        }
        offset += 8
      }
    }
    return bytes
  }
}
