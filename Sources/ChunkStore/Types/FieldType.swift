/// What stands in some bytes of an object: a number, so many of one type, or a structure.
public indirect enum FieldType: Hashable, Sendable {
  case int8, int16, int32, int64
  case uint8, uint16, uint32, uint64
  case float32, float64
  case array(FieldType, count: Int)
  case structure([Field], byteCount: Int, alignment: Int)

  /// A field of a structure.
  public struct Field: Hashable, Sendable {
    public let name: String
    public let type: FieldType
    /// From the start of the structure, in bytes.
    public let offset: Int

    public init(name: String, type: FieldType, offset: Int) {
      self.name = name
      self.type = type
      self.offset = offset
    }
  }

  /// The numbers, by the names that they have in a layout.
  static let scalars: [(name: String, type: FieldType)] = [
    ("i8", .int8), ("i16", .int16), ("i32", .int32), ("i64", .int64), ("u8", .uint8), ("u16", .uint16),
    ("u32", .uint32), ("u64", .uint64), ("f32", .float32), ("f64", .float64),
  ]

  /// The bytes that a value takes, without what follows it in an array.
  public var byteCount: Int {
    switch self {
    case .int8, .uint8: 1
    case .int16, .uint16: 2
    case .int32, .uint32, .float32: 4
    case .int64, .uint64, .float64: 8
    case .array(let element, let count): element.strideByteCount * count
    case .structure(_, let byteCount, _): byteCount
    }
  }

  public var alignment: Int {
    switch self {
    case .array(let element, _): element.alignment
    case .structure(_, _, let alignment): alignment
    default: byteCount
    }
  }

  /// From one element of an array to the next, in bytes.
  public var strideByteCount: Int { max(1, byteCount.roundedUp(toMultipleOf: alignment)) }

  /// As a layout is written: `{time:i64@0,samples:4*f32@8}24:8`, the size and alignment of a structure behind it.
  var text: String {
    switch self {
    case .array(let element, let count): return "\(count)*\(element.text)"
    case .structure(let fields, let byteCount, let alignment):
      let list = fields.map { "\($0.name):\($0.type.text)@\($0.offset)" }.joined(separator: ",")
      return "{\(list)}\(byteCount):\(alignment)"
    default: return FieldType.scalars.first { $0.type == self }?.name ?? ""
    }
  }
}

extension Int {
  /// - Precondition: `unit` is above 0, and there is room above `self`.
  func roundedUp(toMultipleOf unit: Int) -> Int { (self + unit - 1) / unit * unit }
}
