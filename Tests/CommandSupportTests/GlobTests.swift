import CommandSupport
import Testing

@Suite("Glob") struct GlobTests {
  @Test(
    "matches",
    arguments: [
      ("", ""), ("a", "a"), ("*", ""), ("*", "abc"), ("*", ".hidden"), ("*.iso", "big.iso"), ("*.iso", ".iso"),
      ("a*b*c", "aXbYbZc"), ("a?c", "abc"), ("?", "é"), ("?", "\u{1F5C2}"), ("[é-ë]", "ê"), ("**", "a/b/c"), ("**", ""),
      ("a/**", "a/b/c"), ("a/**", "a/"), ("a**c", "a/b/c"), ("**.txt", "a/b.txt"), ("***", "a/b"),
      ("**/b", "b"), ("**/b", "a/b"), ("**/b", "x/y/b"), ("a/**/b", "a/b"), ("a/**/b", "a/x/b"), ("a/**/b", "a/x/y/b"),
      ("**/**/b", "b"), ("**/**/b", "a/b"), ("**/", ""), ("**/", "a/"), ("a/*/c", "a/b/c"), ("a/*", "a/"),
      ("[a-c]", "b"), ("[abc]x", "cx"), ("[!a]", "b"), ("[^a]", "b"), ("[]]", "]"), ("[!]]", "a"), ("[]-]", "-"),
      ("[-a]", "-"), ("[a-]", "-"), ("[\\]]", "]"), ("[\\!a]", "!"), ("[a\\-z]", "-"), ("[[]", "["), ("[--0]", "."),
      ("[a-cx-z]", "y"), ("[!a-c]*", "dog"), ("\\*", "*"), ("\\?", "?"), ("\\[a]", "[a]"), ("\\\\", "\\"),
      ("a\\b", "ab"),
      ("]", "]"), ("a\nb", "a\nb"), ("*", "a\nb"), ("*a*", "banana"),
    ])
  func matches(pattern: String, name: String) throws {
    #expect(try Glob(Array(pattern.utf8)).matches(Array(name.utf8)))
  }

  @Test(
    "does not match",
    arguments: [
      ("", "a"), ("a", ""), ("a", "A"), ("a", "ab"), ("*", "a/b"), ("*", "/"), ("?", "/"), ("?", ""), ("??", "é"),
      ("[!a]", "/"), ("[.-0]", "/"), ("a*c", "a/c"), ("*.iso", "a/b.iso"), ("a/*", "a/b/c"), ("**/b", "ab"),
      ("**/b", "a/bc"),
      ("a/**/b", "ab"), ("a/**/b", "a/xb"), ("a/**", "a"), ("[a-c]", "d"), ("[abc]", ""), ("[abc]", "ab"),
      ("[!a]", "a"),
      ("[^a]", "a"), ("[a\\-z]", "b"), ("\\*", "a"), ("[a-c]", "B"), ("*a", "banan"),
    ])
  func mismatches(pattern: String, name: String) throws {
    #expect(try !Glob(Array(pattern.utf8)).matches(Array(name.utf8)))
  }

  @Test("takes a byte that is no UTF-8 as one character") func bytes() throws {
    #expect(try Glob(Array("a?b".utf8)).matches([0x61, 0xFF, 0x62]))
    #expect(try Glob([0x2A, 0xFF, 0x2A]).matches([0x61, 0xFF, 0x62]))
    #expect(try !Glob([0x2A, 0xFE, 0x2A]).matches([0x61, 0xFF, 0x62]))
    #expect(try Glob([0x5B, 0xFE, 0x2D, 0xFF, 0x5D]).matches([0xFE]))
    #expect(try !Glob(Array("[a-z]".utf8)).matches([0xFF]))
    // U+00FF is not the byte FF.
    #expect(try !Glob(Array("\u{FF}".utf8)).matches([0xFF]))
  }

