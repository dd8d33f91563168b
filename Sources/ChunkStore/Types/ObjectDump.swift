import StorageIO

/// Writes elements as text, by the layout that is stored with them alone.
struct ElementText {
  /// So many elements of an array inside an element are written out.
  private static let shownArrayCount = 16

  let bytes: ByteReader

  init(_ bytes: [UInt8]) { self.bytes = ByteReader(bytes) }

  /// As `{time=12 value=3.25}` or `[1, 2, 3]`.
  func text(_ type: FieldType, at offset: Int) -> String {
    switch type {
    case .int8: "\(bytes.get(offset, as: Int8.self))"
    case .int16: "\(bytes.get(offset, as: Int16.self))"
    case .int32: "\(bytes.get(offset, as: Int32.self))"
    case .int64: "\(bytes.get(offset, as: Int64.self))"
    case .uint8: "\(bytes.get(offset, as: UInt8.self))"
    case .uint16: "\(bytes.get(offset, as: UInt16.self))"
    case .uint32: "\(bytes.get(offset, as: UInt32.self))"
    case .uint64: "\(bytes.get(offset, as: UInt64.self))"
    case .float32: "\(Float(bitPattern: bytes.get(offset)))"
    case .float64: "\(Double(bitPattern: bytes.get(offset)))"
    case .array(let element, let count): array(element, count, at: offset)
    case .structure(let fields, _, _):
      "{" + fields.map { "\($0.name)=\(text($0.type, at: offset + $0.offset))" }.joined(separator: " ") + "}"
    }
  }

  private func array(_ element: FieldType, _ count: Int, at offset: Int) -> String {
    let shown = (0..<min(count, ElementText.shownArrayCount)).map {
      text(element, at: offset + $0 * element.strideByteCount)
    }
    let rest = count > shown.count ? ["and \(count - shown.count) more"] : []
    return "[" + (shown + rest).joined(separator: ", ") + "]"
  }
}

/// Reading objects without their types.
extension TypedStore {
  /// Elements of an object as text, by the layout that is stored with it: a line each, as `[3] {time=12 value=3.25}`.
  ///
  /// A value has one element. Those of a ring are counted from the first that it holds.
  /// - Parameters:
  ///   - first: the element to begin with.
  ///   - limit: how many elements at most.
  /// - Throws: `.notFound`, `.busy`, `.corrupt`, `.io`.
  public func dump(_ key: ChunkKey, from first: Int = 0, limit: Int = 64) throws(ChunkStoreError) -> [String] {
    guard let object = try open(key) else { throw ChunkStoreError(.notFound, "no object '\(key)'") }
    let type = object.layout.type
    let stride = type.strideByteCount
    let payload = try object.beginReading()
    defer { object.endReading() }
    var (slotCount, base, start, count) = (object.elementCount, payload.offset, 0, object.elementCount)
    if object.kind == .ring {
      let word = ByteReader(try payload.map.copy(base..<(base + 8))).get(0, as: UInt64.self)
      guard let ends = RingEnds(word: word, capacity: count) else {
        throw ChunkStoreError(.corrupt, "'\(key)': a ring of \(count) elements cannot have ends \(hex(word))")
      }
      (slotCount, base) = (RingEnds.slotCount(capacity: count), base + RingEnds.byteCount)
      (start, count) = (ends.first, ends.count)
    }
    guard first >= 0, first < count, limit > 0 else { return [] }
    var lines: [String] = []
    for position in first..<(first + min(limit, count - first)) {
      let offset = base + (start + position) % slotCount * stride
      let element = ElementText(try payload.map.copy(offset..<(offset + type.byteCount)))
      lines.append("[\(position)] \(element.text(type, at: 0))")
    }
    return lines
  }
}
