import CommandSupport

/// What `help` says in the shell.
enum ShellHelp {
  static let commands: [any Command.Type] = [
    PutCommand.self, GetCommand.self, DeleteCommand.self, ListCommand.self, InfoCommand.self, VerifyCommand.self,
    StatsCommand.self, StageCommand.self, HelpCommand.self,
  ]

  /// What only the shell has.
  static let ownNames = ["jobs", "wait", "exit", "quit"]

  static let names = commands.map { $0.name } + ownNames

  static let text = help.text()

  static let help = CommandHelp(
    usages: ["COMMAND [OPTIONS] [ARGUMENTS]"],
    summary: "Each command runs in a thread of its own, and the prompt comes back at once.",
    commands: commands.map { .init($0.name, $0.summary) } + [
      .init("jobs", "show what runs, and how far it is"),
      .init("wait", "wait for all that runs; 'wait N' for job N"),
      .init("exit", "wait for all that runs and leave; so do 'quit' and Ctrl-D"),
    ],
    notes: ["'help COMMAND' shows the options of a command. Ctrl-C waits and leaves; twice, it rolls back and leaves."]
  )
}
