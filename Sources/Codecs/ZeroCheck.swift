internal import CKernels

/// Finds parts that need no bytes in the store.
public enum ZeroCheck {
  /// Whether all of `bytes` are zero; true when there are none.
  /// - Complexity: O(byteCount) at the speed of memory; stops near the first byte that is not zero.
  public static func isAllZero(_ bytes: RawSpan) -> Bool {
    unsafe bytes.withUnsafeBytes { buffer in
      guard let base = buffer.baseAddress else { return true }
      // Safe: the kernel reads exactly the buffer.
      return unsafe pfs_is_all_zero(base.assumingMemoryBound(to: UInt8.self), buffer.count)
    }
  }
}
