import Codecs
import StorageIO

/// How the values of a type lie in memory and in chunks: names, types and offsets of fields, size, alignment, byte order.
///
/// It is stored with every object, so that an object can be read without the type, and its fingerprint is compared when an
/// object is opened as a type.
public final class StructureLayout: Sendable, CustomStringConvertible {
  /// Of the type, for people: two types of another name and the same fields are the same to a store.
  public let name: String
  /// Counted up by whoever changes what fields mean; part of the fingerprint.
  public let version: Int
  public let type: FieldType
  /// Why values of the type cannot be stored, where it is so.
  public let problem: String?
  /// The same for layouts that are the same but for their names.
  public let fingerprint: Fingerprint
  /// Of the type, as Swift's `MemoryLayout` has them.
  let (byteCount, alignment, strideByteCount): (Int, Int, Int)

  /// The largest alignment that a chunk gives to an object, in bytes.
  public static let maximumAlignment = 64
  /// The longest text of a layout, in bytes.
  static let maximumTextByteCount = 32 << 10
  /// The order of the bytes of numbers; a store is not for machines of the other one.
  static let byteOrder = 1.littleEndian == 1 ? "little" : "big"

  init(name: String, version: Int, type: FieldType, problem: String? = nil) {
    self.name = name
    self.version = version
    self.type = type
    (byteCount, alignment, strideByteCount) = (type.byteCount, type.alignment, type.strideByteCount)
    let text = "\(version) \(StructureLayout.byteOrder) \(type.text)"
    let digest = Array(text.utf8).withRawSpan { MD5.digest(of: $0) }
    fingerprint = Fingerprint(bytes: digest.bytes)
    let isTooLong = text.utf8.count + name.utf8.count > StructureLayout.maximumTextByteCount
    self.problem = problem ?? (isTooLong ? "its layout takes more than 32 KiB to write down" : nil)
  }

  /// The layout of a number.
  convenience init<Scalar: BitwiseCopyable>(of scalar: Scalar.Type, _ type: FieldType) {
    self.init(name: "\(scalar)", version: 1, type: type)
  }

  /// The layout of a structure, by its stored fields in their order.
  ///
  /// Types and offsets come from the compiler, so a declaration can be wrong in names, and in fields left out, which makes
  /// a ``problem``.
  public convenience init<Structure: BitwiseCopyable>(
    of structure: Structure.Type, version: Int, _ fields: StoredField<Structure>...
  ) {
    let type = FieldType.structure(
      fields.map(\.field), byteCount: MemoryLayout<Structure>.size, alignment: MemoryLayout<Structure>.alignment)
    self.init(
      name: "\(structure)", version: version, type: type,
      problem: fields.lazy.compactMap(\.problem).first ?? StructureLayout.problem(of: type, "\(structure)", version))
  }

  /// As `Reading/1 little {time:i64@0,value:f64@8}16:8`.
  public var description: String { "\(name)/\(version) \(StructureLayout.byteOrder) \(type.text)" }

  static func problem(ofSize byteCount: Int) -> String? { byteCount > 0 ? nil : "its values have no bytes" }

  /// What is wrong with a declared structure.
  private static func problem(of type: FieldType, _ name: String, _ version: Int) -> String? {
    guard case .structure(let fields, let byteCount, let alignment) = type else { return nil }
    if let problem = problem(ofSize: byteCount) { return problem }
    if version < 1 { return "its version is \(version), not 1 or more" }
    if !isPlain(name) { return "the name of the type cannot be written down" }
    if alignment > maximumAlignment { return "it is aligned to \(alignment) bytes, more than \(maximumAlignment)" }
    var end = 0
    for field in fields {
      if !isPlain(field.name) { return "field '\(field.name)': a name has none of : , @ { } / and no space" }
      let expected = end.roundedUp(toMultipleOf: field.type.alignment)
      guard field.offset == expected else {
        return "field '\(field.name)' lies at byte \(field.offset), not \(expected): all fields, in their order?"
      }
      end = field.offset + field.type.byteCount
    }
    if Set(fields.map(\.name)).count < fields.count { return "two fields have the same name" }
    if end != byteCount { return "its fields end at byte \(end) of \(byteCount): all fields?" }
    return nil
  }

  /// Whether a name can stand in the text of a layout.
  static func isPlain(_ name: String) -> Bool {
    !name.isEmpty && name.utf8.allSatisfy { $0 > 32 && $0 != 127 && !Array(":,@{}/".utf8).contains($0) }
  }
}

/// 16 bytes that stand for a layout.
public struct Fingerprint: Hashable, Sendable, CustomStringConvertible {
  static let byteCount = 16
  private let words: SIMD2<UInt64>

  init(bytes: [UInt8]) {
    let reader = ByteReader(bytes)
    words = SIMD2(reader.get(0), reader.get(8))
  }

  var bytes: [UInt8] {
    var writer = ByteWriter(byteCount: Fingerprint.byteCount)
    writer.put(words[0], at: 0)
    writer.put(words[1], at: 8)
    return writer.bytes
  }

  public var description: String { bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
}

/// A declared field of a structure.
public struct StoredField<Structure: BitwiseCopyable>: Sendable {
  let field: FieldType.Field
  let problem: String?

  /// The stored field at `path`, which messages and dumps call `name`.
  public static func field<Value: ChunkStorable>(
    _ name: String, _ path: KeyPath<Structure, Value>
  ) -> StoredField {
    let layout = Value.layout
    let offset = MemoryLayout<Structure>.offset(of: path)
    return StoredField(
      field: FieldType.Field(name: name, type: layout.type, offset: offset ?? -1),
      problem: offset == nil
        ? "field '\(name)' is computed, not stored" : layout.problem.map { "field '\(name)': \($0)" })
  }
}
