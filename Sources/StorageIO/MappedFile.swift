import CKernels
import Glibc

/// A file mapped into memory, lent out range by range.
///
/// A page that cannot be read or written (bad sector, file cut by somebody, no room) is an error of the access that
/// touched it and never a signal that ends the process. After such an error the mapping holds zeros in place of the
/// lost page and says so in ``isFaulted``: drop it and map again.
@safe public final class MappedFile: @unchecked Sendable {
  // Unchecked, for the pointer: it is set once and unmapped in `deinit`. What two threads do to the same bytes is
  // the business of the owner, who appends to ranges that nobody reads yet.
  /// In what pieces the system is to bring the file in.
  public enum PagePreference: Sendable {
    /// As large as it can, when it is written to: for a file that is written from its start to its end.
    case large
    /// As it sees fit: with what is likely to be read next.
    case ordinary
    /// Page by page. A write to a hole then takes the blocks of that page, and of no other that was brought in with it.
    case single
  }

  @usableFromInline let base: UnsafeMutableRawPointer
  public let byteCount: Int
  @usableFromInline let isWritable: Bool
  private let path: FilePath
  /// Counted by the fault guard, from any thread.
  private let faultCount: UnsafeMutablePointer<Int32>

  /// Maps the first `byteCount` bytes of `file`, which may end before that: what lies past its end faults.
  public init(
    _ file: File, byteCount: Int, isWritable: Bool, pages: PagePreference = .large
  ) throws(SystemCallFailure) {
    precondition(byteCount > 0, "a mapping has at least one byte")
    let installError = pfs_fault_guard_install()
    if installError != 0 {
      throw SystemCallFailure(call: "sigaction", subject: "SIGBUS", errorNumber: installError)
    }
    let protection = isWritable ? PROT_READ | PROT_WRITE : PROT_READ
    // Safe: a new mapping, whose address the system chooses.
    let address = unsafe mmap(nil, byteCount, protection, MAP_SHARED, file.descriptor, 0)
    guard let address = unsafe address, unsafe address != MAP_FAILED else {
      throw SystemCallFailure("mmap", "'\(file.path)'")
    }
    unsafe base = address
    // Safe: freed in `deinit`, after every access.
    unsafe faultCount = .allocate(capacity: 1)
    unsafe faultCount.initialize(to: 0)
    // Hints, so their failure means nothing.
    switch pages {
    case .large: if isWritable { _ = unsafe madvise(address, byteCount, MADV_HUGEPAGE) }
    case .ordinary: break
    case .single: _ = unsafe madvise(address, byteCount, MADV_RANDOM)
    }
    self.byteCount = byteCount
    self.isWritable = isWritable
    path = file.path
  }

  deinit {
    // Safe: mapped in `init`; no span outlives the closure it was lent to.
    unsafe munmap(base, byteCount)
    unsafe faultCount.deallocate()
  }

  /// Whether a page of this mapping was lost since it was made.
  public var isFaulted: Bool { unsafe pfs_fault_count(faultCount) != 0 }

  /// Calls `body` with the bytes of `range`.
  /// - Throws: What `body` throws; if a page of the range could not be read, `failure` of it instead.
  public func withBytes<R, E: Error>(
    _ range: Range<Int>, failure: (SystemCallFailure) -> E, _ body: (RawSpan) throws(E) -> R
  ) throws(E) -> R {
    check(range)
    return try guarding(range, failure: failure) { () throws(E) in
      // Safe: the range is checked, and `self` keeps the mapping alive for the call.
      try body(unsafe RawSpan(_unsafeStart: base + range.lowerBound, byteCount: range.count))
    }
  }

  /// Calls `body` with the bytes of `range`, for writing.
  /// - Throws: As ``withBytes(_:failure:_:)``; what was written is then void.
  public func withMutableBytes<R, E: Error>(
    _ range: Range<Int>, failure: (SystemCallFailure) -> E, _ body: (inout MutableRawSpan) throws(E) -> R
  ) throws(E) -> R {
    check(range)
    precondition(isWritable, "mapped for reading only")
    return try guarding(range, failure: failure) { () throws(E) in
      // Safe: as above; the caller is the only writer of the range.
      var bytes = unsafe MutableRawSpan(_unsafeStart: base + range.lowerBound, byteCount: range.count)
      return try body(&bytes)
    }
  }

  /// Reads the pages of `range` in, in bulk, so that a page that cannot be read is an error here.
  public func populateForReading(_ range: Range<Int>) throws(SystemCallFailure) {
    try advise(range, populateRead, "madvise(MADV_POPULATE_READ)")
  }

