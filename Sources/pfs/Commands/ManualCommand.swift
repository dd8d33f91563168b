import CommandSupport

/// `pfs manual`: what the manual page says of options and commands, made from the tables that the help is made from.
/// docs/man/make-pages puts it into the page.
struct ManualCommand: Command {
  static let name = "manual"
  static let summary = "the part of the manual page on options and commands"
  static let mayEndAtOnce = true
  static let needsSettings = false
  static let options = OptionTable([])
  static let help = CommandHelp(["pfs manual"], "Used to make the manual page.", options: options, examples: [])

  init(_ line: ParsedOptions) throws(CommandError) {}

  func run(in context: CommandContext) throws(CommandError) -> ExitStatus {
    let options = [".Sh OPTIONS"] + Manual.text("Every command takes these, before its name or behind it.")
    try context.output.results((options + GlobalOptions.table.manualLines).joined(separator: "\n") + "\n")
    try context.output.results(".Sh COMMANDS\n")
    for command in Commands.all {
      try context.output.results(
        command.help.manual(title: "pfs \(command.name)", without: CommandHelp.noteOnGlobalOptions))
    }
    try context.output.results(".Sh COMMANDS OF THE SHELL\n")
    try context.output.results(ShellHelp.help.manual(title: "In the shell"))
    try context.output.results(StageCommand.help.manual(title: "stage", without: CommandHelp.noteOnGlobalOptions))
    return .done
  }
}
