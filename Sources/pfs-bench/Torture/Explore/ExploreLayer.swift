import CommandSupport
import Console
import StorageIO
import Synchronization

/// Every state that a loss of power may leave, as far as the budget reaches: records what workloads do, works out what
/// may then be on the device, and has the real engine open it.
final class ExploreLayer: Sendable {
  static let layer = TortureLayer(
    "explore", "stores as a loss of power leaves them, at every moment of sequences of operations; N is states",
    in: "/dev/shm", runsPFS: false
  ) { (run) throws(BenchFailure) in try ExploreLayer(run).start() }

  /// What the workers have to do, in order.
  private struct Plan {
    var bounded: ArraySlice<Workload>
    var randomCount = 0
    var boundedCount = 0
    /// States that nobody is looking at yet, when the budget is in states.
    var stateCount: Int
    var hashes: Set<UInt64> = []
    var shrunkKinds: Set<Violation.Kind> = []
  }

  private let run: TortureRun
  private let plan: Mutex<Plan>
  private let statesOfWorkload: Int

  /// Of the states of a second, with which the share of a workload is reckoned when the budget is in seconds.
  private static let assumedStatesOfSecond = 200
  private static let statesOfWorkload = 40...2000
  private static let boundedLength = 3
  /// Those in which a compaction has something to do are longer, and come with those of this length.
  private static let compactingLength = 2
  private static let randomOperationCounts = 20..<61
  /// Of each three workloads one is random, until the bounded ones are all done.
  private static let randomInterval = 3
  private static let shrunkKindCount = 3
  private static let replayCount = 5

  private init(_ run: TortureRun) throws(BenchFailure) {
    self.run = run
    var generator = run.generator(of: 0)
    var bounded: [Workload] = []
    for length in 0...ExploreLayer.boundedLength {
      // Whatever the budget, a sample of all.
      var sequences = Workload.bounded(length: length, seed: run.settings.seed)
      if length == ExploreLayer.compactingLength { sequences += Workload.compacting(seed: run.settings.seed) }
      bounded += generator.shuffled(sequences)
    }
    let stateCount: Int
    switch run.settings.budget {
    case .cases(let count): stateCount = count
    case .seconds(let seconds):
      stateCount = Int(min(seconds, 1e9)) * ExploreLayer.assumedStatesOfSecond * run.settings.workerCount
    }
    // A bounded one rarely has so many; the random ones get the rest.
    let share = stateCount / bounded.count
    statesOfWorkload = min(
      max(share, ExploreLayer.statesOfWorkload.lowerBound), ExploreLayer.statesOfWorkload.upperBound)
    let limit = if case .cases(let count) = run.settings.budget { count } else { Int.max }
    plan = Mutex(Plan(bounded: bounded[...], stateCount: limit))
  }

  private func start() throws(BenchFailure) {
    _ = try FaultLibrary.find()
    if let replay = run.settings.replay { return try self.replay(replay) }
    let workerCount = run.settings.workerCount
    try ParallelWork.run(count: workerCount, workerCount: workerCount, { () }) { (_, number) throws(BenchFailure) in
      let runner = try ExploreProcess(self.run, name: "worker-\(number)")
      let shrinker = try ExploreProcess(self.run, name: "shrinker-\(number)")
      while let task = self.next(runner.directory) { try self.explore(task, runner, shrinker) }
    }
    try run.interruption.check()
    let count = plan.withLock { $0.hashes.count }
    guard count > 0 else { throw BenchFailure(.failed, "torture explore: no state was looked at") }
    run.count("unique states", count)
    run.count("states per second", Int(Double(count) / max(run.seconds, 0.001)))
    run.addCases(count)
  }

  // MARK: Many workloads

  private func next(_ directory: FilePath) -> ExploreTask? {
    if case .seconds(let limit) = run.settings.budget, run.seconds >= limit { return nil }
    return plan.withLock { plan in
      guard plan.stateCount > 0 else { return nil }
      let number = plan.boundedCount + plan.randomCount
      let isRandom = plan.bounded.isEmpty || number % ExploreLayer.randomInterval == ExploreLayer.randomInterval - 1
      var task: ExploreTask
      if !isRandom, let workload = plan.bounded.popFirst() {
        plan.boundedCount += 1
        task = ExploreTask(
          directory: directory, workload: workload, seed: run.settings.seed, stateCount: statesOfWorkload)
        // What a crash in an earlier operation leaves is seen in the shorter sequence.
        task.firstOperation = workload.operations.count - 1
      } else {
        plan.randomCount += 1
        var generator = run.generator(of: plan.randomCount)
        let counts = ExploreLayer.randomOperationCounts
        let workload = Workload.random(
          seed: generator.next() >> 32, operationCount: counts.lowerBound + generator.below(counts.count))
        task = ExploreTask(
          directory: directory, workload: workload, seed: run.settings.seed, stateCount: statesOfWorkload)
      }
      if plan.stateCount != .max {
        task.stateCount = min(task.stateCount, plan.stateCount)
        plan.stateCount -= task.stateCount
      }
      if case .seconds(let limit) = run.settings.budget {
        task.untilSeconds = Int(MonotonicClock.seconds() + max(0, limit - run.seconds)) + 1
      }
      return task
    }
  }

  private func explore(
    _ task: ExploreTask, _ runner: ExploreProcess, _ shrinker: ExploreProcess
  ) throws(BenchFailure) {
    let outcome = try runner.explore(task)
    run.count(task.firstOperation > 0 || task.workload.operations.count == 1 ? "bounded workloads" : "random workloads")
    for (name, count) in outcome.counts { run.count(name, count) }
    plan.withLock { plan in
      plan.hashes.formUnion(outcome.hashes)
      if plan.stateCount != .max { plan.stateCount += max(0, task.stateCount - max(1, outcome.hashes.count)) }
    }
    for found in outcome.found {
      // A case cannot be made smaller without space.
      guard run.hasSpace() else { return try run.requireSpace() }
      let isFirst = plan.withLock { plan in
        plan.shrunkKinds.count < ExploreLayer.shrunkKindCount && plan.shrunkKinds.insert(found.kind).inserted
      }
      run.record((isFirst ? try CaseShrinker(run, shrinker, found).shrunk() : found).violation(run))
    }
  }

  // MARK: One case

  /// What threads do is not the same each time: the case is tried until it shows.
  private func replay(_ text: String) throws(BenchFailure) {
    let replayed = try ExploreCase(parsing: text, seed: run.settings.seed)
    guard replayed.workload.operations.lastIndex(of: .initialize) == 0 else {
      throw BenchFailure(.usage, "torture: '--replay \(text)': a workload begins with its one init")
    }
    let runner = try ExploreProcess(run, name: "replay")
    for _ in 0..<ExploreLayer.replayCount {
      let outcome = try runner.explore(replayed)
      run.addCases(1)
      run.count("times replayed")
      for (name, count) in outcome.counts { run.count(name, count) }
      for found in outcome.found { run.record(found.violation(run)) }
      if !outcome.found.isEmpty { return }
    }
  }
}
