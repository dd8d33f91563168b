import StorageIO

/// `torture full-disk`: commands on disks that are really full, to the block, and on disks that really fail.
enum FullDiskLayer {
  static let layer = TortureLayer(
    "full-disk", "file systems that are full to the block, and disks whose reads, writes and flushes fail; needs root",
    in: "/dev/shm", runsPFS: true, run)

  private static func run(_ run: TortureRun) throws(BenchFailure) {
    let sweep = try FillSweep(run)
    let obstacle = try FaultyDiskSweep.obstacle()
    if let replay = run.settings.replay {
      run.count("cases replayed")
      if obstacle == nil, try FaultyDiskSweep(run, sweep.bench).replay(replay) { return }
      return try sweep.replay(replay)
    }
    try sweep.meet(share: 0.4)
    if let obstacle { return run.count("left out, failing disks: \(obstacle)") }
    let faulty = try FaultyDiskSweep(run, sweep.bench)
    try faulty.meetBadBlocks(share: 0.55)
    try faulty.meetBadWrites(share: 0.75)
    try faulty.meetPowerLoss(share: 1)
  }
}

/// Meets every fill level of every command on every kind of file system that there is.
struct FillSweep: Sendable {
  private let run: TortureRun
  let bench: FaultBench
  /// Levels above the first at which a command succeeds.
  private static let spareLevelCount = 8

  init(_ run: TortureRun) throws(BenchFailure) {
    self.run = run
    bench = try FaultBench(run)
  }

  /// - Parameter share: The part of the budget that may be used.
  func meet(share: Double) throws(BenchFailure) {
    var kinds: [DiskKind] = []
    for kind in DiskKind.allCases {
      if let obstacle = try kind.obstacle() {
        run.count("left out, \(kind.rawValue): \(obstacle)")
      } else {
        kinds.append(kind)
      }
    }
    guard !kinds.isEmpty else { throw BenchFailure(.failed, "no file system can be mounted here: run as root") }
    for (index, kind) in kinds.enumerated() {
      try meet(kind, share: share * Double(index + 1) / Double(kinds.count))
    }
  }

  private func meet(_ kind: DiskKind, share: Double) throws(BenchFailure) {
    let points = try points(kind)
    run.count("\(kind.rawValue): levels there are", points.count)
    run.count("\(kind.rawValue): levels tried", 0)
    let queue = CaseQueue(points)
    try ParallelWork.run(count: run.settings.workerCount, workerCount: run.settings.workerCount) {
      () throws(BenchFailure) in
    } _: { (_: Void, worker) throws(BenchFailure) in
      let disk = try disk(kind, "\(worker)")
      while let point = queue.next(), try run.nextCase(share: share) != nil { try meet(point, on: disk) }
      try disk.unmount()
    }
  }

  /// Each level from no byte free to somewhat more than is needed, in an order of the seed's.
  private func points(_ kind: DiskKind) throws(BenchFailure) -> [FillPoint] {
    let disk = try disk(kind, "need")
    var points: [FillPoint] = []
    for scenario in FaultScenario.all {
      let need = try disk.need(kind, scenario)
      for level in 0...need + FillSweep.spareLevelCount { points.append(FillPoint(kind, scenario, level)) }
    }
    try disk.unmount()
    return run.shuffled(points)
  }

  private func disk(_ kind: DiskKind, _ name: String) throws(BenchFailure) -> FillDisk {
    let directory = run.workspace.file("\(kind.rawValue)-\(name)")
    try BenchFailure.translating { () throws(SystemCallFailure) in try Directory.make(directory) }
    return try FillDisk(kind, in: directory, bench)
  }

  private func meet(_ point: FillPoint, on disk: FillDisk) throws(BenchFailure) {
    do throws(CaseFailure) {
      let succeeded = try disk.run(point)
      run.count("\(point.kind.rawValue): levels tried")
      run.count("\(point.kind.rawValue): \(succeeded ? "enough room" : "no space, and said so")")
    } catch {
      switch error {
      case .harness(let failure): throw failure
      case .promise(let kind, let message):
        run.count("\(point.kind.rawValue): levels tried")
        run.record(
          Violation(
            kind: kind,
            message: "\(point.kind.rawValue), \(point.level * FillPoint.stepByteCount) bytes free: \(message)",
            replay: run.replay(point.text)))
      }
    }
  }

  func replay(_ text: String) throws(BenchFailure) {
    guard let point = FillPoint(text) else {
      throw BenchFailure(.usage, "torture: '--replay \(text)' is no case of this layer")
    }
    let disk = try disk(point.kind, "replay")
    try meet(point, on: disk)
    try disk.unmount()
  }
}
