import ChunkStore

/// An element whose reads and writes are measured.
protocol MeasuredElement: ChunkStorable {
  static var kindName: String { get }
  init(measured number: Int)
  /// What a read takes out of it.
  var measured: Int64 { get }
}

extension Int64: MeasuredElement {
  static var kindName: String { "int" }
  @inline(__always) init(measured number: Int) { self = Int64(number) }
  @inline(__always) var measured: Int64 { self }
}

extension Double: MeasuredElement {
  static var kindName: String { "double" }
  @inline(__always) init(measured number: Int) { self = Double(number) }
  @inline(__always) var measured: Int64 { Int64(bitPattern: bitPattern) }
}

/// An object of four fields: all are written, and one is read.
struct MeasuredObject: MeasuredElement {
  var number: Int64
  var x: Double
  var y: Double
  var flags: Int32

  static let layout = StructureLayout(
    of: Self.self, version: 1, .field("number", \.number), .field("x", \.x), .field("y", \.y),
    .field("flags", \.flags))
  static var kindName: String { "object" }

  @inline(__always) init(measured number: Int) {
    self.number = Int64(number)
    x = Double(number)
    y = 0.5
    flags = 1
  }

  @inline(__always) var measured: Int64 { number }
}

/// What is done to all elements of an array, one after the other.
enum ElementOperation: String, CaseIterable, Sendable {
  case sequentialWrite = "sequential_write"
  case sequentialRead = "sequential_read"
  case randomWrite = "random_write"
  case randomRead = "random_read"

  var title: String { rawValue.split(separator: "_").joined(separator: " ") + "s" }
}
