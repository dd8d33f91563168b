import CommandSupport
import Console
import StorageIO

/// The process that looks at the states of one workload. It may die of one: whoever started it reads from its files and
/// lines where it was.
final class ExploreWorker {
  private let task: ExploreTask
  private let recording: WorkloadRecording
  private let composer: StateComposer
  private let check: StoreCheck
  private let progress: File
  private var generator: SplitMix64
  private var seen: Set<UInt64> = []
  private var hashes: [UInt8] = []
  private var counts: [(name: String, count: Int)] = []
  private var checkedCount = 0
  private var violationCount = 0
  private var aliveSeconds = 0.0
  /// Composed states in whose recovery there is to be another crash.
  private var nestedBases: [NestedBase] = []

  private struct NestedBase {
    let crash: ExploreCase.Crash
    let state: CrashState
    let promised: Promised
  }

  /// What must be in the store at a point, and after how many marks.
  private struct Promised {
    let expectation: Expectation
    let markCount: Int
  }

  /// One state in so many is made with the `lock.mdb` of those who were there before.
  private static let keptLockInterval = 16
  /// One state in so many has its index made anew, and in so many something is stored and deleted.
  private static let fullCheckInterval = 16
  private static let standardCheckInterval = 4
  /// As many files as there are after most crashes.
  private static let replayedWearCount = 8
  private static let nestedBaseCount = 4
  /// The share of the states that are left by a crash in a recovery.
  private static let nestedDivisor = 8
  private static let aliveIntervalSeconds = 0.5

  /// The part `torture explore-worker` of this program.
  static func run(_ arguments: [[UInt8]]) throws(BenchFailure) {
    let worker = try ExploreWorker(try ExploreTask(arguments))
    try worker.run()
  }

  private init(_ task: ExploreTask) throws(BenchFailure) {
    self.task = task
    let interruption = Interruption()
    try interruption.listen()
    recording = WorkloadRecording(
      directory: task.directory, seed: task.workload.seed, library: try FaultLibrary.find(),
      interruption: interruption)
    let (root, scratch) = (task.directory.appending("state"), task.directory.appending("scratch"))
    progress = try BenchFailure.translating { () throws(SystemCallFailure) in
      for directory in [root, scratch] {
        do throws(SystemCallFailure) { try Directory.make(directory) } catch  where error.isExists {}
      }
      return try File.open(task.progressPath, [.write, .create])
    }
    composer = StateComposer(root: root)
    check = StoreCheck(scratch: scratch)
    var mixed = SplitMix64(seed: task.seed)
    generator = SplitMix64(seed: mixed.next() ^ CrashState.hash(Array(task.workload.text.utf8)))
  }

  private func run() throws(BenchFailure) {
    let (points, marks) = try recordedPoints()
    if let onlyCase = task.onlyCase {
      try replay(onlyCase, points, marks)
    } else {
      try explore(points, marks)
    }
    try writeHashes()
    for (name, count) in counts { try say(.count(name, count)) }
  }

  /// Of the workload, on no store; a log that is there is that of a worker that died.
  private func recordedPoints() throws(BenchFailure) -> ([CrashPoint], [String]) {
    do throws(SystemCallFailure) { _ = try FileSystem.status(of: recording.log) } catch {
      try composer.compose(CrashState())
      try recording.record(task.workload.text, root: composer.root, log: recording.log)
    }
    let log = try recording.library.read(recording.log)
    let (points, marks, overwritten) = try DurabilityModel.crashPoints(of: log, blindSpot: task.blindSpot)
    if let page = overwritten.first {
      let message = "\(overwritten.count) pages were written over, the first of them \(page)"
      try say(.violation(.inconsistent, case: ExploreCase(task.workload, []).text, message: message))
    }
    return (points, marks)
  }

  // MARK: Many states

