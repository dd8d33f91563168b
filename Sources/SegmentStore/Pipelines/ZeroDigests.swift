import Codecs
import StorageIO

/// The MD5 of so many zeros, computed once for each length: that of the parts of a hole.
final class ZeroDigests: Sendable {
  /// A store has few part sizes, but each sparse file may end in a part of its own length.
  private static let keptCount = 64

  private let digests = Monitor<[Int: MD5Digest]>([:])

  /// - Complexity: O(1) for a length that was asked for lately, else O(byteCount).
  func digest(of byteCount: Int) -> MD5Digest {
    if let known = digests.withLock({ $0[byteCount] }) { return known }
    var stream = MD5Stream()
    var left = byteCount
    let zeros = [UInt8](repeating: 0, count: min(byteCount, 64 << 10))
    while left > 0 {
      let count = min(left, zeros.count)
      zeros.withRawSpan { stream.update($0.extracting(0..<count)) }
      left -= count
    }
    let digest = stream.finish()
    digests.withLock { digests in
      if digests.count >= ZeroDigests.keptCount { digests = [:] }
      digests[byteCount] = digest
    }
    return digest
  }
}
