internal import CZlib

/// Decodes parts, one after the other; each worker thread has its own.
///
/// The memory of each decompressor is taken when it is first needed, used again for every part, and given back when the
/// decoder goes.
@safe public final class PartDecoder {
  /// Most bytes of memory that one decoder holds: 160 KiB.
  ///
  /// zstd takes 94 KiB, libdeflate 12 KiB; zlib, for damaged parts only, 32 KiB for the window and about 7 KiB for tables
  /// and state; the allocator takes the rest. LZ4 needs nothing.
  public static let stateByteCount = 160 * 1024

  /// Null until needed, as the other two.
  private var deflate: OpaquePointer?
  private var zstandard: OpaquePointer?
  /// zlib keeps a pointer to its stream, so the stream has an address of its own.
  private var stream: UnsafeMutablePointer<z_stream>?

  /// Makes a decoder that holds no memory yet.
  public init() {}

  deinit {
    // Safe: each was made by the library that frees it, and is not used again.
    if let deflate = unsafe deflate { unsafe Deflate.free(deflate) }
    if let zstandard = unsafe zstandard { unsafe Zstandard.free(zstandard) }
    if let stream = unsafe stream {
      unsafe inflateEnd(stream)
      unsafe stream.deallocate()
    }
  }

  /// Decodes `stored` into exactly `destination.byteCount` bytes.
  ///
  /// After a failure what `destination` holds is undefined, and the decoder can be used again.
  /// - Parameter stored: the whole payload of a record; for ``Codec/zlib`` less than 4 GiB, as `destination`.
  /// - Throws: ``CodecFailure`` `.unsupportedCodec`; `.damagedStream` when the stream is not intact, is cut off or has
  ///   bytes after its end; `.wrongLength` when it is intact and yields fewer or more bytes; `.engineFailure`
  ///   when there is no memory.
  /// - Complexity: O(stored.byteCount + destination.byteCount).
  public func decode(
    _ stored: RawSpan, with codec: Codec, into destination: inout MutableRawSpan
  ) throws(CodecFailure) {
    switch codec {
    case .stored:
      guard stored.byteCount == destination.byteCount else {
        throw .wrongLength("stored part", expected: destination.byteCount, found: "\(stored.byteCount)")
      }
      destination.copyBytes(of: stored)
    case .zeros:
      guard stored.isEmpty else {
        throw CodecFailure(.damagedStream, "zeros part: expected no stored bytes, found \(stored.byteCount)")
      }
      destination.fillWithZeros()
    case .zlib:
      let deflate = unsafe try readyDeflate()
      let isDone = unsafe stored.withBuffer(and: &destination) { stored, destination in
        unsafe Deflate.decodes(stored, with: deflate, into: destination)
      }
      // zlib is the judge of what libdeflate, three times as fast, does not take, and knows the reason.
      if !isDone { try inflate(stored, into: &destination) }
    case .zstd:
      let zstandard = unsafe try readyZstandard()
      try unsafe stored.withBuffer(and: &destination) { (stored, destination) throws(CodecFailure) in
        try unsafe Zstandard.decode(stored, with: zstandard, into: destination)
      }
    case .lz4:
      try unsafe stored.withBuffer(and: &destination) { (stored, destination) throws(CodecFailure) in
        try unsafe LZ4.decode(stored, into: destination)
      }
    default:
      throw .unsupported(codec)
    }
  }

  /// Decodes as much as it can of a payload that is damaged or cut off, and fills the rest of `destination` with zeros.
  ///
  /// What comes out of a damaged stream may be wrong long before that is noticed: only a checksum tells.
  /// - Parameter stored: the payload, or the bytes of it before the place where it was cut.
  /// - Returns: How many bytes came out; all of `destination` when nothing was seen to be wrong.
  /// - Throws: ``CodecFailure`` `.unsupportedCodec`; `.engineFailure` when there is no memory.
  public func decodeStart(
    of stored: RawSpan, with codec: Codec, into destination: inout MutableRawSpan
  ) throws(CodecFailure) -> Int {
    let byteCount: Int
    switch codec {
    case .stored:
      byteCount = min(stored.byteCount, destination.byteCount)
      destination.copyBytes(of: stored.extracting(first: byteCount))
    case .zeros:
      destination.fillWithZeros()
      return destination.byteCount
    case .zlib:
      let stream = unsafe try readyStream()
      let status = unsafe run(stream, stored, into: &destination)
      // Safe: the stream is initialised; only a number is read from it.
      byteCount = unsafe min(Int(stream.pointee.total_out), destination.byteCount)
      if status == Z_MEM_ERROR || status == Z_STREAM_ERROR {
        throw unsafe .engine("inflate of \(stored.byteCount) bytes", status, stream)
      }
    case .zstd:
      let zstandard = unsafe try readyZstandard()
      byteCount = unsafe stored.withBuffer(and: &destination) { stored, destination in
        unsafe Zstandard.decodeStart(stored, with: zstandard, into: destination)
      }
    case .lz4:
      byteCount = unsafe stored.withBuffer(and: &destination) { stored, destination in
        unsafe LZ4.decodeStart(stored, into: destination)
      }
    default: throw .unsupported(codec)
    }
    destination.fillWithZeros(from: byteCount)
    return byteCount
  }

