import StorageIO

/// A number that names one thing in one store for ever: it is never given to another, not after a crash, not after
/// the index was made anew. Zero names nothing.
public protocol StoreIdentifier: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible
where RawValue == UInt64 {
  init(rawValue: UInt64)
}

extension StoreIdentifier {
  public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
  public var description: String { String(rawValue) }

  /// The key in an index table: big-endian, so that the order of bytes is the order of numbers.
  var key: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: rawValue >> (56 - 8 * $0)) } }

  init?(key: some Collection<UInt8>) {
    guard key.count == 8 else { return nil }
    self.init(rawValue: key.reduce(0) { $0 << 8 | UInt64($1) })
  }
}

/// A stored file, or one that is being stored.
public struct FileID: StoreIdentifier {
  public let rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// A part of a file: the unit that is hashed, encoded and appended.
public struct PartID: StoreIdentifier {
  public let rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// A segment file.
public struct SegmentID: StoreIdentifier {
  public let rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// The name of the file in `segments/`: the number in sixteen decimal digits.
  var fileName: [UInt8] {
    let digits = Array(String(rawValue).utf8)
    return Array(repeating: UInt8(ascii: "0"), count: max(0, 16 - digits.count)) + digits + Array(".seg".utf8)
  }

  /// The segment that a file name stands for; nil for any other file.
  init?(fileName: [UInt8]) {
    guard fileName.count >= 20, fileName.suffix(4) == Array(".seg".utf8)[...],
      let number = UInt64(String(decoding: fileName.dropLast(4), as: UTF8.self)), number > 0
    else { return nil }
    self.init(rawValue: number)
    if self.fileName != fileName { return nil }
  }
}

/// A process that writes, from the moment it takes its first id to the moment it closes the store or dies.
struct WriterID: StoreIdentifier {
  let rawValue: UInt64
}

/// The number of a record: no two records of a store have the same. It rises within a process; between processes it tells
/// no order, since each takes ranges.
struct Sequence: StoreIdentifier {
  let rawValue: UInt64
}

/// What tells one store from another: in the superblock, every segment and every record.
struct StoreUUID: Hashable, Sendable, CustomStringConvertible {
  static let byteCount = 16
  let bytes: [UInt8]

  init(bytes: [UInt8]) {
    precondition(bytes.count == StoreUUID.byteCount, "a UUID has 16 bytes")
    self.bytes = bytes
  }

  /// A random one, version 4 of RFC 9562.
  init() throws(SystemCallFailure) {
    var bytes = try Random.bytes(StoreUUID.byteCount)
    bytes[6] = bytes[6] & 0x0F | 0x40
    bytes[8] = bytes[8] & 0x3F | 0x80
    self.init(bytes: bytes)
  }

  /// The first eight bytes, as records carry them.
  var prefix: UInt64 { ByteReader(bytes).get(0) }

  var description: String {
    let digits = bytes.map { byte in
      let text = String(byte, radix: 16)
      return text.count == 1 ? "0" + text : text
    }.joined()
    let groups = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)]
    let characters = Array(digits)
    return groups.map { String(characters[$0.0..<$0.1]) }.joined(separator: "-")
  }
}
