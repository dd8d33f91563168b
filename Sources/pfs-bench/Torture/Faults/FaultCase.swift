import SegmentStore
import StorageIO

/// One fault at one call: the command, what it says, what the store is like after it, and the same command again without
/// any fault, after which nothing is excused.
struct FaultCase {
  let stage: FaultStage
  let starts: FaultStarts

  /// What happened in a case.
  struct Result: Sendable {
    /// Whether the fault came: if not, the command has fewer calls.
    var isMet = false
    var isRecoveryMet = false
    /// Whether the command was run again, to its full effect.
    var isRepeated = false
    var failure: CaseFailure?
    /// What was done, for the message.
    var place = ""
    /// The calls that counted.
    var calls: [LoggedCall] = []
  }

  private var inspection: StoreInspection {
    StoreInspection(store: stage.store, copy: stage.directory.appending("copy"), sources: stage.sources)
  }

  func run(_ point: FaultPoint) -> Result {
    var result = Result()
    do throws(CaseFailure) {
      try run(point, &result)
    } catch {
      result.failure = error
    }
    return result
  }

  private func run(_ point: FaultPoint, _ result: inout Result) throws(CaseFailure) {
    let (stage, starts, scenario) = (stage, starts, point.scenario)
    let (ending, calls) = try CaseFailure.harness { () throws(BenchFailure) in
      try stage.reset(to: starts.image(scenario.start))
      return try stage.run(scenario.arguments, point.fault, number: point.number)
    }
    let met = calls.first(where: \.isMet)
    result.isMet = met != nil
    result.calls = calls
    result.place = "\(point.fault.action.text) \(point.fault.repeats.rawValue) at \(met.map { "\($0)" } ?? "no call")"
    if point.isClean { result.place = "without any fault" }
    result.place += ": \(ending)"
    try checkEnding(ending, point, isMet: result.isMet)
    try checkSync(ending, point, met)
    if point.recoveryNumber > 0 { try killRecovery(point, &result) }
    if case .makes = scenario.effect { try checkMaking(ending) }
    let mayBeDamaged = ending.isUnknown || (scenario.effect == .rebuilds && !ending.succeeded)
    if scenario.effect == .rebuilds && ending.outcome.exitStatus == 3 { try inspection.rebuild() }
    try inspection.open(isRebuiltIfDamaged: mayBeDamaged)
    let wasRefused = ending.outcome.signal != nil || point.fault.repeats == .sticky
    // One that was killed, or that could not remove anything any more, has its remains removed by the next that comes.
    if !wasRefused { try checkBeside() }
    try checkOutput()
    let start = starts.state(scenario.start)
    let state = try inspection.state()
    try EffectCheck(scenario: scenario, start: start).check(state, after: ending)
    let probe = try inspection.probe(state.with(lastID: max(start.lastID, ending.acknowledged.map(\.id).max() ?? 0)))
    // Right behind the fault, or when it was done again.
    let isWornFirst = point.number % 2 == 1
    var worn = state.with(lastID: probe)
    if scenario.effect == .compacts && isWornFirst { worn = try inspection.wear(worn, keeping: point.number / 2) }
    try repeatStrictly(scenario, ending, worn, &result)
    if scenario.effect == .compacts && !isWornFirst {
      _ = try inspection.wear(try inspection.state(), keeping: point.number / 2)
    }
  }

  private func checkEnding(
    _ ending: TortureProgram.Ending, _ point: FaultPoint, isMet: Bool
  ) throws(CaseFailure) {
    let outcome = ending.outcome
    if ending.isTooLong { throw .promise(.hang, "it took more than \(TortureProgram.limitSeconds) s") }
    if let signal = outcome.signal, !(signal == 9 && isMet && point.fault.action.isDeadly) {
      throw .promise(.crash, "it died of signal \(signal)")
    }
    guard let status = outcome.exitStatus else { return }
    guard isMet else {
      return try CaseFailure.demand(status == 0, .outcome, "exit status \(status) though nothing failed")
    }
    try CaseFailure.demand(!point.fault.action.isDeadly, .outcome, "the kill did not come")
    try CaseFailure.demand(
      status == 0 || ending.isUnknown || point.statuses.contains(status), .outcome,
      "exit status \(status); expected \(point.statuses.union([0]).sorted())")
    if status != 0 && status != 3 {
      try CaseFailure.demand(ending.errorText.hasPrefix("pfs: "), .outcome, "it does not say why")
    }
  }

  /// What was to be stored or deleted is not said to be where a sync of segment or index failed.
  private func checkSync(
    _ ending: TortureProgram.Ending, _ point: FaultPoint, _ met: LoggedCall?
  ) throws(CaseFailure) {
    guard let met, met.call == "fdatasync", point.scenario.effect.isDurable else { return }
    let isOfData = met.path.contains("/segments/") || met.path.hasSuffix("/index/data.mdb")
    try CaseFailure.demand(
      !(isOfData && ending.succeeded), .silent, "exit status 0, though a sync of what counts had failed")
  }

