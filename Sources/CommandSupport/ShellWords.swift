/// Splits a line of the shell into words, with the quoting of the POSIX shell and none of its expansions.
package enum ShellWords {
  /// The words of `line`, without their quotes.
  ///
  /// Blanks separate words. `'...'` keeps everything, `"..."` everything but a backslash before `"`, `\`, `$`, `` ` ``
  /// or a newline; outside quotes a backslash keeps the next byte. `#` at the start of a word begins a comment. A
  /// carriage return at the end of the line is ignored, so that scripts with CRLF work. Bytes need not be UTF-8.
  /// - Throws: ``UsageError`` `.unbalancedQuote` or `.zeroByte`, with the position in bytes counted from 1.
  /// - Complexity: O(line.count)
  package static func split(_ line: [UInt8]) throws(UsageError) -> [[UInt8]] {
    var splitter = Splitter(line: line)
    var words: [[UInt8]] = []
    while let word = try splitter.nextWord() { words.append(word) }
    return words
  }

  private struct Splitter {
    let line: [UInt8]
    let endOffset: Int
    var offset = 0

    init(line: [UInt8]) {
      self.line = line
      endOffset = line.last == UInt8(ascii: "\r") ? line.count - 1 : line.count
    }

    mutating func nextWord() throws(UsageError) -> [UInt8]? {
      while offset < endOffset, Self.isBlank(line[offset]) { offset += 1 }
      guard offset < endOffset, line[offset] != UInt8(ascii: "#") else { return nil }
      var word: [UInt8] = []
      while offset < endOffset, !Self.isBlank(line[offset]) {
        switch line[offset] {
        case UInt8(ascii: "'"): try appendSingleQuoted(to: &word)
        case UInt8(ascii: "\""): try appendDoubleQuoted(to: &word)
        case UInt8(ascii: "\\"):
          offset += 1
          guard offset < endOffset else {
            throw UsageError(.unbalancedQuote, "the backslash at the end of the line has no character after it")
          }
          // A newline after a backslash continues the line and is not part of the word.
          if line[offset] == UInt8(ascii: "\n") { offset += 1 } else { try appendByte(to: &word) }
        default: try appendByte(to: &word)
        }
      }
      return word
    }

    private mutating func appendSingleQuoted(to word: inout [UInt8]) throws(UsageError) {
      let start = offset
      offset += 1
      while offset < endOffset, line[offset] != UInt8(ascii: "'") { try appendByte(to: &word) }
      try closeQuote("'", openedAt: start)
    }

    private mutating func appendDoubleQuoted(to word: inout [UInt8]) throws(UsageError) {
      let start = offset
      offset += 1
      while offset < endOffset, line[offset] != UInt8(ascii: "\"") {
        if line[offset] == UInt8(ascii: "\\"), offset + 1 < endOffset {
          switch line[offset + 1] {
          case UInt8(ascii: "\n"):
            offset += 2
            continue
          case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "$"), UInt8(ascii: "`"): offset += 1
          default: break
          }
        }
        try appendByte(to: &word)
      }
      try closeQuote("\"", openedAt: start)
    }

    private mutating func closeQuote(_ quote: Character, openedAt start: Int) throws(UsageError) {
      guard offset < endOffset else {
        throw UsageError(.unbalancedQuote, "the quote \(quote) at position \(start + 1) is not closed")
      }
      offset += 1
    }

    private mutating func appendByte(to word: inout [UInt8]) throws(UsageError) {
      guard line[offset] != 0 else {
        throw UsageError(.zeroByte, "the line holds a zero byte at position \(offset + 1)")
      }
      word.append(line[offset])
      offset += 1
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
      byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\n")
    }
  }
}
