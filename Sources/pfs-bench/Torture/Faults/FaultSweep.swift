import StorageIO
import Synchronization

/// Meets the calls of every plan one by one, on as many stages as there are workers, until the budget is used up or all
/// are met; and then goes on behind the last, up to a clean run, as threads make a command do more on one day than on
/// another.
struct FaultSweep: Sendable {
  let run: TortureRun
  let plans: [FaultPlan]
  let program: TortureProgram
  let library: FaultLibrary
  let sources: FaultSources
  let starts: FaultStarts
  /// How many changes of the recovery are known to be there, of which one in four kills meets one; 0: none is met.
  private let recoveryCallCount: Int

  init(_ run: TortureRun, _ plans: [FaultPlan], killsRecovery: Bool) throws(BenchFailure) {
    self.run = run
    self.plans = plans
    library = try FaultLibrary.find()
    program = TortureProgram(path: run.settings.pfs, interruption: run.interruption)
    let directory = run.workspace.file("sources")
    let seed = run.settings.seed
    sources = try BenchFailure.translating { () throws(SystemCallFailure) in
      try FaultSources(in: directory, seed: seed)
    }
    let stage = try FaultStage(in: run.workspace.file("start"), sources, program, library)
    starts = try FaultStarts(on: stage)
    recoveryCallCount = killsRecovery ? 24 : 0
  }

  func stage(_ number: Int) throws(BenchFailure) -> FaultStage {
    try FaultStage(in: run.workspace.file("worker-\(number)"), sources, program, library)
  }

  /// Every point that a run without faults has.
  func points() throws(BenchFailure) -> [FaultPoint] {
    let stage = try stage(1_000_000)
    var calls: [FaultScenario: [LoggedCall]] = [:]
    var points: [FaultPoint] = []
    for plan in plans {
      if calls[plan.scenario] == nil {
        try stage.reset(to: starts.image(plan.scenario.start))
        let (ending, logged) = try stage.run(
          plan.scenario.arguments, Fault(.kill, at: [], .once), number: 0)
        guard ending.succeeded else { throw BenchFailure(.failed, "without any fault: \(ending)") }
        calls[plan.scenario] = logged
      }
      let count = (calls[plan.scenario] ?? []).count(where: plan.fault.counts)
      for number in 0..<count { points.append(plan.point(number + 1)) }
    }
    return points
  }

  /// Meets `points` in an order of the seed's.
  /// - Parameter share: The part of the budget that may be used for them.
  /// - Returns: Whether all were met before that was used up.
  func meet(_ points: [FaultPoint], share: Double = 1) throws(BenchFailure) -> Bool {
    let order = shuffled(points)
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
      while let index = progress.withLock({ $0.takePoint(below: order.count) }),
        let number = try run.nextCase(share: share)
      {
        var point = order[index]
        var generator = run.generator(of: number)
        if recoveryCallCount > 0 && generator.below(4) == 0 {
          point.recoveryNumber = 1 + generator.below(recoveryCallCount)
        }
        try meet(point, on: stage)
        progress.withLock { $0.triedCount += 1 }
      }
    }
    return progress.withLock { $0.triedCount } == order.count
  }

  private struct Progress {
    private var stageCount = 0
    private var nextPoint = 0
    var triedCount = 0

    mutating func takeStage() -> Int {
      stageCount += 1
      return stageCount
    }

    mutating func takePoint(below count: Int) -> Int? {
      guard nextPoint < count else { return nil }
      nextPoint += 1
      return nextPoint - 1
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
    let result = FaultCase(stage: stage, starts: starts).run(point)
    if result.isMet {
      run.count(point.fault.action.isDeadly ? "kills at a seam" : "faults that came")
      run.count("  in \(point.scenario.name)")
    }
    if result.isRecoveryMet { run.count("kills of a recovery") }
    if result.isRepeated { run.count("done again without a fault, and nothing excused") }
    switch result.failure {
    case nil: break
    case .harness(let failure): throw failure
    case .promise(let kind, let message):
      run.record(
        Violation(
          kind: kind, message: "\(point.scenario.name), \(result.place): \(message)", replay: run.replay(point.text)))
    }
    return result.isMet
  }

  /// Only the point that `--replay` names.
  func replay(_ text: String) throws(BenchFailure) {
    guard let point = FaultPoint(text, plans: plans) else {
      throw BenchFailure(.usage, "torture: '--replay \(text)' is no case of this layer")
    }
    run.count("cases replayed")
    try meet(point, on: stage(0))
  }

  private func shuffled(_ points: [FaultPoint]) -> [FaultPoint] {
    var generator = SplitMix64(seed: run.settings.seed)
    var points = points
    for index in points.indices.reversed() where index > 0 { points.swapAt(index, generator.below(index + 1)) }
    return points
  }
}