  private func explore(_ points: [CrashPoint], _ marks: [String]) throws(BenchFailure) {
    try countCompactions(marks)
    let begin = marks.firstIndex(of: "begin \(task.firstOperation)").map { $0 + 1 } ?? 0
    let points = points.filter { $0.markCount >= begin }
    count("crash points", points.count)
    let ownCount = task.stateCount - task.stateCount / ExploreWorker.nestedDivisor
    for (index, point) in points.enumerated() {
      let share = max(1, (ownCount - checkedCount) / (points.count - index))
      let promised = Promised(
        expectation: try Expectation(task.workload, marks: marks.prefix(point.markCount)), markCount: point.markCount)
      let keep = generator.below(max(1, points.count / ExploreWorker.nestedBaseCount)) == 0
      try explore(point, promised, stateCount: share, behind: [], keepsBase: keep)
      if isDone { return }
    }
    for base in nestedBases {
      try exploreRecovery(base)
      if isDone { return }
    }
  }

  /// So that a run in which there was nothing to move shows.
  private func countCompactions(_ marks: [String]) throws(BenchFailure) {
    let moved = try Expectation(task.workload, marks: marks).movedByteCounts
    count("compactions", moved.count)
    count("compactions that moved something", moved.count { $0 > 0 })
    count("bytes moved by compactions", moved.reduce(0, +))
  }

  private var isDone: Bool {
    if checkedCount >= task.stateCount || violationCount >= task.violationLimit { return true }
    guard let untilSeconds = task.untilSeconds else { return false }
    return MonotonicClock.seconds() >= Double(untilSeconds)
  }

  /// - Parameters:
  ///   - outer: The crash in whose recovery this one is.
  ///   - keepsBase: Whether one of the states is to be one in whose recovery there is another crash.
  private func explore(
    _ point: CrashPoint, _ promised: Promised, stateCount: Int, behind outer: [ExploreCase.Crash],
    keepsBase: Bool
  ) throws(BenchFailure) {
    var sampler = StateSampler(point, SplitMix64(seed: generator.next()))
    let samples = sampler.samples()
    let baseIndex = keepsBase ? generator.below(samples.count) : -1
    var left = stateCount
    for (index, sample) in samples.enumerated() where left > 0 {
      let state = try point.state(sample.choice)
      let crash = ExploreCase.Crash(point: point.number, choice: sample.choice)
      if index == baseIndex, state.directories.contains(Array(WorkloadRecording.storeName.utf8)) {
        nestedBases.append(NestedBase(crash: crash, state: state, promised: promised))
      }
      let hash = CrashState.mix(state.hash, UInt64(promised.markCount))
      guard seen.insert(hash).inserted else {
        count("duplicates")
        continue
      }
      left -= 1
      countState(sample, isNested: !outer.isEmpty, hash)
      try look(ExploreCase(task.workload, outer + [crash]), point, state, promised.expectation)
      if isDone { return }
    }
  }

  private func countState(_ sample: StateSampler.Sample, isNested: Bool, _ hash: UInt64) {
    count("states of the \(sample.choice.model == .ordered ? "ordered" : "strict") model of directories")
    switch sample.kind {
    case .torn: count("states with a torn page")
    case .stale: count("states with random versions")
    case .plain: break
    }
    if isNested { count("states of a crash in recovery") }
    for shift in 0..<8 { hashes.append(UInt8(truncatingIfNeeded: hash >> UInt64(8 * shift))) }
  }

  /// Looks at one state, unless a worker before this one has.
  private func look(
    _ here: ExploreCase, _ point: CrashPoint, _ state: CrashState, _ expectation: Expectation
  ) throws(BenchFailure) {
    checkedCount += 1
    guard checkedCount > task.skippedCount else { return }
    try sayProgress(here)
    try composer.compose(state, keepsLock: checkedCount % ExploreWorker.keptLockInterval == 0)
    let path = composer.root.appending(WorkloadRecording.storeName)
    var faults = check.run(
      path, expectation, depth: depth(checkedCount), keeping: checkedCount / ExploreWorker.fullCheckInterval)
    if task.onlyCase != nil {
      // Nobody knows any more how it was looked at: in each way.
      for kept in 0..<ExploreWorker.replayedWearCount where faults.isEmpty {
        try composer.compose(state)
        faults = check.run(path, expectation, depth: .worn, keeping: kept)
      }
    }
    if let first = faults.first {
      // The kind of a state is that of what was seen first: the rest follows from it as a rule.
      let others = faults.count > 1 ? "; and \(faults.count - 1) more, such as \(faults[1].message)" : ""
      let place = expectation.operation.map { "in \($0.text), \(point.reason)" } ?? point.reason
      try say(.violation(first.kind, case: here.text, message: "\(first.message)\(others) [\(place)]"))
      violationCount += 1
      count("states with violations")
    }
  }

