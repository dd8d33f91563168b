import CommandSupport
import Console
import SegmentStore

/// One run of pfs: from the arguments to the exit status.
struct Program {
  let interruption: Interruption
  private let terminal = Terminal()

  init(interruption: Interruption) { self.interruption = interruption }

  func run(_ arguments: [[UInt8]]) -> ExitStatus {
    let output = Output(terminal, commandName: nil, OutputStyle())
    do throws(CommandError) {
      let line = try translatingUsage { () throws(UsageError) in
        try OptionParser.parse(arguments, table: GlobalOptions.table, stopsAtFirstOperand: true)
      }
      if line.contains("version") { return try showVersion(line, output) }
      guard let name = line.operands.first else { return try showOverview(line, output) }
      let command = try Commands.find(name)
      return run(command, line)
    } catch {
      output.report(error)
      return error.status
    }
  }

  /// - Parameter line: the command and what follows it are its operands.
  private func run(_ type: any Command.Type, _ line: ParsedOptions) -> ExitStatus {
    var output = Output(terminal, commandName: type.name, OutputStyle())
    do throws(CommandError) {
      let table = type.options.adding(GlobalOptions.table)
      let own: ParsedOptions
      do throws(UsageError) {
        own = try OptionParser.parse(Array(line.operands.dropFirst()), table: table, stopsAtFirstOperand: false)
      } catch {
        throw CommandError(error, advice: "see 'pfs help \(type.name)'")
      }
      let options = ParsedOptions(
        table: table, occurrences: line.occurrences + own.occurrences, operands: own.operands)
      output = Output(terminal, commandName: type.name, OutputStyle().adding(options))
      if options.contains("help") {
        try output.results(type.help.text())
        return .done
      }
      if options.contains("version") { return try showVersion(options, output) }
      let command = try type.init(options)
      let settings = type.needsSettings ? try Settings(options) : Settings(style: OutputStyle().adding(options))
      return run(command, settings, output)
    } catch {
      output.report(error)
      return error.status
    }
  }

  private func run(_ command: any Command, _ settings: Settings, _ output: Output) -> ExitStatus {
    let type = type(of: command)
    let context = CommandContext(
      settings: settings, stores: StoreHandle(settings), output: output, progress: TransferProgress(),
      cancellation: Cancellation(), interruption: interruption, terminal: terminal, isInShell: false)
    interruption.setHandler { _, ordinal in
      if ordinal > 1 || type.mayEndAtOnce { Interruption.endAtOnce() }
      context.cancellation.cancel()
    }
    let showsBar = type.showsProgress && ProgressDisplay.isWanted(settings.style)
    let display = showsBar ? ProgressDisplay(context.progress, on: terminal) : nil
    var status = context.run(command)
    display?.stop()
    do throws(StoreError) { try context.stores.close() } catch {
      // When the command has failed, that is what is to be told.
      if status == .done {
        output.report(CommandError(error))
        status = ExitStatus(error.code)
      }
    }
    return status
  }

  private func showVersion(_ options: ParsedOptions, _ output: Output) throws(CommandError) -> ExitStatus {
    if options.contains("json") {
      try output.result(["version": .string(Version.text)])
    } else {
      try output.results("pfs \(Version.text)\n")
    }
    return .done
  }

  private func showOverview(_ options: ParsedOptions, _ output: Output) throws(CommandError) -> ExitStatus {
    guard !options.contains("help") else {
      try output.results(HelpCommand.overview)
      return .done
    }
    throw CommandError(.wrongUsage, "no command is given", advice: "see 'pfs help'")
  }
}
