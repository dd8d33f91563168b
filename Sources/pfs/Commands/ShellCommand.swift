import CommandSupport

/// `pfs shell`: the command loop.
struct ShellCommand: Command {
  static let name = "shell"
  static let summary = "run many commands at once, typed or from a script"
  static let options = OptionTable([])
  static let help = CommandHelp(
    ["pfs shell [OPTIONS]", "pfs shell < SCRIPT"],
    "Read commands, one a line, and run each in a thread of its own: the next line is read at once. 'wait' waits for "
      + "those before it, 'exit' and the end of the input wait for all.",
    options: options,
    notes: [
      "Words are quoted as in the shell of the system; # begins a comment. The first Ctrl-C ends the input and waits "
        + "for what runs, a second one rolls that back. Exit status 1 if any command failed."
    ],
    examples: [
      .init("pfs shell", "type commands; 'help' shows them"),
      .init("printf 'put a\\nput b\\nwait\\nlist\\n' | pfs shell", "run a script"),
    ])

  init(_ line: ParsedOptions) throws(CommandError) {
    guard line.operands.isEmpty else {
      throw CommandError(
        .wrongUsage, "'\(DisplayName.escaped(line.operands[0]))': shell takes no arguments",
        advice: "commands come from standard input: pfs shell < SCRIPT")
    }
  }

  func run(in context: CommandContext) throws(CommandError) -> ExitStatus {
    context.stores.willStayOpen()
    return Shell(context).run()
  }
}
