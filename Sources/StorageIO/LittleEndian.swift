/// Writes fields of fixed width, little-endian, into bytes of a known size; what is not written stays zero.
public struct ByteWriter: Sendable {
  @usableFromInline internal var storage: [UInt8]
  public var bytes: [UInt8] { storage }

  public init(byteCount: Int) { storage = [UInt8](repeating: 0, count: byteCount) }

  // Inlinable, as below: hundreds of thousands of fields are read and written each second.
  @inlinable public mutating func put<Field: FixedWidthInteger>(_ value: Field, at offset: Int) {
    precondition(
      0 <= offset && offset + Field.bitWidth / 8 <= storage.count, "field at \(offset) of \(storage.count)")
    for index in 0..<(Field.bitWidth / 8) {
      storage[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * index))
    }
  }

  public mutating func put(_ field: some Collection<UInt8>, at offset: Int) {
    precondition(0 <= offset && offset + field.count <= storage.count, "field at \(offset) of \(storage.count)")
    storage.replaceSubrange(offset..<(offset + field.count), with: field)
  }
}

/// Reads fields of fixed width, little-endian, from bytes whose size the caller has checked.
public struct ByteReader: Sendable {
  public let bytes: [UInt8]

  public init(_ bytes: [UInt8]) { self.bytes = bytes }

  @inlinable public func get<Field: FixedWidthInteger>(_ offset: Int, as type: Field.Type = Field.self) -> Field {
    precondition(0 <= offset && offset + Field.bitWidth / 8 <= bytes.count, "field at \(offset) of \(bytes.count)")
    var value: Field = 0
    for index in (0..<(Field.bitWidth / 8)).reversed() {
      value = (value << 8) | Field(truncatingIfNeeded: bytes[offset + index])
    }
    return value
  }

  public func get(_ offset: Int, byteCount: Int) -> [UInt8] {
    precondition(0 <= offset && offset + byteCount <= bytes.count, "field at \(offset) of \(bytes.count)")
    return Array(bytes[offset..<(offset + byteCount)])
  }

  /// Whether all bytes of `range` are zero, as reserved fields must be.
  public func isZero(_ range: Range<Int>) -> Bool { bytes[range].allSatisfy { $0 == 0 } }
}
