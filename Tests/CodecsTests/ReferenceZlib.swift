import CDeflate
import CISAL
import CZlib

/// Streams of the zlib format by each library on its own, as somebody else would write and read them.
enum ReferenceZlib {
  /// zlib itself; nil when it fails.
  static func compress(_ raw: [UInt8], level: Int) -> [UInt8]? {
    var byteCount = compressBound(uLong(raw.count))
    var stored = [UInt8](repeating: 0, count: Int(byteCount))
    // Safe: the counts are those of the arrays, here and below.
    guard unsafe compress2(&stored, &byteCount, raw, uLong(raw.count), CInt(level)) == Z_OK else { return nil }
    return Array(stored.prefix(Int(byteCount)))
  }

  /// By zlib; nil unless `stored` is a whole stream of exactly `byteCount` bytes.
  static func byZlib(_ stored: [UInt8], byteCount: Int) -> [UInt8]? {
    var raw = [UInt8](repeating: 0, count: byteCount + 1)
    var (written, read) = (uLong(byteCount), uLong(stored.count))
    guard unsafe uncompress2(&raw, &written, stored, &read) == Z_OK else { return nil }
    guard Int(written) == byteCount, Int(read) == stored.count else { return nil }
    return Array(raw.prefix(byteCount))
  }

  /// By libdeflate.
  static func byLibdeflate(_ stored: [UInt8], byteCount: Int) -> [UInt8]? {
    guard let decompressor = unsafe libdeflate_alloc_decompressor() else { return nil }
    defer { unsafe libdeflate_free_decompressor(decompressor) }
    var raw = [UInt8](repeating: 0, count: byteCount + 1)
    var (read, written) = (0, 0)
    let result = unsafe libdeflate_zlib_decompress_ex(
      decompressor, stored, stored.count, &raw, byteCount, &read, &written)
    guard result == LIBDEFLATE_SUCCESS, read == stored.count, written == byteCount else { return nil }
    return Array(raw.prefix(byteCount))
  }

  /// By the inflate of igzip.
  static func byIgzip(_ stored: [UInt8], byteCount: Int) -> [UInt8]? {
    let state = UnsafeMutablePointer<inflate_state>.allocate(capacity: 1)
    defer { unsafe state.deallocate() }
    var raw = [UInt8](repeating: 0, count: byteCount + 1)
    var stored = stored
    let isWhole = unsafe raw.withUnsafeMutableBufferPointer { raw in
      unsafe stored.withUnsafeMutableBufferPointer { stored in
        unsafe isal_inflate_init(state)
        unsafe state.pointee.crc_flag = UInt32(ISAL_ZLIB)
        unsafe state.pointee.next_in = stored.baseAddress
        unsafe state.pointee.avail_in = UInt32(stored.count)
        unsafe state.pointee.next_out = raw.baseAddress
        unsafe state.pointee.avail_out = UInt32(byteCount)
        return unsafe isal_inflate(state) == ISAL_DECOMP_OK && state.pointee.block_state == ISAL_BLOCK_FINISH
          && state.pointee.total_out == byteCount
      }
    }
    return isWhole ? Array(raw.prefix(byteCount)) : nil
  }
}
