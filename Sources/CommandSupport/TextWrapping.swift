/// Breaks running text into lines.
enum TextWrapping {
  /// The words of `text` in lines of at most `columnLimit` columns; a longer word has a line for itself.
  static func lines(_ text: String, columnLimit: Int) -> [String] {
    var lines: [String] = []
    var line = ""
    for word in text.split(whereSeparator: \.isWhitespace) {
      if !line.isEmpty, DisplayWidth.columns(of: line) + 1 + DisplayWidth.columns(of: String(word)) > columnLimit {
        lines.append(line)
        line = ""
      }
      line += line.isEmpty ? String(word) : " \(word)"
    }
    return line.isEmpty ? lines : lines + [line]
  }
}
