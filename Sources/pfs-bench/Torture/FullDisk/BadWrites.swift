import FaultyDisk
import StorageIO

/// A write or a flush that the disk refuses while a command runs: the command says so, and nothing that anybody was told
/// of is lost.
struct BadWritePoint: Hashable, Sendable {
  static let prefix = "disk-write"

  let scenario: FaultScenario
  let isFlush: Bool
  let isSticky: Bool
  /// From 1 on.
  let number: Int

  var text: String {
    "\(BadWritePoint.prefix) \(scenario.name) \(isFlush ? "flush" : "write") \(isSticky ? "sticky" : "once") \(number)"
  }

  init(_ scenario: FaultScenario, isFlush: Bool, isSticky: Bool, _ number: Int) {
    self.scenario = scenario
    self.isFlush = isFlush
    self.isSticky = isSticky
    self.number = number
  }

  init?(_ text: String) {
    let words = text.split(separator: " ").map(String.init)
    guard words.count == 5, words[0] == BadWritePoint.prefix, let number = Int(words[4]), number > 0,
      ["flush", "write"].contains(words[2]), ["sticky", "once"].contains(words[3]),
      let scenario = FaultScenario.writing.first(where: { $0.name == words[1] })
    else { return nil }
    self.init(scenario, isFlush: words[2] == "flush", isSticky: words[3] == "sticky", number)
  }
}

struct BadWrites {
  let disk: FaultyFileSystem
  let stage: FaultStage
  let images: [FaultScenario.Start: DiskImage]
  let starts: FaultStarts
  /// Outside of the disk.
  let copy: FilePath

  /// How many writes and flushes the disk gets from a command and from the unmount behind it.
  func counts(_ scenario: FaultScenario) throws(BenchFailure) -> FaultyDisk.Control.Counts {
    try begin(scenario, FaultyDisk.Control.Faults())
    let ending = try stage.run(scenario)
    guard ending.succeeded else { throw BenchFailure(.failed, "without any fault: \(ending)") }
    try disk.unmount()
    return try disk.counts()
  }

  private func begin(_ scenario: FaultScenario, _ faults: FaultyDisk.Control.Faults) throws(BenchFailure) {
    try disk.unmount()
    guard let image = images[scenario.start] else { throw BenchFailure(.failed, "no disk for \(scenario.name)") }
    try disk.restore(image)
    try disk.mount()
    try disk.set(faults)
  }

  /// What became of a fault besides what was promised.
  struct Outcome {
    /// Whether it came.
    let isMet: Bool
    /// Whether the file system still knows where the store is: what was refused was perhaps a write of its own.
    let isFileSystemSound: Bool
  }

  func run(_ point: BadWritePoint) throws(CaseFailure) -> Outcome {
    let (disk, stage, scenario) = (disk, stage, point.scenario)
    var faults = FaultyDisk.Control.Faults()
    if point.isFlush { faults.flush = point.number } else { faults.write = point.number }
    faults.isSticky = point.isSticky
    let (ending, counts) = try CaseFailure.harness { () throws(BenchFailure) in
      try begin(scenario, faults)
      let ending = try stage.run(scenario)
      try disk.unmount()
      let counts = try disk.counts()
      try disk.set(FaultyDisk.Control.Faults())
      try disk.mount()
      return (ending, counts)
    }
    let isMet = counts.failedWrites + counts.failedFlushes > 0
    do throws(CaseFailure) {
      try check(ending, point)
      guard try isFileSystemSound() else { return Outcome(isMet: isMet, isFileSystemSound: false) }
      try checkStore(ending, scenario)
    } catch {
      guard case .promise(let kind, let message) = error else { throw error }
      throw .promise(kind, "\(ending): \(message)")
    }
    return Outcome(isMet: isMet, isFileSystemSound: true)
  }

  private func isFileSystemSound() throws(CaseFailure) -> Bool {
    let store = stage.store
    return try CaseFailure.harness { () throws(SystemCallFailure) in
      do throws(SystemCallFailure) { _ = try Tree.exists(store) } catch  where error.isDamagedFileSystem {
        return false
      }
      return true
    }
  }

  private func check(_ ending: TortureProgram.Ending, _ point: BadWritePoint) throws(CaseFailure) {
    if ending.isTooLong { throw .promise(.hang, "it took more than \(TortureProgram.limitSeconds) s") }
    if let signal = ending.outcome.signal { throw .promise(.crash, "it died of signal \(signal)") }
    let statuses = point.scenario.statusesOfBadReads.union([0])
    try CaseFailure.demand(
      statuses.contains(ending.outcome.exitStatus ?? -1), .outcome, "expected exit status \(statuses.sorted())")
  }

  private func checkStore(_ ending: TortureProgram.Ending, _ scenario: FaultScenario) throws(CaseFailure) {
    let (stage, copy) = (stage, copy)
    let isMade = try CaseFailure.harness { () throws(SystemCallFailure) in try Tree.exists(stage.store) }
    if !isMade {
      try CaseFailure.demand(scenario.effect == .makes && !ending.succeeded, .lost, "the store is gone")
      let again = try CaseFailure.harness { () throws(BenchFailure) in try stage.run(FaultScenario.initialize) }
      try CaseFailure.demand(again.succeeded, .unopenable, "then \(again)")
    }
    let inspection = StoreInspection(store: stage.store, copy: copy, sources: stage.sources)
    try inspection.open(isRebuiltIfDamaged: !ending.succeeded)
    let state = try inspection.state()
    let start = starts.state(scenario.start)
    try EffectCheck(scenario: scenario, start: start).check(state, after: ending)
    _ = try inspection.probe(state.with(lastID: max(start.lastID, ending.acknowledged.map(\.id).max() ?? 0)))
  }
}
