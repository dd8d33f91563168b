import Foundation
import SegmentStore
import TestSupport
import Testing

/// What a command of a sweep does, so that it is known what a store must look like after it, or after half of it.
struct FaultScenario: Sendable, CustomTestStringConvertible {
  enum Effect: Sendable {
    /// It makes the store.
    case makes
    /// It stores these files, each under the name of its source.
    case stores([String])
    case deletes([String])
    /// It only reads.
    case nothing
  }

  let arguments: [String]
  let effect: Effect
  var testDescription: String { arguments.joined(separator: " ") }

  init(_ effect: Effect, _ arguments: String...) {
    self.effect = effect
    self.arguments = arguments
  }

  static let initialize = FaultScenario(.makes, "init", "--segment-size", "1MiB", "--part-size", "16KiB")
  static let putSmall = FaultScenario(.stores(["small"]), "put", "small")
  /// Several batches, over several segments.
  static let putLarge = FaultScenario(.stores(["large"]), "put", "large")
  static let putTree = FaultScenario(.stores(["tree/a", "tree/b", "tree/c"]), "put", "-r", "tree")
  static let get = FaultScenario(.nothing, "get", "doomed", "-o", "out/restored")
  /// A file with segments of its own, and a tombstone for it.
  static let delete = FaultScenario(.deletes(["doomed"]), "delete", "doomed")
  static let list = FaultScenario(.nothing, "list")

  static let all = [initialize, putSmall, putLarge, putTree, get, delete, list]
  static let writing = [initialize, putSmall, putLarge, putTree, delete]
}

/// Runs a command under a fault that comes at its first call, its second, and so on until it comes no more, each time on
/// a fresh copy of one store; and checks each time what must hold afterwards.
///
/// A new command is swept with one line: a ``FaultScenario``.
final class FaultSweep {
  private static let storeNames: Set = ["STORE", "high-water", "index", "locks", "reserve", "segments"]
  /// Whether every call is met, and not only a sample of them.
  private static let isWhole = ProcessInfo.processInfo.environment["PFS_TEST_FAULTS"] == "all"

  private let sandbox: Sandbox
  private let template: BytePath
  private let log: BytePath
  private let templateSegmentByteCount: Int
  /// How often a fault came.
  private(set) var metCount = 0

  init(_ sandbox: Sandbox) throws {
    self.sandbox = sandbox
    template = sandbox.root / "work" / "template"
    log = sandbox.root / "work" / "log"
    try Sample(.random, seed: 1).write(5000, to: sandbox.work / "kept")
    try Sample(.random, seed: 2).write(1_200_000, to: sandbox.work / "doomed")
    try Sample(.random, seed: 3).write(3000, to: sandbox.work / "small")
    try Sample(.binary, seed: 4).write(2_500_000, to: sandbox.work / "large")
    try (sandbox.work / "tree").makeDirectory()
    for name in ["a", "b", "c"] { try Sample(.text, seed: 5).write(20_000, to: sandbox.work / "tree" / name) }
    try (sandbox.work / "out").makeDirectory()
    let store = sandbox.store
    sandbox.store = template
    try sandbox.done("init", "--segment-size", "1MiB", "--part-size", "16KiB")
    for name in ["kept", "doomed"] { try sandbox.put(sandbox.work / name) }
    sandbox.store = store
    sandbox.isChecked = false
    templateSegmentByteCount = try FaultSweep.allocatedByteCount(template / "segments")
  }

  /// - Parameters:
  ///   - statuses: those that the command may end with under this fault.
  ///   - sampled: how many of the calls are met where not all are asked for.
  func run(_ scenario: FaultScenario, _ fault: Fault, statuses: Set<Int>, sampled: Int = 6) throws {
    var fault = fault
    fault.path = fault.path ?? sandbox.root.text + "/"
    let callCount = try reset(scenario) { try run(scenario, fault).calls.count }
    var numbers = Array(1...max(1, callCount))
    if !FaultSweep.isWhole && numbers.count > sampled {
      let seed = TestSeed("\(scenario.testDescription), \(fault)", default: 71)
      var generator = seed.generator
      // The first and the last are where things begin and end.
      numbers = [1, callCount] + (0..<(sampled - 2)).map { _ in 2 + generator.below(callCount - 2) }
      numbers = Set(numbers).sorted()
    }
    for number in numbers {
      fault.number = number
      try meet(scenario, fault, statuses)
    }
    // Threads make a command do more on one day than on another: what comes after is met too, up to a clean run.
    var number = callCount + 1
    while FaultSweep.isWhole {
      fault.number = number
      if try !meet(scenario, fault, statuses) { break }
      number += 1
    }
  }

