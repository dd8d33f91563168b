import CommandSupport
import Console
import SegmentStore

/// Has a process of its own walk through the index, and passes on what it finds.
struct IndexWalkProcess {
  /// What came of it.
  struct Outcome {
    /// Whether the index can be asked further: it could be opened, and the walk came to its end.
    var isUsable = false
    var hasEnded = false
  }

  let context: CommandContext
  let report: VerifyReport

  /// A walk says five times a second that it goes on; a disk that reads nothing for so long is worth a finding.
  private static let silenceSeconds = 60.0

  func run(on storePath: FilePath) throws(CommandError) -> Outcome {
    var outcome = Outcome()
    let end: ChildProcess.Outcome
    do throws(ConsoleFailure) {
      let child = try ChildProcess(Array("/proc/self/exe".utf8), arguments(storePath))
      end = try child.forEachLine(
        silenceSeconds: IndexWalkProcess.silenceSeconds, unless: { context.cancellation.isCancelled }
      ) { line in
        guard let line = IndexWalkLine(parsing: line) else { return }
        switch line.kind {
        case .heartbeat: break
        case .note: context.output.notice(line.text)
        case .finding: report.add(line: line.text)
        case .unusable:
          report.add(FindingReport(.index, line.text))
          outcome.hasEnded = true
        case .counts:
          let counts = line.text.split(separator: " ").compactMap { Int($0) }
          if counts.count == 2 { report.add(fileCount: counts[0], partCount: counts[1]) }
          outcome = Outcome(isUsable: true, hasEnded: true)
        }
      }
    } catch {
      throw CommandError(error)
    }
    try context.check()
    if outcome.hasEnded { return outcome }
    if let signal = end.signal {
      let why = signal == SignalWatcher.kill ? "said nothing for long, or was killed" : "ended by signal \(signal)"
      report.add(FindingReport(.index, "the walk \(why)"))
      return outcome
    }
    if end.exitStatus == ExitStatus.interrupted.rawValue { throw CommandError.interrupted }
    // It says what is wrong as every command does, behind its own name.
    let said = String(decoding: end.standardError, as: UTF8.self).split(separator: "\n").first ?? "the walk failed"
    let prefix = "pfs: \(VerifyIndexCommand.name): "
    throw CommandError(
      ExitStatus(rawValue: end.exitStatus ?? ExitStatus.failed.rawValue),
      said.hasPrefix(prefix) ? String(said.dropFirst(prefix.count)) : String(said))
  }

  private func arguments(_ storePath: FilePath) -> [[UInt8]] {
    let store = context.settings.store
    var arguments = [Array("--store".utf8), storePath.bytes]
    for argument in ["--memory", String(store.memoryByteCount), "--workers", "1"] {
      arguments.append(Array(argument.utf8))
    }
    if context.output.isJSON { arguments.append(Array("--json".utf8)) }
    return arguments + [Array(VerifyIndexCommand.name.utf8)]
  }
}
