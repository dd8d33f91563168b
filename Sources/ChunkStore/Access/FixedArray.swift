import StorageIO

/// So many elements in a chunk, all zeros at first, of which only those that were set take space on disk.
///
/// A handle may be used from any thread, and stays good when the object is moved. When the object was deleted or replaced
/// every call throws `.notFound`. An index that is out of range traps, as it does for an `Array`.
public struct FixedArray<Element: ChunkStorable>: Sendable {
  @usableFromInline let object: StoredObject
  public let count: Int

  init(_ object: StoredObject) {
    self.object = object
    count = object.elementCount
  }

  public var key: ChunkKey { object.key }
  public var indices: Range<Int> { 0..<count }
  /// Whether the array can no longer be changed, and is checked against its sum when it is first read.
  public var isSealed: Bool { object.isSealed }

  // MARK: Elements

  /// A copy of an element. Many of them are read faster through ``withElements(_:)``.
  @inlinable public subscript(index: Int) -> Element {
    get throws(ChunkStoreError) {
      try withElements(in: index..<(index + 1)) { (elements) throws(ChunkStoreError) in elements[0] }
    }
  }

  /// Sets an element. Many of them are set faster through ``withMutableElements(in:_:)``.
  /// - Throws: As ``withMutableElements(in:_:)``.
  @inlinable public func set(_ index: Int, to element: Element) throws(ChunkStoreError) {
    try withMutableElements(in: index..<(index + 1)) { (elements) throws(ChunkStoreError) in elements[0] = element }
  }

  /// Calls `body` with an element where it lies, to change it.
  @inlinable public func update<R>(
    _ index: Int, _ body: (inout Element) throws(ChunkStoreError) -> R
  ) throws(ChunkStoreError) -> R {
    try withMutableElements(in: index..<(index + 1)) { (elements) throws(ChunkStoreError) in try body(&elements[0]) }
  }

  // MARK: Borrows

  /// Calls `body` with all elements where they lie. Waits for a writer, at most the lock timeout of the store.
  /// - Throws: `.busy`, `.notFound`, `.io` when the chunk was cut short or cannot be read, `.corrupt` for a sealed array that
  ///   is not what was sealed; what `body` throws.
  @inlinable public func withElements<R>(
    _ body: (Span<Element>) throws(ChunkStoreError) -> R
  ) throws(ChunkStoreError) -> R {
    try withElements(in: 0..<count, body)
  }

  /// The same for the elements in `range`, which the span counts from 0 on.
  @inlinable public func withElements<R>(
    in range: Range<Int>, _ body: (Span<Element>) throws(ChunkStoreError) -> R
  ) throws(ChunkStoreError) -> R {
    precondition(0 <= range.lowerBound && range.upperBound <= count, "elements \(range) of \(count)")
    let payload = try object.beginReading()
    defer { object.endReading() }
    return try payload.map.mapping.withElements(
      of: Element.self, at: payload.offset + range.lowerBound * MemoryLayout<Element>.stride, count: range.count,
      failure: payload.map.failure, body)
  }

  /// Calls `body` with the elements in `range` where they lie, to change them; the span counts them from 0 on. Waits for all
  /// others, at most the lock timeout of the store.
  ///
  /// The space that the range takes is reserved first, all of it. The change is durable with the next flush; a process that
  /// dies meanwhile may leave a part of it.
  /// - Throws: As ``withElements(_:)``, and `.noSpace` with nothing changed, `.sealed`, `.readOnly`; after `.io` the
  ///   elements are undefined.
  @inlinable public func withMutableElements<R>(
    in range: Range<Int>, _ body: (inout MutableSpan<Element>) throws(ChunkStoreError) -> R
  ) throws(ChunkStoreError) -> R {
    precondition(0 <= range.lowerBound && range.upperBound <= count, "elements \(range) of \(count)")
    let stride = MemoryLayout<Element>.stride
    let payload = try object.beginWriting()
    defer { object.endWriting(payload) }
    try object.reserve((range.lowerBound * stride)..<(range.upperBound * stride), of: payload)
    return try payload.map.mapping.withMutableElements(
      of: Element.self, at: payload.offset + range.lowerBound * stride, count: range.count,
      failure: payload.map.failure, body)
  }

  /// Makes an element all zeros, as it was before it was set.
  public func clear(_ index: Int) throws(ChunkStoreError) { try clear(index..<(index + 1)) }

  /// Makes the elements in `range` all zeros, and gives the whole pages among them back to the file system.
  public func clear(_ range: Range<Int>) throws(ChunkStoreError) {
    precondition(0 <= range.lowerBound && range.upperBound <= count, "elements \(range) of \(count)")
    let stride = MemoryLayout<Element>.stride
    try object.clear((range.lowerBound * stride)..<(range.upperBound * stride))
  }

  // MARK: Iteration

  /// Calls `body` with each element and its index, from the first to the last, in one borrow.
  @inlinable public func forEach(
    _ body: (Int, Element) throws(ChunkStoreError) -> Void
  ) throws(ChunkStoreError) {
    try withElements { (elements) throws(ChunkStoreError) in
      for index in 0..<elements.count { try body(index, elements[index]) }
    }
  }

  /// Calls `body` with the elements at `indices`, in that order, in one borrow: faster than one index after the other where the
  /// array is larger than the caches of the processor.
  @inlinable public func forEach(
    at indices: [Int], _ body: (Element) throws(ChunkStoreError) -> Void
  ) throws(ChunkStoreError) {
    try withElements { (elements) throws(ChunkStoreError) in try elements.forEach(at: indices.span, body) }
  }

  /// The same as ``forEach(_:)`` from the last to the first.
  @inlinable public func forEachReversed(
    _ body: (Int, Element) throws(ChunkStoreError) -> Void
  ) throws(ChunkStoreError) {
    try withElements { (elements) throws(ChunkStoreError) in
      var index = elements.count
      while index > 0 {
        index -= 1
        try body(index, elements[index])
      }
    }
  }
}
