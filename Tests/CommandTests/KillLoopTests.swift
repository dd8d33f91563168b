import Foundation
import SegmentStore
import TestSupport
import Testing

@Suite("Processes that are killed at random") struct KillLoopTests {
  /// 40, or as many as `PFS_TEST_KILLS` says.
  private static let cycleCount = ProcessInfo.processInfo.environment["PFS_TEST_KILLS"].flatMap { Int($0) } ?? 40

  @Test("while others put, delete and read in the same store lose nothing that was acknowledged")
  func killed() throws {
    let seed = TestSeed("killed processes", default: 1971)
    try Sandbox.use { sandbox in
      var loop = try KillLoop(sandbox, seed.generator)
      for cycle in 0..<KillLoopTests.cycleCount {
        do { try loop.run(cycle) } catch {
          Issue.record("\(seed), cycle \(cycle): \(error)")
          return
        }
      }
      print("\(seed): \(KillLoopTests.cycleCount) cycles, \(loop.killedCount) processes killed")
      #expect(loop.killedCount > 0)
    }
  }
}

/// Puts, deletes and gets of several processes, most of which are killed, and what must be in the store by what they
/// had printed until then.
private struct KillLoop {
  private static let byteCounts = [0, 10, 5000, 70_000, 400_000, 1_500_000]

  private let sandbox: Sandbox
  private var generator: SeededGenerator
  /// The name of each stored file, and the source that it was stored from.
  private var stored: [String: Int] = ["kept": 4]
  private(set) var killedCount = 0

  init(_ sandbox: Sandbox, _ generator: SeededGenerator) throws {
    self.sandbox = sandbox
    self.generator = generator
    for (number, byteCount) in KillLoop.byteCounts.enumerated() {
      try Sample(number % 2 == 0 ? .random : .text, seed: UInt64(number)).write(
        byteCount, to: sandbox.work / "source-\(number)")
    }
    try sandbox.done("init", "--segment-size", "1MiB", "--part-size", "16KiB")
    try sandbox.done("put", "source-4", "--name", "kept")
  }

  mutating func run(_ cycle: Int) throws {
    var put: [String: Int] = [:]
    for number in 0..<8 { put["put-\(cycle)-\(number)"] = generator.below(KillLoop.byteCounts.count) }
    let names = put.keys.sorted()
    let deleted = stored.keys.filter { $0 != "kept" }.sorted().prefix(6)
    let first = try start(names.prefix(4).map { "put source-\(put[$0] ?? 0) --name \($0)" })
    let second = try start(names.suffix(4).map { "put source-\(put[$0] ?? 0) --name \($0)" })
    let deleter = try start(deleted.map { "delete \($0)" })
    let reader = try start(["get kept -o restored-\(cycle)"])
    var acknowledged: [Set<String>] = []
    var wereKilled: [Bool] = []
    usleep(UInt32(generator.below(30_000)))
    for process in [first, second, deleter, reader] {
      let isToDie = generator.below(4) > 0
      if isToDie {
        usleep(UInt32(generator.below(15_000)))
        process.send(SIGKILL)
      }
      let result = try process.wait()
      let wasKilled = result.signal == SIGKILL
      guard wasKilled || result.exitStatus == 0 else { throw TestFailure("\(result)") }
      if wasKilled { killedCount += 1 }
      wereKilled.append(wasKilled)
      acknowledged.append(
        Set(result.outputText.split(separator: "\n").compactMap { $0.split(separator: "\t").last.map(String.init) }))
    }
    let putters = acknowledged[0].union(acknowledged[1])
    for (name, source) in put { stored[name] = source }
    try check(
      needed: Set(stored.keys).subtracting(put.keys).subtracting(deleted).union(putters),
      gone: acknowledged[2].union(wereKilled[2] ? [] : deleted),
      wholeCycle: cycle % 8 == 7)
    let restored = sandbox.work / "restored-\(cycle)"
    if try !wereKilled[3] || restored.exists() {
      guard try restored.hasSameBytes(as: sandbox.work / "source-4") else { throw TestFailure("get gave other bytes") }
      try restored.remove()
    }
  }

  private func start(_ lines: [String]) throws -> RunningCommand {
    var command = sandbox.command("shell")
    command.input = .bytes(Data(lines.map { $0 + "\n" }.joined().utf8))
    return try command.start()
  }

  /// Opens the store, which puts it right, and looks at all that is there.
  private mutating func check(needed: Set<String>, gone: Set<String>, wholeCycle: Bool) throws {
    let listed = try sandbox.list()
    let found = Set(listed.map(\.name))
    guard listed.allSatisfy({ $0.status == "ready" }) else { throw TestFailure("not all ready: \(listed)") }
    guard found.isSuperset(of: needed) else { throw TestFailure("\(needed.subtracting(found).sorted()) is lost") }
    guard found.isDisjoint(with: gone) else { throw TestFailure("\(found.intersection(gone).sorted()) came back") }
    stored = stored.filter { found.contains($0.key) }
    let store = try Store(at: FilePath(bytes: sandbox.store.bytes))
    for file in listed {
      guard let source = stored[file.name] else { throw TestFailure("'\(file.name)' was never put") }
      let copy = sandbox.work / "copy"
      try store.get(
        FileID(rawValue: UInt64(file.id)), to: .file(FilePath(bytes: copy.bytes), replacing: true))
      guard try copy.hasSameBytes(as: sandbox.work / "source-\(source)") else {
        throw TestFailure("'\(file.name)' differs")
      }
    }
    if wholeCycle { try store.checkInvariants() }
    try store.close()
  }
}
