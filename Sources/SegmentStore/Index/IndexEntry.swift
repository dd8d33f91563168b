import Codecs
import Mutants
import StorageIO

/// A value of an index table: fields of fixed width, sealed with a checksum over table, key and fields.
///
/// LMDB has no checksums of its own: of single-bit flips in its pages it reports about one in two hundred.
protocol IndexEntry: Sendable {
  func fields() -> [UInt8]
  init(decoding fields: [UInt8]) throws(FormatFailure)
}

extension IndexEntry {
  func sealed(under key: [UInt8], in table: String) -> [UInt8] {
    let fields = fields()
    var writer = ByteWriter(byteCount: fields.count + Seal.byteCount)
    writer.put(fields, at: 0)
    writer.put(Seal.checksum(table, key, fields), at: fields.count)
    return writer.bytes
  }

  init(sealed value: [UInt8], under key: [UInt8], in table: String) throws(StoreError) {
    let fields = try Seal.fields(of: value, under: key, in: table)
    do throws(FormatFailure) { try self.init(decoding: fields) } catch { throw StoreError(index: error) }
  }
}

/// The checksum of an entry, whatever its fields mean.
enum Seal {
  static let byteCount = 4

  /// The fields of an entry without the checksum, which must be right.
  static func fields(of value: [UInt8], under key: [UInt8], in table: String) throws(StoreError) -> [UInt8] {
    guard value.count >= byteCount else {
      throw StoreError(index: FormatFailure(.damaged, "entry of \(value.count) bytes"))
    }
    let fields = Array(value.dropLast(byteCount))
    let stored: UInt32 = ByteReader(value).get(fields.count)
    let computed = checksum(table, key, fields)
    guard stored == computed || Mutant.noValueChecksum.isActive else {
      throw StoreError(
        index: FormatFailure(.damaged, "entry of \(table): stored CRC32C \(hex(stored)), bytes give \(hex(computed))"))
    }
    return fields
  }

  static func checksum(_ table: String, _ key: [UInt8], _ fields: [UInt8]) -> UInt32 {
    (Array(table.utf8) + key + fields).withRawSpan { CRC32C.checksum(of: $0) }
  }
}

/// Reads the fields of an entry that must have `byteCount` bytes.
func expect(_ fields: [UInt8], _ byteCount: Int, _ what: String) throws(FormatFailure) -> ByteReader {
  guard fields.count == byteCount else {
    throw FormatFailure(.damaged, "\(what) entry of \(fields.count) bytes, \(byteCount) expected")
  }
  return ByteReader(fields)
}

/// An entry whose key says it all.
struct Marker: IndexEntry, Hashable {
  init() {}
  func fields() -> [UInt8] { [] }
  init(decoding fields: [UInt8]) throws(FormatFailure) { _ = try expect(fields, 0, "marker") }
}

/// Table `meta`, key `counters`.
extension Counters: IndexEntry {
  func fields() -> [UInt8] { encoded() }
}

/// Table `meta`, key `store`.
extension StoreUUID: IndexEntry {
  func fields() -> [UInt8] { bytes }

  init(decoding fields: [UInt8]) throws(FormatFailure) {
    self.init(bytes: try expect(fields, StoreUUID.byteCount, "store").bytes)
  }
}
