import CommandSupport
import Console
import StorageIO

/// A system call of a process that uses a typed store fails, or is its last.
struct TypedFaults {
  let run: TortureRun
  let composer: StateComposer
  let storeName: String
  private let library: FaultLibrary

  private static let faults = [
    Fault(.error("EIO"), at: Fault.changes, .once), Fault(.error("EIO"), at: Fault.changes, .sticky),
    Fault(.error("ENOSPC"), at: ["fallocate", "ftruncate", "pwrite", "write", "create"], .once),
    Fault(.error("ENOSPC"), at: ["fallocate", "ftruncate", "pwrite", "write", "create"], .sticky),
    Fault(.short, at: ["pwrite", "write", "writev"], .once), Fault(.kill, at: Fault.changes, .once),
    Fault(.torn, at: ["pwrite", "writev", "write"], .once),
  ]

  init(_ run: TortureRun, _ composer: StateComposer, storeName: String) throws(BenchFailure) {
    self.run = run
    self.composer = composer
    self.storeName = storeName
    library = try FaultLibrary.find()
  }

  private var store: FilePath { composer.root.appending(storeName) }
  private var marks: FilePath { run.workspace.file("marks") }

  /// Runs a workload with a fault at a call of the generator's choice, and looks at what it leaves.
  /// - Returns: False when the budget is used up.
  func tryOne(seed: Int, _ generator: inout SplitMix64) throws(BenchFailure) -> Bool {
    let fault = TypedFaults.faults[generator.below(TypedFaults.faults.count)]
    let (_, callCount) = try act(seed, fault, number: 0)
    guard callCount > 0 else { return true }
    guard let caseNumber = try run.nextCase() else { return false }
    let number = 1 + generator.below(callCount)
    let (outcome, _) = try act(seed, fault, number: number)
    run.count("faults")
    let place = "seed \(seed), \(fault.text) at call \(number)"
    let replay = run.replay("\(seed)")
    guard outcome.exitStatus == 0 || outcome.exitStatus == 1 || fault.action.isDeadly else {
      let said = String(decoding: outcome.standardError.suffix(300), as: UTF8.self)
      run.record(
        Violation(kind: .crash, message: "\(place): ended with \(outcome.signal ?? 0): \(said)", replay: replay))
      return true
    }
    let lines = try BenchFailure.translating { () throws(SystemCallFailure) in
      let file = try File.open(marks)
      return try file.bytes(at: 0, byteCount: try file.status().byteCount)
    }.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
    var check = TypedStateCheck(
      workload: TypedWorkload(seed: UInt64(seed)), doneCount: lines.count { $0.hasPrefix("done") },
      begunCount: lines.count { $0.hasPrefix("begin") })
    check.allowsUnfilled = true
    if let (kind, message) = check.violation(at: store, rebuilds: caseNumber.isMultiple(of: 2)) {
      run.record(Violation(kind: kind, message: "\(place): \(message)", replay: replay))
    }
    return true
  }

  /// - Returns: How the process ended, and how many calls counted.
  private func act(
    _ seed: Int, _ fault: Fault, number: Int
  ) throws(BenchFailure) -> (outcome: ChildProcess.Outcome, callCount: Int) {
    try composer.compose(CrashState())
    let log = run.workspace.file("calls")
    try BenchFailure.translating { () throws(SystemCallFailure) in
      for path in [log, marks] { try File.open(path, [.write, .create]).truncate(to: 0) }
    }
    var environment = fault.environment(library, number: number, root: composer.root.description, log: log)
    environment["SWIFT_BACKTRACE"] = "enable=no"
    let program = try BenchFailure.translating { () throws(ConsoleFailure) in try ProgramFile.path() }
    let arguments = [
      "torture", TypedLayer.partName, "--store", store.description, "--marks", marks.description, "--seed", "\(seed)",
    ]
    let outcome = try run.interruption.outcome(
      of: program, arguments.map { Array($0.utf8) }, environment: environment, limitSeconds: 60)
    let calls = try BenchFailure.translating { () throws(SystemCallFailure) in
      let file = try File.open(log)
      return try file.bytes(at: 0, byteCount: try file.status().byteCount)
    }
    return (outcome, calls.count { $0 == UInt8(ascii: "\n") })
  }
}
