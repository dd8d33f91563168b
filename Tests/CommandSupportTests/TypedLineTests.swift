import CommandSupport
import Testing

@Suite("TypedLine") struct TypedLineTests {
  @Test(
    "takes words apart as the shell does, the last one unfinished",
    arguments: [
      ("", [""]), ("pfs ", ["pfs", ""]), ("pfs get a", ["pfs", "get", "a"]), ("a  b\tc", ["a", "b", "c"]),
      ("a\\ b c\\", ["a b", "c"]), ("'a b' 'c", ["a b", "c"]), ("\"a \\\"b\" \"c\\", ["a \"b", "c"]),
      ("\"a\\b\"", ["a\\b"]), ("$'a\\nb\\t\\101' $'\\37", ["a\nb\tA", ""]), ("$'a\\", ["a"]),
      ("'' \"\" x", ["", "", "x"]),
      ("a'b'\"c\"d", ["abcd"]), ("a > out b", ["a", "b"]), ("a 2>err b", ["a", "b"]), ("a2>err b", ["a2", "b"]),
      ("a\\\nb", ["ab"]), ("\"$HOME\"/x ~/y $HOME ${HOME}z", ["/home/me/x", "/home/me/y", "/home/me", "/home/mez"]),
      ("'$HOME' a~ ~b $NONE ${HOME $", ["$HOME", "a~", "~b", "$NONE", "${HOME", "$"]),
    ])
  func words(line: String, expected: [String]) {
    let typed = TypedLine(Array(line.utf8)) { $0 == "HOME" ? Array("/home/me".utf8) : nil }
    #expect(typed.words.map { String(decoding: $0, as: UTF8.self) } == expected)
    #expect(!typed.isRedirection)
  }

  @Test("knows where a redirection leads to", arguments: ["a > ", "a >out", "a 2>>", "a <'x y"])
  func redirection(line: String) {
    let typed = TypedLine(Array(line.utf8))
    #expect(typed.isRedirection && typed.words == [Array("a".utf8)])
  }

  @Test("says how to go on so that any bytes are read back, in every kind of quotes", arguments: 0..<200)
  func goingOn(seed: Int) {
    var generator = SplitMix(state: UInt64(seed))
    let special = Array("'\"\\$`! \n\t\u{1B}~#*é€\u{202E}&|;<>(){}[]=:@%07n".utf8) + [0xFF, 0xC3, 0x80]
    let name = (0..<(1 + Int(generator.next() % 12))).map { _ in
      generator.next() % 3 == 0
        ? UInt8(1 + generator.next() % 255) : special[Int(generator.next() % UInt64(special.count))]
    }
    for start in ["pfs get x", "pfs get 'x", "pfs get \"x", "pfs get $'x"] {
      let typed = TypedLine(Array(start.utf8))
      let whole = TypedLine(Array(start.utf8) + typed.typing(name))
      #expect(whole.current == [UInt8(ascii: "x")] + name, "seed \(seed): \(start)")
      #expect(whole.words.count == 3 && whole.unfinishedByteCount == 0, "seed \(seed): \(start)")
    }
  }

  @Test("counts what means nothing yet", arguments: [("a\\", 1), ("\"a\\", 1), ("$'a\\3", 2), ("$'a\\", 1), ("a", 0)])
  func unfinished(line: String, byteCount: Int) {
    #expect(TypedLine(Array(line.utf8)).unfinishedByteCount == byteCount)
  }
}
