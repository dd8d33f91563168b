import CommandSupport

/// One command: what its line may say, what its help says, and what it does.
protocol Command: Sendable {
  static var name: String { get }
  /// A few words for the list of commands.
  static var summary: String { get }
  static var options: OptionTable { get }
  static var help: CommandHelp { get }
  /// What its operands are, for completion.
  static var operand: Operand { get }
  /// Whether a signal may end the process in the middle of it, as it has nothing to undo.
  static var mayEndAtOnce: Bool { get }
  /// Whether it moves bytes for so long that a bar is of use.
  static var showsProgress: Bool { get }
  /// Whether, in the shell, the next line is read only when it has ended.
  static var isDoneInOrder: Bool { get }
  /// Whether it needs a store, and so the settings that say where.
  static var needsSettings: Bool { get }

  /// - Throws: What is wrong with the line, found before anything is done.
  init(_ line: ParsedOptions) throws(CommandError)

  /// Does it, on the calling thread.
  /// - Returns: `.done`, or the first failure of several that were reported.
  func run(in context: CommandContext) throws(CommandError) -> ExitStatus
}

extension Command {
  static var operand: Operand { .nothing }
  static var mayEndAtOnce: Bool { false }
  static var showsProgress: Bool { false }
  static var isDoneInOrder: Bool { false }
  static var needsSettings: Bool { true }
}

/// All commands.
enum Commands {
  static let all: [any Command.Type] = [
    InitCommand.self, PutCommand.self, GetCommand.self, DeleteCommand.self, ListCommand.self, InfoCommand.self,
    VerifyCommand.self, CompactCommand.self, RebuildCommand.self, SalvageCommand.self, StatsCommand.self,
    ShellCommand.self,
    CompletionCommand.self,
    HelpCommand.self,
  ]

  /// What other programs ask pfs for, and what only the shell has.
  private static let hidden: [any Command.Type] = [
    VerifyIndexCommand.self, StageCommand.self, CompleteCommand.self, ManualCommand.self,
  ]

  static func find(_ typed: [UInt8]) throws(CommandError) -> any Command.Type {
    if let command = (all + hidden).first(where: { Array($0.name.utf8) == typed }) { return command }
    throw unknown(typed, among: all.map { $0.name }, advice: "see 'pfs help'")
  }

  /// Says that there is no such command, and which one may be meant.
  static func unknown(_ typed: [UInt8], among names: [String], advice: String) -> CommandError {
    let shown = DisplayName.escaped(typed)
    let suggestion = Spelling.suggestion(for: shown, among: names).map { "; did you mean '\($0)'?" } ?? ""
    return CommandError(.wrongUsage, "unknown command '\(shown)'\(suggestion)", advice: advice)
  }
}

extension CommandHelp {
  /// The help of a command whose one list of options is `options`.
  init(
    _ usages: [String], _ summary: String, options: OptionTable, notes: [String] = [], examples: [Example]
  ) {
    self.init(
      usages: usages, summary: summary, sections: [Section("Options", options)],
      notes: notes + [CommandHelp.noteOnGlobalOptions], examples: examples)
  }

  static let noteOnGlobalOptions = "Options for all commands, such as --store and --json: see 'pfs help'."
}
