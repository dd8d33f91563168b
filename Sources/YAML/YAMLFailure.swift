/// A document could not be read; says where it goes wrong.
package struct YAMLFailure: Error, Hashable, Sendable, CustomStringConvertible {
  /// The kind of failure; a struct, so that a new kind breaks no caller.
  package struct Code: Hashable, Sendable, CustomStringConvertible {
    package let description: String

    /// The bytes are no YAML, or no text.
    package static let malformed = Code(description: "malformed")
    /// YAML, but of a kind that a configuration does not need: anchors, aliases, tags, keys that are no scalars,
    /// more than one document.
    package static let unsupported = Code(description: "unsupported")
    /// A key stands twice in one mapping.
    package static let duplicateKey = Code(description: "duplicate key")
    /// More bytes or levels than are accepted.
    package static let tooLarge = Code(description: "too large")

    private init(description: String) { self.description = description }
  }

  /// The kind of failure.
  package let code: Code
  /// Counted from 1.
  package let line: Int
  /// Counted from 1, in characters.
  package let column: Int
  /// One line for people, without the place.
  package let message: String
  package var description: String { "line \(line), column \(column): \(message)" }

  init(_ code: Code, at position: YAMLPosition, _ message: String) {
    self.code = code
    line = position.line
    column = position.column
    self.message = message
  }
}
