/// One step through bytes that are meant as UTF-8 but need not be.
enum TextUnit: Hashable, Sendable {
  /// A well-formed scalar.
  case scalar(Unicode.Scalar)
  /// A byte that is part of no well-formed scalar.
  case invalidByte(UInt8)

  /// A number that is different for every unit, and in scalar order for scalars.
  var ordinal: UInt32 {
    switch self {
    case .scalar(let scalar): return scalar.value
    // Scalars end at 10FFFF; invalid bytes get the numbers above.
    case .invalidByte(let byte): return 0x11_0000 + UInt32(byte)
    }
  }
}

/// The bytes of a name as a sequence of scalars and invalid bytes, none lost.
struct TextUnits: Sequence, IteratorProtocol {
  private let bytes: [UInt8]
  private var offset = 0
  private var rest: IndexingIterator<[UInt8]>
  private var parser = UTF8.ForwardParser()
  private var pendingInvalidByteCount = 0

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
    rest = bytes.makeIterator()
  }

  mutating func next() -> TextUnit? {
    if pendingInvalidByteCount == 0 {
      switch parser.parseScalar(from: &rest) {
      case .emptyInput: return nil
      case .valid(let encoded):
        offset += encoded.count
        return .scalar(UTF8.decode(encoded))
      case .error(let length): pendingInvalidByteCount = length
      }
    }
    pendingInvalidByteCount -= 1
    offset += 1
    return .invalidByte(bytes[offset - 1])
  }
}