  /// Has the pages of `range` read in without waiting for it. A hint: promises nothing.
  public func prefetch(_ range: Range<Int>) {
    check(range)
    let start = range.lowerBound & ~(pageByteCount - 1)
    // Safe: a range of our own mapping; the advice changes no byte.
    _ = unsafe madvise(base + start, range.upperBound - start, MADV_WILLNEED)
  }

  /// Makes the pages of `range` ready to be written, in bulk.
  public func populateForWriting(_ range: Range<Int>) throws(SystemCallFailure) {
    try advise(range, populateWrite, "madvise(MADV_POPULATE_WRITE)")
  }

  /// Takes the whole pages of `range` out of the address space of this process; their bytes stay in the file.
  ///
  /// A mapped page that is written back has to be write-protected first, on every processor; one that is not mapped
  /// has not. Touching it again brings it back.
  public func detachPages(_ range: Range<Int>) {
    check(range)
    let start = (range.lowerBound + pageByteCount - 1) & ~(pageByteCount - 1)
    let end = range.upperBound & ~(pageByteCount - 1)
    guard start < end else { return }
    // Safe: a shared mapping of a file, whose pages keep what was written. A hint, so its failure means nothing.
    _ = unsafe madvise(base + start, end - start, MADV_DONTNEED)
  }

  private func advise(_ range: Range<Int>, _ advice: Int32, _ call: String) throws(SystemCallFailure) {
    check(range)
    let start = range.lowerBound & ~(pageByteCount - 1)
    do throws(SystemCallFailure) {
      // Safe: a range of our own mapping; the advice changes no byte.
      try retrying(call, "'\(path)'") { unsafe madvise(base + start, range.upperBound - start, advice) }
    } catch  where error.errorNumber == EINVAL {
      // Linux before 5.14 does not know the advice; the guard of the access itself then does the work.
    }
  }

  private func check(_ range: Range<Int>) {
    precondition(0 <= range.lowerBound && range.upperBound <= byteCount, "\(range) of \(byteCount) bytes")
  }

  private func guarding<R, E: Error>(
    _ range: Range<Int>, failure: (SystemCallFailure) -> E, _ body: () throws(E) -> R
  ) throws(E) -> R {
    let outcome: Result<R, E>
    let isFaulted: Bool
    (outcome, isFaulted) = unsafe withUnsafeTemporaryAllocation(
      byteCount: faultGuardByteCount, alignment: faultGuardAlignment
    ) { storage in
      guard let guardAddress = storage.baseAddress else { return (result(body), false) }
      // Safe: the guard lives on this stack frame from enter to leave, which nothing skips.
      unsafe enterGuard(guardAddress, base + range.lowerBound, range.count)
      let outcome = result(body)
      return (outcome, unsafe leaveGuard(guardAddress))
    }
    if isFaulted { throw failure(lostPage(in: range)) }
    return try outcome.get()
  }

  /// Guards the access of this thread to some bytes, until ``leaveGuard(_:)``.
  @usableFromInline func enterGuard(
    _ storage: UnsafeMutableRawPointer, _ start: UnsafeMutableRawPointer, _ byteCount: Int
  ) {
    unsafe assert(MemoryLayout<pfs_fault_guard>.size <= faultGuardByteCount, "a guard does not fit")
    // Safe: the caller lends memory of the size and alignment of a guard, until it leaves.
    let fresh = unsafe storage.assumingMemoryBound(to: pfs_fault_guard.self)
    unsafe pfs_fault_guard_enter(fresh, start, byteCount, isWritable ? 1 : 0, faultCount)
  }

  /// - Returns: Whether the access has met a page that was lost.
  @usableFromInline func leaveGuard(_ storage: UnsafeMutableRawPointer) -> Bool {
    unsafe pfs_fault_guard_leave(storage.assumingMemoryBound(to: pfs_fault_guard.self)) > 0
  }

  @usableFromInline func lostPage(in range: Range<Int>) -> SystemCallFailure {
    .mappedFault("'\(path)' bytes \(range.lowerBound)...\(range.upperBound)")
  }

  private func result<R, E: Error>(_ body: () throws(E) -> R) -> Result<R, E> {
    do throws(E) { return .success(try body()) } catch { return .failure(error) }
  }
}

/// The size of a page of memory, in bytes.
public let pageByteCount = Int(sysconf(Int32(_SC_PAGESIZE)))

/// Room for a `pfs_fault_guard`, for what is compiled into other modules.
@inlinable var faultGuardByteCount: Int { 64 }
@inlinable var faultGuardAlignment: Int { 16 }

/// MADV_POPULATE_READ and MADV_POPULATE_WRITE of Linux 5.14, which the C library's header may lack.
private let populateRead: Int32 = 22
private let populateWrite: Int32 = 23
