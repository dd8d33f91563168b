import TestSupport
import Testing

/// Expects that a command did what it was told.
func expectDone(_ result: CommandResult, at location: SourceLocation = #_sourceLocation) {
  #expect(result.exitStatus == 0, "\(result)", sourceLocation: location)
}

/// Expects that a command failed as the contract says: its exit status, nothing on standard output, and one line on
/// standard error that begins with the program and says `words`; a second line may say what to do.
func expectFailure(
  _ result: CommandResult, _ exitStatus: Int, of command: String? = nil, says words: String...,
  at location: SourceLocation = #_sourceLocation
) {
  #expect(result.exitStatus == exitStatus, "\(result)", sourceLocation: location)
  #expect(result.standardOutput.isEmpty, "\(result)", sourceLocation: location)
  expectOneClearLine(result, of: command, says: words, at: location)
}

/// Expects one line on standard error that begins with the program, and the command where that is known, and says
/// `words`; a second line may say what to do. The list of what is damaged of a file may stand between them.
func expectOneClearLine(
  _ result: CommandResult, of command: String? = nil, says words: [String],
  at location: SourceLocation = #_sourceLocation
) {
  let lines = result.errorLines.filter { !$0.hasPrefix("  bytes ") && !$0.hasPrefix("  and ") }
  #expect((1...2).contains(lines.count), "one line, or two with advice: \(result)", sourceLocation: location)
  let start = command.map { "pfs: \($0): " } ?? "pfs: "
  #expect(lines.first?.hasPrefix(start) == true, "must begin with '\(start)': \(result)", sourceLocation: location)
  for word in words {
    #expect(result.errorText.contains(word), "must say '\(word)': \(result)", sourceLocation: location)
  }
}

/// Expects that two files have the same bytes.
func expectSameBytes(
  _ path: BytePath, _ original: BytePath, at location: SourceLocation = #_sourceLocation
) throws {
  #expect(try path.hasSameBytes(as: original), "\(path) differs from \(original)", sourceLocation: location)
}

/// Expects that there is nothing under `path`, and nothing else that a failed get could have left beside it.
func expectNothing(
  at path: BytePath, besides names: [String] = [], location: SourceLocation = #_sourceLocation
) throws {
  #expect(try !path.exists(), "\(path) was left behind", sourceLocation: location)
  let found = try path.parent.entryNames().map { String(decoding: $0, as: UTF8.self) }
  #expect(Set(found) == Set(names), "in \(path.parent)", sourceLocation: location)
}
