import StorageIO
import Synchronization

/// Meets the calls of every plan one by one, on as many stages as there are workers, until the budget is used up or all
/// are met; and then goes on behind the last, up to a clean run, as threads make a command do more on one day than on
/// another.
struct FaultSweep: Sendable {
  let run: TortureRun
  let plans: [FaultPlan]
  let bench: FaultBench
  /// How many changes of the recovery are known to be there, of which one in four kills meets one; 0: none is met.
  private let recoveryCallCount: Int

  init(_ run: TortureRun, _ plans: [FaultPlan], killsRecovery: Bool) throws(BenchFailure) {
    self.run = run
    self.plans = plans
    bench = try FaultBench(run)
    recoveryCallCount = killsRecovery ? 24 : 0
  }

  func stage(_ number: Int) throws(BenchFailure) -> FaultStage {
    try bench.stage(in: run.workspace.file("worker-\(number)"))
  }

  /// Every point that a run without faults has. That run of each command, of those too that get no fault here, is checked:
  /// a command that does nothing has nothing that could be hurt, and would pass.
  func points() throws(BenchFailure) -> [FaultPoint] {
    let stage = try stage(1_000_000)
    var points: [FaultPoint] = []
    for scenario in FaultScenario.all {
      try run.interruption.check()
      points += try self.points(of: scenario, on: stage)
    }
    run.count("clean runs, each checked", FaultScenario.all.count)
    return points
  }

  private func points(of scenario: FaultScenario, on stage: FaultStage) throws(BenchFailure) -> [FaultPoint] {
    let clean = FaultPoint.clean(scenario)
    let result = FaultCase(stage: stage, starts: bench.starts).run(clean)
    try record(result, of: clean)
    let plans = plans.filter { $0.scenario == scenario }
    let points = plans.flatMap { plan in
      (0..<result.calls.count(where: plan.fault.counts)).map { plan.point($0 + 1) }
    }
    if result.calls.isEmpty || (!plans.isEmpty && points.isEmpty) {
      record(
        clean, .outcome, "\(scenario.name), \(result.place): it made no call in its store that could be made to fail")
    }
    return points
  }

  /// Meets `points` in an order of the seed's.
  /// - Parameter share: The part of the budget that may be used for them.
  /// - Returns: Whether all were met before that was used up.
  func meet(_ points: [FaultPoint], share: Double = 1) throws(BenchFailure) -> Bool {
    let queue = CaseQueue(run.shuffled(points))
    let isDeadly = plans.allSatisfy(\.fault.action.isDeadly)
    // Figures stand in the order in which they were first counted.
    run.count(isDeadly ? "kills at a seam" : "faults that came", 0)
    for scenario in FaultScenario.all where plans.contains(where: { $0.scenario == scenario }) {
      run.count("  in \(scenario.name)", 0)
    }
    let progress = Mutex(Progress())
    try ParallelWork.run(count: run.settings.workerCount, workerCount: run.settings.workerCount) {
      () throws(BenchFailure) in
      try stage(progress.withLock { $0.takeStage() })
    } _: { (stage, _) throws(BenchFailure) in
      while var point = queue.next(), let number = try run.nextCase(share: share) {
        var generator = run.generator(of: number)
        if recoveryCallCount > 0 && generator.below(4) == 0 {
          point.recoveryNumber = 1 + generator.below(recoveryCallCount)
        }
        try meet(point, on: stage)
        progress.withLock { $0.triedCount += 1 }
      }
    }
    return progress.withLock { $0.triedCount } == points.count
  }

  private struct Progress {
    private var stageCount = 0
    var triedCount = 0

    mutating func takeStage() -> Int {
      stageCount += 1
      return stageCount
    }
  }

  /// Goes on behind the last point of every plan until no fault comes any more.
  /// - Returns: Whether the budget was enough for it.
  func meetRest(of points: [FaultPoint]) throws(BenchFailure) -> Bool {
    var counts: [FaultPlan: Int] = [:]
    for point in points { counts[point.plan] = max(counts[point.plan] ?? 0, point.number) }
    let stage = try stage(1_000_001)
    for plan in plans {
      var number = (counts[plan] ?? 0) + 1
      while true {
        guard try run.nextCase() != nil else { return false }
        guard try meet(plan.point(number), on: stage) else { break }
        number += 1
      }
      run.count("clean runs behind the last point")
    }
    return true
  }

  /// - Returns: Whether the fault came.
  @discardableResult func meet(_ point: FaultPoint, on stage: FaultStage) throws(BenchFailure) -> Bool {
    let result = FaultCase(stage: stage, starts: bench.starts).run(point)
    if result.isMet {
      run.count(point.fault.action.isDeadly ? "kills at a seam" : "faults that came")
      run.count("  in \(point.scenario.name)")
    }
    if result.isRecoveryMet { run.count("kills of a recovery") }
    if result.isRepeated { run.count("done again without a fault, and nothing excused") }
    try record(result, of: point)
    return result.isMet
  }

  private func record(_ result: FaultCase.Result, of point: FaultPoint) throws(BenchFailure) {
    switch result.failure {
    case nil: break
    case .harness(let failure): throw failure
    case .promise(let kind, let message): record(point, kind, "\(point.scenario.name), \(result.place): \(message)")
    }
  }

  private func record(_ point: FaultPoint, _ kind: Violation.Kind, _ message: String) {
    run.record(Violation(kind: kind, message: message, replay: run.replay(point.text)))
  }

  /// Only the point that `--replay` names.
  func replay(_ text: String) throws(BenchFailure) {
    guard let point = FaultPoint(text, plans: plans) else {
      throw BenchFailure(.usage, "torture: '--replay \(text)' is no case of this layer")
    }
    run.count("cases replayed")
    let stage = try stage(0)
    if point.isClean {
      _ = try points(of: point.scenario, on: stage)
    } else if try !meet(point, on: stage) {
      run.recordUnmet("'--replay \(text)': the fault was not met: the command made fewer such calls")
    }
  }
}
