import Foundation
import TestSupport
import Testing

@Suite("Resumed put") struct ResumedPutTests {
  private static let byteCount = 24 << 20

  @Test(
    "after kill -9 at any moment stores what is missing, and no more", arguments: 1...6 as ClosedRange<UInt64>)
  func killed(seed: UInt64) throws {
    try Sandbox.use { sandbox in
      try prepare(sandbox)
      var random = SeededGenerator(seed: seed)
      let isResumable = seed % 2 == 1
      let moment = random.below(ResumedPutTests.byteCount + 4 << 20)
      let options = isResumable ? ["--resume"] : []
      let putting = try sandbox.command(["put"] + options + ["big"]).start()
      try wait(for: "the put to have read \(moment) bytes") {
        !putting.isRunning || (putting.readByteCount ?? .max) >= moment
      }
      putting.kill()
      _ = try putting.wait()
      // Looking does no harm to what was begun to be gone on with; a plain put is gone then.
      let kept = isResumable ? try sandbox.list().first : nil
      let before = try appendedByteCount(sandbox, isLookedAt: isResumable)
      expectDone(try sandbox.pfs("put", "--resume", "big"))
      let files = try sandbox.list()
      #expect(files.count == 1 && files.first?.status == "ready", "seed \(seed): \(files)")
      if let kept, let before {
        #expect(files.first?.id == kept.id)
        let missing = ResumedPutTests.byteCount - kept.byteCount
        let appended = try #require(try appendedByteCount(sandbox, isLookedAt: true)) - before
        #expect(appended <= missing + missing / 100 + 1 << 20, "seed \(seed): \(appended) for \(missing)")
      }
      expectDone(try sandbox.pfs("get", "big", "-o", "restored"))
      try expectSameBytes(sandbox.work / "restored", sandbox.work / "big")
      let again = try sandbox.done("put", "--resume", "big")
      #expect(again.outputText == "\(files.first?.id ?? 0)\tbig\n")
      #expect(try sandbox.list().count == 1)
    }
  }

  @Test("is kept by Ctrl-C as 'writing', can be deleted by its id, and is left alone by a plain put")
  func interrupted() throws {
    try Sandbox.use { sandbox in
      try prepare(sandbox)
      try Sample(.random, seed: 3).write(128 << 20, to: sandbox.work / "big")
      let putting = try sandbox.command("put", "--resume", "big").start()
      try wait(for: "the put to be listed") { try sandbox.list().contains { $0.status == "writing" } }
      putting.send(SIGINT)
      let result = try putting.wait()
      expectFailure(result, 130, of: "put", says: "kept", "--resume")
      try Sample(.text, seed: 4).write(1000, to: sandbox.work / "small")
      try sandbox.put(sandbox.work / "small", "--name", "big")
      #expect(try sandbox.list().map(\.status).sorted() == ["ready", "writing"])
      expectFailure(try sandbox.pfs("get", "1", "-o", "-"), 4, of: "get", says: "not ready")
      #expect(try sandbox.done("delete", "1").outputText == "1\tbig\n")
      #expect(try sandbox.list().map(\.id) == [2])
    }
  }

  @Test("is done by one process at a time: the other finds it busy, or done")
  func busy() throws {
    try Sandbox.use { sandbox in
      try prepare(sandbox)
      try Sample(.random, seed: 3).write(96 << 20, to: sandbox.work / "big")
      let putting = try sandbox.command("put", "--resume", "big").start()
      try wait(for: "the put to be listed") { try sandbox.list().contains { $0.status == "writing" } }
      putting.send(SIGINT)
      #expect(try putting.wait().exitStatus == 130)
      let both = try (0..<2).map { _ in
        try sandbox.command("--lock-timeout", "0s", "put", "--resume", "big").start()
      }
      let results = try both.map { try $0.wait() }
      #expect(results.contains { $0.exitStatus == 0 }, "\(results)")
      for result in results where result.exitStatus != 0 {
        expectFailure(result, 5, of: "put", says: "big", "in use")
      }
      #expect(try sandbox.list().map(\.id) == [1])
    }
  }

  @Test("of a tree stores each file once, however often it is repeated")
  func tree() throws {
    try Sandbox.use { sandbox in
      try (sandbox.work / "tree" / "inner").makeDirectories()
      for number in 0..<30 {
        try Sample(.text, seed: UInt64(number)).write(number * 1000, to: sandbox.work / "tree" / "inner" / "\(number)")
      }
      expectDone(try sandbox.pfs("put", "-r", "--resume", "tree"))
      let first = try sandbox.list()
      try Sample(.text, seed: 99).write(1000, to: sandbox.work / "tree" / "new")
      let result = try sandbox.done("put", "-r", "--resume", "tree")
      #expect(result.outputLines.count == 31)
      let second = try sandbox.list()
      #expect(Set(first).isSubset(of: Set(second)))
      #expect(second.count == 31)
    }
  }

  @Test(
    "is for files that are stored one by one",
    arguments: [["--name", "x", "-"], ["--batch", "big"], ["--name", "x", "--from-command", "true"]])
  func usage(arguments: [String]) throws {
    try Sandbox.use { sandbox in
      let result = try sandbox.command(["put", "--resume"] + arguments).run()
      expectFailure(result, 2, of: "put", says: "--resume")
      #expect(try !sandbox.store.exists())
    }
  }

  private func prepare(_ sandbox: Sandbox) throws {
    try sandbox.done("init", "--segment-size", "1MiB", "--part-size", "32KiB")
    try Sample(.random, seed: 7).write(ResumedPutTests.byteCount, to: sandbox.work / "big")
  }

  /// What was appended to the segments. Looking opens the store, so it is done only where that changes nothing.
  private func appendedByteCount(_ sandbox: Sandbox, isLookedAt: Bool) throws -> Int? {
    guard isLookedAt else { return nil }
    let statistics = try JSON.lines(try sandbox.done("--json", "stats").standardOutput).first
    return try ["live_bytes", "dead_bytes", "punched_bytes"].reduce(0) { sum, field in
      guard let value = statistics?[field]?.integer else {
        throw TestFailure("no \(field) in \(String(describing: statistics))")
      }
      return sum + value
    }
  }
}