  /// - Returns: Whether the fault came.
  @discardableResult private func meet(
    _ scenario: FaultScenario, _ fault: Fault, _ statuses: Set<Int>
  ) throws -> Bool {
    try reset(scenario) {
      let (result, calls) = try run(scenario, fault)
      let met = calls.filter(\.isMet)
      let place = "\(scenario.testDescription): \(fault), at \(met.first.map { "\($0)" } ?? "no call"): \(result)"
      if fault.action == .kill || fault.action == .torn {
        #expect(result.signal == (met.isEmpty ? nil : SIGKILL), "\(place)")
      } else {
        // Where it is not known what is on the device, that is what is said, whatever the cause.
        let isUnknown = result.exitStatus == 1 && result.errorText.contains("is not known")
        #expect(isUnknown || result.exitStatus.map(statuses.contains) == true, "\(place)")
        if result.exitStatus != 0 { #expect(result.errorText.hasPrefix("pfs: "), "\(place)") }
      }
      guard !met.isEmpty else {
        #expect(result.exitStatus == 0, "\(place)")
        return false
      }
      metCount += 1
      do { try check(scenario, result, fault) } catch { Issue.record("\(error)\nafter \(place)") }
      return true
    }
  }

  private func reset<R>(_ scenario: FaultScenario, _ body: () throws -> R) throws -> R {
    try sandbox.store.remove()
    try (sandbox.work / "out").remove()
    try (sandbox.work / "out").makeDirectory()
    for name in try sandbox.root.entryNames() where name.starts(with: Array(".store".utf8)) {
      try (sandbox.root / name).remove()
    }
    if case .makes = scenario.effect {
    } else {
      try copyTemplate()
    }
    return try body()
  }

  /// All but the reserve, which holds nothing and is set aside anew.
  private func copyTemplate() throws {
    try sandbox.store.makeDirectory()
    for name in try template.entryNames() where name != Array("reserve".utf8) {
      try FileManager.default.copyItem(atPath: (template / name).text, toPath: (sandbox.store / name).text)
    }
    try (sandbox.store / "reserve").reserve(4 << 20)
  }

  private func run(_ scenario: FaultScenario, _ fault: Fault) throws -> (result: CommandResult, calls: [LoggedCall]) {
    try log.remove()
    let result = try fault.applied(to: sandbox.command(scenario.arguments), log: log).run(timeoutSeconds: 60)
    return (result, try LoggedCall.all(in: log))
  }

  // MARK: What must hold

  private func check(_ scenario: FaultScenario, _ result: CommandResult, _ fault: Fault) throws {
    if case .makes = scenario.effect { try checkMaking(result) }
    // The first that comes puts everything right, the second finds nothing to do.
    var first = try sandbox.pfs("list")
    if first.exitStatus == 3 && result.errorText.contains("is not known") {
      // A failed write of a meta page leaves new roots under an old number, as a flipped bit would: the open may not
      // tell one from the other, and the segments decide.
      try sandbox.done("rebuild")
      first = try sandbox.pfs("list")
    }
    try demand(first.exitStatus == 0, "the next command fails: \(first)")
    let before = try contents(of: sandbox.store)
    try Store(at: FilePath(bytes: sandbox.store.bytes)).close()
    for (name, bytes) in try contents(of: sandbox.store) where before[name] != bytes {
      throw TestFailure("the second open changed '\(name)'")
    }
    try checkLeftovers()
    // One that was killed, or that could not remove anything any more, has its remains removed by the next that comes.
    if result.signal == nil && fault.repeats != .sticky { try checkBeside() }
    try checkFiles(scenario, result)
  }

  private func checkMaking(_ result: CommandResult) throws {
    let isMade = try sandbox.store.exists()
    if result.exitStatus == 0 { try demand(isMade, "no store was made") }
    if !isMade { try sandbox.done("init", "--segment-size", "1MiB", "--part-size", "16KiB") }
  }

  /// Only what belongs to a store is in it, and beside the output there is nothing.
  private func checkLeftovers() throws {
    let names = Set(try sandbox.store.entryNames().map { String(decoding: $0, as: UTF8.self) })
    try demand(names == FaultSweep.storeNames, "in the store: \(names.sorted())")
    let index = try (sandbox.store / "index").entryNames().map { String(decoding: $0, as: UTF8.self) }
    try demand(index == ["data.mdb", "lock.mdb"], "in the index: \(index)")
    let output = try (sandbox.work / "out").entryNames().map { String(decoding: $0, as: UTF8.self) }
    if !output.isEmpty {
      try demand(output == ["restored"], "beside the output: \(output)")
      try demand(
        try (sandbox.work / "out" / "restored").hasSameBytes(as: sandbox.work / "doomed"), "the restored file differs")
    }
  }

  /// A command that failed left nothing beside the store.
  private func checkBeside() throws {
    let beside = try sandbox.root.entryNames().map { String(decoding: $0, as: UTF8.self) }
    try demand(!beside.contains { $0.hasPrefix(".store") }, "beside the store: \(beside)")
  }

  /// What was acknowledged is there and exact; what was under way is there and exact, or gone; and the store works on.
  private func checkFiles(_ scenario: FaultScenario, _ result: CommandResult) throws {
    let store = try Store(at: FilePath(bytes: sandbox.store.bytes))
    let found = Set(try store.files(limit: 1000).map(\.name.description))
    var (needed, allowed): (Set<String>, Set<String>) = (["kept", "doomed"], ["kept", "doomed"])
    switch scenario.effect {
    case .makes: (needed, allowed) = ([], [])
    case .stores(let names):
      allowed.formUnion(names)
      needed.formUnion(names.filter { result.exitStatus == 0 || said($0, by: result) })
    case .deletes(let names):
      needed.subtract(names)
      allowed.subtract(names.filter { result.exitStatus == 0 || said($0, by: result) })
    case .nothing: break
    }
    try demand(needed.isSubset(of: found), "\(needed.subtracting(found).sorted()) is lost")
    try demand(found.isSubset(of: allowed), "\(found.subtracting(allowed).sorted()) should not be there")
    for file in try store.files(limit: 1000) {
      try demand(file.status == .ready, "\(file.name) is \(file.status)")
      let copy = sandbox.work / "copy"
      try store.get(file.id, to: .file(FilePath(bytes: copy.bytes), replacing: true))
      try demand(try copy.hasSameBytes(as: sandbox.work / file.name.description), "\(file.name) differs")
    }
    try store.checkInvariants()
    if found == ["kept", "doomed"] {
      // What a put left in a segment that it filled up, and that others have records in, is for the compactor.
      let byteCount = try FaultSweep.allocatedByteCount(sandbox.store / "segments")
      try demand(byteCount <= templateSegmentByteCount + 1 << 20, "space is not given back: \(byteCount) bytes")
    }
    let next = try store.put(.file(FilePath(bytes: (sandbox.work / "small").bytes)), as: FileName(Array("next".utf8)))
    try store.delete(next.id)
    try store.close()
  }

  /// Whether the command has printed that it did this.
  private func said(_ name: String, by result: CommandResult) -> Bool {
    result.outputLines.contains { $0.split(separator: "\t").last.map(String.init) == name }
  }

  private func demand(_ holds: Bool, _ message: @autoclosure () -> String) throws {
    if !holds { throw TestFailure(message()) }
  }

  /// The bytes of all files but the table of readers, in which everyone who comes enters itself, and the reserve.
  private func contents(of directory: BytePath) throws -> [String: Data] {
    var found: [String: Data] = [:]
    for name in try directory.entryNames() {
      let path = directory / name
      if try path.status()?.kind == .directory {
        for (inner, bytes) in try contents(of: path) {
          found["\(String(decoding: name, as: UTF8.self))/\(inner)"] = bytes
        }
      } else if name != Array("lock.mdb".utf8) && name != Array("reserve".utf8) {
        found[String(decoding: name, as: UTF8.self)] = try path.read()
      }
    }
    return found
  }

  private static func allocatedByteCount(_ directory: BytePath) throws -> Int {
    try directory.entryNames().reduce(0) { try $0 + ((directory / $1).status()?.allocatedByteCount ?? 0) }
  }
}
