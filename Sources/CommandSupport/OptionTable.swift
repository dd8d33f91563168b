/// The options that a command takes, as data: the parser, the help and the completion all read it.
package struct OptionTable: Hashable, Sendable {
  /// One option.
  package struct Option: Hashable, Sendable {
    /// What follows the option.
    package enum Argument: Hashable, Sendable {
      case none
      /// A value that must be there, called `placeholder` in the help, such as `SIZE`.
      case value(placeholder: String)
    }

    /// Without the dashes.
    package let longName: String
    /// An ASCII letter or digit.
    package let shortName: Character?
    package let argument: Argument
    /// All values there are, for completion; empty where they cannot be listed.
    package let choices: [String]
    /// One sentence for the help.
    package let help: String

    /// Makes an option; the names are as in `--long-name` and `-l`, without the dashes.
    package init(
      _ longName: String, short shortName: Character? = nil, value placeholder: String? = nil, choices: [String] = [],
      help: String
    ) {
      precondition(
        !longName.isEmpty && longName.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "=") },
        "'\(longName)' is no name of an option")
      precondition(
        shortName.map { $0.isASCII && ($0.isLetter || $0.isNumber) } ?? true,
        "'\(shortName.map(String.init) ?? "")' is no letter of an option")
      self.longName = longName
      self.shortName = shortName
      argument = placeholder.map { .value(placeholder: $0) } ?? .none
      self.choices = choices
      self.help = help
    }

    /// As the help shows it: `-o, --output PATH`, aligned for options with and without a letter.
    fileprivate var synopsis: String {
      let short = shortName.map { "-\($0), " } ?? "    "
      switch argument {
      case .none: return "\(short)--\(longName)"
      case .value(let placeholder): return "\(short)--\(longName) \(placeholder)"
      }
    }
  }

  /// In the order of the help.
  package let options: [Option]

  /// Makes a table; no name may stand twice.
  package init(_ options: [Option]) {
    let longNames = options.map(\.longName)
    let shortNames = options.compactMap(\.shortName)
    precondition(Set(longNames).count == longNames.count, "an option stands twice in \(longNames)")
    precondition(Set(shortNames).count == shortNames.count, "a letter stands twice in \(shortNames)")
    self.options = options
  }

  /// The option called `longName` in full, or nil.
  /// - Complexity: O(options.count)
  package func option(named longName: String) -> Option? {
    options.first { option in option.longName == longName }
  }

  /// This table and then `other`, for a command that takes the global options too.
  package func adding(_ other: OptionTable) -> OptionTable { OptionTable(options + other.options) }

  /// The options as two aligned columns, names and sentences, each line at most `columnLimit` wide where the words
  /// allow it.
  /// - Complexity: O(length of the text)
  package func helpLines(columnLimit: Int = 80) -> [String] {
    let widest = options.map { option in DisplayWidth.columns(of: option.synopsis) }.max() ?? 0
    let sentenceColumn = min(widest, Self.maximumSynopsisColumnCount) + 4
    var lines: [String] = []
    for option in options {
      var sentenceLines = TextWrapping.lines(option.help, columnLimit: columnLimit - sentenceColumn)
      let synopsis = "  \(option.synopsis)"
      if DisplayWidth.columns(of: synopsis) + 2 > sentenceColumn || sentenceLines.isEmpty {
        lines.append(synopsis)
      } else {
        lines.append(DisplayWidth.padded(synopsis, to: sentenceColumn) + sentenceLines.removeFirst())
      }
      lines += sentenceLines.map { line in String(repeating: " ", count: sentenceColumn) + line }
    }
    return lines
  }

  /// Longer ones have the sentence start on the next line.
  private static let maximumSynopsisColumnCount = 26
}
