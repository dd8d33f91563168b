/// A path as the system has it: bytes that need not be UTF-8.
public struct BytePath: Hashable, Sendable {
  /// Without a terminating zero.
  public let bytes: [UInt8]

  public init(bytes: [UInt8]) { self.bytes = bytes }

  public init(_ text: String) { bytes = Array(text.utf8) }

  /// The entry `name` of the directory `directory`.
  public static func / (directory: BytePath, name: String) -> BytePath { directory / Array(name.utf8) }

  /// The entry of the directory `directory` with a name in any bytes.
  public static func / (directory: BytePath, name: [UInt8]) -> BytePath {
    BytePath(bytes: directory.bytes + [UInt8(ascii: "/")] + name)
  }

  /// What comes after the last slash.
  public var lastComponent: [UInt8] {
    Array(bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).last ?? [])
  }

  /// The directory that the path names an entry of.
  public var parent: BytePath { BytePath(bytes: Array(bytes.dropLast(lastComponent.count + 1))) }

  /// The path as text; bytes that are not UTF-8 are replaced.
  public var text: String { String(decoding: bytes, as: UTF8.self) }
}

extension BytePath: CustomStringConvertible {
  /// For messages.
  public var description: String { text }
}

/// What may stand on a command line: text, or a path in any bytes.
public protocol CommandArgument: Sendable {
  /// Without a terminating zero.
  var argumentBytes: [UInt8] { get }
}

extension BytePath: CommandArgument {
  /// The path.
  public var argumentBytes: [UInt8] { bytes }
}

extension String: CommandArgument {
  /// The text in UTF-8.
  public var argumentBytes: [UInt8] { Array(utf8) }
}

extension [UInt8]: CommandArgument {
  /// The bytes themselves.
  public var argumentBytes: [UInt8] { self }
}
