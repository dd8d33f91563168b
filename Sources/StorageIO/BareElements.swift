/// Elements of a mapping by bare pointers, with no guard and no check: what typed access is measured beside.
@safe public struct BareElements<Element: BitwiseCopyable> {
  private let mapping: MappedFile
  @usableFromInline let start: UnsafeMutablePointer<Element>
  @usableFromInline let order: [Int]
  public let count: Int

  /// - Parameter order: an order to visit the elements in: indices, all of them below `count`.
  public init(_ mapping: MappedFile, of type: Element.Type, at offset: Int, count: Int, order: [Int]) {
    _ = mapping.checkedByteCount(of: type, at: offset, count: count)
    precondition(order.allSatisfy { 0 <= $0 && $0 < count }, "an order of \(count) elements goes beyond them")
    self.mapping = mapping
    // Safe: inside the mapping, which `self` keeps; every access below is by an index that is below `count`.
    unsafe start = (mapping.base + offset).assumingMemoryBound(to: type)
    self.count = count
    self.order = order
  }

  @inlinable public func readSequentially(_ body: (Element) -> Void) {
    for index in 0..<count { body(unsafe start[index]) }
  }

  @inlinable public func readInOrder(_ body: (Element) -> Void) {
    unsafe order.withUnsafeBufferPointer { order in
      for position in 0..<order.count { body(unsafe start[order[position]]) }
    }
  }

  @inlinable public func writeSequentially(_ element: (Int) -> Element) {
    for index in 0..<count { unsafe start[index] = element(index) }
  }

  @inlinable public func writeInOrder(_ element: (Int) -> Element) {
    unsafe order.withUnsafeBufferPointer { order in
      for position in 0..<order.count { unsafe start[order[position]] = element(position) }
    }
  }
}
