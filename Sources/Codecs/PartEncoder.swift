internal import CZlib

/// Encodes parts, one after the other; each worker thread has its own.
///
/// The memory of the compressor is taken when it is first needed, used again for every part and every level,
/// and given back when the encoder goes.
@safe public final class PartEncoder {
  /// Most bytes of memory that one encoder holds: 272 KiB.
  ///
  /// zlib's own figure for 15 window bits and memory level 8 is 256 KiB for window, hash chains and
  /// symbols; its state, the stream and the allocator take less than 16 KiB more.
  public static let stateByteCount = 272 * 1024

  /// The levels of zlib, from fast to small.
  public static let zlibLevels = 1...9

  /// zlib keeps a pointer to its stream, so the stream has an address of its own. Null until needed.
  private var stream: UnsafeMutablePointer<z_stream>?

  /// Makes an encoder that holds no memory yet.
  public init() {}

  deinit {
    // Safe: the stream was set up by deflateInit2 and is not used again.
    if let stream = unsafe stream {
      unsafe deflateEnd(stream)
      unsafe stream.deallocate()
    }
  }

  /// Encodes `raw` into the start of `destination`, and returns how many bytes that took.
  ///
  /// Returns nil when it does not fit; what `destination` holds is undefined then.
  /// - Parameter raw: for ``Codec/zlib`` less than 4 GiB; for ``Codec/zeros`` nothing but zero bytes.
  /// - Parameter level: 1 ... 9 for ``Codec/zlib``; other codecs have no levels and do not look at it.
  /// - Throws: ``CodecFailure`` `.unsupportedCodec`, or `.engineFailure` when there is no memory; the encoder
  ///   can be used again.
  /// - Complexity: O(raw.byteCount).
  public func encode(
    _ raw: RawSpan, with codec: Codec, level: Int, into destination: inout MutableRawSpan
  ) throws(CodecFailure) -> Int? {
    switch codec {
    case .stored:
      guard raw.byteCount <= destination.byteCount else { return nil }
      destination.copyBytes(of: raw)
      return raw.byteCount
    case .zeros:
      precondition(ZeroCheck.isAllZero(raw), "the zeros codec was given \(raw.byteCount) bytes that are not all zero")
      return 0
    case .zlib:
      return try deflate(raw, level: level, into: &destination)
    default:
      throw .unsupported(codec)
    }
  }

  /// Whether `raw` is worth compressing, judged by compressing a few slices of it.
  ///
  /// Parts of 16 KiB or less are not judged: true. A part is worth it when the slices get smaller by
  /// a sixteenth. When the compressor cannot run the answer is true too, so that `encode` reports why.
  /// - Complexity: O(1): compresses 16 KiB at level 1.
  public func looksCompressible(_ raw: RawSpan) -> Bool {
    let sliceCount = 4
    let sliceByteCount = 4096
    let sampleByteCount = sliceCount * sliceByteCount
    guard raw.byteCount > sampleByteCount else { return true }
    let stride = (raw.byteCount - sliceByteCount) / (sliceCount - 1)
    do throws(CodecFailure) {
      let stream = unsafe try readyStream(level: Self.zlibLevels.lowerBound)
      return unsafe raw.withUnsafeBytes { raw in
        unsafe withUnsafeTemporaryAllocation(
          byteCount: sampleByteCount - sampleByteCount / 16, alignment: 1
        ) { scratch in
          // Safe: the slices lie within `raw`, the output within `scratch`, and zlib is called only in here.
          unsafe stream.setOutput(scratch)
          for index in 0..<sliceCount {
            let slice = unsafe raw[index * stride..<index * stride + sliceByteCount]
            unsafe stream.setInput(UnsafeRawBufferPointer(rebasing: slice))
            let status = unsafe CZlib.deflate(stream, index == sliceCount - 1 ? Z_FINISH : Z_NO_FLUSH)
            if status == Z_STREAM_END { return true }
            if unsafe stream.pointee.avail_out == 0 { return false }
          }
          return false
        }
      }
    } catch {
      return true
    }
  }

  /// Compresses `raw` into a stream of the zlib format in one go.
  private func deflate(
    _ raw: RawSpan, level: Int, into destination: inout MutableRawSpan
  ) throws(CodecFailure) -> Int? {
    precondition(Self.zlibLevels.contains(level), "zlib level \(level) is not one of 1 ... 9")
    precondition(raw.byteCount <= Int(UInt32.max), "a zlib part of \(raw.byteCount) bytes; at most \(UInt32.max)")
    guard destination.byteCount > 0 else { return nil }
    let stream = unsafe try readyStream(level: level)
    let status = unsafe raw.withUnsafeBytes { raw in
      unsafe destination.withUnsafeMutableBytes { destination in
        // Safe: both buffers outlive the only call that uses them.
        unsafe stream.setInput(raw)
        unsafe stream.setOutput(destination)
        return unsafe CZlib.deflate(stream, Z_FINISH)
      }
    }
    switch status {
    case Z_STREAM_END: return unsafe Int(stream.pointee.total_out)
    case Z_OK, Z_BUF_ERROR: return nil
    default: throw unsafe .engine("deflate of \(raw.byteCount) bytes at level \(level)", status, stream)
    }
  }

  /// The stream, set back to the start of a message to be compressed at `level`.
  private func readyStream(level: Int) throws(CodecFailure) -> UnsafeMutablePointer<z_stream> {
    // Safe: a stream that is kept in `self` has been set up by deflateInit2.
    if let stream = unsafe stream {
      // Before the first byte of a message, a new level costs no output and no memory.
      let reset = unsafe deflateReset(stream)
      let status = unsafe reset == Z_OK ? deflateParams(stream, CInt(level), Z_DEFAULT_STRATEGY) : reset
      guard status == Z_OK else { throw unsafe .engine("deflate set to level \(level)", status, stream) }
      return unsafe stream
    }
    let windowBits: CInt = 15
    let memoryLevel: CInt = 8
    let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    let status = unsafe deflateInit2_(
      stream, CInt(level), Z_DEFLATED, windowBits, memoryLevel, Z_DEFAULT_STRATEGY,
      ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size))
    guard status == Z_OK else {
      let failure = unsafe CodecFailure.engine("deflate set up", status, stream)
      unsafe stream.deallocate()
      throw failure
    }
    unsafe self.stream = stream
    return unsafe stream
  }
}
