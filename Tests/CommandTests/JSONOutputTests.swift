import Foundation
import TestSupport
import Testing

@Suite("JSON") struct JSONOutputTests {
  @Test("of list is one object a line with the fields of the contract")
  func list() throws {
    try withFiles { sandbox in
      let lines = try JSON.lines(sandbox.done("--json", "list").standardOutput)
      #expect(lines.count == 2)
      let line = try #require(lines.first)
      #expect(line.names?.isSuperset(of: ["id", "name", "status", "size", "stored_size", "created", "etag"]) == true)
      #expect(line["id"]?.integer == 1)
      #expect(line["name"]?.string == "text")
      #expect(line["status"]?.string == "ready")
      #expect(line["size"]?.integer == 100_000)
      let storedByteCount = try #require(line["stored_size"]?.integer)
      #expect((1..<60_000).contains(storedByteCount), "text shrinks")
      let created = try date(#require(line["created"]?.string))
      #expect(abs(created.timeIntervalSinceNow) < 3600)
      let etags = lines.compactMap { $0["etag"]?.string }
      #expect(Set(etags).count == 2, "\(lines)")
      #expect(etags.allSatisfy { !$0.isEmpty })
    }
  }

  @Test("of list of an empty store is nothing at all")
  func emptyList() throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init")
      for arguments in [["--json", "list"], ["list", "nothing*"]] {
        let result = try sandbox.command(arguments).run()
        expectDone(result)
        if arguments[0] == "--json" { #expect(result.standardOutput.isEmpty, "\(result)") }
      }
    }
  }

  @Test("of info is one object, with the parts on --parts")
  func info() throws {
    try withFiles { sandbox in
      let info = try JSON(parsing: sandbox.done("--json", "info", "text").standardOutput)
      #expect(info["id"]?.integer == 1)
      #expect(info["name"]?.string == "text")
      #expect(info["status"]?.string == "ready")
      #expect(info["size"]?.integer == 100_000)
      #expect(info["part_list"] == nil)
      let withParts = try JSON(parsing: sandbox.done("--json", "info", "text", "--parts").standardOutput)
      let parts = try #require(withParts["part_list"]?.elements, "\(withParts)")
      #expect(parts.count == 25)
      #expect(parts.compactMap { $0["size"]?.integer }.reduce(0, +) == 100_000, "\(parts)")
      #expect(
        parts.allSatisfy {
          $0.names?.isSuperset(of: ["segment", "segment_offset", "offset", "stored_size", "codec", "md5"]) == true
        })
    }
  }

  @Test("of put is one object a file with id and name")
  func put() throws {
    try withFiles { sandbox in
      let result = try sandbox.done("--json", "put", "text", "noise")
      let lines = try JSON.lines(result.standardOutput)
      #expect(Set(lines.compactMap { $0["name"]?.string }) == ["text", "noise"], "\(result)")
      #expect(Set(lines.compactMap { $0["id"]?.integer }) == [3, 4], "\(result)")
      let tree = try sandbox.done("--json", "put", "-r", "tree")
      #expect(try JSON.lines(tree.standardOutput).compactMap { $0["name"]?.string } == ["tree/below"], "\(tree)")
    }
  }

  @Test(
    "of every other command is objects and nothing else",
    arguments: [
      ["init"], ["get", "1", "-o", "restored"], ["get", "-r", "tree", "-o", "restored"], ["delete", "1"], ["stats"],
      ["delete", "1", "2"], ["info", "2"], ["--version"], ["delete", "--dry-run", "1"],
    ])
  func others(arguments: [String]) throws {
    try withFiles { sandbox in
      try sandbox.done("put", "-r", "tree")
      let store: [String] = arguments == ["init"] ? ["--store", "new"] : []
      let result = try sandbox.command(store + ["--json"] + arguments).run()
      expectDone(result)
      let lines = try JSON.lines(result.standardOutput)
      #expect(lines.allSatisfy { $0.names?.isEmpty == false }, "\(result)")
      if arguments == ["stats"] { #expect(lines.count == 1) }
    }
  }

  @Test("and the bytes of a file do not share standard output: exit status 2")
  func contents() throws {
    try withFiles { sandbox in
      expectFailure(try sandbox.pfs("--json", "get", "text", "-o", "-"), 2, of: "get", says: "--json", "-o -")
    }
  }

  @Test("goes with errors on standard error and their exit status", arguments: ["get", "info", "delete"])
  func errors(command: String) throws {
    try withFiles { sandbox in
      let result = try sandbox.pfs("--json", command, "99")
      #expect(result.exitStatus == 4, "\(result)")
      #expect(result.errorText.contains("99"), "\(result)")
      #expect(try JSON.lines(result.standardOutput).allSatisfy { $0.names != nil })
    }
  }

  @Test("of stats counts what is there")
  func stats() throws {
    try withFiles { sandbox in
      let stats = try JSON(parsing: sandbox.done("--json", "stats").standardOutput)
      #expect(stats["files"]?.integer == 2, "\(stats)")
      #expect(stats["size"]?.integer == 140_000, "\(stats)")
    }
  }

  private func withFiles(_ body: (Sandbox) throws -> Void) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--part-size", "4KiB")
      try Sample(.text, seed: 1).write(100_000, to: sandbox.work / "text")
      try Sample(.random, seed: 2).write(40_000, to: sandbox.work / "noise")
      try (sandbox.work / "tree").makeDirectory()
      try (sandbox.work / "tree" / "below").write("below")
      try sandbox.put(sandbox.work / "text")
      try sandbox.put(sandbox.work / "noise")
      try body(sandbox)
    }
  }

  private func date(_ text: String) throws -> Date {
    let formatter = ISO8601DateFormatter()
    for options: ISO8601DateFormatter.Options in [
      [.withInternetDateTime], [.withInternetDateTime, .withFractionalSeconds],
    ] {
      formatter.formatOptions = options
      if let date = formatter.date(from: text) { return date }
    }
    // Foundation reads three digits of a fraction of a second; RFC 3339 allows any number.
    formatter.formatOptions = [.withInternetDateTime]
    let whole = text.replacing(/\.[0-9]+/, with: "")
    return try #require(formatter.date(from: whole), "no date of RFC 3339: \(text)")
  }
}
