/// Why a part could not be encoded or decoded.
public struct CodecFailure: Error, Sendable, CustomStringConvertible {
  /// The kind of a failure.
  public struct Code: Hashable, Sendable, CustomStringConvertible {
    /// The name of the code.
    public let description: String

    /// The codec is unknown, or not part of this build.
    public static let unsupportedCodec = Code(description: "unsupportedCodec")
    /// The stored bytes are not a whole, intact stream of their codec.
    public static let damagedStream = Code(description: "damagedStream")
    /// The stored bytes decode to more or fewer bytes than expected.
    public static let wrongLength = Code(description: "wrongLength")
    /// The engine refused to work, for lack of memory as a rule; says nothing about the bytes.
    public static let engineFailure = Code(description: "engineFailure")

    private init(description: String) {
      self.description = description
    }
  }

  /// The kind of the failure.
  public let code: Code
  /// What failed, with what was expected and what was found.
  public let message: String

  /// The code and the message.
  public var description: String { "\(code): \(message)" }

  init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  static func unsupported(_ codec: Codec) -> CodecFailure {
    CodecFailure(.unsupportedCodec, "\(codec) is not one of stored, zlib, zstd, lz4, zeros")
  }

  static func noMemory(_ engine: String) -> CodecFailure {
    CodecFailure(.engineFailure, "\(engine) set up: out of memory")
  }

  static func wrongLength(_ place: String, expected rawByteCount: Int, found: String) -> CodecFailure {
    CodecFailure(.wrongLength, "\(place): expected \(rawByteCount) raw bytes, found \(found)")
  }
}
