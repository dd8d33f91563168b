import SegmentStore
import StorageIO

/// The stores that scenarios start with, and what is in each of them.
struct FaultStarts: Sendable {
  private var images: [FaultScenario.Start: StoreImage] = [:]
  private var states: [FaultScenario.Start: StoreState] = [:]

  func image(_ start: FaultScenario.Start) -> StoreImage? { images[start] }
  func state(_ start: FaultScenario.Start) -> StoreState { states[start] ?? StoreState() }

  /// Makes them, by running pfs on `stage`.
  init(on stage: FaultStage) throws(BenchFailure) {
    try stage.reset(to: nil)
    try FaultStarts.require(stage.run(FaultScenario.initialize))
    let stored = try stage.run(["put", "@kept", "@doomed", "@gone"])
    try FaultStarts.require(stored)
    try FaultStarts.require(stage.run(["delete", "gone"]))
    // Deleted files had ids too.
    try add(.plain, from: stage, lastID: stored.acknowledged.map(\.id).max() ?? 0)
    images[.withoutIndex] = images[.plain]?.without("index")
    states[.withoutIndex] = states[.plain]
    try stop(stage, ["put", "--resume", "@large"], share: 0.6)
    try add(.interrupted, from: stage)
    try stop(stage, ["put", "@large"], share: 0.6)
    try stop(stage, ["delete", "doomed"], share: 0.7, isReset: false)
    try add(.crashed, from: stage)
    try makeHalfDeleted(stage)
  }

  /// In segments of their own size, several of which are full.
  private mutating func makeHalfDeleted(_ stage: FaultStage) throws(BenchFailure) {
    try stage.reset(to: nil)
    try FaultStarts.require(stage.run(["init", "--segment-size", "128KiB", "--part-size", "16KiB"]))
    let stored = try stage.run(["put", "-r", "@kept", "@doomed", "@gone", "@half"])
    try FaultStarts.require(stored)
    let deleted = FaultSources.smallNames.enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
    try FaultStarts.require(stage.run(["delete", "gone"] + deleted))
    try add(.halfDeleted, from: stage, lastID: stored.acknowledged.map(\.id).max() ?? 0)
  }

  /// Kills a command when this share of its changes is made.
  private func stop(
    _ stage: FaultStage, _ arguments: [String], share: Double, isReset: Bool = true
  ) throws(BenchFailure) {
    let fault = Fault(.kill, at: Fault.changes, .once)
    let now = try BenchFailure.translating { () throws(SystemCallFailure) in
      isReset ? nil : try StoreImage(of: stage.store)
    }
    try stage.reset(to: now ?? image(.plain))
    let counted = try stage.run(arguments, fault, number: 0)
    try FaultStarts.require(counted.ending)
    try stage.reset(to: now ?? image(.plain))
    let number = max(1, Int(Double(counted.calls.count) * share))
    let killed = try stage.run(arguments, fault, number: number)
    guard killed.ending.outcome.signal == 9 else {
      throw BenchFailure(.failed, "the fault library did not kill: \(killed.ending)")
    }
  }

  private mutating func add(
    _ start: FaultScenario.Start, from stage: FaultStage, lastID: UInt64 = 0
  ) throws(BenchFailure) {
    images[start] = try BenchFailure.translating { () throws(SystemCallFailure) in try StoreImage(of: stage.store) }
    let inspection = StoreInspection(
      store: stage.store, copy: stage.directory.appending("copy"), sources: stage.sources)
    do throws(CaseFailure) {
      try inspection.open(isRebuiltIfDamaged: false)
      var state = try inspection.state()
      state.lastID = max(state.lastID, lastID, states[.plain]?.lastID ?? 0)
      _ = try inspection.probe(state)
      states[start] = state
    } catch {
      switch error {
      case .harness(let failure): throw failure
      case .promise(_, let message): throw BenchFailure(.failed, "before any fault: \(message)")
      }
    }
  }

  private static func require(_ ending: TortureProgram.Ending) throws(BenchFailure) {
    guard ending.succeeded else { throw BenchFailure(.failed, "before any fault: \(ending)") }
  }
}
