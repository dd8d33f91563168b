/// Help as a part of a manual page, in the language of mdoc(7).
extension CommandHelp {
  /// All that the help says, as a subsection called `title`, but for a note that is for the help alone.
  /// - Complexity: O(length of the text)
  package func manual(title: String, without helpNote: String? = nil) -> String {
    var lines = [".Ss \(Manual.macroWords(title))"]
    lines += usages.map { ".Dl \(Manual.macroWords($0))" }
    lines += Manual.paragraph(summary)
    if !commands.isEmpty {
      lines += [".Bl -tag -width Ds"]
      for command in commands { lines += [".It Cm \(Manual.macroWords(command.line))"] + Manual.text(command.effect) }
      lines += [".El"]
    }
    for section in sections where !section.table.options.isEmpty { lines += section.table.manualLines }
    for note in notes where note != helpNote { lines += Manual.paragraph(note) }
    if !examples.isEmpty {
      lines += [".Pp", ".Bl -tag -width Ds -compact"]
      for example in examples { lines += [".It Li \(Manual.macroWords(example.line))"] + Manual.text(example.effect) }
      lines += [".El"]
    }
    return lines.joined(separator: "\n") + "\n"
  }
}

extension OptionTable {
  /// The options as a list of mdoc(7).
  package var manualLines: [String] {
    guard !options.isEmpty else { return [] }
    var lines = [".Bl -tag -width Ds"]
    for option in options {
      var names = option.shortName.map { ["Fl", "\($0)", ","] } ?? []
      names += ["Fl", Manual.word("-\(option.longName)")]
      if case .value(let placeholder) = option.argument { names += ["Ar", Manual.macroWords(placeholder)] }
      lines += [".It \(names.joined(separator: " "))"] + Manual.text(option.help)
    }
    return lines + [".El"]
  }
}

/// Text as roff takes it.
package enum Manual {
  private static let columnLimit = 78

  /// `text` as a paragraph of its own.
  package static func paragraph(_ text: String) -> [String] { [".Pp"] + self.text(text) }

  /// `text` as lines, each sentence beginning on a line of its own.
  package static func text(_ text: String) -> [String] {
    var sentences: [[String]] = [[]]
    for part in text.split(whereSeparator: \.isWhitespace) {
      if sentences.last?.last?.last == ".", sentences.last?.last != "...", part.first?.isUppercase == true {
        sentences.append([])
      }
      sentences[sentences.count - 1].append(String(part))
    }
    return sentences.flatMap { sentence in
      TextWrapping.lines(sentence.map(word).joined(separator: " "), columnLimit: columnLimit).map { line in
        // A dot would begin a request.
        line.hasPrefix(".") ? "\\&\(line)" : line
      }
    }
  }

  /// `text` as arguments of a macro, none of which is taken for a macro itself.
  package static func macroWords(_ text: String) -> String {
    text.split(separator: " ").map { part in
      let isShort = part.count <= 3 || !part.contains { $0.isLetter || $0.isNumber }
      return (isShort ? "\\&" : "") + word(String(part)).replacing("\"", with: "\\(dq")
    }.joined(separator: " ")
  }

  /// One word, whose characters stay what they are; what is typed keeps its dashes.
  static func word(_ word: String) -> String {
    let isOption = word.drop { !$0.isLetter && !$0.isNumber && $0 != "-" }.first == "-"
    var text = ""
    for character in word {
      switch character {
      case "\\": text += "\\e"
      case "-" where isOption: text += "\\-"
      case "'": text += "\\(aq"
      case "`": text += "\\(ga"
      case "^": text += "\\(ha"
      case "~": text += "\\(ti"
      default: text.append(character)
      }
    }
    return text
  }
}
