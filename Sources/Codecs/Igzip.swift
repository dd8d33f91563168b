internal import CISAL
internal import CKernels

/// Deflate in the zlib format by ISA-L's igzip: as small as level 1 of zlib, and four times as fast.
enum Igzip {
  // Safe: the size of a type.
  private static let streamByteCount = unsafe MemoryLayout<isal_zstream>.stride

  /// The memory for the stream and, behind it, for its matches.
  static let workspaceByteCount = streamByteCount + PFS_IGZIP_LEVEL_1_BYTE_COUNT

  /// Compresses `raw` in one go; nil when it does not fit.
  static func encode(
    _ raw: UnsafeRawBufferPointer, into destination: UnsafeMutableRawBufferPointer,
    workspace: UnsafeMutableRawBufferPointer
  ) throws(CodecFailure) -> Int? {
    guard let base = workspace.baseAddress else { return nil }
    // Safe: the workspace has at least `workspaceByteCount` bytes, aligned for any type; igzip writes no more than
    // `avail_out` bytes, reads no more than `avail_in`, and keeps no pointer beyond this call.
    let stream = unsafe base.bindMemory(to: isal_zstream.self, capacity: 1)
    unsafe isal_deflate_init(stream)
    unsafe stream.pointee.level = 1
    unsafe stream.pointee.level_buf = (base + streamByteCount).assumingMemoryBound(to: UInt8.self)
    unsafe stream.pointee.level_buf_size = UInt32(PFS_IGZIP_LEVEL_1_BYTE_COUNT)
    unsafe stream.pointee.gzip_flag = UInt16(IGZIP_ZLIB)
    unsafe stream.pointee.end_of_stream = 1
    unsafe stream.pointee.flush = UInt16(NO_FLUSH)
    unsafe stream.pointee.next_in = UnsafeMutablePointer(
      mutating: raw.baseAddress?.assumingMemoryBound(to: UInt8.self))
    unsafe stream.pointee.avail_in = UInt32(raw.count)
    unsafe stream.pointee.next_out = destination.baseAddress?.assumingMemoryBound(to: UInt8.self)
    unsafe stream.pointee.avail_out = UInt32(clamping: destination.count)
    let status = unsafe isal_deflate(stream)
    // Or all that comes after it in this thread is slow.
    pfs_clear_upper_vectors()
    guard status == COMP_OK else {
      throw CodecFailure(.engineFailure, "igzip of \(raw.count) bytes: status \(status)")
    }
    guard unsafe stream.pointee.internal_state.state == ZSTATE_END else { return nil }
    return unsafe Int(stream.pointee.total_out)
  }
}
