import CommandSupport
import Console

/// The command line of pfs-bench: finds the subcommand and turns failures into messages and exit statuses.
enum BenchCommand {
  static let version = "0.1.0"

  private static let names = [
    "sweep", "limit", "peers", "index", "small", "churn", "staging", "typed", "report", "torture",
  ]

  private static let table = OptionTable([
    OptionTable.Option("help", short: "h", help: "Print this help and exit."),
    OptionTable.Option("version", help: "Print the version and exit."),
  ])

  private static let help = CommandHelp(
    usages: names.map { "pfs-bench \($0) \($0 == "report" ? "RESULTS.json..." : "[OPTIONS]")" } + [
      "pfs-bench SUBCOMMAND --help", "pfs-bench --version",
    ],
    summary: """
      Measures pfs. 'sweep' gives put and get throughput and peak memory against the memory limit, beside the bare \
      work of zlib in the same run; 'limit' a large file beside all the bare work; 'peers' the same work by pfs and by \
      other programs; 'index' the open of a store with very many parts, a range out of a large file, \
      rebuild and verify; 'small' very many small files, and many writers against one; 'churn' what deletes give back and \
      compaction costs; 'staging' a tree in memory beside D-MemFS; 'typed' the elements of typed arrays; 'report' makes a \
      page of results; 'torture' tries to break stores.
      """,
    sections: [CommandHelp.Section("Options", table)],
    notes: [
      """
      Exit status: 0 measured, whether targets were met or missed; 1 failed; 2 wrong usage; 3 restored bytes differ; \
      130 interrupted.
      """
    ])

  /// Runs the command and returns the exit status.
  static func run(_ arguments: [[UInt8]]) -> Int32 {
    do throws(BenchFailure) {
      try dispatch(arguments)
      return 0
    } catch {
      // Where standard error is gone nobody can be told.
      do throws(ConsoleFailure) { try StandardStreams.write("pfs-bench: \(error.message)\n", to: .error) } catch {}
      return error.code.exitStatus
    }
  }

  private static func dispatch(_ arguments: [[UInt8]]) throws(BenchFailure) {
    let options = try BenchFailure.translating { () throws(UsageError) in
      try OptionParser.parse(arguments, table: table, stopsAtFirstOperand: true)
    }
    if options.contains("help") { return try print(help.text()) }
    if options.contains("version") { return try print("pfs-bench \(version)\n") }
    guard let first = options.operands.first else {
      throw BenchFailure(.usage, "no subcommand; see 'pfs-bench --help'")
    }
    let rest = Array(options.operands.dropFirst())
    let name = DisplayName.escaped(first)
    switch name {
    case "sweep": try SweepCommand.run(rest)
    case "limit": try LimitCommand.run(rest)
    case "peers": try PeersCommand.run(rest)
    case "report": try ReportCommand.run(rest)
    case "index": try IndexCommand.run(rest)
    case "small": try SmallCommand.run(rest)
    case "churn": try ChurnCommand.run(rest)
    case "typed": try TypedCommand.run(rest)
    case "staging": try StagingCommand.run(rest)
    case "torture": try TortureCommand.run(rest)
    case BenchManual.subcommandName: try BenchManual.run()
    case BareWork.subcommandName: try BareWork.run(rest)
    default:
      let suggestion = Spelling.suggestion(for: name, among: names).map { "; did you mean '\($0)'?" } ?? ""
      throw BenchFailure(.usage, "no subcommand '\(name)'\(suggestion)")
    }
  }

  /// Writes to standard output.
  static func print(_ text: String) throws(BenchFailure) {
    try BenchFailure.translating { () throws(ConsoleFailure) in try StandardStreams.write(text, to: .output) }
  }
}
