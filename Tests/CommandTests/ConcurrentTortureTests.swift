import Foundation
import TestSupport
import Testing

/// `pfs-bench torture concurrent` and `memory`, on little: that they do what they say, and see what they have to see.
@Suite("Torture: concurrent and memory") struct ConcurrentTortureTests {
  @Test("histories of threads and of processes can be explained, and leave nothing behind")
  func histories() throws {
    try Sandbox.use { sandbox in
      let figures = try figures(sandbox, "concurrent", "--budget", "17", "--workers", "2")
      #expect(figures["histories"] == 17)
      #expect(figures["histories of processes"] == 1)
      #expect(try #require(figures["operations"]) >= 600, "\(figures)")
      #expect(try #require(figures["events"]) >= 600, "\(figures)")
      #expect(try #require(figures["bytes moved by compactions"]) > 0, "\(figures)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: sandbox.work.text).isEmpty)
    }
  }

  /// Each history is one line of events; what it shows is in front.
  @Test(
    "an order is found where there is one",
    arguments: [
      "a put, then a look: 0 1 2 added a=1 / 0 3 4 versions a 1 / 1 3 4 present 1 / 1 5 6 newest a=1",
      "a look beside a put sees it or not: 0 1 9 added a=1 / 1 2 3 versions a - / 1 4 5 versions a 1",
      "two puts at once: 0 1 9 added a=1 / 1 1 9 added a=2 / 2 2 3 newest a=2 / 2 4 5 versions a 1,2",
      "of two who delete one finds it: 0 1 2 added a=1 / 0 3 9 removed 1 / 1 3 9 missing 1 / 1 10 11 all -",
      "a get by name while the newest goes: 0 1 2 added a=1 / 0 3 4 added a=2 / 0 5 9 removed 2 / 1 6 8 newest a=1",
      "a delete by name beside a put: 0 1 2 added a=1 / 1 3 9 newest a=1 / 1 3 9 +removed 1 / 0 4 5 added a=2 / 0 6 7 all 1,2",
      "a batch: 0 1 9 added a=1,b=2 / 1 2 3 all - / 1 4 5 all 1,2",
    ])
  func explained(history: String) throws {
    let result = try check(history)
    expectDone(result)
  }

  @Test(
    "none is found where there is none, and a few events show why",
    arguments: [
      ("lost: 0 1 2 added a=1 / 1 3 4 versions a -", 2),
      ("seen before it was there: 0 1 2 versions a 1 / 1 3 4 added a=1", 2),
      ("back from the dead: 0 1 2 added a=1 / 0 3 4 removed 1 / 1 5 6 present 1", 3),
      ("deleted twice: 0 1 2 added a=1 / 0 3 4 removed 1 / 1 5 6 removed 1", 3),
      ("never stored: 0 1 2 added a=1 / 1 3 4 present 7", 1),
      ("seen, and then not: 0 1 9 added a=1 / 1 2 3 versions a 1 / 1 4 5 versions a -", 3),
      ("the older version: 0 1 2 added a=1 / 0 3 4 added a=2 / 1 5 6 newest a=1", 3),
      (
        "nothing while there was always something: 0 1 2 added a=1 / 0 3 4 added a=2 / 0 5 9 removed 2 / 1 6 8 newest a=-",
        2
      ),
      ("half a batch: 0 1 9 added a=1,b=2 / 1 2 3 all 1", 2),
      ("a list of two moments: 0 1 2 added a=1 / 0 3 4 removed 1 / 0 5 6 added a=2 / 1 0 9 all 1,2", 4),
      (
        "a delete by name of what was never the newest: 0 1 2 added a=1 / 0 3 4 added a=2 / 1 5 9 newest a=1 / 1 5 9 +removed 1",
        4
      ),
      ("an id that was given twice: 0 1 2 added a=1 / 1 3 4 added b=1", 2),
      ("the content of another: 0 1 2 added a=1#5 / 1 3 4 present 1#6", 2),
      ("a later put with a lower id: 0 1 2 added a=2 / 1 3 4 added a=1", 2),
      (
        "lost among much else: 0 1 2 added a=1 / 0 3 4 added b=2 / 1 3 8 added a=3 / 2 4 9 versions b 2 / 2 10 11 newest a=3,b=2 / "
          + "0 12 13 removed 2 / 1 12 14 added c=4 / 2 15 16 versions a 3 / 0 17 18 all 1,3,4", 2
      ),
    ])
  func unexplained(history: String, eventCount: Int) throws {
    let result = try check(history)
    #expect(result.exitStatus == 3, "\(result)")
    let events = result.errorText.split(separator: "\n").filter { $0.hasPrefix("    ") }
    #expect(events.count <= eventCount, "\(result)")
    #expect(!events.isEmpty)
  }

  @Test("operations are done under limits from the smallest that works, and refused below it")
  func memory() throws {
    try Sandbox.use { sandbox in
      let figures = try figures(sandbox, "memory", "--budget", "8", "--workers", "2")
      #expect(figures["limits times operations"] == 8)
      #expect(try #require(figures["done"]) >= 3, "\(figures)")
      #expect(try #require(figures["samples of memory"]) >= 8, "\(figures)")
      for replay in ["get-small,4096,2,-1KiB", "threads,4096,2,+0KiB"] {
        _ = try self.figures(sandbox, "memory", "--replay", replay)
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: sandbox.work.text).isEmpty)
    }
  }

  @Test("defects are not in this build, and that is said")
  func mutants() throws {
    try Sandbox.use { sandbox in
      let result = try bench(sandbox, ["torture", "mutants", "--store-dir", sandbox.work.text])
      #expect(result.exitStatus == 2, "\(result)")
      #expect(result.errorText.contains("make mutants"))
    }
  }

  /// The figures of a run that found nothing.
  private func figures(_ sandbox: Sandbox, _ layer: String, _ arguments: String...) throws -> [String: Int] {
    let result = try bench(
      sandbox, ["torture", layer, "--json", "--store-dir", sandbox.work.text, "--seed", "3"] + arguments)
    expectDone(result)
    let report = try #require(try JSONSerialization.jsonObject(with: Data(result.standardOutput)) as? [String: Any])
    #expect(report["violation_count"] as? Int == 0)
    return try #require(report["figures"] as? [String: Int])
  }

  private func check(_ history: String) throws -> CommandResult {
    var result: CommandResult?
    try Sandbox.use { sandbox in
      let events = history.split(separator: ": ", maxSplits: 1)[1].replacing(" / ", with: "\n")
      let file = sandbox.work / "history"
      try (events + "\n").write(toFile: file.text, atomically: false, encoding: .utf8)
      result = try bench(sandbox, ["torture", "concurrent-worker", "check", file.text])
    }
    return try #require(result)
  }

  private func bench(_ sandbox: Sandbox, _ arguments: [String]) throws -> CommandResult {
    try Command(
      Sandbox.executable.parent / "pfs-bench", arguments, environment: sandbox.environment,
      workingDirectory: sandbox.work
    ).run()
  }
}
