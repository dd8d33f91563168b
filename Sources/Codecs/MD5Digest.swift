internal import CKernels

/// The 16 bytes of an MD5 hash.
///
/// MD5 tells damage from intact bytes. It does not withstand an attacker.
public struct MD5Digest: Hashable, Sendable, CustomStringConvertible {
  /// Bytes in a digest: 16.
  public static let byteCount = 16

  /// Byte i of the digest is bits 8i ..< 8i + 8 of the first word, then of the second.
  @usableFromInline let words: SIMD2<UInt64>

  /// Takes the bytes of a digest in their usual order.
  /// - Precondition: there are exactly 16 of them.
  @inlinable public init(bytes: some Collection<UInt8>) {
    precondition(bytes.count == Self.byteCount, "an MD5 digest has 16 bytes, not \(bytes.count)")
    var words = SIMD2<UInt64>()
    for (index, byte) in bytes.enumerated() {
      words[index / 8] |= UInt64(byte) << UInt64(index % 8 * 8)
    }
    self.words = words
  }

  init(_ digest: pfs_md5_digest) {
    words = SIMD2(digest.words.0.littleEndian, digest.words.1.littleEndian)
  }

  /// The bytes in their usual order, 16 of them.
  public var bytes: [UInt8] {
    (0..<Self.byteCount).map { index in byte(at: index) }
  }

  /// The digest as 32 lower-case hexadecimal digits.
  public var description: String {
    let digits = Array("0123456789abcdef")
    return String(bytes.flatMap { byte in [digits[Int(byte >> 4)], digits[Int(byte & 15)]] })
  }

  private func byte(at index: Int) -> UInt8 {
    UInt8(truncatingIfNeeded: words[index / 8] >> UInt64(index % 8 * 8))
  }
}
