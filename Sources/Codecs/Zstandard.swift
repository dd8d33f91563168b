internal import CZstd

/// Zstandard, RFC 8878: one frame a part.
enum Zstandard {
  /// The largest window of levels 1 ... 19, and the smallest that every decoder of RFC 8878 should have room for.
  private static let maximumWindowByteCount = 8 << 20

  // MARK: Encoding

  /// The memory for a compressor, whatever the length of the part up to `partByteCount`.
  static func workspaceByteCount(level: Int, partByteCount: Int) -> Int {
    // zstd has other parameters for short parts, up to these lengths, which may take more memory than for long ones.
    let lengths = [16 << 10, 128 << 10, 256 << 10, partByteCount].map { min($0, partByteCount) }
    let byteCounts = lengths.map { byteCount in
      // Safe: numbers in, a number out.
      ZSTD_estimateCCtxSize_usingCParams(ZSTD_getCParams(CInt(level), CUnsignedLongLong(byteCount), 0))
    }
    // The compressor wants an address that is a multiple of 8, which the end then need not be.
    return ((byteCounts.max() ?? 0) + 7) / 8 * 8
  }

  /// Compresses `raw` in one go; nil when it does not fit.
  static func encode(
    _ raw: UnsafeRawBufferPointer, level: Int, into destination: UnsafeMutableRawBufferPointer,
    workspace: UnsafeMutableRawBufferPointer
  ) throws(CodecFailure) -> Int? {
    // Safe: the compressor lives in the workspace, which outlives this call; zstd stays within the counts it is given.
    guard let compressor = unsafe ZSTD_initStaticCCtx(workspace.baseAddress, workspace.count) else {
      throw CodecFailure(.engineFailure, "zstd set up at level \(level): \(workspace.count) bytes are not enough")
    }
    let result = unsafe ZSTD_compressCCtx(
      compressor, destination.baseAddress, destination.count, raw.baseAddress, raw.count, CInt(level))
    if ZSTD_isError(result) == 0 { return result }
    guard ZSTD_getErrorCode(result) == ZSTD_error_dstSize_tooSmall else {
      throw .zstd(.engineFailure, "zstd of \(raw.count) bytes at level \(level)", result)
    }
    return nil
  }

  // MARK: Decoding

  /// Decodes one frame of exactly as many bytes as `destination` has.
  static func decode(
    _ stored: UnsafeRawBufferPointer, with decompressor: OpaquePointer, into destination: UnsafeMutableRawBufferPointer
  ) throws(CodecFailure) {
    let at = "zstd part of \(stored.count) stored bytes"
    try unsafe checkHeader(stored, rawByteCount: destination.count, at)
    // zstd itself would go on with the next frame.
    // Safe: zstd stays within the counts it is given.
    let frameByteCount = unsafe ZSTD_findFrameCompressedSize(stored.baseAddress, stored.count)
    guard ZSTD_isError(frameByteCount) == 0 else { throw .zstd(.damagedStream, at, frameByteCount) }
    guard frameByteCount == stored.count else {
      let extraByteCount = stored.count - frameByteCount
      throw CodecFailure(.damagedStream, "\(at): the frame ends \(extraByteCount) bytes before the end of the part")
    }
    let result = unsafe ZSTD_decompressDCtx(
      decompressor, destination.baseAddress, destination.count, stored.baseAddress, stored.count)
    guard ZSTD_isError(result) == 0 else { throw .zstd(.damagedStream, at, result) }
    guard result == destination.count else { throw .wrongLength(at, expected: destination.count, found: "\(result)") }
  }

  /// Decodes block by block, until something is wrong; returns how many bytes came out.
  static func decodeStart(
    _ stored: UnsafeRawBufferPointer, with decompressor: OpaquePointer, into destination: UnsafeMutableRawBufferPointer
  ) -> Int {
    var readByteCount = 0
    var writtenByteCount = 0
    // Safe: what is left of both buffers is what zstd is told of.
    guard ZSTD_isError(unsafe ZSTD_decompressBegin(decompressor)) == 0 else { return 0 }
    while true {
      let pieceByteCount = unsafe ZSTD_nextSrcSizeToDecompress(decompressor)
      guard pieceByteCount > 0, pieceByteCount <= stored.count - readByteCount else { return writtenByteCount }
      let output = unsafe UnsafeMutableRawBufferPointer(rebasing: destination[writtenByteCount...])
      let piece = unsafe UnsafeRawBufferPointer(rebasing: stored[readByteCount..<readByteCount + pieceByteCount])
      let result = unsafe ZSTD_decompressContinue(
        decompressor, output.baseAddress, output.count, piece.baseAddress, piece.count)
      guard ZSTD_isError(result) == 0 else { return writtenByteCount }
      readByteCount += pieceByteCount
      writtenByteCount += result
    }
  }

  /// A decompressor, to be given back with ``free(_:)``; nil when there is no memory.
  static func makeDecompressor() -> OpaquePointer? {
    // Safe: nothing is handed over.
    unsafe ZSTD_createDCtx()
  }

  static func free(_ decompressor: OpaquePointer) {
    // Safe: from `makeDecompressor`, by contract of the caller.
    unsafe ZSTD_freeDCtx(decompressor)
  }

  private static func checkHeader(
    _ stored: UnsafeRawBufferPointer, rawByteCount: Int, _ at: String
  ) throws(CodecFailure) {
    var header = ZSTD_frameHeader()
    // Safe: the header is filled in from at most the bytes there are. Formats before version 1 of zstd are not known to it.
    let result = unsafe ZSTD_getFrameHeader(&header, stored.baseAddress, stored.count)
    guard ZSTD_isError(result) == 0 else { throw .zstd(.damagedStream, at, result) }
    guard result == 0 else { throw CodecFailure(.damagedStream, "\(at): cut off within the header of its frame") }
    guard header.frameType == ZSTD_frame, header.dictID == 0, header.windowSize <= UInt64(maximumWindowByteCount) else {
      throw CodecFailure(.damagedStream, "\(at): not a frame as this store has them")
    }
    guard header.frameContentSize == UInt64(rawByteCount) else {
      // All ones and all ones but the last bit: not said, and not to be found out.
      let isKnown = header.frameContentSize < UInt64.max - 1
      throw .wrongLength(at, expected: rawByteCount, found: isKnown ? "\(header.frameContentSize)" : "no length")
    }
  }
}

extension CodecFailure {
  /// `result` is an error, which zstd has words for.
  fileprivate static func zstd(_ code: Code, _ action: String, _ result: Int) -> CodecFailure {
    // Safe: a static string.
    let reason = unsafe String(cString: ZSTD_getErrorName(result))
    return CodecFailure(code, "\(action): \(reason)")
  }
}
