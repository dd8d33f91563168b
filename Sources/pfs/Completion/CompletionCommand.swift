import CommandSupport

/// `pfs completion`: has a shell complete command lines of pfs.
struct CompletionCommand: Command {
  static let name = "completion"
  static let summary = "print what makes a shell complete command lines of pfs"
  static let mayEndAtOnce = true
  static let needsSettings = false
  static let operand = Operand.choices(CompletedShell.allCases.map(\.rawValue))
  static let options = OptionTable([])
  static let help = CommandHelp(
    ["pfs completion bash|zsh|fish"],
    "Print a script that has the shell complete commands, options, their values, and the names and ids of the store. An "
      + "installed pfs has it in place already.",
    options: options,
    examples: [
      .init("eval \"$(pfs completion bash)\"", "in ~/.bashrc"),
      .init("pfs completion zsh > ~/.zfunc/_pfs", "in a directory of $fpath"),
      .init("pfs completion fish > ~/.config/fish/completions/pfs.fish", "for fish"),
    ])

  private let shell: CompletedShell

  init(_ line: ParsedOptions) throws(CommandError) {
    guard line.operands.count == 1, let shell = CompletedShell(rawValue: DisplayName.escaped(line.operands[0])) else {
      let found = line.operands.isEmpty ? "no shell is given" : "one shell is wanted that is known"
      throw CommandError(.wrongUsage, "\(found): bash, zsh or fish", advice: "see 'pfs help completion'")
    }
    self.shell = shell
  }

  func run(in context: CommandContext) throws(CommandError) -> ExitStatus {
    try context.output.results(shell.script)
    return .done
  }
}
