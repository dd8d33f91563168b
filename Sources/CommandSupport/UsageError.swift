/// What the user typed cannot be used as it stands.
package struct UsageError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The kind of mistake; a struct, so that a new kind breaks no caller.
  package struct Code: Hashable, Sendable, CustomStringConvertible {
    package let description: String

    /// A value is not of the form its option or key asks for.
    package static let invalidValue = Code(description: "invalid value")
    /// No option has this name.
    package static let unknownOption = Code(description: "unknown option")
    /// An abbreviation stands for several options.
    package static let ambiguousOption = Code(description: "ambiguous option")
    /// An option that needs a value stands without one.
    package static let missingValue = Code(description: "missing value")
    /// An option that takes no value was given one.
    package static let unexpectedValue = Code(description: "unexpected value")
    /// A quote or a backslash in a shell line has no end.
    package static let unbalancedQuote = Code(description: "unbalanced quote")
    /// A name pattern is malformed.
    package static let invalidPattern = Code(description: "invalid pattern")
    /// A word holds a zero byte, which no argument and no path can hold.
    package static let zeroByte = Code(description: "zero byte")

    private init(description: String) { self.description = description }
  }

  /// The kind of mistake.
  package let code: Code
  /// One line for people: what was found and what is accepted, printable on any terminal.
  package let message: String
  package var description: String { "\(code): \(message)" }

  /// Makes an error; `message` is one line without a full stop.
  package init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }
}
