import Glibc

/// Bytes that end where a page ends that nobody may touch: who reads or writes behind them dies at once.
@safe final class GuardedMemory {
  private let mapping: UnsafeMutableRawPointer
  private let mappedByteCount: Int
  private let base: UnsafeMutableRawPointer
  private let byteCount: Int

  init(byteCount: Int) {
    let pageByteCount = 4096
    let usableByteCount = (byteCount + pageByteCount - 1) / pageByteCount * pageByteCount
    mappedByteCount = usableByteCount + pageByteCount
    self.byteCount = byteCount
    // Safe: a new mapping, of which the last page is closed.
    let address = unsafe mmap(nil, mappedByteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let address = unsafe address, unsafe address != MAP_FAILED else { preconditionFailure("no memory") }
    unsafe mapping = address
    let isClosed = unsafe mprotect(address + usableByteCount, pageByteCount, PROT_NONE) == 0
    precondition(isClosed, "the page cannot be closed")
    unsafe base = address + (usableByteCount - byteCount)
  }

  convenience init(_ bytes: [UInt8]) {
    self.init(byteCount: bytes.count)
    // Safe: the memory has as many bytes.
    unsafe base.copyMemory(from: bytes, byteCount: bytes.count)
  }

  deinit {
    // Safe: mapped in `init`.
    unsafe munmap(mapping, mappedByteCount)
  }

  var bytes: [UInt8] {
    // Safe: any byte is a valid UInt8.
    unsafe Array(UnsafeRawBufferPointer(start: base, count: byteCount))
  }

  func lend<Result, Failure: Error>(_ body: (RawSpan) throws(Failure) -> Result) throws(Failure) -> Result {
    // Safe: `self` keeps the memory for the call.
    try body(unsafe RawSpan(_unsafeStart: base, byteCount: byteCount))
  }

  func lendMutable<Result, Failure: Error>(
    _ body: (inout MutableRawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    // Safe: as above.
    var bytes = unsafe MutableRawSpan(_unsafeStart: base, byteCount: byteCount)
    return try body(&bytes)
  }
}
