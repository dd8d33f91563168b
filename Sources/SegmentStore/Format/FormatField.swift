/// A field of a structure of the format. A test holds docs/FORMAT.md against these lists, name by name.
struct FormatField: Hashable, Sendable {
  let name: String
  /// From the start of the structure.
  let offset: Int
  let byteCount: Int

  /// The fields of one structure, by name and offset: each ends where the next begins, the last at `end`.
  static func list(_ offsets: KeyValuePairs<String, Int>, end: Int) -> [FormatField] {
    let ends = offsets.dropFirst().map(\.value) + [end]
    return zip(offsets, ends).map { (field, end) in
      FormatField(name: field.key, offset: field.value, byteCount: end - field.value)
    }
  }
}
