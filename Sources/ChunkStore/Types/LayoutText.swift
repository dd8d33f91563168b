/// Reads the text of a layout back, which comes from disk and may be anything.
struct LayoutText {
  private static let maximumDepth = 32

  private let bytes: [UInt8]
  private var position = 0

  /// The layout that `bytes` describe; nil when they describe none.
  static func parse(_ bytes: [UInt8]) -> StructureLayout? {
    guard bytes.count <= StructureLayout.maximumTextByteCount + 64,
      let separator = bytes.firstIndex(of: UInt8(ascii: "/"))
    else { return nil }
    let name = String(decoding: bytes[..<separator], as: UTF8.self)
    var text = LayoutText(bytes: bytes, position: separator + 1)
    guard let version = text.number(), text.take(" "), text.word() == StructureLayout.byteOrder, text.take(" "),
      let type = text.type(depth: 0), text.position == bytes.count
    else { return nil }
    return StructureLayout(name: name, version: version, type: type)
  }

  private init(bytes: [UInt8], position: Int) {
    self.bytes = bytes
    self.position = position
  }

  private mutating func type(depth: Int) -> FieldType? {
    guard depth < LayoutText.maximumDepth else { return nil }
    if take("{") { return structure(depth: depth) }
    if let count = number() {
      guard take("*"), let element = type(depth: depth + 1) else { return nil }
      let (byteCount, overflowed) = element.strideByteCount.multipliedReportingOverflow(by: count)
      return overflowed || byteCount > LayoutText.maximumByteCount ? nil : .array(element, count: count)
    }
    guard let word = word() else { return nil }
    return FieldType.scalars.first { $0.name == word }?.type
  }

  /// What follows `{`. Fields must lie inside the structure, whatever bytes lie between them.
  private mutating func structure(depth: Int) -> FieldType? {
    var fields: [FieldType.Field] = []
    if !take("}") {
      repeat {
        guard let name = word(), take(":"), let type = type(depth: depth + 1), take("@"), let offset = number() else {
          return nil
        }
        fields.append(FieldType.Field(name: name, type: type, offset: offset))
      } while take(",")
      guard take("}") else { return nil }
    }
    guard let byteCount = number(), take(":"), let alignment = number(),
      (1...StructureLayout.maximumAlignment).contains(alignment), alignment.nonzeroBitCount == 1,
      fields.allSatisfy({ $0.type.byteCount <= byteCount && $0.offset <= byteCount - $0.type.byteCount })
    else { return nil }
    return .structure(fields, byteCount: byteCount, alignment: alignment)
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func number() -> Int? {
    let start = position
    var value = 0
    while position < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position]) {
      value = value * 10 + Int(bytes[position] - UInt8(ascii: "0"))
      guard value <= LayoutText.maximumByteCount else { return nil }
      position += 1
    }
    return position > start ? value : nil
  }

  private mutating func word() -> String? {
    let start = position
    let ends = Array(":,@{}/ ".utf8)
    while position < bytes.count, !ends.contains(bytes[position]) { position += 1 }
    return position > start ? String(decoding: bytes[start..<position], as: UTF8.self) : nil
  }

  /// Of one value, in bytes: so that sums of a few of them cannot overflow.
  private static let maximumByteCount = 1 << 40
}
