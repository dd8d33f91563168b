import Foundation
import TestSupport
import Testing

/// `pfs-bench torture explore`, on few states: that it looks at what it says, and sees what it has to see.
@Suite("Torture: explore") struct ExploreTortureTests {
  @Test("looks at as many states as it was told, of all kinds, finds nothing and leaves nothing behind")
  func states() throws {
    try Sandbox.use { sandbox in
      let result = try explore(sandbox, "--budget", "80", "--json", "--workers", "2")
      expectDone(result)
      let report = try #require(try JSONSerialization.jsonObject(with: Data(result.standardOutput)) as? [String: Any])
      let figures = try #require(report["figures"] as? [String: Int])
      #expect(report["violation_count"] as? Int == 0)
      #expect(try #require(figures["unique states"]) >= 60, "\(figures)")
      #expect(figures["unique states"] == report["cases"] as? Int)
      #expect(try #require(figures["crash points"]) >= 20, "\(figures)")
      for name in ["bounded workloads", "states of the ordered model of directories"] {
        #expect(try #require(figures[name]) > 0, "\(figures)")
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: sandbox.work.text).isEmpty)
    }
  }

  @Test("ends in time, and says what it has seen")
  func seconds() throws {
    try Sandbox.use { sandbox in
      let result = try explore(sandbox, "--budget", "1s", "--workers", "1")
      expectDone(result)
      #expect(String(decoding: result.standardOutput, as: UTF8.self).contains("unique states: "))
      #expect(try FileManager.default.contentsOfDirectory(atPath: sandbox.work.text).isEmpty)
    }
  }

  @Test("replays one state, of a crash and of a crash in the recovery from it")
  func replay() throws {
    try Sandbox.use { sandbox in
      for state in ["1/init,put:a:tiny|20|o-", "1/init,put:a:tiny|20|o-|0|o-"] {
        let result = try explore(sandbox, "--replay", state)
        #expect([0, 2].contains(result.exitStatus), "\(result)")
      }
      for wrong in ["init|", "1/init|0", "1/init,fly|0|o", "1/init|0|x", "1/init|99999|o", "1/init|0|o+999"] {
        let result = try explore(sandbox, "--replay", wrong)
        #expect(result.exitStatus == 2 && result.standardOutput.isEmpty, "\(wrong): \(result)")
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: sandbox.work.text).isEmpty)
    }
  }

  /// The syncs of an engine are what its promises stand on: without those of one file, there are states that break them.
  @Test(
    "sees when a sync is missing: of segments, of the index, of the names of segments, of the store's name",
    arguments: [".seg", "data.mdb", "segments/.", "above/."])
  func blind(spot: String) throws {
    let lines = try lines(of: "--workload", "1/init,put:a:small", "--states", "400", "--stop", "1", "--blind", spot)
    #expect(lines.contains { $0.hasPrefix("violation\t") }, "\(lines)")
  }

  /// Of a full segment every other file is deleted; what is left of it is moved by the operation number 29.
  private static let compacting =
    "1/init," + String(repeating: "put:a:small,put:b:small,", count: 9) + "put:c:large,"
    + String(repeating: "delete:b,", count: 9) + "compact"

  @Test("has compactions move something, and finds nothing in what a loss of power leaves of them")
  func compactions() throws {
    let lines = try lines(of: "--workload", ExploreTortureTests.compacting, "--from", "29", "--states", "96")
    let moved = lines.first { $0.hasSuffix("\tbytes moved by compactions") }?.split(separator: "\t")[1]
    #expect(try #require(moved.flatMap { Int($0) }) > 20_000, "\(lines)")
    #expect(lines.contains("count\t1\tcompactions that moved something"), "\(lines)")
    #expect(!lines.contains { $0.hasPrefix("violation\t") }, "\(lines)")
  }

  @Test(
    "sees when a compaction does not wait for a sync: of the copies, of the index, of the names of segments",
    arguments: [".seg", "data.mdb", "segments/."])
  func blindCompactions(spot: String) throws {
    let lines = try lines(
      of: "--workload", ExploreTortureTests.compacting, "--from", "29", "--states", "400", "--stop", "1", "--blind",
      spot
    )
    #expect(lines.contains { $0.hasPrefix("violation\t") }, "\(lines)")
  }

  @Test("records from a path that the loader cannot be told, and fails where the library is none or another")
  func library() throws {
    try Sandbox.use { sandbox in
      let directory = sandbox.work / "a b:c $d"
      let stores = sandbox.work / "stores"
      for path in [directory, stores] { try path.makeDirectory() }
      let (program, library) = (directory / "pfs-bench", directory / "libFaultInjection.so")
      let built = Sandbox.executable.parent
      // By a process of its own: one that another test starts meanwhile would hold the new program open for writing.
      let copy = Command(
        BytePath("/bin/cp"), [built / "pfs-bench", built / "libFaultInjection.so", directory],
        environment: sandbox.environment, workingDirectory: sandbox.work)
      expectDone(try copy.run())
      func run(_ layer: String, _ budget: String) throws -> CommandResult {
        try Command(
          program, ["torture", layer, "--budget", budget, "--workers", "1", "--store-dir", stores.text],
          environment: sandbox.environment, workingDirectory: sandbox.work
        ).run()
      }
      expectDone(try run("explore", "20"))
      expectDone(try run("typed", "20"))
      for other in [Data(), try Data(contentsOf: URL(filePath: "/bin/true"))] {
        try library.write(other)
        for layer in ["explore", "typed"] {
          let result = try run(layer, "20")
          #expect(result.exitStatus == 1 && result.standardOutput.isEmpty, "\(result)")
          #expect(result.errorText.contains("none was recorded"), "\(result)")
        }
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: stores.text).isEmpty)
    }
  }

  @Test("replays a workload without a crash, and refuses one that does not begin with an init")
  func replayedWorkload() throws {
    try Sandbox.use { sandbox in
      let whole = try explore(sandbox, "--replay", "1/init,put:a:tiny")
      expectDone(whole)
      #expect(String(decoding: whole.standardOutput, as: UTF8.self).contains("times replayed: "), "\(whole)")
      for wrong in ["1/delete:a", "1/put:a:tiny,init", "1/init,init"] {
        let result = try explore(sandbox, "--replay", wrong)
        #expect(result.exitStatus == 2 && result.standardOutput.isEmpty, "\(wrong): \(result)")
      }
    }
  }

  @Test(
    "says that there is no space where there is none",
    .enabled(if: LoopFileSystem.isAvailable, "\(LoopFileSystem.requirement)"),
    arguments: ["explore", "concurrent"])
  func noSpace(layer: String) throws {
    try Sandbox.use { sandbox in
      let disk = try LoopFileSystem(in: sandbox.work, byteCount: 4 << 20)
      defer { _ = disk.unmount() }
      let result = try bench(sandbox, [layer, "--store-dir", disk.root.text, "--budget", "40", "--workers", "1"])
      #expect(result.exitStatus == 1 && result.standardOutput.isEmpty, "\(result)")
      #expect(result.errorText.lowercased().contains("no space"), "\(result)")
    }
  }

  /// What a worker says.
  private func lines(of arguments: String...) throws -> [Substring] {
    var lines: [Substring] = []
    try Sandbox.use { sandbox in
      let directory = sandbox.work / "worker"
      try FileManager.default.createDirectory(atPath: directory.text, withIntermediateDirectories: false)
      let result = try bench(sandbox, ["explore-worker", "--directory", directory.text] + arguments)
      expectDone(result)
      lines = String(decoding: result.standardOutput, as: UTF8.self).split(separator: "\n")
    }
    return lines
  }

  private func explore(_ sandbox: Sandbox, _ arguments: String...) throws -> CommandResult {
    try bench(sandbox, ["explore", "--store-dir", sandbox.work.text] + arguments)
  }

  private func bench(_ sandbox: Sandbox, _ arguments: [String]) throws -> CommandResult {
    try Command(
      Sandbox.executable.parent / "pfs-bench", ["torture"] + arguments, environment: sandbox.environment,
      workingDirectory: sandbox.work
    ).run()
  }
}
