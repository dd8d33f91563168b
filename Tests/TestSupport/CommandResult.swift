import Foundation

/// How a program ended and what it wrote.
public struct CommandResult: Sendable, CustomStringConvertible {
  /// The program and its arguments.
  public let name: String
  /// Nil when a signal ended the program.
  public let exitStatus: Int?
  /// The signal that ended the program.
  public let signal: Int32?
  /// Empty when it was not captured.
  public let standardOutput: Data
  public let standardError: Data

  /// What was written to standard output, as text.
  public var outputText: String { String(decoding: standardOutput, as: UTF8.self) }

  /// What was written to standard error, as text.
  public var errorText: String { String(decoding: standardError, as: UTF8.self) }

  /// The lines on standard output.
  public var outputLines: [String] { lines(outputText) }

  /// The lines on standard error.
  public var errorLines: [String] { lines(errorText) }

  /// For messages: all that is needed to see what happened.
  public var description: String {
    let end = exitStatus.map { "exit status \($0)" } ?? "signal \(signal ?? 0)"
    return "'\(name)': \(end), standard output '\(outputText.prefix(2000))', standard error '\(errorText.prefix(2000))'"
  }

  private func lines(_ text: String) -> [String] {
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { String($0) }
    if lines.last == "" { lines.removeLast() }
    return lines
  }
}
