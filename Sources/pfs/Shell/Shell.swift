import CommandSupport
import Console
import SegmentStore
import Synchronization

/// The command loop: reads lines, starts a job for each, and waits for all at the end.
struct Shell {
  private let context: CommandContext
  private let input: ShellInput
  private let jobs: Jobs
  private let isInterrupted = IsInterrupted()

  /// How long the loop waits for a put to be seen in a list, and for a quick answer before the next prompt.
  private static let startTimeoutSeconds = 0.1
  private static let answerTimeoutSeconds = 1.0

  /// Set by the thread that watches for signals.
  private final class IsInterrupted: Sendable {
    let flag = Atomic(false)
  }

  private enum Step {
    case next
    case leave
  }

  init(_ context: CommandContext) {
    self.context = context
    input = ShellInput(context)
    jobs = Jobs(context, isInteractive: input.isInteractive)
  }

  /// Runs until the input ends or the user wants to leave, and all jobs have ended.
  /// - Returns: `.failed` if any command failed.
  func run() -> ExitStatus {
    handleInterrupts()
    var hasFailed = false
    loop: while true {
      do throws(CommandError) {
        guard let line = try input.nextLine() else { break }
        if try run(line) == .leave { break loop }
      } catch {
        hasFailed = true
        if !reports(error) { break }
      }
    }
    jobs.waitForAll()
    input.finish()
    if isInterrupted.flag.load(ordering: .acquiring) { return .interrupted }
    return hasFailed || jobs.hasFailed ? .failed : .done
  }

  /// Says what is wrong with a line. False when there can be no next one.
  private func reports(_ error: CommandError) -> Bool {
    let place = input.isInteractive ? "" : "line \(input.lineNumber): "
    context.output.report(CommandError(error.status, error.message.map { place + $0 }, advice: error.advice))
    return error.status == .wrongUsage || error.status == .notFound
  }

  // MARK: One line

  private func run(_ line: [UInt8]) throws(CommandError) -> Step {
    let words = try translatingUsage { () throws(UsageError) in try ShellWords.split(line) }
    guard let name = words.first else { return .next }
    let arguments = Array(words.dropFirst())
    switch String(decoding: name, as: UTF8.self) {
    case "exit", "quit":
      try expectNone(arguments, "exit")
      return .leave
    case "jobs":
      try expectNone(arguments, "jobs")
      try jobs.show()
    case "wait": try wait(arguments)
    default: try start(name, arguments, line)
    }
    return .next
  }

  private func start(_ name: [UInt8], _ arguments: [[UInt8]], _ line: [UInt8]) throws(CommandError) {
    guard let type = ShellHelp.commands.first(where: { Array($0.name.utf8) == name }) else {
      throw Commands.unknown(name, among: ShellHelp.names, advice: "see 'help'")
    }
    let options: ParsedOptions
    do throws(UsageError) {
      options = try OptionParser.parse(
        arguments, table: type.options.adding(GlobalOptions.styleTable), stopsAtFirstOperand: false)
    } catch {
      throw CommandError(.wrongUsage, "\(type.name): \(error.message)", advice: "see 'help \(type.name)'")
    }
    if options.contains("help") {
      try context.output.results(type.help.text())
      return
    }
    let command: any Command
    do throws(CommandError) { command = try type.init(options) } catch {
      throw CommandError(error.status, error.message.map { "\(type.name): \($0)" }, advice: error.advice)
    }
    let job = try jobs.start(command, line, context.settings.style.adding(options))
    if type.isDoneInOrder {
      _ = jobs.wait(forNumber: job.number)
    } else if type.showsProgress {
      // So that a list on the next line shows it.
      jobs.wait(for: job, timeoutSeconds: Shell.startTimeoutSeconds, orUnderWay: true)
    } else if type.mayEndAtOnce, input.isInteractive {
      jobs.wait(for: job, timeoutSeconds: Shell.answerTimeoutSeconds, orUnderWay: false)
      jobs.sendToBackground(job)
    }
  }

  private func wait(_ arguments: [[UInt8]]) throws(CommandError) {
    guard let argument = arguments.first else {
      jobs.waitForAll()
      return
    }
    try expectNone(Array(arguments.dropFirst()), "wait")
    guard let number = Int(String(decoding: argument, as: UTF8.self)), jobs.wait(forNumber: number) else {
      throw CommandError(
        .notFound, "wait: there is no job '\(DisplayName.escaped(argument))'", advice: "see 'jobs'")
    }
  }

  private func expectNone(_ arguments: [[UInt8]], _ name: String) throws(CommandError) {
    guard let first = arguments.first else { return }
    throw CommandError(.wrongUsage, "\(name): '\(DisplayName.escaped(first))' is one argument too many")
  }

  // MARK: Signals

  /// The first Ctrl-C ends the input and waits for what runs; a second one, and any other signal, rolls it back.
  private func handleInterrupts() {
    let (jobs, output, isInterrupted) = (jobs, context.output, isInterrupted)
    let isInteractive = input.isInteractive
    context.interruption.setHandler { signal, ordinal in
      isInterrupted.flag.store(true, ordering: .releasing)
      if signal != SignalWatcher.interrupt || ordinal > 1 {
        if ordinal > 2 { Interruption.endAtOnce() }
        jobs.cancelAll()
      } else if jobs.runningCount > 0 {
        let count = jobs.runningCount
        output.notice("waiting for \(count) \(count == 1 ? "job" : "jobs"); Ctrl-C again rolls back what runs")
      }
      if isInteractive { LineEditor.stop() } else { StandardInput.stop() }
    }
  }
}
