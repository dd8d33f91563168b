internal import CLZ4

/// LZ4: one block a part, without a frame.
enum LZ4 {
  // MARK: Encoding

  /// The memory for the tables of matches.
  static func workspaceByteCount(level: Int) -> Int {
    Int(level == 1 ? LZ4_sizeofState() : LZ4_sizeofStateHC())
  }

  /// Compresses `raw` in one go; nil when it does not fit.
  static func encode(
    _ raw: UnsafeRawBufferPointer, level: Int, into destination: UnsafeMutableRawBufferPointer,
    workspace: UnsafeMutableRawBufferPointer
  ) -> Int? {
    let source = unsafe raw.baseAddress?.assumingMemoryBound(to: CChar.self)
    let target = unsafe destination.baseAddress?.assumingMemoryBound(to: CChar.self)
    let capacity = CInt(clamping: destination.count)
    // Safe: the workspace has the bytes that LZ4 asked for, aligned for any type; LZ4 stays within the counts.
    let byteCount =
      if level == 1 {
        unsafe LZ4_compress_fast_extState(workspace.baseAddress, source, target, CInt(raw.count), capacity, 1)
      } else {
        unsafe LZ4_compress_HC_extStateHC(
          workspace.baseAddress, source, target, CInt(raw.count), capacity, CInt(level))
      }
    return byteCount > 0 ? Int(byteCount) : nil
  }

  // MARK: Decoding

  /// Decodes one block of exactly as many bytes as `destination` has.
  static func decode(
    _ stored: UnsafeRawBufferPointer, into destination: UnsafeMutableRawBufferPointer
  ) throws(CodecFailure) {
    let at = "lz4 part of \(stored.count) stored bytes"
    guard stored.count <= Int(CInt.max), destination.count <= Int(CInt.max) else {
      throw CodecFailure(.damagedStream, "\(at) and \(destination.count) raw bytes: longer than any block")
    }
    // Safe: LZ4 stays within the counts it is given, whatever the bytes are.
    let byteCount = unsafe LZ4_decompress_safe(
      stored.baseAddress?.assumingMemoryBound(to: CChar.self),
      destination.baseAddress?.assumingMemoryBound(to: CChar.self), CInt(stored.count), CInt(destination.count))
    // A negative number is a place in the block.
    guard byteCount >= 0 else {
      throw CodecFailure(
        .damagedStream,
        "\(at): damaged, cut off or more than \(destination.count) raw bytes, seen at stored byte "
          + "\(-Int(byteCount) - 1)")
    }
    guard Int(byteCount) == destination.count else {
      throw .wrongLength(at, expected: destination.count, found: "\(byteCount)")
    }
  }

  /// Decodes until something is wrong; returns how many bytes came out.
  static func decodeStart(
    _ stored: UnsafeRawBufferPointer, into destination: UnsafeMutableRawBufferPointer
  ) -> Int {
    guard stored.count <= Int(CInt.max), destination.count <= Int(CInt.max) else { return 0 }
    let all = unsafe decodeStart(stored, byteCount: destination.count, into: destination)
    if let all { return all }
    // LZ4 does not say how far it came, only whether it could have come so far: 30 trials find the place.
    var (possible, impossible) = (0, destination.count)
    while impossible - possible > 1 {
      let middle = (possible + impossible) / 2
      if let byteCount = unsafe decodeStart(stored, byteCount: middle, into: destination), byteCount == middle {
        possible = middle
      } else {
        impossible = middle
      }
    }
    return unsafe decodeStart(stored, byteCount: possible, into: destination) ?? 0
  }

  /// Decodes up to `byteCount` bytes, fewer where `stored` is cut off; nil when something is wrong before.
  private static func decodeStart(
    _ stored: UnsafeRawBufferPointer, byteCount: Int, into destination: UnsafeMutableRawBufferPointer
  ) -> Int? {
    // Safe: as above.
    let decodedByteCount = unsafe LZ4_decompress_safe_partial(
      stored.baseAddress?.assumingMemoryBound(to: CChar.self),
      destination.baseAddress?.assumingMemoryBound(to: CChar.self), CInt(stored.count), CInt(byteCount),
      CInt(destination.count))
    return decodedByteCount >= 0 ? Int(decodedByteCount) : nil
  }
}
