import CommandSupport
import Console
import SegmentStore
import StorageIO

/// The commands that a shell runs, each in a thread of its own.
final class Jobs: Sendable {
  /// One of them.
  struct Job: Sendable {
    /// Counted from 1.
    let number: Int
    let line: [UInt8]
    let context: CommandContext
    /// Whether it was started without the number before its lines.
    let isForeground: Bool
  }

  private struct State {
    var running: [Int: Job] = [:]
    var lastNumber = 0
    var hasFailed = false
    var isCancelled = false
  }

  /// Beyond that, the next one waits for one to end.
  private static let runningLimit = 64

  private let context: CommandContext
  private let isInteractive: Bool
  private let state = Monitor(State())
  private let staging = ShellStaging()

  init(_ context: CommandContext, isInteractive: Bool) {
    self.context = context
    self.isInteractive = isInteractive
  }

  var runningCount: Int { state.withLock { $0.running.count } }

  /// Whether any job has failed so far.
  var hasFailed: Bool { state.withLock { $0.hasFailed } }

  /// Starts `command`, which was typed as `line`, when fewer run than may.
  func start(_ command: any Command, _ line: [UInt8], _ style: OutputStyle) throws(CommandError) -> Job {
    let type = type(of: command)
    var settings = context.settings
    settings.style = style
    let jobContext = CommandContext(
      settings: settings, stores: context.stores,
      output: Output(context.terminal, commandName: type.name, style), progress: TransferProgress(),
      cancellation: Cancellation(), interruption: context.interruption, terminal: context.terminal, isInShell: true,
      staging: staging)
    let isForeground = type.mayEndAtOnce || type.isDoneInOrder || !isInteractive
    let job = state.wait { state -> Job? in
      guard state.running.count < Jobs.runningLimit else { return nil }
      state.lastNumber += 1
      let job = Job(number: state.lastNumber, line: line, context: jobContext, isForeground: isForeground)
      state.running[job.number] = job
      // Whoever cancels all means those too that were about to start.
      if state.isCancelled { jobContext.cancellation.cancel() }
      return job
    }
    if !isForeground { sendToBackground(job) }
    do throws(ConsoleFailure) {
      try BackgroundThread.start { [self] in run(command, job) }
    } catch {
      end(job, .failed)
      throw CommandError(error)
    }
    return job
  }

  private func run(_ command: any Command, _ job: Job) {
    let status = job.context.run(command)
    if isInteractive, !job.isForeground, status == .done {
      job.context.output.remark("done: \(DisplayName.escaped(job.line))")
    }
    end(job, status)
  }

  private func end(_ job: Job, _ status: ExitStatus) {
    state.withLock { state in
      state.running[job.number] = nil
      if status != .done { state.hasFailed = true }
    }
  }

  /// From now on the lines of the job begin with its number, as the user does something else meanwhile.
  func sendToBackground(_ job: Job) { job.context.output.setPrefix("[\(job.number)] ") }

  /// Waits for the end of all jobs.
  func waitForAll() { state.wait { state in state.running.isEmpty ? () : nil } }

  /// Waits for the end of a job; false if there never was one with this number.
  func wait(forNumber number: Int) -> Bool {
    state.wait { state in
      guard number > 0, number <= state.lastNumber else { return false }
      return state.running[number] == nil ? true : nil
    }
  }

  /// Waits for the end of `job`, or until it has transferred something, but not longer than `timeoutSeconds`.
  func wait(for job: Job, timeoutSeconds: Double, orUnderWay: Bool) {
    let stepSeconds = orUnderWay ? 0.005 : timeoutSeconds
    let deadline = MonotonicClock.seconds() + timeoutSeconds
    while MonotonicClock.seconds() < deadline {
      if orUnderWay, job.context.progress.isUnderWay { return }
      let hasEnded: Void? = state.wait(seconds: stepSeconds) { state in
        state.running[job.number] == nil ? () : nil
      }
      if hasEnded != nil { return }
    }
  }

  /// Asks all jobs to stop and to undo what they have begun.
  func cancelAll() {
    let running = state.withLock { state in
      state.isCancelled = true
      return Array(state.running.values)
    }
    for job in running { job.context.cancellation.cancel() }
  }

  /// Prints a line for each job that runs.
  func show() throws(CommandError) {
    let running = state.withLock { $0.running.values.sorted { $0.number < $1.number } }
    for job in running {
      let line = DisplayName.escaped(job.line)
      let progress = job.context.progress.line(columnLimit: 100)
      if context.output.isJSON {
        try context.output.result(["job": .integer(Int64(job.number)), "line": .string(line)])
      } else {
        try context.output.results("[\(job.number)] \(line)" + (progress.map { "  \($0)" } ?? "") + "\n")
      }
    }
  }
}
