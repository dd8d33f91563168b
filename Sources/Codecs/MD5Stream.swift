internal import CKernels

/// The MD5 of a message that comes in pieces, such as the digests of the parts of a file.
public struct MD5Stream: Sendable {
  private var stream = pfs_md5_stream()

  /// Starts an empty message.
  public init() {
    // Safe: the kernel only fills in the struct.
    unsafe pfs_md5_stream_begin(&stream)
  }

  /// Appends `bytes` to the message.
  /// - Complexity: O(byteCount).
  public mutating func update(_ bytes: RawSpan) {
    unsafe bytes.withUnsafeBytes { buffer in
      // Safe: the kernel reads exactly the buffer, and nothing when it is empty and its address null.
      unsafe pfs_md5_stream_update(
        &stream, buffer.baseAddress?.assumingMemoryBound(to: UInt8.self), buffer.count)
    }
  }

  /// Appends the 16 bytes of `digest` to the message.
  public mutating func update(_ digest: MD5Digest) {
    // Safe: bytes are valid for every type of element.
    unsafe update(digest.bytes.span.bytes)
  }

  /// The digest of what was appended so far; the message may go on afterwards.
  public func finish() -> MD5Digest {
    // Safe: the kernel only reads the struct, and only during the call.
    unsafe withUnsafePointer(to: stream) { stream in
      unsafe MD5Digest(pfs_md5_stream_finish(stream))
    }
  }
}
