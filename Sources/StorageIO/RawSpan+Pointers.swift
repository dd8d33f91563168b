import Glibc

/// The one place where spans become the pointers that system calls want.
extension RawSpan {
  func withPointer<R, E: Error>(_ body: (UnsafeRawPointer) throws(E) -> R) throws(E) -> R {
    // Safe: the pointer is used only while `body` runs, and `self` outlives it. An empty span has no address, and
    // a call given zero bytes reads none, so any non-null address serves.
    try unsafe withUnsafeBytes { (buffer) throws(E) in
      try unsafe body(buffer.baseAddress ?? placeholderAddress)
    }
  }
}

extension MutableRawSpan {
  mutating func withPointer<R, E: Error>(_ body: (UnsafeMutableRawPointer) throws(E) -> R) throws(E) -> R {
    // Safe: as above.
    try unsafe withUnsafeMutableBytes { (buffer) throws(E) in
      try unsafe body(buffer.baseAddress ?? UnsafeMutableRawPointer(mutating: placeholderAddress))
    }
  }
}

// Safe: never dereferenced, see above.
nonisolated(unsafe) private let placeholderAddress = unsafe UnsafeRawPointer(bitPattern: 1).unsafelyUnwrapped

extension RawSpan {
  /// The bytes of `range`, copied out.
  public func copied(_ range: Range<Int>) -> [UInt8] {
    precondition(0 <= range.lowerBound && range.upperBound <= byteCount, "\(range) of \(byteCount) bytes")
    // Safe: the range is checked above.
    return unsafe withUnsafeBytes { unsafe [UInt8]($0[range]) }
  }

  /// The first multiple of `stride` at which the bytes of `pattern` stand; nil when there is none.
  public func firstOffset(of pattern: [UInt8], stride: Int) -> Int? {
    precondition(stride > 0, "a stride of \(stride)")
    // Safe: no comparison goes past the end of either.
    return unsafe withPointer { bytes in
      unsafe pattern.withUnsafeBytes { pattern in
        guard let base = pattern.baseAddress else { return byteCount > 0 ? 0 : nil }
        var offset = 0
        while offset <= byteCount - pattern.count {
          if unsafe memcmp(bytes + offset, base, pattern.count) == 0 { return offset }
          offset += stride
        }
        return nil
      }
    }
  }

  /// Whether both spans hold the same bytes, as many of them.
  public func hasSameBytes(as other: RawSpan) -> Bool {
    guard byteCount == other.byteCount else { return false }
    // Safe: both spans have as many bytes as are compared.
    return unsafe withPointer { (bytes) in
      unsafe other.withPointer { unsafe memcmp(bytes, $0, byteCount) == 0 }
    }
  }
}

extension MutableRawSpan {
  /// Copies all of `source` to `offset`.
  public mutating func copy(_ source: RawSpan, to offset: Int) {
    precondition(0 <= offset && source.byteCount <= byteCount - offset, "\(source.byteCount) at \(offset)")
    // Safe: the bounds are checked above; the spans cannot overlap, one of them is exclusive.
    unsafe withPointer { (destination) in
      unsafe source.withPointer { unsafe (destination + offset).copyMemory(from: $0, byteCount: source.byteCount) }
    }
  }

  public mutating func copy(_ source: [UInt8], to offset: Int) {
    copy(unsafe source.span.bytes, to: offset)
  }
}

extension Array<UInt8> {
  /// Calls `body` with the bytes of this array.
  @inlinable public func withRawSpan<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try body(unsafe span.bytes)
  }

  /// Calls `body` with the bytes of this array, for writing.
  @inlinable public mutating func withMutableRawSpan<R, E: Error>(
    _ body: (inout MutableRawSpan) throws(E) -> R
  ) throws(E) -> R {
    var elements = mutableSpan
    // Safe: every value of a byte is a value of the element.
    var bytes = unsafe elements.mutableBytes
    return try body(&bytes)
  }

  /// Adds a copy of `bytes` to the end.
  public mutating func append(_ bytes: RawSpan) {
    // Safe: the buffer is exactly the span, which outlives the call.
    unsafe bytes.withUnsafeBytes { unsafe append(contentsOf: $0) }
  }
}
