internal import CKernels

/// MD5 (RFC 1321) of bytes that are all in memory.
public enum MD5 {
  /// How many parts this CPU hashes side by side: 16, 8 or 4.
  ///
  /// Hashing as many parts of one length at a time, or a multiple, gives the full speed.
  public static var laneCount: Int { Int(pfs_md5_widest_lanes()) }

  /// Hashes every one of `parts` of `bytes`, and returns the digests in the same order.
  ///
  /// Parts may be empty, overlap and differ in length; there may be any number of them.
  /// - Precondition: every part lies within `bytes`.
  /// - Complexity: O(total length of the parts), divided by ``laneCount`` where lengths are alike. Allocates
  ///   56 bytes a part.
  public static func digests(of parts: [Range<Int>], in bytes: RawSpan) -> [MD5Digest] {
    digests(of: parts, in: bytes, laneCount: laneCount)
  }

  /// Hashes `bytes`.
  /// - Complexity: O(byteCount), at the speed of a single lane.
  public static func digest(of bytes: RawSpan) -> MD5Digest {
    var stream = MD5Stream()
    stream.update(bytes)
    return stream.finish()
  }

  /// The lane counts of the kernels that this CPU runs, widest first.
  package static var supportedLaneCounts: [Int] {
    [16, 8, 4].filter { laneCount in pfs_md5_supports_lanes(CInt(laneCount)) }
  }

  /// Hashes parts with a kernel of the caller's choice.
  /// - Precondition: every part lies within `bytes`, and the kernel is one of ``supportedLaneCounts``.
  package static func digests(of parts: [Range<Int>], in bytes: RawSpan, laneCount: Int) -> [MD5Digest] {
    precondition(supportedLaneCounts.contains(laneCount), "no kernel of \(laneCount) lanes on this CPU")
    for part in parts {
      precondition(
        0 <= part.lowerBound && part.upperBound <= bytes.byteCount,
        "part \(part) of \(bytes.byteCount) bytes")
    }
    let order = longestFirst(parts)
    return unsafe bytes.withUnsafeBytes { buffer in
      // Safe: every part lies within the buffer, as checked above, and the kernel uses the messages only here.
      let base = unsafe buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
      var messages: [pfs_md5_message] = unsafe []
      unsafe messages.reserveCapacity(parts.count)
      for index in order {
        let start = unsafe base.map { base in unsafe base + parts[index].lowerBound }
        unsafe messages.append(
          pfs_md5_message(bytes: start, byte_count: parts[index].count, digest: pfs_md5_digest()))
      }
      unsafe pfs_md5_lanes(&messages, messages.count, CInt(laneCount))
      var digests = [MD5Digest](repeating: MD5Digest(pfs_md5_digest()), count: parts.count)
      for (position, index) in order.enumerated() {
        digests[index] = unsafe MD5Digest(messages[position].digest)
      }
      return digests
    }
  }

  /// The indices of `parts` from the longest to the shortest, so that no long part is left alone at the end.
  private static func longestFirst(_ parts: [Range<Int>]) -> [Int] {
    let isSorted = zip(parts, parts.dropFirst()).allSatisfy { part, next in part.count >= next.count }
    return isSorted ? Array(parts.indices) : parts.indices.sorted { parts[$0].count > parts[$1].count }
  }
}
