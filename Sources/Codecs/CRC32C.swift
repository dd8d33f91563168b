internal import CISAL
internal import CKernels

/// CRC-32C (Castagnoli), as iSCSI has it in RFC 3720: "123456789" gives 0xE3069283.
public enum CRC32C {
  /// The checksum of `bytes`, or of what gave `previous` followed by `bytes`.
  /// - Complexity: O(byteCount), by the CRC instructions of the CPU.
  public static func checksum(of bytes: RawSpan, continuing previous: UInt32 = 0) -> UInt32 {
    // ISA-L counts bytes in a C int.
    checksum(of: bytes, continuing: previous, runByteCount: 1 << 30)
  }

  /// The checksum, taken in runs of `runByteCount` bytes.
  package static func checksum(of bytes: RawSpan, continuing previous: UInt32, runByteCount: Int) -> UInt32 {
    unsafe bytes.withUnsafeBytes { buffer in
      // ISA-L leaves out the inversion before and after that the standard asks for.
      var register = ~previous
      var offset = 0
      // Safe: offset + count never passes the end of the buffer. ISA-L only reads, though it asks for a
      // mutable pointer.
      while offset < buffer.count {
        let count = min(buffer.count - offset, runByteCount)
        let run = unsafe UnsafeMutableRawBufferPointer(
          mutating: UnsafeRawBufferPointer(rebasing: buffer[offset..<offset + count]))
        register = unsafe crc32_iscsi(run.baseAddress?.assumingMemoryBound(to: UInt8.self), CInt(count), register)
        offset += count
      }
      // Or all that comes after it in this thread is slow.
      pfs_clear_upper_vectors()
      return ~register
    }
  }
}
