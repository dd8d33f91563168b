import CommandSupport
import Console
import StorageIO

/// `torture typed`: stores of typed objects as a loss of power leaves them.
///
/// A process of its own does the operations while its calls are recorded; from the record follows what may be on the device
/// at every moment, as it does for `explore`, and each such state is opened, checked and, some of them, rebuilt. Then calls of
/// the same workload fail, are cut short or are the last.
enum TypedLayer {
  static let layer = TortureLayer(
    "typed", "stores of typed objects after losses of power, failed calls and kills; N is states and faults",
    in: "/dev/shm", runsPFS: false, run)
  static let partName = "typed-act"

  private static let table = OptionTable([
    OptionTable.Option("store", value: "DIR", help: "Is made."),
    OptionTable.Option("marks", value: "FILE", help: "Where the marks go."),
    OptionTable.Option("seed", value: "N", help: "What is done."),
  ])
  private static let storeName = "store"
  /// Of one workload: more workloads show more than more states of one.
  private static let statesOfPoint = 6
  private static let rebuildInterval = 4
  private static let faultsOfWorkload = 24

  /// The part `torture typed-act` of this program.
  static func act(_ arguments: [[UInt8]]) throws(BenchFailure) {
    let (store, marks, seed) = try BenchFailure.translating { () throws(UsageError) in
      let options = try OptionParser.parse(arguments, table: table, stopsAtFirstOperand: false)
      guard let store = options.value(of: "store"), let marks = options.value(of: "marks") else {
        throw UsageError(.missingValue, "torture \(partName): give --store and --marks")
      }
      return (FilePath(bytes: store), FilePath(bytes: marks), try options.integer(of: "seed", in: 0...Int.max) ?? 1)
    }
    let file = try BenchFailure.translating { () throws(SystemCallFailure) in try File.open(marks, [.write, .create]) }
    try TypedActor(workload: TypedWorkload(seed: UInt64(seed)), path: store).run { (text) throws(BenchFailure) in
      try BenchFailure.translating { () throws(SystemCallFailure) in
        try Array(text.utf8).withRawSpan { (bytes) throws(SystemCallFailure) in try file.writeNext(bytes) }
      }
    }
  }

  private static func run(_ run: TortureRun) throws(BenchFailure) {
    var seed = try firstSeed(run.settings)
    let composer = StateComposer(root: run.workspace.file("state"))
    try BenchFailure.translating { () throws(SystemCallFailure) in try Directory.make(composer.root) }
    let faults = try TypedFaults(run, composer, storeName: storeName)
    while true {
      try run.interruption.check()
      let log = try record(seed, composer, run)
      run.count("workloads")
      guard try explore(seed, log, composer, run) else { return }
      var generator = run.generator(of: seed + 1 << 40)
      for _ in 0..<faultsOfWorkload {
        guard try faults.tryOne(seed: seed, &generator) else { return }
      }
      if run.settings.replay != nil { return }
      seed += 1
    }
  }

  /// A quarter of the numbers there are, so that none that is derived from one is too large.
  private static let largestSeed = Int.max >> 2

  private static func firstSeed(_ settings: TortureSettings) throws(BenchFailure) -> Int {
    guard let replay = settings.replay else { return Int(settings.seed &* 1000 & UInt64(largestSeed >> 1)) }
    guard let seed = Int(replay), (0...largestSeed).contains(seed) else {
      throw BenchFailure(.usage, "torture: '--replay \(replay)' is not the seed of a workload")
    }
    return seed
  }

  /// What the calls of one workload did to its directory.
  private static func record(_ seed: Int, _ composer: StateComposer, _ run: TortureRun) throws(BenchFailure) -> CallLog
  {
    try composer.compose(CrashState())
    let (log, marks) = (run.workspace.file("log"), run.workspace.file("marks"))
    try BenchFailure.translating { () throws(SystemCallFailure) in
      for path in [log, marks] { try File.open(path, [.write, .create]).truncate(to: 0) }
    }
    let library = try FaultLibrary.find()
    var environment = library.recording(composer.root, log: log, marks: marks, seed: UInt64(seed))
    environment["SWIFT_BACKTRACE"] = "enable=no"
    let program = try BenchFailure.translating { () throws(ConsoleFailure) in try ProgramFile.path() }
    let arguments = [
      "torture", partName, "--store", composer.root.appending(storeName).description, "--marks", marks.description,
      "--seed", "\(seed)",
    ]
    let outcome = try run.interruption.run(program, arguments.map { Array($0.utf8) }, environment: environment).outcome
    try requireSuccess(outcome, "torture \(partName) --seed \(seed)")
    return try library.read(log)
  }

  /// - Returns: False when the budget is used up.
  private static func explore(
    _ seed: Int, _ log: CallLog, _ composer: StateComposer, _ run: TortureRun
  ) throws(BenchFailure) -> Bool {
    let workload = TypedWorkload(seed: UInt64(seed))
    let (points, marks, _) = try DurabilityModel.crashPoints(of: log)
    var generator = run.generator(of: seed)
    var seen = Set<UInt64>()
    for point in points {
      var sampler = StateSampler(point, SplitMix64(seed: generator.next()))
      let known = marks.prefix(point.markCount)
      let check = TypedStateCheck(
        workload: workload, doneCount: known.count { $0.hasPrefix("done") },
        begunCount: known.count { $0.hasPrefix("begin") })
      var left = statesOfPoint
      for sample in sampler.samples() where left > 0 {
        let state = try point.state(sample.choice)
        guard seen.insert(CrashState.mix(state.hash, UInt64(point.markCount))).inserted else { continue }
        left -= 1
        guard let number = try run.nextCase() else { return false }
        try composer.compose(state)
        run.count("states")
        let rebuilds = number.isMultiple(of: rebuildInterval)
        if rebuilds { run.count("rebuilds") }
        if let (kind, message) = check.violation(at: composer.root.appending(storeName), rebuilds: rebuilds) {
          let place = "seed \(seed), point \(point.number) (\(point.reason)), state \(sample.choice.text)"
          run.record(Violation(kind: kind, message: "\(place): \(message)", replay: run.replay("\(seed)")))
        }
      }
    }
    return true
  }
}
