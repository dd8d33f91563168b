import CommandSupport
import Console
import SegmentStore

/// Where the lines of the shell come from: a terminal, with history and completion, or a script.
final class ShellInput {
  let isInteractive: Bool
  /// Of the line that was read last, counted from 1.
  private(set) var lineNumber = 0

  private let output: Output
  private let historyPath: FilePath?

  init(_ context: CommandContext) {
    isInteractive = StandardStreams.isTerminal(.input)
    output = context.output
    historyPath = StoreLocation.userDirectory("XDG_STATE_HOME", else: ".local/state")?
      .appending("pfs").appending("history")
    guard isInteractive else { return }
    let stores = context.stores
    LineEditor.start { word, before in Completion.candidates(for: word, after: before, stores) }
    guard let historyPath else { return }
    do throws(ConsoleFailure) { try LineEditor.loadHistory(path: historyPath.bytes) } catch {
      output.detail(error.message)
    }
  }

  /// The next line, or nil at the end; blocks until there is one.
  func nextLine() throws(CommandError) -> [UInt8]? {
    lineNumber += 1
    if isInteractive { return LineEditor.readLine(prompt: "pfs> ") }
    do throws(ConsoleFailure) { return try StandardInput.readLine() } catch { throw CommandError(error) }
  }

  /// Keeps the history for the next time.
  func finish() {
    guard isInteractive, let historyPath else { return }
    do throws(ConsoleFailure) {
      try ConsolePath.makeDirectories(historyPath.parent.bytes)
      try LineEditor.saveHistory(path: historyPath.bytes)
    } catch {
      output.detail(error.message)
    }
  }
}

/// What the Tab key offers.
private enum Completion {
  private static let limit = 200

  /// The commands at the start of a line, names in the store after most of them; nil for files outside it.
  static func candidates(for word: [UInt8], after before: [UInt8], _ stores: StoreHandle) -> [[UInt8]]? {
    let command = String(
      decoding: before.drop { $0 == UInt8(ascii: " ") }.prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self)
    switch command {
    case "": return ShellHelp.names.sorted().map { Array($0.utf8) }
    case "put": return nil
    case "help": return ShellHelp.commands.map { Array($0.name.utf8) }
    case "get", "delete", "info", "list": return names(startingWith: word, stores)
    default: return []
    }
  }

  /// Names that need quotes are left out, as the editor knows nothing of quotes.
  private static func names(startingWith word: [UInt8], _ stores: StoreHandle) -> [[UInt8]] {
    do throws(StoreError) {
      return try stores.store().newestFiles(namePrefix: word, limit: limit).map(\.name.bytes).filter { name in
        name.allSatisfy { $0 > 0x20 && $0 != 0x7F && !"\"\\'`@$><=;|&{(#".utf8.contains($0) }
      }
    } catch {
      return []
    }
  }
}
