extension MutableRawSpan {
  /// Copies `bytes` to the start of the span.
  mutating func copyBytes(of bytes: RawSpan) {
    precondition(bytes.byteCount <= byteCount, "\(bytes.byteCount) bytes into \(byteCount)")
    // Safe: the length is checked above, and a mutable span overlaps no other.
    unsafe bytes.withUnsafeBytes { bytes in
      unsafe withUnsafeMutableBytes { target in unsafe target.copyMemory(from: bytes) }
    }
  }

  /// Sets every byte of the span from `start` on to zero.
  public mutating func fillWithZeros(from start: Int = 0) {
    precondition(0 <= start && start <= byteCount, "from \(start) of \(byteCount) bytes")
    // Safe: the start is checked, and the buffer is exactly the span.
    unsafe withUnsafeMutableBytes { target in
      _ = unsafe UnsafeMutableRawBufferPointer(rebasing: target[start...]).initializeMemory(
        as: UInt8.self, repeating: 0)
    }
  }
}
