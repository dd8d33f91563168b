import CommandSupport

/// `pfs help`: what there is, or one command.
struct HelpCommand: Command {
  static let name = "help"
  static let summary = "show this, or all about one command"
  static let mayEndAtOnce = true
  static let needsSettings = false
  static let operand = Operand.commands
  static let options = OptionTable([])
  static let help = CommandHelp(
    ["pfs help [COMMAND]"], "Show what pfs can do, or all about one command.", options: options,
    examples: [.init("pfs help put", "all about 'put'")])

  private let topic: (any Command.Type)?

  init(_ line: ParsedOptions) throws(CommandError) {
    guard line.operands.count <= 1 else { throw CommandError(.wrongUsage, "more than one COMMAND is given") }
    topic = try line.operands.first.map { (name) throws(CommandError) in try Commands.find(name) }
  }

  func run(in context: CommandContext) throws(CommandError) -> ExitStatus {
    let overview = context.isInShell ? ShellHelp.text : HelpCommand.overview
    try context.output.results(topic.map { $0.help.text() } ?? overview)
    return .done
  }

  static let overview = CommandHelp(
    usages: ["pfs [OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]"],
    summary: "Store files in one directory: in parts, compressed and hashed on all processors, in bounded memory.",
    commands: Commands.all.map { .init($0.name, $0.summary) },
    sections: [.init("Options for all commands", GlobalOptions.table)],
    notes: [
      "Sizes are written 4096, 64KiB, 1MiB, 2GiB (powers of 1024) or 10MB (powers of 1000); times 10, 500ms, 2m.",
      "The store is at --store, else $PFS_STORE, else 'path' in the configuration file, else $XDG_DATA_HOME/pfs "
        + "(~/.local/share/pfs).",
      "The configuration file is --config, else $PFS_CONFIG, else ./config.yaml if it has keys of pfs, else "
        + "$XDG_CONFIG_HOME/pfs/config.yaml (~/.config/pfs/config.yaml). Its keys: path (a relative one begins where "
        + "the file is), processes, memory, part_size, codec, level, lock_timeout.",
      "Exit status: 0 done, 1 failed, 2 wrong usage, 3 damage found, 4 no such file or store, 5 busy, 6 no space, "
        + "130 interrupted.",
    ],
    examples: [
      .init("pfs put disk.img", "store a file; prints its id and name"),
      .init("pfs list", "see what is there"),
      .init("pfs get disk.img -o copy.img", "restore it"),
      .init("pfs delete disk.img", "delete it"),
      .init("pfs help put", "all about one command"),
    ]
  ).text()
}
