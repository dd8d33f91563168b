import StorageIO

/// Power that is lost while commands run, below a real file system: what its disk may then hold is written out, mounted,
/// by which the journal is replayed, and the store in it is looked at.
struct PowerLoss: Sendable {
  /// A command that has run, and where the log was before and after it.
  private struct Step: Sendable {
    let scenario: FaultScenario
    let start: Int
    let end: Int
    /// What the store held before it.
    let before: StoreState
  }

  private let run: TortureRun
  private let bench: FaultBench
  private let image: DiskImage
  private let log: DiskLog
  private let steps: [Step]
  /// What the store holds at the end.
  private let last: StoreState

  /// Runs the commands, in an order of the seed's, and keeps what reaches the disk.
  init(_ run: TortureRun, _ bench: FaultBench, _ image: DiskImage) throws(BenchFailure) {
    self.run = run
    self.bench = bench
    self.image = image
    let directory = run.workspace.file("power")
    let path = run.workspace.file("power.log")
    let disk = try FaultyFileSystem(in: directory, image, log: path)
    let stage = try bench.stage(in: disk.root.appending("stage"), isThere: true)
    try disk.mount()
    let scenarios = run.shuffled(
      FaultScenario.writing.filter { scenario in
        [.plain, PowerLoss.start].contains(scenario.start) || scenario.name == "recover"
      })
    var state = bench.starts.state(PowerLoss.start)
    // What is in the way of a file's space is not looked at here.
    state.segmentByteCount = 1 << 40
    var steps: [Step] = []
    for scenario in scenarios {
      let start = try PowerLoss.byteCount(of: path)
      let ending = try stage.run(scenario)
      guard ending.succeeded else { throw BenchFailure(.failed, "without any fault: \(ending)") }
      steps.append(
        Step(scenario: scenario, start: start, end: try PowerLoss.byteCount(of: path), before: state))
      PowerLoss.add(ending, of: scenario, to: &state)
    }
    try disk.close()
    self.steps = steps
    last = state
    log = try BenchFailure.translating { () throws(SystemCallFailure) in
      let log = try DiskLog(of: path)
      try Tree.remove(directory)
      return log
    }
  }

  private static func byteCount(of path: FilePath) throws(BenchFailure) -> Int {
    try BenchFailure.translating { () throws(SystemCallFailure) in try FileSystem.status(of: path).byteCount }
  }

  private static func add(_ ending: TortureProgram.Ending, of scenario: FaultScenario, to state: inout StoreState) {
    for (id, name) in ending.acknowledged {
      if case .deletes = scenario.effect { state.files[id] = nil } else { state.files[id] = name }
      state.lastID = max(state.lastID, id)
    }
  }

  // MARK: States

  func meet(share: Double) throws(BenchFailure) {
    run.count("power loss: writes and flushes of the disk", log.events.count)
    run.count("power loss: states", 0)
    try ParallelWork.run(count: run.settings.workerCount, workerCount: run.settings.workerCount) {
      () throws(BenchFailure) in
    } _: { (_: Void, worker) throws(BenchFailure) in
      let directory = run.workspace.file("power-\(worker)")
      try BenchFailure.translating { () throws(SystemCallFailure) in try Directory.make(directory) }
      while let number = try run.nextCase(share: share) { try meet(number, in: directory) }
    }
  }

  func replay(_ number: Int) throws(BenchFailure) {
    let directory = run.workspace.file("power-replay")
    try BenchFailure.translating { () throws(SystemCallFailure) in try Directory.make(directory) }
    try meet(number, in: directory)
  }

  /// What the disk begins with: all of the plain one, and more.
  static let start = FaultScenario.Start.halfDeleted

  /// What `--replay` takes.
  static let prefix = "power"

  private func meet(_ number: Int, in directory: FilePath) throws(BenchFailure) {
    var generator = run.generator(of: number)
    let state = DiskState(log, &generator)
    let path = directory.appending("disk.image")
    let inFlightCount = try BenchFailure.translating { () throws(SystemCallFailure) in
      // A new file each time: mount uses a loop device that has the file already, with what it has of it in memory.
      try Tree.remove(path)
      let file = try File.open(path, [.write, .createNew])
      try image.write(to: file)
      return try state.write(log, to: file, &generator)
    }
    run.count("power loss: states")
    if inFlightCount > 0 && (state.choice == .blocks || state.choice == .sectors) {
      run.count("power loss: states with torn writes")
    }
    guard let mounted = mounted(path, on: directory.appending("root")) else {
      // Where the file system itself does not come back nothing is learnt of the store.
      return run.count("power loss: states that ext4 does not mount")
    }
    do throws(CaseFailure) { try check(mounted.root, directory, state) } catch {
      switch error {
      case .harness(let failure): throw failure
      case .promise(let kind, let message):
        run.record(
          Violation(
            kind: kind,
            message: "power lost at event \(state.eventCount) of the disk, \(moment(state)), of \(inFlightCount) "
              + "writes in flight \(state.choice): \(message)", replay: run.replay("\(PowerLoss.prefix) \(number)")))
      }
    }
    try mounted.unmount()
  }

  /// Tried again, as others on this machine take loop devices too.
  private func mounted(_ image: FilePath, on root: FilePath) -> MountedFileSystem? {
    for _ in 0..<3 {
      do throws(BenchFailure) { return try MountedFileSystem(image: image, on: root) } catch {}
    }
    return nil
  }

  /// What went on then.
  private func moment(_ state: DiskState) -> String {
    let position = state.position(in: log)
    guard let step = steps.first(where: { $0.end > position }) else { return "at the end" }
    return "\(position > step.start ? "during" : "before") \(step.scenario.name)"
  }

  private func check(_ root: FilePath, _ directory: FilePath, _ state: DiskState) throws(CaseFailure) {
    let position = state.position(in: log)
    let store = root.appending("stage/store")
    let inspection = StoreInspection(store: store, copy: directory.appending("copy"), sources: bench.sources)
    try inspection.open(isRebuiltIfDamaged: false)
    let found = try inspection.state()
    if let step = steps.first(where: { $0.end > position }) {
      // Before it began nothing of it can be there, which its check allows too: some of it may be.
      try EffectCheck(scenario: step.scenario, start: step.before).check(found, after: nil)
      run.count("power loss: states in the middle of a command", position > step.start ? 1 : 0)
    } else {
      try CaseFailure.demand(found.files == last.files, .lost, "the files are not those that were acknowledged")
    }
    _ = try inspection.probe(found)
  }
}