  /// Kills the next command, which recovers, too.
  private func killRecovery(_ point: FaultPoint, _ result: inout Result) throws(CaseFailure) {
    let stage = stage
    let recovery = try CaseFailure.harness { () throws(BenchFailure) in
      try stage.run(["list"], Fault(.kill, at: Fault.changes, .once), number: point.recoveryNumber)
    }
    result.isRecoveryMet = recovery.calls.contains(where: \.isMet)
    let at = recovery.calls.first(where: \.isMet).map { "\($0)" } ?? "no call"
    result.place += "; then kill at \(at): \(recovery.ending)"
    if recovery.ending.isTooLong { throw .promise(.hang, "the recovery took too long") }
    let ending = recovery.ending.outcome
    // Where there is no store yet, or no index, that is what is said.
    let missing: Int32 = point.scenario.start == .withoutIndex ? 3 : 4
    let isFine = result.isRecoveryMet ? ending.signal == 9 : [0, missing].contains(ending.exitStatus)
    try CaseFailure.demand(isFine, .unopenable, "the next command: \(recovery.ending)")
  }

  private func checkMaking(_ ending: TortureProgram.Ending) throws(CaseFailure) {
    let stage = stage
    let isMade = try CaseFailure.harness { () throws(SystemCallFailure) in try Tree.exists(stage.store) }
    if ending.succeeded { try CaseFailure.demand(isMade, .lost, "no store was made") }
    guard !isMade else { return }
    let again = try CaseFailure.harness { () throws(BenchFailure) in try stage.run(FaultScenario.initialize) }
    try CaseFailure.demand(again.succeeded, .unopenable, "the next init: \(again)")
  }

  /// A command that failed left nothing beside the store.
  private func checkBeside() throws(CaseFailure) {
    let stage = stage
    let names = try CaseFailure.harness { () throws(SystemCallFailure) in try Tree.names(in: stage.directory) }
    let strangers = names.filter { name in name.hasPrefix(".store") }
    try CaseFailure.demand(
      strangers.isEmpty, .inconsistent, "beside the store: \(strangers.joined(separator: " "))")
  }

  /// Under the name that was asked for is the whole file, or nothing.
  private func checkOutput() throws(CaseFailure) {
    let stage = stage
    let names = try CaseFailure.harness { () throws(SystemCallFailure) in try Tree.names(in: stage.output) }
    guard !names.isEmpty else { return }
    try CaseFailure.demand(
      names == ["restored"], .inconsistent, "beside the output: \(names.joined(separator: " "))")
    let bytes = try CaseFailure.harness { () throws(SystemCallFailure) in
      try Tree.bytes(of: stage.output.appending("restored"))
    }
    try CaseFailure.demand(
      bytes == stage.sources.contents["doomed"], .wrongBytes, "the restored file differs from what was stored")
  }

  /// Does again what was not done, without a fault: now everything must be as it says.
  private func repeatStrictly(
    _ scenario: FaultScenario, _ ending: TortureProgram.Ending, _ state: StoreState, _ result: inout Result
  ) throws(CaseFailure) {
    guard !ending.succeeded, scenario.effect != .makes else { return }
    if case .deletes(let names) = scenario.effect, !names.allSatisfy(state.files.values.contains) { return }
    let stage = stage
    let again = try CaseFailure.harness { () throws(BenchFailure) in
      try Tree.removeAll(in: stage.output)
      return try stage.run(scenario)
    }
    try CaseFailure.demand(again.succeeded, .unopenable, "again, and without a fault: \(again)")
    do throws(CaseFailure) {
      try inspection.open(isRebuiltIfDamaged: false)
      try checkOutput()
      var before = state
      // A file that waits may have been finished or dropped by the command that failed.
      before.interrupted.merge(starts.state(scenario.start).interrupted) { known, _ in known }
      if scenario.effect == .compacts { before.segmentByteCount = starts.state(scenario.start).segmentByteCount }
      if scenario.name == "put-resume" && state.files.values.contains("large") {
        // What is stored already is not stored again.
        return try check(try inspection.state(), afterStored: state)
      }
      try EffectCheck(scenario: scenario, start: before).check(try inspection.state(), after: again)
    } catch {
      guard case .promise(let kind, let message) = error else { throw error }
      throw .promise(kind, "after it was done again without a fault: \(message)")
    }
    result.isRepeated = true
  }

  private func check(_ state: StoreState, afterStored before: StoreState) throws(CaseFailure) {
    try CaseFailure.demand(state.files == before.files, .inconsistent, "a file that was there is stored again")
  }
}

extension StoreState {
  func with(lastID: UInt64) -> StoreState {
    var state = self
    state.lastID = max(state.lastID, lastID)
    return state
  }
}
