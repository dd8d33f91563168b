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

extension RawSpan {
  /// Lends the bytes and those of `destination` as the decoders of C take them: with an address even where there is
  /// nothing to write, since some refuse a null one.
  func withBuffer<Result, Failure: Error>(
    and destination: inout MutableRawSpan,
    _ body: (UnsafeRawBufferPointer, UnsafeMutableRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    // Safe: both buffers are exactly the spans, which outlive the call.
    try unsafe withUnsafeBytes { (stored) throws(Failure) in
      try unsafe destination.withUnsafeMutableBytes { (destination) throws(Failure) in
        if destination.count > 0 { return try unsafe body(stored, destination) }
        var spare: UInt8 = 0
        return try unsafe withUnsafeMutableBytes(of: &spare) { (spare) throws(Failure) in
          try unsafe body(stored, UnsafeMutableRawBufferPointer(rebasing: spare[..<0]))
        }
      }
    }
  }
}
