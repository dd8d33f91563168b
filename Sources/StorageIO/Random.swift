import CKernels

public enum Random {
  /// `byteCount` bytes that nobody can foretell, at most 256.
  public static func bytes(_ byteCount: Int) throws(SystemCallFailure) -> [UInt8] {
    precondition(byteCount <= 256, "getrandom gives at most 256 bytes in one piece")
    var result = [UInt8](repeating: 0, count: byteCount)
    // Safe: the count is that of the array.
    try retrying("getrandom", "\(byteCount) bytes") { unsafe pfs_random(&result, byteCount) }
    return result
  }
}
