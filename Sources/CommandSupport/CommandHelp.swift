/// What `help` says about a command, made from its option tables.
package struct CommandHelp: Sendable {
  /// A titled list of options.
  package struct Section: Hashable, Sendable {
    package let title: String
    package let table: OptionTable

    /// Makes a section; `title` is without a colon.
    package init(_ title: String, _ table: OptionTable) {
      self.title = title
      self.table = table
    }
  }

  /// A line to type, and what it does.
  package struct Example: Hashable, Sendable {
    package let line: String
    package let effect: String

    /// Makes an example; neither text holds a newline.
    package init(_ line: String, _ effect: String) {
      self.line = line
      self.effect = effect
    }
  }

  /// The ways to call the command, each such as `pfs put [OPTIONS] PATH...`.
  package let usages: [String]
  /// What the command does: one or more sentences.
  package let summary: String
  /// The commands of a program that has several, after the summary.
  package let commands: [Example]
  package let sections: [Section]
  /// Paragraphs after the options.
  package let notes: [String]
  /// At the end.
  package let examples: [Example]

  /// Makes the help of a command; sections without options are left out.
  package init(
    usages: [String], summary: String, commands: [Example] = [], sections: [Section] = [], notes: [String] = [],
    examples: [Example] = []
  ) {
    self.commands = commands
    self.examples = examples
    self.usages = usages
    self.summary = summary
    self.sections = sections
    self.notes = notes
  }

  /// The whole text, ending in a newline, each line at most `columnLimit` wide where the words allow it.
  /// - Complexity: O(length of the text)
  package func text(columnLimit: Int = 80) -> String {
    var paragraphs: [[String]] = []
    paragraphs.append(
      usages.enumerated().flatMap { index, usage in
        let lines = TextWrapping.lines(usage, columnLimit: columnLimit - 7)
        return lines.enumerated().map { lineIndex, line in
          switch (index, lineIndex) {
          case (0, 0): "Usage: \(line)"
          case (_, 0): "   or: \(line)"
          default: "       \(line)"
          }
        }
      })
    paragraphs.append(TextWrapping.lines(summary, columnLimit: columnLimit))
    if !commands.isEmpty { paragraphs.append(["Commands:"] + Self.lines(commands)) }
    for section in sections where !section.table.options.isEmpty {
      paragraphs.append(["\(section.title):"] + section.table.helpLines(columnLimit: columnLimit))
    }
    for note in notes { paragraphs.append(TextWrapping.lines(note, columnLimit: columnLimit)) }
    if !examples.isEmpty { paragraphs.append(["Examples:"] + Self.lines(examples)) }
    return paragraphs.filter { !$0.isEmpty }.map { $0.joined(separator: "\n") }.joined(separator: "\n\n") + "\n"
  }

  /// What is to be typed stays in one line, as it is meant to be copied.
  private static func lines(_ examples: [Example]) -> [String] {
    let widest = examples.map { example in DisplayWidth.columns(of: example.line) }.max() ?? 0
    return examples.map { example in
      "  " + DisplayWidth.padded(example.line, to: widest) + "  " + example.effect
    }
  }
}