  /// What costs most is done to some of the states only: storing and deleting in one of four, a rebuild in one of
  /// eight, half of them after a compaction and half after many deletes.
  private func depth(_ number: Int) -> StoreCheck.Depth {
    if task.onlyCase != nil || number % ExploreWorker.fullCheckInterval == 0 { return .full }
    if number % ExploreWorker.fullCheckInterval == ExploreWorker.fullCheckInterval / 2 { return .worn }
    return number % ExploreWorker.standardCheckInterval == 0 ? .standard : .quick
  }

  // MARK: A crash while the store is put right

  private func exploreRecovery(_ base: NestedBase) throws(BenchFailure) {
    let points: [CrashPoint]
    do throws(BenchFailure) { points = try recoveryPoints(of: base.state).0 } catch {
      guard error.code == .different else { throw error }
      let here = ExploreCase(task.workload, [base.crash])
      violationCount += 1
      return try say(.violation(.outcome, case: here.text, message: "open and close: \(error.message)"))
    }
    count("recoveries with crashes in them")
    count("crash points", points.count)
    for (index, point) in points.enumerated() {
      let left = min(task.stateCount - checkedCount, task.stateCount / ExploreWorker.nestedDivisor)
      let share = max(1, left / (points.count - index) / max(1, nestedBases.count))
      try explore(point, base.promised, stateCount: share, behind: [base.crash], keepsBase: false)
      if isDone { return }
    }
  }

  private func recoveryPoints(of state: CrashState) throws(BenchFailure) -> ([CrashPoint], [String]) {
    try composer.compose(state)
    let log = task.directory.appending("recovery.log")
    try recording.record("\(task.workload.seed)/reopen", root: composer.root, log: log)
    let found = try DurabilityModel.crashPoints(
      of: try recording.library.read(log), base: state, blindSpot: task.blindSpot)
    return (found.points, found.marks)
  }

  // MARK: One state

  private func replay(_ replayed: ExploreCase, _ points: [CrashPoint], _ marks: [String]) throws(BenchFailure) {
    func point(_ number: Int, of points: [CrashPoint]) throws(BenchFailure) -> CrashPoint {
      guard points.indices.contains(number) else {
        throw BenchFailure(.usage, "there is no crash point \(number): there are \(points.count)")
      }
      return points[number]
    }
    guard let first = replayed.crashes.first else { return }
    var last = try point(first.point, of: points)
    var state = try last.state(first.choice)
    let expectation = try Expectation(task.workload, marks: marks.prefix(last.markCount))
    if let second = replayed.crashes.dropFirst().first {
      last = try point(second.point, of: try recoveryPoints(of: state).0)
      state = try last.state(second.choice)
    }
    count("crash points")
    try look(replayed, last, state, expectation)
  }

  // MARK: What it says

  private func count(_ name: String, _ number: Int = 1) {
    if let index = counts.firstIndex(where: { $0.name == name }) {
      counts[index].count += number
    } else {
      counts.append((name, number))
    }
  }

  private func sayProgress(_ here: ExploreCase) throws(BenchFailure) {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      try progress.write(Array("\(checkedCount)\t\(here.text)\n".utf8), at: 0)
    }
    let seconds = MonotonicClock.seconds()
    guard seconds - aliveSeconds > ExploreWorker.aliveIntervalSeconds else { return }
    aliveSeconds = seconds
    try say(.alive)
  }

  private func say(_ line: ExploreLine) throws(BenchFailure) {
    try BenchCommand.print(line.text.split(separator: "\n").joined(separator: "; ") + "\n")
  }

  private func writeHashes() throws(BenchFailure) {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      let file = try File.open(task.hashesPath, [.write, .create])
      try file.truncate(to: 0)
      try file.write(hashes, at: 0)
    }
  }
}
