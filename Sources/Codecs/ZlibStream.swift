internal import CZlib

// What PartEncoder and PartDecoder both do with a z_stream.

extension UnsafeMutablePointer<z_stream> {
  /// The next bytes that zlib reads.
  func setInput(_ bytes: UnsafeRawBufferPointer) {
    // Safe: zlib reads through this pointer only, though the field is not const in every zlib.
    unsafe pointee.next_in = UnsafeMutablePointer<Bytef>(
      mutating: bytes.baseAddress?.assumingMemoryBound(to: Bytef.self))
    unsafe pointee.avail_in = uInt(bytes.count)
  }

  /// Where zlib writes; what is longer than it can count is not used.
  func setOutput(_ bytes: UnsafeMutableRawBufferPointer) {
    // Safe: the count is never more than that of the buffer.
    unsafe pointee.next_out = bytes.baseAddress?.assumingMemoryBound(to: Bytef.self)
    unsafe pointee.avail_out = uInt(clamping: bytes.count)
  }

  /// zlib's own words for the last error.
  var reason: String? {
    // Safe: msg is null or one of zlib's static strings.
    unsafe pointee.msg.map { message in unsafe String(cString: message) }
  }
}

extension CodecFailure {
  /// zlib failed for reasons that do not lie in the bytes.
  static func engine(
    _ action: String, _ status: CInt, _ stream: UnsafeMutablePointer<z_stream>
  ) -> CodecFailure {
    let reason = unsafe stream.reason ?? (status == Z_MEM_ERROR ? "out of memory" : "no reason given")
    return CodecFailure(.engineFailure, "\(action): zlib status \(status), \(reason)")
  }
}
