import Testing
import YAML

@Suite("YAML") struct YAMLTests {
  private func parse(_ text: String) throws(YAMLFailure) -> YAMLNode? { try YAML.parse(Array(text.utf8)) }

  /// The node in a short notation: quoted texts in quotes.
  private func shape(_ node: YAMLNode?) -> String {
    switch node {
    case nil: "nil"
    case .scalar(let scalar): shape(scalar)
    case .sequence(let items, _): "[" + items.map { shape($0) }.joined(separator: ", ") + "]"
    case .mapping(let pairs, _):
      "{" + pairs.map { shape($0.key) + ": " + shape($0.value) }.joined(separator: ", ") + "}"
    }
  }

  private func shape(_ scalar: YAMLScalar) -> String { scalar.isQuoted ? "'\(scalar.text)'" : scalar.text }

  @Test(
    "has no value for a document without one",
    arguments: ["", "\n", "# only a comment\n", "---\n", "---\n...\n", "\u{FEFF}"])
  func empty(text: String) throws { #expect(try parse(text) == nil) }

  @Test(
    "reads scalars, sequences and mappings in order",
    arguments: [
      ("a", "a"), ("''", "''"), ("\"\"", "''"), ("path: /var\nmemory: 64MiB\n", "{path: /var, memory: 64MiB}"),
      ("b: 1\na: 2", "{b: 1, a: 2}"), ("a: '10'", "{a: '10'}"), ("a: \"x\\ty\\u00e9\\xff\"", "{a: 'x\tyéÿ'}"),
      ("a: |\n  x\n  y\n", "{a: 'x\ny\n'}"), ("a: >-\n  x\n  y\n", "{a: 'x y'}"), ("a:", "{a: }"), ("a: ~", "{a: ~}"),
      ("- 1\n- [2, 'x']\n- {k: v}\n", "[1, [2, 'x'], {k: v}]"), ("[]", "[]"), ("{}", "{}"), ("'a': 1", "{'a': 1}"),
      ("a: 1 # comment", "{a: 1}"), ("größe: 名前 🗂", "{größe: 名前 🗂}"), ("%YAML 1.1\n---\na", "a"), ("a\n...\n", "a"),
      ("a: \"\\0\"", "{a: '\0'}"), ("a: 1\r\nb: 2\r\n", "{a: 1, b: 2}"), ("<<: 1", "{<<: 1}"), ("? a\n: b", "{a: b}"),
    ])
  func values(text: String, expected: String) throws { #expect(shape(try parse(text)) == expected) }

  @Test("knows where each value begins, in characters") func positions() throws {
    let document = try parse("# ä\nöl: [a,\n  {k: 'v'}]\n")
    guard case .mapping(let pairs, let mappingPosition) = document, let pair = pairs.first,
      case .sequence(let items, let sequencePosition) = pair.value, items.count == 2,
      case .mapping(let inner, let innerPosition) = items[1], let innerPair = inner.first
    else {
      Issue.record("read as \(shape(document))")
      return
    }
    #expect(mappingPosition == YAMLPosition(line: 2, column: 1))
    #expect(pair.key.position == YAMLPosition(line: 2, column: 1))
    #expect(sequencePosition == YAMLPosition(line: 2, column: 5))
    #expect(pair.value.position == sequencePosition)
    #expect(items[0].position == YAMLPosition(line: 2, column: 6))
    #expect(innerPosition == YAMLPosition(line: 3, column: 3))
    #expect(innerPair.value.position == YAMLPosition(line: 3, column: 7))
    #expect(items[1].position == innerPosition)
    #expect([document, pair.value, items[0]].map { $0?.kindDescription } == ["a mapping", "a list", "text"])
  }

  @Test(
    "refuses what a configuration does not need, and says where",
    arguments: [
      ("a: &x 1", .unsupported, "line 1, column 4: anchors (&name) are not accepted; write the value out"),
      ("a: &x [1]", .unsupported, "line 1, column 4: anchors (&name) are not accepted; write the value out"),
      ("&x a: 1", .unsupported, "line 1, column 1: anchors (&name) are not accepted; write the value out"),
      ("a: *x", .unsupported, "line 1, column 4: aliases (*name) are not accepted; write the value out"),
      ("*x : 1", .unsupported, "line 1, column 1: aliases (*name) are not accepted; write the value out"),
      ("\n- !!str 1", .unsupported, "line 2, column 3: tags (!name) are not accepted; leave the tag out"),
      ("!x {a: 1}", .unsupported, "line 1, column 1: tags (!name) are not accepted; leave the tag out"),
      ("[a]: 1", .unsupported, "line 1, column 1: a list or a mapping as a key; expected a plain text"),
      ("{{a: 1}: 2}", .unsupported, "line 1, column 2: a list or a mapping as a key; expected a plain text"),
      ("a\n---\nb\n", .unsupported, "line 2, column 1: a second document begins here; expected only one"),
      ("---\n---\n", .unsupported, "line 2, column 1: a second document begins here; expected only one"),
      ("a: 1\nb: 2\n'a': 3", .duplicateKey, "line 3, column 1: key 'a' stands twice, first on line 1"),
      (
        "\"\\e[1m\": 1\n\"\\e[1m\": 2", .duplicateKey,
        "line 2, column 1: key '\u{FFFD}[1m' stands twice, first on line 1"
      ),
    ] as [(String, YAMLFailure.Code, String)])
  func refusals(text: String, code: YAMLFailure.Code, description: String) {
    let failure = #expect(throws: YAMLFailure.self) { try parse(text) }
    #expect(failure?.code == code)
    #expect(failure?.description == description)
  }

  @Test(
    "says where malformed text goes wrong",
    arguments: [
      ("a: [1", 2, 1), ("a: 1\nb\nc: 2", 3, 1), ("a: 'x", 1, 6), ("\ta: 1", 1, 1), ("a: b: c", 1, 5),
      ("a: \"\\q\"", 1, 5),
      ("a: @x", 1, 4), ("a: 1\n b: 2", 2, 3), ("ä: \u{1}", 1, 4), ("x\n\u{7F}", 2, 1),
    ])
  func malformed(text: String, line: Int, column: Int) {
    let failure = #expect(throws: YAMLFailure.self) { try parse(text) }
    #expect(failure?.code == .malformed)
    #expect(failure.map { [$0.line, $0.column] } == [line, column], "\(failure?.description ?? "")")
    #expect(failure?.message.isEmpty == false)
  }

  @Test("says in libyaml's words what is wrong, with the line where it began") func malformedText() {
    let failure = #expect(throws: YAMLFailure.self) { try parse("a: 1\nb\nc: 2") }
    #expect(
      failure?.description == "line 3, column 1: while scanning a simple key on line 2: could not find expected ':'")
  }

  @Test(
    "refuses bytes that are no UTF-8",
    arguments: [
      ([0x61, 0xFF], 1, 2), ([0x0A, 0x0A, 0xC3], 3, 1), ([0xC3, 0xA4, 0x80], 1, 2), ([0xED, 0xA0, 0x80], 1, 1),
    ] as [([UInt8], Int, Int)])
  func invalidUTF8(bytes: [UInt8], line: Int, column: Int) {
    let failure = #expect(throws: YAMLFailure.self) { try YAML.parse(bytes) }
    #expect(failure?.code == .malformed)
    #expect(failure.map { [$0.line, $0.column] } == [line, column], "\(failure?.description ?? "")")
  }

  @Test("takes 32 levels and not 33", arguments: ["[]", "{}"])
  func depth(brackets: String) throws {
    let (open, close) = brackets == "[]" ? ("[", "]") : ("{a: ", "}")
    let text = { (depth: Int) in
      String(repeating: open, count: depth) + "x" + String(repeating: close, count: depth)
    }
    #expect(try parse(text(32)) != nil)
    let failure = #expect(throws: YAMLFailure.self) { try parse(text(33)) }
    #expect(failure?.code == .tooLarge)
    #expect(failure?.message == "more than 32 lists and mappings in each other")
    #expect(failure?.column == 32 * open.count + 1)
  }

  @Test("refuses hostile depth without using up the stack", arguments: ["[", "{a: ", "- ", "? "])
  func hostileDepth(opening: String) {
    let failure = #expect(throws: YAMLFailure.self) { try parse(String(repeating: opening, count: 100_000)) }
    #expect(failure?.code == .tooLarge || failure?.code == .unsupported)
  }

  @Test("takes 1 MiB and not a byte more") func size() throws {
    let comment = "a: 1\n#" + String(repeating: "x", count: YAML.maximumByteCount - 6)
    #expect(shape(try parse(comment)) == "{a: 1}")
    let failure = #expect(throws: YAMLFailure.self) { try parse(comment + "x") }
    #expect(failure?.code == .tooLarge)
    #expect(
      failure?.description
        == "line 1, column 1: the document has 1048577 bytes, more than the 1048576 that are accepted")
  }

  @Test("answers or throws for any bytes") func randomBytes() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var state = seed
    let alphabet = Array("ab: -[]{},'\"\n\t#&*!|>?%@\\\u{E9}\0".utf8)
    for _ in 0..<5000 {
      var bytes: [UInt8] = []
      for _ in 0..<40 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        bytes.append(alphabet[Int(state >> 33) % alphabet.count])
      }
      do {
        _ = try YAML.parse(bytes)
      } catch {
        #expect(error.line >= 1 && error.column >= 1 && !error.message.isEmpty, "seed \(seed): \(bytes)")
      }
    }
  }
}
