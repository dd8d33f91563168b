import StorageIO
import Synchronization

/// `torture kill`: processes are killed at each call that changes something, and at any moment, alone and several at once.
enum KillLayer {
  static let layer = TortureLayer(
    "kill", "commands are killed, at every call that changes something and at random, alone and several at once",
    in: "/dev/shm", runsPFS: true, run)

  /// The share of a budget of seconds, or of cases, that goes to kills at random.
  private static let randomShare = 0.5

  private static func run(_ run: TortureRun) throws(BenchFailure) {
    let sweep = try FaultSweep(run, plans, killsRecovery: true)
    if let replay = run.settings.replay {
      guard let number = KillSequence.number(replay) else { return try sweep.replay(replay) }
      return try replayAtRandom(number, sweep)
    }
    let points = try sweep.points()
    run.count("commands", FaultScenario.writing.count)
    run.count("seams there are", points.count)
    let isWhole = try sweep.meet(points, share: 1 - randomShare)
    run.count("every seam tried", isWhole ? 1 : 0)
    try meetAtRandom(sweep)
  }

  /// Which call of a process a kill at random meets is a matter of timing: the case is tried until it shows.
  private static let replayCount = 20

  private static func replayAtRandom(_ number: Int, _ sweep: FaultSweep) throws(BenchFailure) {
    let run = sweep.run
    for _ in 0..<replayCount where run.violationCount == 0 {
      try run.interruption.check()
      run.count("times replayed, of at most \(replayCount)")
      try KillSequence(sweep, number: number).run(in: run.workspace.file("replayed"))
    }
  }

  static let plans = FaultScenario.writing.flatMap { scenario in
    [
      FaultPlan(scenario: scenario, fault: Fault(.kill, at: Fault.changes, .once), statuses: []),
      FaultPlan(scenario: scenario, fault: Fault(.torn, at: ["pwrite", "writev", "write"], .once), statuses: []),
    ]
  }

  private static func meetAtRandom(_ sweep: FaultSweep) throws(BenchFailure) {
    let run = sweep.run
    run.count("kills at random", 0)
    try ParallelWork.run(count: run.settings.workerCount, workerCount: run.settings.workerCount) {
      () throws(BenchFailure) in
    } _: { (_: Void, worker) throws(BenchFailure) in
      while let number = try run.nextCase() {
        try KillSequence(sweep, number: number).run(in: run.workspace.file("random-\(worker)"))
      }
    }
  }
}
