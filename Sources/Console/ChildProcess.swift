import CommandSupport
import Glibc
import Synchronization

/// A program that this one starts, waits for and measures.
///
/// The child gets no input, this process's environment with what is set besides, and signals as a program expects them from a shell: none
/// blocked and none ignored that ``SignalWatcher`` has this process ignore. It stays in the process group, so that
/// Ctrl-C reaches it too.
package final class ChildProcess: Sendable {
  /// How a child ended and what it took.
  package struct Outcome: Hashable, Sendable {
    /// Nil when a signal ended it.
    package let exitStatus: Int32?
    /// The signal that ended it.
    package let signal: Int32?
    /// From just before the start until it was known to have ended, by the monotonic clock.
    package let wallSeconds: Double
    package let userSeconds: Double
    package let systemSeconds: Double
    /// The most anonymous memory (RssAnon) that was seen; memory held for less than a sampling interval may be missed.
    package let peakAnonymousByteCount: Int
    /// The most memory of all kinds (VmHWM), mapped files included, as of the last sample.
    package let peakResidentByteCount: Int
    package let sampleCount: Int
    /// What it wrote, at most ``ChildProcess/keptByteCount`` bytes of each stream.
    package let standardOutput: [UInt8]
    package let standardError: [UInt8]
  }

  /// More of a stream is read and thrown away.
  package static let keptByteCount = 1 << 20

  private let program: String
  private let startSeconds: Double
  private let outputs: ChildOutputs
  /// Nil when the child has been waited for: the number may then belong to somebody else.
  private let identifier: Mutex<pid_t?>

  /// Starts `program`, a path; `arguments` are without the name of the program.
  /// - Throws: ``ConsoleFailure`` `.noSuchFile`, `.invalidPath` for a zero byte in any of them, `.system`.
  package init(
    _ program: [UInt8], _ arguments: [[UInt8]], environment: [String: String] = [:]
  ) throws(ConsoleFailure) {
    self.program = DisplayName.escaped(program)
    outputs = try ChildOutputs()
    startSeconds = MonotonicClock.seconds()
    identifier = Mutex(
      try ChildStart.spawn(
        program, arguments, output: outputs.output.writing, error: outputs.error.writing, environment: environment))
    outputs.closeWritingEnds()
  }

  /// Sends `signal` to the child if it still runs; for any thread.
  package func send(_ signal: Int32) {
    identifier.withLock { identifier in
      // What fails here has ended already.
      if let identifier { _ = kill(identifier, signal) }
    }
  }

  /// Reads what the child writes and looks at its memory until it ends; once, on one thread.
  /// - Parameters:
  ///   - samplingMilliseconds: how long to sleep between two looks.
  ///   - limitSeconds: a child that takes longer is killed.
  package func wait(
    samplingMilliseconds: Int32 = 2, limitSeconds: Double = .infinity
  ) throws(ConsoleFailure) -> Outcome {
    guard let identifier = identifier.withLock({ identifier in identifier }) else {
      throw ConsoleFailure(errorNumber: ECHILD, "waiting for \(program)")
    }
    var memory = ProcessMemory(of: identifier)
    while true {
      memory.sample()
      let secondsLeft = startSeconds + limitSeconds - MonotonicClock.seconds()
      if secondsLeft <= 0 { send(SIGKILL) }
      let isNear = secondsLeft > 0 && secondsLeft * 1000 < Double(samplingMilliseconds)
      let pauseMilliseconds = isNear ? Int32((secondsLeft * 1000).rounded(.up)) : samplingMilliseconds
      if try outputs.drain(waitingMilliseconds: pauseMilliseconds) { break }
    }
    // Both streams are closed, by the end of the child or by itself: now it is waited for, but not yet let go, as
    // `send` must not meet a number that is in use again.
    // Safe: the structure outlives the call; so in `reap`.
    var information = unsafe siginfo_t()
    while unsafe waitid(P_PID, id_t(identifier), &information, WEXITED | WNOWAIT) != 0 {
      guard errno == EINTR else { throw ConsoleFailure(errorNumber: errno, "waiting for \(program)") }
    }
    return try reap(identifier, memory)
  }

  /// Takes what the child has written; see ``ChildOutputs/drain(waitingMilliseconds:)``.
  func drain(waitingMilliseconds: Int32) throws(ConsoleFailure) -> Bool {
    try outputs.drain(waitingMilliseconds: waitingMilliseconds)
  }

  func takeOutput() -> [UInt8] { outputs.takeOutput() }

  private func reap(_ child: pid_t, _ memory: borrowing ProcessMemory) throws(ConsoleFailure) -> Outcome {
    var status: Int32 = 0
    var usage = rusage()
    try identifier.withLock { (identifier) throws(ConsoleFailure) in
      while unsafe wait4(child, &status, 0, &usage) != child {
        guard errno == EINTR else { throw ConsoleFailure(errorNumber: errno, "waiting for \(program)") }
      }
      identifier = nil
    }
    let wallSeconds = MonotonicClock.seconds() - startSeconds
    // The layout of the status: the signal in seven bits, a flag, the exit status above.
    let signal = status & 0x7F
    let (output, error) = outputs.kept()
    return Outcome(
      exitStatus: signal == 0 ? (status >> 8) & 0xFF : nil, signal: signal == 0 ? nil : signal,
      wallSeconds: wallSeconds, userSeconds: ChildProcess.seconds(usage.ru_utime),
      systemSeconds: ChildProcess.seconds(usage.ru_stime), peakAnonymousByteCount: memory.peakAnonymousByteCount,
      peakResidentByteCount: memory.peakResidentByteCount, sampleCount: memory.sampleCount, standardOutput: output,
      standardError: error)
  }

  private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
}

/// The program that runs, as a file.
package enum ProgramFile {
  /// The path of the running program's file, links resolved.
  package static func path() throws(ConsoleFailure) -> [UInt8] {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    // Safe: the buffer outlives the call and its size is given.
    let count = unsafe readlink("/proc/self/exe", &buffer, buffer.count)
    guard count > 0 else { throw ConsoleFailure(errorNumber: errno, "/proc/self/exe") }
    return buffer[..<count].map(UInt8.init(bitPattern:))
  }
}
