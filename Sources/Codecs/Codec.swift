/// How the bytes of a part are stored; the raw value is what a record says.
///
/// Any byte can be read from a record, so that any raw value is a codec; see ``isSupported``.
public struct Codec: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// The number of the codec in a record.
  public let rawValue: UInt8

  /// The codec that a record calls `rawValue`, known or not.
  public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  /// The bytes as they are.
  public static let stored = Codec(rawValue: 0)
  /// Deflate in the zlib format, RFC 1950.
  public static let zlib = Codec(rawValue: 1)
  /// Zstandard, RFC 8878.
  public static let zstd = Codec(rawValue: 2)
  /// A block of LZ4.
  public static let lz4 = Codec(rawValue: 3)
  /// No bytes at all: every raw byte is zero.
  public static let zeros = Codec(rawValue: 4)

  /// Whether this build knows the codec.
  public var isSupported: Bool { rawValue <= Codec.zeros.rawValue }

  /// The name of the codec, or `codec N` for a number without one.
  public var description: String {
    switch self {
    case .stored: "stored"
    case .zlib: "zlib"
    case .zstd: "zstd"
    case .lz4: "lz4"
    case .zeros: "zeros"
    default: "codec \(rawValue)"
    }
  }
}
