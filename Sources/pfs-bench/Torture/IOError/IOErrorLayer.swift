/// `torture io-error`: the n-th system call of a command fails, for n = 1, 2, 3 and so on up to a clean run, in every way
/// that the system may have it fail.
enum IOErrorLayer {
  static let layer = TortureLayer(
    "io-error", "each system call of each command fails in turn, once and for ever", in: "/dev/shm",
    runsPFS: true, run)

  private static let moving = ["read", "pread", "readv", "write", "pwrite", "writev"]
  private static let badDevice = [
    "open", "read", "pread", "readv", "write", "pwrite", "writev", "fdatasync", "fsync", "msync", "ftruncate", "punch",
    "unlink", "rename", "link", "close", "mmap", "populate_read", "populate_write", "create", "mkdir", "fallocate",
    "lseek",
  ]
  private static let allocating = ["fallocate", "write", "pwrite", "writev", "mkdir", "create", "rename", "link"]
  private static let opening = ["open", "create"]

  private static func run(_ run: TortureRun) throws(BenchFailure) {
    let sweep = try FaultSweep(run, plans, killsRecovery: false)
    if let replay = run.settings.replay { return try sweep.replay(replay) }
    let points = try sweep.points()
    run.count("commands", FaultScenario.all.count)
    run.count("points there are", points.count)
    let isWhole = try sweep.meet(points)
    let isClean = isWhole ? try sweep.meetRest(of: points) : false
    run.count("every point tried, up to a clean run", isWhole && isClean ? 1 : 0)
  }

  static let plans = FaultScenario.all.flatMap(plans)

  private static func plans(_ scenario: FaultScenario) -> [FaultPlan] {
    let unreadable = scenario.statusesOfBadReads
    var plans = each(scenario, "EIO", badDevice, unreadable) + each(scenario, "ENOSPC", allocating, [6])
    plans.append(FaultPlan(scenario: scenario, fault: Fault(.error("EDQUOT"), at: allocating, .once), statuses: [6]))
    plans += each(scenario, "EFAULT", ["populate_read", "populate_write"], unreadable)
    plans += each(scenario, "EMFILE", opening, unreadable)
    plans.append(
      FaultPlan(scenario: scenario, fault: Fault(.error("ENFILE"), at: opening, .once), statuses: unreadable))
    plans += each(scenario, "ENOMEM", ["mmap", "populate_read", "populate_write"], unreadable)
    // What is interrupted or cut short is made again or gone on with. LMDB makes again what it writes, but neither an
    // open nor its first read; and takes a write that was cut short for one that failed, or for a full disk.
    let interruptible = moving + ["open", "create", "fallocate", "punch", "ftruncate", "fsync"]
    plans += [
      FaultPlan(
        scenario: scenario, fault: Fault(.error("EINTR"), at: interruptible, .alternate, exempt: "/index"),
        statuses: []),
      FaultPlan(
        scenario: scenario, fault: Fault(.error("EINTR"), at: ["pwrite", "writev"], .alternate, path: "/index"),
        statuses: []),
      FaultPlan(
        scenario: scenario, fault: Fault(.short, at: moving, .alternate, exempt: "/index"), statuses: []),
    ]
    for repeats in [Fault.Repeat.once, .alternate] {
      plans.append(
        FaultPlan(
          scenario: scenario, fault: Fault(.short, at: ["pwrite", "writev"], repeats, path: "/index"),
          statuses: [1, 6]))
    }
    return plans
  }

  /// Every kind of call by itself, once and for ever, and the device as a whole from the n-th call on.
  private static func each(
    _ scenario: FaultScenario, _ error: String, _ calls: [String], _ statuses: Set<Int32>
  ) -> [FaultPlan] {
    var faults = calls.flatMap { call in
      [Fault(.error(error), at: [call], .once), Fault(.error(error), at: [call], .sticky)]
    }
    faults.append(Fault(.error(error), at: calls, .sticky))
    return faults.map { fault in FaultPlan(scenario: scenario, fault: fault, statuses: statuses) }
  }
}
