import Foundation
import TestSupport
import Testing

@Suite("Several processes") struct ConcurrencyTests {
  @Test("store at once: every file is there under an id of its own", arguments: [true, false])
  func puts(storeExists: Bool) throws {
    try Sandbox.use { sandbox in
      if storeExists { try sandbox.done("init", "--segment-size", "1MiB", "--part-size", "64KiB") }
      let names = (1...8).map { "file-\($0)" }
      for (index, name) in names.enumerated() {
        try Sample(.binary, seed: UInt64(index)).write(2 << 20 + index, to: sandbox.work / name)
      }
      let puts = try names.map { try sandbox.command("put", $0).start() }
      let identifiers = try puts.map { putting in
        let result = try putting.wait()
        expectDone(result)
        return result.outputText.prefix { $0 != "\t" }
      }
      #expect(Set(identifiers).count == 8, "\(identifiers)")
      #expect(Set(try sandbox.list().map(\.name)) == Set(names))
      for name in names {
        expectDone(try sandbox.pfs("get", name, "-o", "restored-\(name)"))
        try expectSameBytes(sandbox.work / "restored-\(name)", sandbox.work / name)
      }
    }
  }

  @Test("may get one file while another is deleted")
  func getWhileDeleting() throws {
    try withFiles { sandbox in
      let getting = try startGet(in: sandbox)
      expectDone(try sandbox.pfs("delete", "second"))
      expectDone(try sandbox.pfs("put", "first", "--name", "third"))
      let rest = try getting.readOutput()
      expectDone(try getting.wait())
      let isSame = try (sandbox.work / "first").read().dropFirst() == rest
      #expect(isSame)
      #expect(Set(try sandbox.list().map(\.name)) == ["first", "third"])
    }
  }

  @Test(
    "that read a file keep it from being deleted: exit status 5 when the time to wait is over",
    arguments: ["100ms", "1s"])
  func busy(timeout: String) throws {
    try withFiles { sandbox in
      let getting = try startGet(in: sandbox)
      try getting.stop()
      expectFailure(
        try sandbox.pfs("--lock-timeout", timeout, "delete", "first"), 5, of: "delete", says: "in use")
      #expect(try sandbox.list().map(\.status) == ["ready", "ready"])
      getting.resume()
      let rest = try getting.readOutput()
      expectDone(try getting.wait())
      let isSame = try (sandbox.work / "first").read().dropFirst() == rest
      #expect(isSame)
      expectDone(try sandbox.pfs("--lock-timeout", timeout, "delete", "first"))
      #expect(try sandbox.list().map(\.name) == ["second"])
    }
  }

  @Test("that were killed while they read hold up nothing")
  func killedReader() throws {
    try withFiles { sandbox in
      let getting = try startGet(in: sandbox)
      getting.kill()
      expectDone(try sandbox.pfs("--lock-timeout", "1s", "delete", "first"))
    }
  }

  @Test("see a put that another has begun as writing, and cannot get or delete it")
  func unfinished() throws {
    try withFiles { sandbox in
      var command = sandbox.command("put", "-", "--name", "unfinished")
      command.input = .pipe
      let putting = try command.start()
      let data = Sample(.random, seed: 7).bytes(24 << 20)
      try putting.write(data)
      try wait(for: "the put to be listed") { try sandbox.list().contains { $0.status == "writing" } }
      let id = String(try #require(try sandbox.list().first { $0.status == "writing" }).id)
      expectFailure(try sandbox.pfs("get", id, "-o", "restored"), 4, of: "get", says: id)
      expectFailure(try sandbox.pfs("get", "unfinished"), 4, of: "get", says: "unfinished")
      expectFailure(try sandbox.pfs("delete", id), 4, of: "delete", says: id)
      #expect(try JSON(parsing: sandbox.done("--json", "info", id).standardOutput)["status"]?.string == "writing")
      putting.closeInput()
      expectDone(try putting.wait())
      let isSame = try sandbox.done("get", id, "-o", "-").standardOutput == data
      #expect(isSame)
    }
  }

  @Test("put, get and delete at once, and what is left is right", arguments: [1, 2] as [UInt64])
  func mixture(seed: UInt64) throws {
    try withFiles { sandbox in
      var random = SeededGenerator(seed: seed)
      var expected: Set = ["first", "second"]
      for round in 0..<4 {
        var commands: [RunningCommand] = []
        for number in 0..<4 {
          let name = "mixture-\(round)-\(number)"
          try Sample(.text, seed: random.next()).write(Int(random.next() % 1_000_000), to: sandbox.work / name)
          commands.append(try sandbox.command("put", name).start())
          expected.insert(name)
        }
        let victim = expected.subtracting(["first", "second"]).filter { !$0.hasPrefix("mixture-\(round)") }.sorted()
          .first
        if let victim {
          commands.append(try sandbox.command("delete", victim).start())
          expected.remove(victim)
        }
        commands.append(try sandbox.command("get", "first", "-o", "restored-\(round)").start())
        for command in commands { expectDone(try command.wait()) }
        try expectSameBytes(sandbox.work / "restored-\(round)", sandbox.work / "first")
      }
      #expect(Set(try sandbox.list().map(\.name)) == expected)
      for name in expected {
        expectDone(try sandbox.pfs("get", "--force", name, "-o", "restored"))
        try expectSameBytes(sandbox.work / "restored", sandbox.work / name)
      }
    }
  }

  private func withFiles(_ body: (Sandbox) throws -> Void) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--segment-size", "1MiB", "--part-size", "64KiB")
      for (index, name) in ["first", "second"].enumerated() {
        try Sample(.random, seed: UInt64(index)).write(4 << 20, to: sandbox.work / name)
        try sandbox.put(sandbox.work / name)
      }
      try body(sandbox)
    }
  }

  /// A get that has begun to write, and cannot go on because nobody reads.
  private func startGet(in sandbox: Sandbox) throws -> RunningCommand {
    var command = sandbox.command("get", "first", "-o", "-")
    command.output = .pipe
    let getting = try command.start()
    #expect(try getting.readOutput(upTo: 1).count == 1)
    return getting
  }
}