  // MARK: libdeflate and zstd

  private func readyDeflate() throws(CodecFailure) -> OpaquePointer {
    if let deflate = unsafe deflate { return unsafe deflate }
    guard let made = unsafe Deflate.makeDecompressor() else { throw .noMemory("libdeflate") }
    unsafe deflate = made
    return unsafe made
  }

  private func readyZstandard() throws(CodecFailure) -> OpaquePointer {
    if let zstandard = unsafe zstandard { return unsafe zstandard }
    guard let made = unsafe Zstandard.makeDecompressor() else { throw .noMemory("zstd") }
    unsafe zstandard = made
    return unsafe made
  }

  // MARK: zlib

  /// Decompresses a stream of the zlib format in one go.
  private func inflate(_ stored: RawSpan, into destination: inout MutableRawSpan) throws(CodecFailure) {
    let byteCounts = (stored: stored.byteCount, raw: destination.byteCount)
    let stream = unsafe try readyStream()
    let status = unsafe run(stream, stored, into: &destination)
    try unsafe check(status, stream, byteCounts)
  }

  /// Has zlib take all of `stored`, or as much as it understands, and says how that ended.
  private func run(
    _ stream: UnsafeMutablePointer<z_stream>, _ stored: RawSpan, into destination: inout MutableRawSpan
  ) -> CInt {
    let rawByteCount = destination.byteCount
    precondition(stored.byteCount <= Int(UInt32.max), "a zlib part of \(stored.byteCount) stored bytes")
    precondition(rawByteCount <= Int(UInt32.max), "a zlib part of \(rawByteCount) bytes")
    return unsafe stored.withBuffer(and: &destination) { stored, destination in
      // Safe: both buffers outlive the only call that uses them.
      unsafe stream.setInput(stored)
      unsafe stream.setOutput(destination)
      return unsafe CZlib.inflate(stream, Z_FINISH)
    }
  }

  /// Turns what zlib says at the end of a part into a failure, unless the part is whole.
  private func check(
    _ status: CInt, _ stream: UnsafeMutablePointer<z_stream>, _ byteCounts: (stored: Int, raw: Int)
  ) throws(CodecFailure) {
    // Safe: the stream is initialised; only numbers and a static message are read from it.
    let yielded = unsafe Int(stream.pointee.total_out)
    let unread = unsafe Int(stream.pointee.avail_in)
    let at = "zlib part of \(byteCounts.stored) stored bytes"
    switch status {
    case Z_STREAM_END:
      guard unread == 0 else {
        throw CodecFailure(.damagedStream, "\(at): the stream ends \(unread) bytes before the end of the part")
      }
      guard yielded == byteCounts.raw else {
        throw CodecFailure(.wrongLength, "\(at): expected \(byteCounts.raw) raw bytes, found \(yielded)")
      }
    case Z_OK, Z_BUF_ERROR:
      guard unread == 0 else {
        throw CodecFailure(.wrongLength, "\(at): expected \(byteCounts.raw) raw bytes, found more")
      }
      throw CodecFailure(
        .damagedStream, "\(at): cut off after \(yielded) of \(byteCounts.raw) expected raw bytes")
    case Z_DATA_ERROR, Z_NEED_DICT:
      let reason = unsafe stream.reason ?? "it needs a dictionary"
      throw CodecFailure(.damagedStream, "\(at): \(reason) at stored byte \(byteCounts.stored - unread)")
    default:
      throw unsafe .engine("inflate of \(byteCounts.stored) bytes", status, stream)
    }
  }

  /// The stream, set back to the start of a message.
  private func readyStream() throws(CodecFailure) -> UnsafeMutablePointer<z_stream> {
    // Safe: a stream that is kept in `self` has been set up by inflateInit2.
    if let stream = unsafe stream {
      let status = unsafe inflateReset(stream)
      guard status == Z_OK else { throw unsafe .engine("inflate set back", status, stream) }
      return unsafe stream
    }
    let windowBits: CInt = 15
    let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    let status = unsafe inflateInit2_(stream, windowBits, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size))
    guard status == Z_OK else {
      let failure = unsafe CodecFailure.engine("inflate set up", status, stream)
      unsafe stream.deallocate()
      throw failure
    }
    unsafe self.stream = stream
    return unsafe stream
  }
}
