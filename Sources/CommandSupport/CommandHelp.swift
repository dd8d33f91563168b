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

  /// The ways to call the command, each such as `pfs put [OPTIONS] PATH...`.
  package let usages: [String]
  /// What the command does: one or more sentences.
  package let summary: String
  package let sections: [Section]
  /// Paragraphs after the options.
  package let notes: [String]

  /// Makes the help of a command; sections without options are left out.
  package init(usages: [String], summary: String, sections: [Section] = [], notes: [String] = []) {
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
    for section in sections where !section.table.options.isEmpty {
      paragraphs.append(["\(section.title):"] + section.table.helpLines(columnLimit: columnLimit))
    }
    for note in notes { paragraphs.append(TextWrapping.lines(note, columnLimit: columnLimit)) }
    return paragraphs.filter { !$0.isEmpty }.map { $0.joined(separator: "\n") }.joined(separator: "\n\n") + "\n"
  }
}
