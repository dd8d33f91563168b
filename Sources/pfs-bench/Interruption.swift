import Console
import Synchronization

/// Whether somebody asked the measurement to stop, and the children that have to be told.
final class Interruption: Sendable {
  private struct State {
    var isRequested = false
    var children: [ObjectIdentifier: ChildProcess] = [:]
  }

  /// What every program is told first, so that nothing of what the user has set or configured for pfs reaches it.
  static let withoutUser = ["PFS_STORE": "", "PFS_CONFIG": "/dev/null"]

  private let state = Mutex(State())

  /// Begins to listen for Ctrl-C and polite kills; once in a process, before other threads start.
  func listen() throws(BenchFailure) {
    try BenchFailure.translating { () throws(ConsoleFailure) in
      try SignalWatcher.start { _, _ in self.request() }
    }
  }

  /// Stops the running children and has every later ``check()`` throw.
  func request() {
    let children = state.withLock { state in
      state.isRequested = true
      return state.children.values
    }
    for child in children { child.send(SignalWatcher.terminate) }
  }

  var isRequested: Bool { state.withLock { state in state.isRequested } }

  /// - Throws: `.interrupted` when a stop was asked for.
  func check() throws(BenchFailure) {
    guard !isRequested else {
      throw BenchFailure(.interrupted, "interrupted; the files of the measurement were removed")
    }
  }

  /// Runs `program` to its end, measured; it is stopped when a stop is asked for. For any thread, several at once.
  func run(
    _ program: [UInt8], _ arguments: [[UInt8]], environment: [String: String] = [:]
  ) throws(BenchFailure) -> ProgramRun {
    let busySeconds = Machine.busySeconds()
    let outcome = try outcome(of: program, arguments, environment: environment)
    let othersSeconds = Machine.busySeconds() - busySeconds - outcome.userSeconds - outcome.systemSeconds
    return ProgramRun(outcome: outcome, othersSeconds: max(0, othersSeconds))
  }

  /// The same without a look at the machine.
  /// - Parameter limitSeconds: a program that takes longer is killed.
  func outcome(
    of program: [UInt8], _ arguments: [[UInt8]], environment: [String: String] = [:],
    samplingMilliseconds: Int32 = 2, limitSeconds: Double = .infinity
  ) throws(BenchFailure) -> ChildProcess.Outcome {
    try check()
    let outcome = try BenchFailure.translating { () throws(ConsoleFailure) in
      let child = try ChildProcess(
        program, arguments, environment: Interruption.withoutUser.merging(environment) { $1 })
      // Between the check above and this line a request would not have found the child.
      let isRequested = state.withLock { state in
        state.children[ObjectIdentifier(child)] = child
        return state.isRequested
      }
      defer { state.withLock { state in state.children[ObjectIdentifier(child)] = nil } }
      if isRequested { child.send(SignalWatcher.terminate) }
      return try child.wait(samplingMilliseconds: samplingMilliseconds, limitSeconds: limitSeconds)
    }
    try check()
    return outcome
  }
}

/// A program that has run, and what else went on.
struct ProgramRun: Sendable {
  let outcome: ChildProcess.Outcome
  /// Processor time of everything else meanwhile: other programs, threads of the kernel, this one's looks at memory.
  let othersSeconds: Double
}
