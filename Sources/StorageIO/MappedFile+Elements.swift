/// Typed elements on mapped bytes, without a copy: what is inlined into the loops of other modules.
///
/// As soon as a page of the mapping was lost, to whatever thread, all of these fail: zeros stand in its place, which
/// nobody could tell from elements. Map the file anew then.
extension MappedFile {
  /// Calls `body` with `count` elements from byte `offset` on.
  /// - Precondition: `offset` suits the alignment of `Element`, and the elements lie in the mapping.
  /// - Throws: What `body` throws; `failure` of it when a page was lost.
  @inlinable public func withElements<Element: BitwiseCopyable, R, E: Error>(
    of type: Element.Type, at offset: Int, count: Int, failure: (SystemCallFailure) -> E,
    _ body: (Span<Element>) throws(E) -> R
  ) throws(E) -> R {
    let byteCount = checkedByteCount(of: type, at: offset, count: count)
    return try guardingElements(offset, byteCount, failure: failure) { () throws(E) in
      // Safe: bounds and alignment are checked, `self` keeps the mapping, and bits are all that such an element is.
      let start = unsafe (base + offset).assumingMemoryBound(to: Element.self)
      return try body(unsafe Span(_unsafeStart: start, count: count))
    }
  }

  /// Calls `body` with `count` elements from byte `offset` on, for writing. The caller is the only one who writes there.
  /// - Throws: As ``withElements(of:at:count:failure:_:)``; what was written is then void.
  @inlinable public func withMutableElements<Element: BitwiseCopyable, R, E: Error>(
    of type: Element.Type, at offset: Int, count: Int, failure: (SystemCallFailure) -> E,
    _ body: (inout MutableSpan<Element>) throws(E) -> R
  ) throws(E) -> R {
    precondition(isWritable, "mapped for reading only")
    let byteCount = checkedByteCount(of: type, at: offset, count: count)
    return try guardingElements(offset, byteCount, failure: failure) { () throws(E) in
      // Safe: as above.
      let start = unsafe (base + offset).assumingMemoryBound(to: Element.self)
      var elements = unsafe MutableSpan(_unsafeStart: start, count: count)
      return try body(&elements)
    }
  }

  @inlinable func checkedByteCount<Element>(of type: Element.Type, at offset: Int, count: Int) -> Int {
    let (byteCount, overflowed) = count.multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
    precondition(
      !overflowed && 0 <= count && 0 <= offset && offset % MemoryLayout<Element>.alignment == 0
        && offset <= self.byteCount && byteCount <= self.byteCount - offset,
      "\(count) elements of \(MemoryLayout<Element>.stride) bytes at \(offset) of \(self.byteCount) bytes")
    return byteCount
  }

  @inlinable func guardingElements<R, E: Error>(
    _ offset: Int, _ byteCount: Int, failure: (SystemCallFailure) -> E, _ body: () throws(E) -> R
  ) throws(E) -> R {
    let outcome: Result<R, E> = unsafe withUnsafeTemporaryAllocation(
      byteCount: faultGuardByteCount, alignment: faultGuardAlignment
    ) { storage in
      guard let guardAddress = storage.baseAddress else { return .failure(failure(lostPage(in: offset..<offset))) }
      // Safe: the guard lives on this stack frame from enter to leave, which nothing skips.
      unsafe enterGuard(guardAddress, base + offset, byteCount)
      let outcome: Result<R, E>
      do throws(E) { outcome = .success(try body()) } catch { outcome = .failure(error) }
      let isFaulted = unsafe leaveGuard(guardAddress)
      return isFaulted || self.isFaulted ? .failure(failure(lostPage(in: offset..<(offset + byteCount)))) : outcome
    }
    return try outcome.get()
  }
}

extension Span where Element: BitwiseCopyable {
  /// Calls `body` with the elements at `indices`, in their order. An index that is out of range traps, before any element of
  /// its block of 512 indices is read.
  ///
  /// A check of each index by itself would be a branch for each element, and a processor has room for few branches while
  /// it waits for memory: where the elements are not in its cache that is a third of the speed.
  @inlinable public func forEach<E: Error>(
    at indices: Span<Int>, _ body: (Element) throws(E) -> Void
  ) throws(E) {
    let blockCount = 512
    let last = count - 1
    var start = 0
    while start < indices.count {
      let end = min(start + blockCount, indices.count)
      // The sign of this is that of an index below 0, or beyond the last.
      var outside = 0
      // Safe, here and below: `start` and `end` lie in `indices`, and what stands there was held against `last`.
      for position in start..<end {
        let index = unsafe indices[unchecked: position]
        outside |= index | (last &- index)
      }
      precondition(outside >= 0, "an index is not one of \(count) elements")
      for position in start..<end { try body(unsafe self[unchecked: indices[unchecked: position]]) }
      start = end
    }
  }
}

/// The bytes of values that are what they are whatever bits they have.
public enum ValueBytes {
  /// The bytes of `value` as memory has them, those between its fields among them.
  public static func of<Value: BitwiseCopyable>(_ value: Value) -> [UInt8] {
    // Safe: the buffer is copied before the call ends.
    unsafe withUnsafeBytes(of: value) { unsafe Array($0) }
  }
}
