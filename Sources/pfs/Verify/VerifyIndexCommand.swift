import CommandSupport
import Console
import SegmentStore

/// `pfs verify-index`: the index walk of `pfs verify`, in a process of its own, so that a damaged index cannot take
/// `verify` with it. What it prints is for that: a letter and what is to be passed on, a line each.
struct VerifyIndexCommand: Command {
  static let name = "verify-index"
  static let summary = "the index walk of verify"
  static let mayEndAtOnce = true
  static let options = OptionTable([])
  static let help = CommandHelp(["pfs verify-index"], "Used by 'pfs verify'.", options: options, examples: [])

  private static let heartbeatSeconds = 0.2

  init(_ line: ParsedOptions) throws(CommandError) {}

  func run(in context: CommandContext) throws(CommandError) -> ExitStatus {
    let store: Store
    do throws(StoreError) { store = try context.stores.storeToLookAt() } catch {
      guard error.code == .indexDamaged || error.code == .corrupt else { throw CommandError(error) }
      try say(.unusable, DisplayName.escaped(error.message), context)
      return .damageFound
    }
    var options = VerificationOptions()
    options.scope = .index
    var lastSeconds = MonotonicClock.seconds()
    let summary = try translating { () throws(StoreError) in
      try store.verify(options, cancellation: context.cancellation) { event in
        // A line that cannot be written has no reader any more.
        do throws(CommandError) {
          switch event {
          case .finding(let finding):
            try say(.finding, FindingReport(finding).text(isJSON: context.output.isJSON), context)
          case .note(let note): try say(.note, note, context)
          case .progress:
            if MonotonicClock.seconds() - lastSeconds < VerifyIndexCommand.heartbeatSeconds { return }
            lastSeconds = MonotonicClock.seconds()
            try say(.heartbeat, "", context)
          case .reached: break
          }
        } catch { context.cancellation.cancel() }
      }
    }
    try say(.counts, "\(summary.fileCount) \(summary.partCount)", context)
    return summary.findingCount > 0 ? .damageFound : .done
  }

  private func say(_ kind: IndexWalkLine.Kind, _ text: String, _ context: CommandContext) throws(CommandError) {
    try context.output.results(IndexWalkLine(kind, text).line)
  }
}

/// A line from the process that walks through the index.
struct IndexWalkLine {
  enum Kind: UInt8 {
    /// As it is to be printed.
    case finding = 0x46
    case note = 0x4E
    /// Still at work.
    case heartbeat = 0x50
    /// The files and parts that were seen; the last line.
    case counts = 0x53
    /// The index cannot be opened, and why.
    case unusable = 0x55
  }

  let kind: Kind
  let text: String

  init(_ kind: Kind, _ text: String) {
    self.kind = kind
    self.text = text
  }

  /// Nil for a line that no such process has written.
  init?(parsing line: [UInt8]) {
    guard let kind = line.first.flatMap(Kind.init(rawValue:)) else { return nil }
    self.init(kind, String(decoding: line.dropFirst(), as: UTF8.self))
  }

  var line: String { String(UnicodeScalar(kind.rawValue)) + text + "\n" }
}
