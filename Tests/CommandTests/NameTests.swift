import Foundation
import TestSupport
import Testing

/// A file name and what is odd about it.
struct OddName: Sendable, CustomTestStringConvertible {
  let testDescription: String
  let bytes: [UInt8]

  init(_ description: String, _ bytes: [UInt8]) {
    testDescription = description
    self.bytes = bytes
  }

  init(_ description: String, _ text: String) { self.init(description, Array(text.utf8)) }

  static let all = [
    OddName("spaces", "  with  spaces "), OddName("newline", "line\nbreak"), OddName("tab", "tab\tstop"),
    OddName("leading dash", "-dash"), OddName("two dashes", "--json"), OddName("hidden", ".hidden"),
    OddName("escape sequence", "\u{1B}[31mred"), OddName("backslash", "back\\slash"),
    OddName("quotes", "it's \"quoted\""), OddName("shell", "$(touch made)`touch made`;|&"),
    OddName("glob", "*?[a-z]"), OddName("not ASCII", "äöü-日本語-🗄"),
    OddName("text that is reordered", "abc\u{202E}txt.exe"),
    OddName("invalid UTF-8", Array("file-".utf8) + [0xFF, 0xFE] + Array("-end".utf8)),
    OddName("half a character", [0xE6, 0x97]), OddName("Latin-1", [0x67, 0x72, 0xFC, 0x6E]),
    OddName("255 bytes", String(repeating: "n", count: 255)),
    OddName("255 bytes, not UTF-8", [UInt8](repeating: 0xFE, count: 255)),
  ]
}

@Suite("Name") struct NameTests {
  @Test("of any bytes is stored as it is and shown in one printable line", arguments: OddName.all)
  func oddName(name: OddName) throws {
    try Sandbox.use { sandbox in
      let path = sandbox.work / name.bytes
      let original = sandbox.root / "work" / "original"
      try original.write("contents")
      try path.write("contents")

      let put = try sandbox.pfs("put", "--", name.bytes)
      expectDone(put)
      #expect(put.outputLines.count == 1)
      #expect(put.outputLines.first?.hasPrefix("1\t") == true)
      expectPrintable(Data(put.standardOutput.dropFirst(2)), put)

      let list = try sandbox.done("--json", "list")
      let line = try #require(try JSON.lines(list.standardOutput).first)
      if let text = String(validating: name.bytes, as: UTF8.self) {
        #expect(line["name"]?.string == text)
        #expect(line["name_base64"] == nil)
      } else {
        #expect(line["name_base64"]?.string == Data(name.bytes).base64EncodedString())
      }
      for command in [["list"], ["info", "1"], ["list", "--long"]] {
        let result = try sandbox.command(command).run()
        expectDone(result)
        expectPrintable(result.standardOutput, result)
      }

      try path.remove()
      expectDone(try sandbox.pfs("get", "--", name.bytes))
      try expectSameBytes(path, original)
      #expect(try sandbox.work.entryNames().count == 2, "nothing else was made")
      expectDone(try sandbox.pfs("delete", "--", name.bytes))
      #expect(try sandbox.list().isEmpty)
    }
  }

  @Test("in a tree of any bytes comes back")
  func oddTree() throws {
    try Sandbox.use { sandbox in
      let tree = sandbox.work / [0x74, 0xFF, 0x72]
      for name in OddName.all {
        try (tree / name.bytes).makeDirectories()
        try (tree / name.bytes / name.bytes).write(name.testDescription)
      }
      expectDone(try sandbox.pfs("put", "-r", tree))
      expectDone(try sandbox.pfs("get", "-r", tree.lastComponent, "-o", "restored"))
      let differences = try FileTree(below: tree).differences(in: FileTree(below: sandbox.work / "restored"))
      #expect(differences == [])
    }
  }

  @Test("of digits alone is an id, and with ./ before it a name")
  func digits() throws {
    try Sandbox.use { sandbox in
      try (sandbox.work / "123").write("by name")
      try sandbox.put(sandbox.work / "123")
      try (sandbox.work / "123").remove()
      expectFailure(try sandbox.pfs("get", "123"), 4, of: "get", says: "123")
      try expectNothing(at: sandbox.work / "123")
      expectDone(try sandbox.pfs("get", "./123"))
      #expect(try (sandbox.work / "123").read() == Data("by name".utf8))
      expectFailure(try sandbox.pfs("delete", "123"), 4, of: "delete", says: "123")
      expectDone(try sandbox.pfs("info", "./123"))
      expectDone(try sandbox.pfs("delete", "./123"))
      #expect(try sandbox.list().isEmpty)
    }
  }

  @Test(
    "that is a number too large for an id is exit status 4",
    arguments: [
      "0", "18446744073709551615", "18446744073709551616", "99999999999999999999999999",
    ])
  func hugeNumber(text: String) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init")
      expectFailure(try sandbox.pfs("get", text), 4, of: "get", says: text)
      expectFailure(try sandbox.pfs("info", text), 4, of: "info", says: text)
      expectFailure(try sandbox.pfs("delete", text), 4, of: "delete", says: text)
    }
  }

  private func expectPrintable(
    _ data: Data, _ result: CommandResult, at location: SourceLocation = #_sourceLocation
  ) {
    guard let text = String(validating: data, as: UTF8.self) else {
      Issue.record("not UTF-8: \(result)", sourceLocation: location)
      return
    }
    let hazards = text.unicodeScalars.filter {
      ($0.value < 0x20 && $0 != "\n" && $0 != "\t") || (0x7F...0x9F).contains($0.value) || $0.value == 0x202E
    }
    #expect(hazards.isEmpty, "\(result)", sourceLocation: location)
  }
}
