import Glibc

/// Zeroed memory straight from the system, given back when the last reference goes.
///
/// Between a batch's stages it wanders from thread to thread; at any moment one of them uses it.
@safe public final class MemoryRegion: @unchecked Sendable {
  // Unchecked, for the pointer: exclusive use is the contract above.
  private let base: UnsafeMutableRawPointer
  public let byteCount: Int

  public init(byteCount: Int) throws(SystemCallFailure) {
    precondition(byteCount > 0, "a region has at least one byte")
    // Safe: a new private mapping, whose address the system chooses.
    let address = unsafe mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let address = unsafe address, unsafe address != MAP_FAILED else {
      throw SystemCallFailure("mmap", "\(byteCount) bytes of memory")
    }
    unsafe base = address
    self.byteCount = byteCount
  }

  deinit {
    // Safe: mapped in `init`; no span outlives the closure it was lent to.
    unsafe munmap(base, byteCount)
  }

  public func withBytes<R, E: Error>(_ range: Range<Int>, _ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    precondition(0 <= range.lowerBound && range.upperBound <= byteCount, "\(range) of \(byteCount) bytes")
    // Safe: the range is checked, and `self` keeps the memory for the call.
    return try body(unsafe RawSpan(_unsafeStart: base + range.lowerBound, byteCount: range.count))
  }

  public func withMutableBytes<R, E: Error>(
    _ range: Range<Int>, _ body: (inout MutableRawSpan) throws(E) -> R
  ) throws(E) -> R {
    precondition(0 <= range.lowerBound && range.upperBound <= byteCount, "\(range) of \(byteCount) bytes")
    // Safe: as above.
    var bytes = unsafe MutableRawSpan(_unsafeStart: base + range.lowerBound, byteCount: range.count)
    return try body(&bytes)
  }

  /// The memory as words that threads share. The caller stays inside it.
  func withWords<Word: ~Copyable, R>(of type: Word.Type, _ body: (UnsafePointer<Word>) -> R) -> R {
    // Safe: aligned to a page, and `self` keeps the memory for the call.
    unsafe body(UnsafePointer(base.assumingMemoryBound(to: Word.self)))
  }
}
