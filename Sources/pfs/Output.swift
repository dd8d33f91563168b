import CommandSupport
import Console
import Synchronization

/// What one command prints: results on standard output, everything else on standard error. For any thread.
final class Output: Sendable {
  let isJSON: Bool
  private let isQuiet: Bool
  private let isVerbose: Bool
  private let terminal: Terminal
  /// Such as `put`; nil before it is known.
  private let commandName: String?
  /// What each line begins with.
  private let prefix = Mutex("")
  private let failure = Mutex<CommandError?>(nil)

  init(_ terminal: Terminal, commandName: String?, _ style: OutputStyle) {
    self.terminal = terminal
    self.commandName = commandName
    isJSON = style.isJSON
    isQuiet = style.isQuiet
    isVerbose = style.isVerbose
  }

  /// Whether results are read by a person, as far as can be told.
  var isForPeople: Bool { !isJSON && StandardStreams.isTerminal(.output) }

  /// Has every line from now on begin with `prefix`.
  func setPrefix(_ prefix: String) { self.prefix.withLock { $0 = prefix } }

  /// Writes results, each line of which ends in a newline.
  /// - Throws: When they cannot be written; without a message when their reader has gone. ``check()`` throws it again.
  func results(_ lines: String) throws(CommandError) {
    if lines.isEmpty { return }
    do throws(ConsoleFailure) { try terminal.write(Array(prefixed(lines).utf8), to: .output) } catch {
      let error = CommandError(error)
      failure.withLock { $0 = $0 ?? error }
      throw error
    }
  }

  /// Writes a result as one line of JSON.
  func result(_ object: JSONValue) throws(CommandError) { try results(object.serialized + "\n") }

  /// Writes a result that is no text, as it is.
  func result(bytes: [UInt8]) throws(CommandError) {
    do throws(ConsoleFailure) { try terminal.write(bytes, to: .output) } catch { throw CommandError(error) }
  }

  /// Throws what went wrong with results that were written earlier, by any thread.
  func check() throws(CommandError) {
    if let failure = failure.withLock({ $0 }) { throw failure }
  }

  /// Says something that is good to know; not with `--quiet`.
  func notice(_ line: String) {
    if !isQuiet { tell(line) }
  }

  /// Says how a job of the shell ended, in a line without the name of the command; not with `--quiet`.
  func remark(_ line: String) {
    if !isQuiet { terminal.tell(prefixed(line + "\n")) }
  }

  /// Says something that `--verbose` asks for.
  func detail(_ line: String) {
    if isVerbose { tell(line) }
  }

  /// Says what went wrong, and on the next lines more of it and what to do about it.
  func report(_ error: CommandError) {
    guard let message = error.message else { return }
    tell(([message] + error.details + (error.advice.map { [$0] } ?? [])).joined(separator: "\n  "))
  }

  /// Writes a result as one line of JSON where standard output is for something else.
  func resultBesideOutput(_ object: JSONValue) { terminal.tell(prefixed(object.serialized + "\n")) }

  private func tell(_ text: String) {
    let place = commandName.map { "pfs: \($0): " } ?? "pfs: "
    terminal.tell(prefixed(place + text + "\n"))
  }

  private func prefixed(_ lines: String) -> String {
    let prefix = prefix.withLock { $0 }
    guard !prefix.isEmpty else { return lines }
    return lines.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map { "\(prefix)\($0)\n" }.joined()
  }
}

/// How results and messages are to look.
struct OutputStyle: Hashable, Sendable {
  var isJSON = false
  var isQuiet = false
  var isVerbose = false
  var showsProgress = true
}
