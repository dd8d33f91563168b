/// A type whose values live in chunks as they live in memory: numbers, fixed arrays of them, and structures made of such.
///
/// ```swift
/// struct Reading: ChunkStorable {
///   var time: Int64
///   var sensor: UInt32
///   var value: Double
///
///   static let layout = StructureLayout(
///     of: Reading.self, version: 1, .field("time", \.time), .field("sensor", \.sensor), .field("value", \.value))
/// }
/// ```
///
/// Every bit pattern must be a value, since files can hold any: so there is no `Bool`, no `enum` and no optional. Declare
/// every field; one that is left out is found, unless it hides in the gap before a field of larger alignment.
public protocol ChunkStorable: BitwiseCopyable, Sendable {
  static var layout: StructureLayout { get }
}

extension Int8: ChunkStorable { public static let layout = StructureLayout(of: Self.self, .int8) }
extension Int16: ChunkStorable { public static let layout = StructureLayout(of: Self.self, .int16) }
extension Int32: ChunkStorable { public static let layout = StructureLayout(of: Self.self, .int32) }
extension Int64: ChunkStorable { public static let layout = StructureLayout(of: Self.self, .int64) }
extension UInt8: ChunkStorable { public static let layout = StructureLayout(of: Self.self, .uint8) }
extension UInt16: ChunkStorable { public static let layout = StructureLayout(of: Self.self, .uint16) }
extension UInt32: ChunkStorable { public static let layout = StructureLayout(of: Self.self, .uint32) }
extension UInt64: ChunkStorable { public static let layout = StructureLayout(of: Self.self, .uint64) }
extension Float: ChunkStorable { public static let layout = StructureLayout(of: Self.self, .float32) }
extension Double: ChunkStorable { public static let layout = StructureLayout(of: Self.self, .float64) }

/// Stored as what they are where this was compiled: 64 bits.
extension Int: ChunkStorable { public static let layout = StructureLayout(of: Self.self, .int64) }
extension UInt: ChunkStorable { public static let layout = StructureLayout(of: Self.self, .uint64) }

/// So many elements, one behind the other, as a field or as an element of an array.
extension InlineArray: ChunkStorable where Element: ChunkStorable {
  public static var layout: StructureLayout {
    StructureLayout(
      name: "array", version: 1, type: .array(Element.layout.type, count: count),
      problem: Element.layout.problem ?? StructureLayout.problem(ofSize: MemoryLayout<Self>.size))
  }
}