  @Test(
    "refuses malformed patterns",
    arguments: [
      ("a[", "pattern 'a[' has a [ without its ]; write \\[ for a bracket itself"),
      ("[]", "pattern '[]' has a [ without its ]; write \\[ for a bracket itself"),
      ("[!]", "pattern '[!]' has a [ without its ]; write \\[ for a bracket itself"),
      ("[a-", "pattern '[a-' has a [ without its ]; write \\[ for a bracket itself"),
      ("[a\\", "pattern '[a\\\\' has a [ without its ]; write \\[ for a bracket itself"),
      ("[z-a]", "pattern '[z-a]' has a range in [...] whose end comes before its start"),
      ("a\\", "pattern 'a\\\\' ends in a backslash; write \\\\ for a backslash itself"),
    ])
  func malformed(pattern: String, message: String) {
    let error = #expect(throws: UsageError.self) { try Glob(Array(pattern.utf8)) }
    #expect(error?.code == .invalidPattern)
    #expect(error?.message == message)
  }

  @Test(
    "knows the bytes that every match begins with",
    arguments: [
      ("", ""), ("abc", "abc"), ("a/b*", "a/b"), ("a\\*b?c", "a*b"), ("é/[a]", "é/"), ("**/a", ""), ("*", ""),
    ])
  func literalPrefix(pattern: String, expected: String) throws {
    #expect(try Glob(Array(pattern.utf8)).literalPrefix == Array(expected.utf8))
  }

  @Test(
    "knows what is a pattern",
    arguments: [("a*", true), ("a?", true), ("[a", true), ("a\\b", true), ("a]{}!", false), ("", false)])
  func isPattern(text: String, expected: Bool) { #expect(Glob.isPattern(Array(text.utf8)) == expected) }

  @Test("does not explode on patterns that ruin backtracking", .timeLimit(.minutes(1)))
  func hostilePattern() throws {
    let name = Array(String(repeating: "a", count: 1000).utf8)
    #expect(try !Glob(Array((String(repeating: "*a", count: 100) + "b").utf8)).matches(name))
    #expect(try !Glob(Array((String(repeating: "**/", count: 100) + "b").utf8)).matches(name))
    #expect(try Glob(Array(String(repeating: "**a", count: 100).utf8)).matches(name))
  }

  @Test("agrees with a plain recursive definition on random patterns") func reference() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SplitMix(state: seed)
    for _ in 0..<20_000 {
      let pieces = (0..<Int.random(in: 0...6, using: &random)).map { _ in
        ["a", "b", "/", "*", "?", "**", "**/", "[ab]", "[!a]"].randomElement(using: &random) ?? ""
      }
      let name = (0..<Int.random(in: 0...6, using: &random)).map { _ in "ab/".randomElement(using: &random) ?? "a" }
      let pattern = pieces.joined()
      #expect(
        try Glob(Array(pattern.utf8)).matches(Array(String(name).utf8))
          == Self.matches(Array(pattern)[...], name[...], isComponentStart: true),
        "seed \(seed): \(pattern) on \(String(name))")
    }
  }

  /// What the documentation says, without a thought for time.
  private static func matches(
    _ pattern: ArraySlice<Character>, _ name: ArraySlice<Character>, isComponentStart: Bool
  ) -> Bool {
    guard let first = pattern.first else { return name.isEmpty }
    let starCount = pattern.prefix { $0 == "*" }.count
    if starCount > 0 {
      let rest = pattern.dropFirst(starCount)
      if starCount > 1, isComponentStart, rest.first == "/" {
        let after = rest.dropFirst()
        return matches(after, name, isComponentStart: true)
          || name.indices.contains { name[$0] == "/" && matches(after, name[($0 + 1)...], isComponentStart: true) }
      }
      let reach = starCount > 1 ? name : name.prefix { $0 != "/" }
      return (0...reach.count).contains { matches(rest, name.dropFirst($0), isComponentStart: false) }
    }
    guard let character = name.first else { return false }
    if first == "[" {
      let isMember = pattern[pattern.startIndex + 1] == "!" ? character != "a" : character != "/"
      let length = 4
      return isMember && character != "/"
        && matches(pattern.dropFirst(length), name.dropFirst(), isComponentStart: false)
    }
    guard first == character || first == "?" && character != "/" else { return false }
    return matches(pattern.dropFirst(), name.dropFirst(), isComponentStart: first == "/")
  }
}
