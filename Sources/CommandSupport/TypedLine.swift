/// A command line of the POSIX shell or bash that is still being typed, up to the cursor: what its words mean, and how
/// the last one goes on.
///
/// Nothing is run and nothing is looked up but variables: what a substitution of a command gives is not known, and its
/// text stands for it.
package struct TypedLine: Hashable, Sendable {
  /// The quote that is open at the cursor.
  private enum Quote: Hashable, Sendable {
    case none
    case single
    case double
    /// `$'`, in which bash knows the escapes of C.
    case escapes
  }

  /// The words, without quotes; the last one is being typed, and empty behind a blank.
  package private(set) var words: [[UInt8]] = []
  /// Whether the last word is where a redirection leads to, and none of ``words``.
  package private(set) var isRedirection = false
  /// How many bytes before the cursor mean nothing yet, such as a lone backslash; what goes on takes their place.
  package private(set) var unfinishedByteCount = 0
  private var quote = Quote.none

  /// Takes `line` apart.
  /// - Parameter variable: the value of a variable; nil leaves its name as it is.
  /// - Complexity: O(line.count)
  package init(_ line: [UInt8], variable: @escaping (String) -> [UInt8]? = { _ in nil }) {
    var reader = Reader(line: line, variable: variable)
    reader.read()
    words = reader.words
    isRedirection = reader.isRedirection
    unfinishedByteCount = reader.unfinishedByteCount
    quote = reader.quote
  }

  /// The word that is being typed.
  package var current: [UInt8] { words.last ?? [] }

  /// What to type to have the last word go on with `bytes`, in the quote that is open; that stays open.
  /// - Complexity: O(bytes.count)
  package func typing(_ bytes: [UInt8]) -> [UInt8] {
    var typed: [UInt8] = []
    for unit in TextUnits(bytes) { append(unit, to: &typed) }
    return typed
  }

  private func append(_ unit: TextUnit, to typed: inout [UInt8]) {
    switch unit {
    case .scalar(let scalar) where !DisplayName.isTerminalHazard(scalar): append(scalar, to: &typed)
    case .scalar(let scalar): append(octal: Array(String(scalar).utf8), to: &typed)
    case .invalidByte(let byte): append(octal: [byte], to: &typed)
    }
  }

  private func append(_ scalar: Unicode.Scalar, to typed: inout [UInt8]) {
    let text = Array(String(scalar).utf8)
    let needsBackslash: Bool
    switch quote {
    case .none: needsBackslash = scalar.isASCII && !TypedLine.isPlain(scalar)
    case .escapes: needsBackslash = scalar == "'" || scalar == "\\"
    case .double where scalar == "!":
      // In double quotes a backslash before it would stay.
      typed += Array("\"'!'\"".utf8)
      return
    case .double: needsBackslash = "\"\\$`".unicodeScalars.contains(scalar)
    case .single where scalar == "'":
      typed += Array("'\\''".utf8)
      return
    case .single: needsBackslash = false
    }
    typed += needsBackslash ? [UInt8(ascii: "\\")] + text : text
  }

  /// What a terminal would take for something else, or cannot show.
  private func append(octal bytes: [UInt8], to typed: inout [UInt8]) {
    let escapes = bytes.map { byte in
      let digits = String(byte, radix: 8)
      return "\\" + String(repeating: "0", count: 3 - digits.count) + digits
    }.joined()
    switch quote {
    case .none: typed += Array("$'\(escapes)'".utf8)
    case .single: typed += Array("'$'\(escapes)''".utf8)
    case .double: typed += Array("\"$'\(escapes)'\"".utf8)
    case .escapes: typed += Array(escapes.utf8)
    }
  }

  private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "a"..."z", "A"..."Z", "0"..."9", "_", "-", ".", "/", ",", ":", "@", "%", "+", "=": true
    default: false
    }
  }

  // MARK: Taking it apart

  private struct Reader {
    let line: [UInt8]
    let variable: (String) -> [UInt8]?
    var words: [[UInt8]] = []
    var isRedirection = false
    var unfinishedByteCount = 0
    var quote = Quote.none

    private var offset = 0
    private var word: [UInt8] = []
    /// Whether a word has begun: quotes alone make an empty one.
    private var isInWord = false
    private var wordStart = 0

    init(line: [UInt8], variable: @escaping (String) -> [UInt8]?) {
      self.line = line
      self.variable = variable
    }

    mutating func read() {
      while offset < line.count {
        switch quote {
        case .none: readUnquoted()
        case .single: readSingleQuoted()
        case .double: readDoubleQuoted()
        case .escapes: readEscapes()
        }
      }
      if !isRedirection { words.append(word) }
    }

    private mutating func begin() {
      if isInWord { return }
      isInWord = true
      wordStart = offset
    }

    private mutating func endWord() {
      if isInWord, !isRedirection { words.append(word) }
      if isInWord { isRedirection = false }
      (word, isInWord) = ([], false)
    }

    private mutating func readUnquoted() {
      let byte = line[offset]
      switch byte {
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"):
        endWord()
        offset += 1
        return
      case UInt8(ascii: "<"), UInt8(ascii: ">"):
        // Digits right before it are the descriptor.
        if !word.isEmpty, word.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) {
          (word, isInWord) = ([], false)
        }
        endWord()
        isRedirection = true
        offset += 1
        return
      default: begin()
      }
      switch byte {
      case UInt8(ascii: "'"): open(.single, byteCount: 1)
      case UInt8(ascii: "\""): open(.double, byteCount: 1)
      case UInt8(ascii: "\\"): readBackslash { _ in true }
      case UInt8(ascii: "$") where next == UInt8(ascii: "'"): open(.escapes, byteCount: 2)
      case UInt8(ascii: "$"): readVariable()
      case UInt8(ascii: "~") where offset == wordStart && (next == nil || next == UInt8(ascii: "/")):
        take(variable("HOME") ?? [byte], byteCount: 1)
      default: take([byte], byteCount: 1)
      }
    }

    private mutating func readSingleQuoted() {
      if line[offset] == UInt8(ascii: "'") { open(.none, byteCount: 1) } else { take([line[offset]], byteCount: 1) }
    }

    private mutating func readDoubleQuoted() {
      switch line[offset] {
      case UInt8(ascii: "\""): open(.none, byteCount: 1)
      case UInt8(ascii: "\\"): readBackslash { byte in "\"\\$`\n".utf8.contains(byte) }
      case UInt8(ascii: "$"): readVariable()
      default: take([line[offset]], byteCount: 1)
      }
    }

    private mutating func readEscapes() {
      guard line[offset] != UInt8(ascii: "'") else { return open(.none, byteCount: 1) }
      guard line[offset] == UInt8(ascii: "\\") else { return take([line[offset]], byteCount: 1) }
      let octal = line[(offset + 1)...].prefix(3).prefix { (UInt8(ascii: "0")...UInt8(ascii: "7")).contains($0) }
      if !octal.isEmpty {
        // Three are written; fewer at the end are being typed.
        if octal.count < 3, offset + 1 + octal.count == line.count { return leaveUnfinished() }
        let value = octal.reduce(0) { $0 * 8 + Int($1 - UInt8(ascii: "0")) }
        return take([UInt8(truncatingIfNeeded: value)], byteCount: 1 + octal.count)
      }
      guard let next else { return leaveUnfinished() }
      let named: [UInt8: UInt8] = [
        UInt8(ascii: "n"): 0x0A, UInt8(ascii: "t"): 0x09, UInt8(ascii: "r"): 0x0D, UInt8(ascii: "e"): 0x1B,
        UInt8(ascii: "E"): 0x1B,
        UInt8(ascii: "a"): 0x07, UInt8(ascii: "b"): 0x08, UInt8(ascii: "f"): 0x0C, UInt8(ascii: "v"): 0x0B,
      ]
      take([named[next] ?? next], byteCount: 2)
    }

    private var next: UInt8? { offset + 1 < line.count ? line[offset + 1] : nil }

    private mutating func open(_ quote: Quote, byteCount: Int) {
      self.quote = quote
      offset += byteCount
    }

    private mutating func take(_ bytes: [UInt8], byteCount: Int) {
      word += bytes
      offset += byteCount
    }

    private mutating func leaveUnfinished() {
      unfinishedByteCount = line.count - offset
      offset = line.count
    }

    private mutating func readBackslash(isEscaped: (UInt8) -> Bool) {
      guard let next else { return leaveUnfinished() }
      if !isEscaped(next) { return take([line[offset]], byteCount: 1) }
      // A newline behind it continues the line.
      take(next == UInt8(ascii: "\n") ? [] : [next], byteCount: 2)
    }

    private mutating func readVariable() {
      let isBraced = next == UInt8(ascii: "{")
      let name = line[(offset + 1 + (isBraced ? 1 : 0))...].prefix { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"),
          UInt8(ascii: "0")...UInt8(ascii: "9"):
          true
        default: false
        }
      }
      let isClosed = !isBraced || (name.endIndex < line.count && line[name.endIndex] == UInt8(ascii: "}"))
      guard !name.isEmpty, isClosed, let value = variable(String(decoding: name, as: UTF8.self)) else {
        return take([line[offset]], byteCount: 1)
      }
      take(value, byteCount: name.endIndex + (isBraced ? 1 : 0) - offset)
    }
  }
}
