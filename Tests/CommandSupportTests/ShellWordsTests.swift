import CommandSupport
import Testing

@Suite("ShellWords") struct ShellWordsTests {
  @Test(
    "splits as the POSIX shell quotes",
    arguments: [
      ("", []), ("  \t ", []), ("put a b", ["put", "a", "b"]), ("  put\ta  ", ["put", "a"]), ("'a b' c", ["a b", "c"]),
      ("\"a b\" c", ["a b", "c"]), ("a'b'\"c\"d", ["abcd"]), ("''", [""]), ("\"\" x", ["", "x"]), ("a\\ b", ["a b"]),
      ("\\'", ["'"]), ("'\\'", ["\\"]), ("'\"'", ["\""]), ("\"'\"", ["'"]), ("\"\\\"\\\\\\$\\`\"", ["\"\\$`"]),
      ("\"a\\b\"", ["a\\b"]), ("\"\\n\"", ["\\n"]), ("a\\b", ["ab"]), ("# all", []), ("a # b", ["a"]), ("a#b", ["a#b"]),
      ("'#'", ["#"]), ("\\#", ["#"]), ("a ''#b", ["a", "#b"]), ("# 'unclosed", []), ("$x `y` *", ["$x", "`y`", "*"]),
      ("put a\r", ["put", "a"]), ("\r", []), ("a\r b", ["a\r", "b"]), ("'a\r'", ["a\r"]), ("a\\\nb", ["ab"]),
      ("\"a\\\nb\"", ["ab"]), ("a\nb", ["a", "b"]), ("größe 'é ü'", ["größe", "é ü"]), ("''''", [""]),
    ])
  func split(line: String, words: [String]) throws {
    #expect(try ShellWords.split(Array(line.utf8)) == words.map { Array($0.utf8) })
  }

  @Test("keeps bytes that are no UTF-8") func bytes() throws {
    #expect(try ShellWords.split([0xFF, 0x20, 0x27, 0xC3, 0x27]) == [[0xFF], [0xC3]])
  }

  @Test(
    "refuses what is not closed, and says where it begins",
    arguments: [
      ("'", "the quote ' at position 1 is not closed"), ("ab 'c d", "the quote ' at position 4 is not closed"),
      ("a\"b", "the quote \" at position 2 is not closed"), ("\"a\\\"", "the quote \" at position 1 is not closed"),
      ("\"\\", "the quote \" at position 1 is not closed"), ("'a\r", "the quote ' at position 1 is not closed"),
      ("put a\\", "the backslash at the end of the line has no character after it"),
      ("\\\r", "the backslash at the end of the line has no character after it"),
    ])
  func unbalanced(line: String, message: String) {
    let error = #expect(throws: UsageError.self) { try ShellWords.split(Array(line.utf8)) }
    #expect(error?.code == .unbalancedQuote)
    #expect(error?.message == message)
  }

  @Test("refuses a zero byte, quoted or not", arguments: ["a\0", "'\0'", "\"\0\"", "\\\0"])
  func zeroByte(line: String) {
    let error = #expect(throws: UsageError.self) { try ShellWords.split(Array(line.utf8)) }
    #expect(error?.code == .zeroByte)
    let position = (line.utf8.firstIndex(of: 0)?.utf16Offset(in: line) ?? 0) + 1
    #expect(error?.message == "the line holds a zero byte at position \(position)")
  }
}

@Suite("Spelling") struct SpellingTests {
  @Test(
    "suggests the nearest word within two edits",
    arguments: [
      ("lsit", "list"), ("ls", "list"), ("delte", "delete"), ("stat", "stats"), ("verifi", "verify"), ("pt", "put"),
      ("puts", "put"), ("get", "put"), ("frobnicate", nil), ("", nil), ("x", nil), ("ab", nil), ("stas", "stats"),
    ] as [(String, String?)])
  func suggestion(typed: String, expected: String?) {
    let commands = ["init", "put", "get", "delete", "list", "info", "verify", "compact", "stats", "shell"]
    #expect(Spelling.suggestion(for: typed, among: commands.filter { $0 != typed }) == expected)
  }

  @Test("prefers the nearest, then the first") func order() {
    #expect(Spelling.suggestion(for: "abcd", among: ["abxy", "abcx", "abcy"]) == "abcx")
    #expect(Spelling.suggestion(for: "abcd", among: []) == nil)
    #expect(Spelling.suggestion(for: "abcd", among: ["abcd"]) == nil)
  }
}
