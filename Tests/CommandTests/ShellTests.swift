import Foundation
import TestSupport
import Testing

@Suite("Shell") struct ShellTests {
  @Test("runs a script from a pipe: put, list, get 1, delete, wait, exit")
  func script() throws {
    try Sandbox.use { sandbox in
      let original = sandbox.work / "original"
      try Sample(.text, seed: 1).write(3 << 20, to: original)
      try (sandbox.work / "other").write("other")
      var command = sandbox.command("shell")
      command.input = .pipe
      let shell = try command.start()
      shell.feed(
        Data(
          """
          put original
          wait
          put other
          wait
          list
          get 1 -o restored
          wait
          delete 2
          wait
          list
          exit

          """.utf8))
      let result = try shell.wait()
      expectDone(result)
      #expect(result.outputText.contains("1\toriginal"), "\(result)")
      #expect(result.outputText.contains("2\tother"), "\(result)")
      try expectSameBytes(sandbox.work / "restored", original)
      #expect(try sandbox.list().map(\.name) == ["original"])
    }
  }

  @Test("restores get 1 to the name of the file")
  func getOne() throws {
    try Sandbox.use { sandbox in
      try Sample(.random, seed: 2).write(100_000, to: sandbox.root / "work" / "original")
      try sandbox.put(sandbox.work / "original", "--name", "restored")
      expectDone(try run("get 1\n", in: sandbox))
      try expectSameBytes(sandbox.work / "restored", sandbox.work / "original")
    }
  }

  @Test("stores all of 50 files that one script puts", arguments: ["", "exit\n", "wait\nexit\n"])
  func fiftyPuts(end: String) throws {
    try Sandbox.use { sandbox in
      let names = (1...50).map { "file-\($0)" }
      for (index, name) in names.enumerated() {
        try Sample(.text, seed: UInt64(index)).write(index * 5000, to: sandbox.work / name)
      }
      let result = try run(names.map { "put \($0)\n" }.joined() + end, in: sandbox)
      expectDone(result)
      let files = try sandbox.list()
      #expect(Set(files.map(\.name)) == Set(names))
      #expect(Set(files.map(\.id)).count == 50)
      for file in files.prefix(5) {
        expectDone(try sandbox.pfs("get", String(file.id), "-o", "restored-\(file.name)"))
        try expectSameBytes(sandbox.work / "restored-\(file.name)", sandbox.work / file.name)
      }
    }
  }

  @Test(
    "goes on after a failure, and exits 1",
    arguments: [
      "get 99", "put missing", "frobnicate", "delete", "put 'unbalanced", "list --frobnicate", "get nobody",
    ])
  func failure(line: String) throws {
    try Sandbox.use { sandbox in
      for name in ["before", "after"] { try (sandbox.work / name).write(name) }
      let result = try run("put before\nwait\n\(line)\nput after\n", in: sandbox)
      #expect(result.exitStatus == 1, "\(result)")
      #expect(!result.errorText.isEmpty, "\(result)")
      #expect(Set(try sandbox.list().map(\.name)) == ["before", "after"])
    }
  }

  @Test("passes over empty lines and takes a last line without an end")
  func emptyLines() throws {
    try Sandbox.use { sandbox in
      try (sandbox.work / "file").write("contents")
      let result = try run("\n\n   \nput file\n\n\nput file", in: sandbox)
      expectDone(result)
      #expect(try sandbox.list().count == 2)
    }
  }

  @Test("understands quotes and backslashes in names")
  func quotes() throws {
    try Sandbox.use { sandbox in
      try (sandbox.work / "two words").write("contents")
      let result = try run("put 'two words'\nwait\nput \"two words\"\nwait\nput two\\ words\n", in: sandbox)
      expectDone(result)
      #expect(try sandbox.list().map(\.name) == ["two words", "two words", "two words"])
    }
  }

  @Test("of nothing is exit status 0")
  func nothing() throws {
    try Sandbox.use { sandbox in
      expectDone(try run("", in: sandbox))
      expectDone(try run("exit\n", in: sandbox))
      expectDone(try run("help\njobs\nwait\nexit\n", in: sandbox))
    }
  }

  @Test("comes back at once, and shows a put that is under way as not ready")
  func concurrent() throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--part-size", "64KiB")
      try Sample(.text, seed: 3).write(192 << 20, to: sandbox.work / "big")
      var command = sandbox.command("shell")
      command.input = .pipe
      command.output = .pipe
      let shell = try command.start()
      try shell.write(Data("put big\n".utf8))
      // Another process sees the put begin; then so must the shell, long before it is over.
      try wait(for: "the put to be listed") { try sandbox.list().contains { $0.status == "writing" } }
      try shell.write(Data("list\njobs\nexit\n".utf8))
      shell.closeInput()
      let output = String(decoding: try shell.readOutput(), as: UTF8.self)
      expectDone(try shell.wait())
      let lines = output.split(separator: "\n")
      let writing = try #require(lines.firstIndex { $0.contains("writing") && $0.contains("big") }, "\(output)")
      let stored = try #require(lines.firstIndex { $0.hasPrefix("1\tbig") }, "\(output)")
      #expect(writing < stored, "\(output)")
      #expect(try sandbox.list().map(\.status) == ["ready"])
    }
  }

  @Test("waits at exit for what it has begun")
  func exitWaits() throws {
    try Sandbox.use { sandbox in
      try Sample(.random, seed: 4).write(32 << 20, to: sandbox.work / "big")
      expectDone(try run("put big\nexit\n", in: sandbox))
      #expect(try sandbox.list().map(\.status) == ["ready"])
    }
  }

  @Test("takes its script from a file as well")
  func file() throws {
    try Sandbox.use { sandbox in
      try (sandbox.work / "file").write("contents")
      try (sandbox.work / "script").write("put file\nput file\n")
      expectDone(try sandbox.pfs("shell", input: .file(sandbox.work / "script")))
      #expect(try sandbox.list().count == 2)
    }
  }

  private func run(_ script: String, in sandbox: Sandbox) throws -> CommandResult {
    var command = sandbox.command("shell")
    command.input = .pipe
    let shell = try command.start()
    shell.feed(Data(script.utf8))
    return try shell.wait()
  }
}
