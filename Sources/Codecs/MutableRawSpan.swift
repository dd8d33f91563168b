extension MutableRawSpan {
  /// Copies `bytes` to the start of the span.
  mutating func copyBytes(of bytes: RawSpan) {
    precondition(bytes.byteCount <= byteCount, "\(bytes.byteCount) bytes into \(byteCount)")
    // Safe: the length is checked above, and a mutable span overlaps no other.
    unsafe bytes.withUnsafeBytes { bytes in
      unsafe withUnsafeMutableBytes { target in unsafe target.copyMemory(from: bytes) }
    }
  }

  /// Sets every byte of the span to zero.
  mutating func fillWithZeros() {
    // Safe: the buffer is exactly the span.
    unsafe withUnsafeMutableBytes { target in
      _ = unsafe target.initializeMemory(as: UInt8.self, repeating: 0)
    }
  }
}
