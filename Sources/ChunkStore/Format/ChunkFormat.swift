import Codecs
import StorageIO

/// What all structures of the format share; docs/CHUNKS.md has the bytes.
enum ChunkFormat {
  static let version: UInt32 = 1
  /// Objects begin at multiples of this, in bytes.
  static let objectAlignment = 64
  /// Of chunks that a store makes for more than one object, in bytes.
  static let chunkByteCounts = (64 << 10)...(1 << 40)
  /// The largest chunk, which one object has to itself, in bytes.
  static let maximumChunkByteCount = 1 << 46

  static func storePrefix(of uuid: [UInt8]) -> UInt64 { ByteReader(uuid).get(0) }
}

/// Bytes that are not what the format says.
struct FormatFailure: Error {
  enum Kind { case damaged, newerVersion, notThisKind }

  let kind: Kind
  let message: String

  init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }
}

/// A checksum, or another number of fixed width, as messages show it.
func hex<Number: FixedWidthInteger>(_ number: Number) -> String {
  let digits = String(number, radix: 16)
  return String(repeating: "0", count: Number.bitWidth / 4 - digits.count) + digits
}

func checksum(_ bytes: [UInt8], continuing previous: UInt32 = 0) -> UInt32 {
  bytes.withRawSpan { CRC32C.checksum(of: $0, continuing: previous) }
}

/// A chunk of a store, numbered from 1 on.
public struct ChunkID: Hashable, Comparable, Sendable, CustomStringConvertible {
  public let rawValue: UInt64

  init(rawValue: UInt64) { self.rawValue = rawValue }

  public static func < (left: ChunkID, right: ChunkID) -> Bool { left.rawValue < right.rawValue }
  public var description: String { String(rawValue) }

  private static let digitCount = 16
  private static let suffix = ".chunk"

  /// The name of its file: the number in sixteen digits.
  var fileName: [UInt8] {
    let digits = String(rawValue)
    return Array(
      (String(repeating: "0", count: max(0, ChunkID.digitCount - digits.count)) + digits + ChunkID.suffix).utf8)
  }

  /// The chunk that a file name stands for; nil for any other file.
  init?(fileName: [UInt8]) {
    let name = String(decoding: fileName, as: UTF8.self)
    guard name.hasSuffix(ChunkID.suffix), let number = UInt64(name.dropLast(ChunkID.suffix.utf8.count)), number > 0
    else { return nil }
    rawValue = number
    if self.fileName != fileName { return nil }
  }
}

/// The key of an object: 1 to 255 bytes, whose order is that of bytes. Made of text, its UTF-8.
public struct ChunkKey: Hashable, Comparable, Sendable, CustomStringConvertible, ExpressibleByStringInterpolation {
  public static let byteCounts = 1...255

  public let bytes: [UInt8]

  public init(bytes: [UInt8]) { self.bytes = bytes }
  public init(_ text: String) { self.init(bytes: Array(text.utf8)) }
  public init(stringLiteral text: String) { self.init(text) }

  public static func < (left: ChunkKey, right: ChunkKey) -> Bool { left.bytes.lexicographicallyPrecedes(right.bytes) }

  /// For messages: what is not UTF-8 is shown as U+FFFD, control characters escaped.
  public var description: String {
    String(decoding: bytes, as: UTF8.self).unicodeScalars.map { scalar in
      scalar.value < 32 || scalar.value == 127 ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
    }.joined()
  }

  func check() throws(ChunkStoreError) {
    guard ChunkKey.byteCounts.contains(bytes.count) else {
      throw ChunkStoreError(.invalidArgument, "a key has 1 to 255 bytes, this one \(bytes.count)")
    }
  }
}

/// What an object is.
public enum ObjectKind: UInt8, Sendable, CustomStringConvertible {
  case value = 1
  case array = 2
  case ring = 3

  public var description: String {
    switch self {
    case .value: "value"
    case .array: "array"
    case .ring: "ring"
    }
  }
}
