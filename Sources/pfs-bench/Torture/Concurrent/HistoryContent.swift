/// The content of a file of a history: the number that it is made from in front, and bytes that follow from it.
enum HistoryContent {
  /// What the number takes.
  static let minimumByteCount = 16
  private static let radix = 16

  static func bytes(_ number: UInt64, byteCount: Int) -> [UInt8] {
    let digits = Array(String(number, radix: radix).utf8)
    var bytes = [UInt8](repeating: UInt8(ascii: "0"), count: minimumByteCount - digits.count) + digits
    bytes.reserveCapacity(byteCount)
    var generator = SplitMix64(seed: number)
    // Runs of one byte, so that the encoder has something to do, and none of zeros, so that there is something to read.
    while bytes.count < byteCount {
      let random = generator.next()
      let count = min(byteCount - bytes.count, 1 + Int(random >> 8 & 0x3F))
      bytes.append(contentsOf: repeatElement(UInt8(truncatingIfNeeded: random) | 1, count: count))
    }
    return bytes
  }

  /// The number that `bytes` were made from; nil when they were not.
  static func number(of bytes: [UInt8]) -> UInt64? {
    guard bytes.count >= minimumByteCount,
      let number = UInt64(String(decoding: bytes.prefix(minimumByteCount), as: UTF8.self), radix: radix),
      HistoryContent.bytes(number, byteCount: bytes.count) == bytes
    else { return nil }
    return number
  }
}
