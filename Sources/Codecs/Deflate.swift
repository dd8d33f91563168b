internal import CDeflate
internal import CKernels

/// Deflate in the zlib format by libdeflate: smaller than igzip, and the fastest to decode.
enum Deflate {
  /// libdeflate takes its memory from the one malloc that it was given; this must come before anything else of it.
  private static let takesLentMemory: Void = {
    // Safe: the functions behave as malloc and free, and live as long as the process.
    unsafe libdeflate_set_memory_allocator(pfs_lent_malloc, pfs_lent_free)
  }()

  /// The memory that a compressor asks for.
  static func workspaceByteCount(level: Int) -> Int {
    takesLentMemory
    // Nothing is lent, so that nothing is handed out and there is no compressor; what it asked for is counted.
    pfs_lend_memory(nil, 0)
    _ = unsafe libdeflate_alloc_compressor(CInt(level))
    return pfs_take_back_memory()
  }

  /// Compresses `raw` in one go; nil when it does not fit, or only just.
  static func encode(
    _ raw: UnsafeRawBufferPointer, level: Int, into destination: UnsafeMutableRawBufferPointer,
    workspace: UnsafeMutableRawBufferPointer
  ) throws(CodecFailure) -> Int? {
    takesLentMemory
    // Safe: the compressor lives in the workspace and is gone before the workspace is taken back; libdeflate stays
    // within the counts it is given.
    unsafe pfs_lend_memory(workspace.baseAddress, workspace.count)
    defer { _ = pfs_take_back_memory() }
    guard let compressor = unsafe libdeflate_alloc_compressor(CInt(level)) else {
      throw CodecFailure(.engineFailure, "libdeflate set up at level \(level): out of memory")
    }
    defer { unsafe libdeflate_free_compressor(compressor) }
    let byteCount = unsafe libdeflate_zlib_compress(
      compressor, raw.baseAddress, raw.count, destination.baseAddress, destination.count)
    return byteCount > 0 ? byteCount : nil
  }

  /// A decompressor, to be given back with ``free(_:)``; nil when there is no memory.
  static func makeDecompressor() -> OpaquePointer? {
    takesLentMemory
    // Safe: nothing is handed over.
    return unsafe libdeflate_alloc_decompressor()
  }

  static func free(_ decompressor: OpaquePointer) {
    // Safe: from `makeDecompressor`, by contract of the caller.
    unsafe libdeflate_free_decompressor(decompressor)
  }

  /// Whether `stored` is one whole stream of exactly as many bytes as `destination` has; then these are there.
  static func decodes(
    _ stored: UnsafeRawBufferPointer, with decompressor: OpaquePointer, into destination: UnsafeMutableRawBufferPointer
  ) -> Bool {
    var readByteCount = 0
    var writtenByteCount = 0
    // Safe: libdeflate stays within the counts it is given.
    let result = unsafe libdeflate_zlib_decompress_ex(
      decompressor, stored.baseAddress, stored.count, destination.baseAddress, destination.count, &readByteCount,
      &writtenByteCount)
    return result == LIBDEFLATE_SUCCESS && readByteCount == stored.count && writtenByteCount == destination.count
  }
}
