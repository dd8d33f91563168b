import CommandSupport

/// `pfs-bench manual`: what the manual page says of options and subcommands, made from the tables that the help is made
/// from. docs/man/make-pages puts it into the page.
enum BenchManual {
  static let subcommandName = "manual"

  private static let subcommands: [(name: String, help: CommandHelp)] = [
    ("sweep", SweepCommand.help), ("limit", LimitCommand.help), ("peers", PeersCommand.help),
    ("index", IndexCommand.help), ("small", SmallCommand.help), ("churn", ChurnCommand.help),
    ("staging", StagingCommand.help), ("typed", TypedCommand.help), ("report", ReportCommand.help),
    ("torture", TortureCommand.help),
  ]

  static func run() throws(BenchFailure) {
    let sections = subcommands.map { $0.help.manual(title: "pfs-bench \($0.name)") }.joined()
    try BenchCommand.print(".Sh SUBCOMMANDS\n" + sections)
  }
}
