import Foundation
import TestSupport
import Testing

@Suite("Staging in the shell") struct StageTests {
  private func run(_ script: String, in sandbox: Sandbox) throws -> CommandResult {
    var command = sandbox.command("shell")
    command.input = .bytes(Data(script.utf8))
    return try command.run()
  }

  @Test("collects files in memory and stores all of them in one step")
  func commit() throws {
    try Sandbox.use { sandbox in
      try Sample(.text, seed: 1).write(3 << 20, to: sandbox.work / "one")
      try (sandbox.work / "two").write("two")
      let result = try run(
        """
        stage mkdir -p /in/deep
        stage put one
        stage put two /in/deep
        stage put two /in/other
        stage rename /in/other /in/third
        stage list -r
        stage get /in/deep/two -o back
        stage stats
        stage remove -r /in/deep
        list
        wait
        stage commit jobs
        list
        stage list -r
        stage drop
        stage list -r
        """, in: sandbox)
      expectDone(result)
      let lines = result.outputText.split(separator: "\n").map(String.init)
      #expect(lines.contains("3145728\t/one"), "\(result)")
      #expect(lines.contains("3\t/in/deep/two") && lines.contains("0\t/in/deep/"), "\(result)")
      #expect(lines.contains("1\tjobs/in/third") || lines.contains("2\tjobs/in/third"), "\(result)")
      #expect(result.outputText.contains("quota") && result.outputText.contains("used"), "\(result)")
      #expect(Set(try sandbox.list().map(\.name)) == ["jobs/one", "jobs/in/third"])
      #expect(try (sandbox.work / "back").read() == Data("two".utf8))
      expectDone(try sandbox.pfs("get", "jobs/one", "-o", "restored"))
      try expectSameBytes(sandbox.work / "restored", sandbox.work / "one")
    }
  }

  @Test("leaves nothing in the store of what was not committed")
  func noCommit() throws {
    try Sandbox.use { sandbox in
      try (sandbox.work / "file").write("x")
      expectDone(try run("stage put file\nstage put file /copy\n", in: sandbox))
      #expect(try sandbox.list().isEmpty)
    }
  }

  @Test(
    "says what is wrong, goes on, and exits 1",
    arguments: [
      "stage", "stage frobnicate", "stage put missing", "stage put file /no/where", "stage get /none",
      "stage get /file -o file", "stage mkdir /file", "stage remove /none", "stage rename /none /x", "stage mkdir",
      "stage stats x", "stage put ../file ../../x", "stage list /none", "stage put large", "stage --quota 1MiB list",
    ])
  func failure(line: String) throws {
    try Sandbox.use { sandbox in
      try (sandbox.work / "file").write("x")
      try Sample(.zeros, seed: 1).write(5 << 20, to: sandbox.work / "large")
      let result = try run(
        "stage --quota 4MiB put file\n\(line)\nstage put file /after\nstage commit\n", in: sandbox)
      #expect(result.exitStatus == 1, "\(result)")
      #expect(!result.errorText.isEmpty, "\(result)")
      #expect(Set(try sandbox.list().map(\.name)) == ["file", "after"], "\(result)")
    }
  }

  @Test("shows what it has as JSON")
  func json() throws {
    try Sandbox.use { sandbox in
      try (sandbox.work / "file").write("x")
      let result = try run(
        "stage put file\nstage --json list\nstage --json stats\nstage --json commit\n", in: sandbox)
      expectDone(result)
      #expect(result.outputText.contains("\"size\":1"), "\(result)")
      #expect(result.outputText.contains("\"files\":1"), "\(result)")
      #expect(result.outputText.contains("\"status\":\"ready\""), "\(result)")
    }
  }

  @Test("is for the shell")
  func outside() throws {
    try Sandbox.use { sandbox in
      let result = try sandbox.pfs("stage", "list")
      #expect(result.exitStatus == 2 && result.errorText.contains("pfs shell"), "\(result)")
    }
  }
}

@Suite("ETL example") struct ETLExampleTests {
  @Test("writes with ten workers at once, shows what it staged, and stores all of it")
  func run() throws {
    try Sandbox.use { sandbox in
      let command = Command(
        Sandbox.products / "etl-staging", [sandbox.store], environment: sandbox.environment,
        workingDirectory: sandbox.work)
      let result = try command.run()
      #expect(result.exitStatus == 0, "\(result)")
      #expect(result.outputText.contains("stored 10 files in one step"), "\(result)")
      #expect(result.outputText.contains("worker,row,square"), "\(result)")
      #expect(try sandbox.list().map(\.name).sorted() == (0..<10).map { "jobs/today/part-\($0).csv" })
      expectDone(try sandbox.pfs("get", "jobs/today/part-7.csv", "-o", "part"))
      let lines = String(decoding: try (sandbox.work / "part").read(), as: UTF8.self).split(separator: "\n")
      #expect(lines.count == 2001 && lines.last == "7,1999,3996001")
      // Again: new versions, and the old ones stay.
      #expect(try command.run().exitStatus == 0)
      #expect(try sandbox.list().count == 20)
    }
  }

  @Test("says what is wrong, and does not crash")
  func failure() throws {
    try Sandbox.use { sandbox in
      try (sandbox.work / "file").write("x")
      for (arguments, status, text) in [
        ([], 2, "usage: etl-staging STORE"), (["file/store"], 1, "'file': not a directory"),
      ] {
        let command = Command(
          Sandbox.products / "etl-staging", arguments, environment: sandbox.environment,
          workingDirectory: sandbox.work)
        let result = try command.run()
        #expect(result.exitStatus == status && result.outputText.contains(text), "\(result)")
      }
    }
  }
}
