import CommandSupport
import Console

/// `pfs complete`: what a shell asks when the user wants the word at the cursor completed; see ``CompletedShell``.
///
/// `pfs complete -- bash LINE WORD` has the line up to the cursor, and of it what bash takes for the word; `pfs complete
/// -- zsh|fish WORD...` has the words behind the name of the program, without quotes, the last one being typed.
struct CompleteCommand: Command {
  static let name = "complete"
  static let summary = "what a shell asks to complete a command line"
  static let mayEndAtOnce = true
  static let needsSettings = false
  static let options = OptionTable([])
  static let help = CommandHelp(
    ["pfs complete -- bash LINE WORD", "pfs complete -- zsh|fish WORD..."],
    "Used by the scripts that 'pfs completion' prints.", options: options, examples: [])

  private let answer: [UInt8]

  init(_ line: ParsedOptions) throws(CommandError) {
    let shell = line.operands.first.flatMap { CompletedShell(rawValue: String(decoding: $0, as: UTF8.self)) }
    let words = Array(line.operands.dropFirst())
    switch shell {
    case .bash where words.count == 2:
      let line = TypedLine(words[0], variable: ProcessArguments.environment)
      let answer =
        line.isRedirection
        ? .files : CompletedLine(before: Array(line.words.dropFirst().dropLast()), current: line.current).answer
      self.answer = answer.bytes(continuing: line, replacing: words[1])
    case .zsh where !words.isEmpty, .fish where !words.isEmpty:
      let line = CompletedLine(before: Array(words.dropLast()), current: words[words.count - 1])
      answer = shell == .fish ? line.answer.bytesForFish : line.answer.bytesForZsh(head: line.head)
    default: throw CommandError(.wrongUsage, "this is for the scripts of 'pfs completion'")
    }
  }

  func run(in context: CommandContext) throws(CommandError) -> ExitStatus {
    try context.output.result(bytes: answer)
    return .done
  }
}
