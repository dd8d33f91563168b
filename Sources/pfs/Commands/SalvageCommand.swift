import CommandSupport
import Console
import SegmentStore
import StorageIO

/// `pfs salvage`: writes all that can be read from a damaged store.
struct SalvageCommand: Command {
  static let name = "salvage"
  static let summary = "write all that can be read from a damaged store, with a loss report"
  static let showsProgress = true
  static let operand = Operand.directories
  static let options = OptionTable([])
  static let help = CommandHelp(
    ["pfs salvage [OPTIONS] DIR"],
    "Write every file that can be read from a damaged store into DIR, which must be empty or not exist, with holes where "
      + "bytes are lost. The store is not changed, and its index is not needed. Prints what was lost, and keeps a line of "
      + "JSON for each file in DIR/loss-report.jsonl. Exit status 3 if anything was lost, or if the store was damaged.",
    options: options,
    notes: [
      "The newest version of a name goes to DIR/files, older ones to DIR/versions/ID, names that cannot be a path to "
        + "DIR/unnamed, files that were perhaps never finished to DIR/uncommitted/ID, and parts of which nobody knows "
        + "whose they are to DIR/fragments."
    ],
    examples: [
      .init("pfs --store /mnt/bad/store salvage /srv/rescue", "everything that is left"),
      .init("pfs salvage --json /srv/rescue", "a line of JSON for each file"),
    ])

  private let directory: FilePath

  init(_ line: ParsedOptions) throws(CommandError) {
    guard line.operands.count == 1, let operand = line.operands.first, !operand.isEmpty else {
      throw CommandError(
        .wrongUsage, line.operands.isEmpty ? "no DIR is given" : "one DIR is wanted", advice: "see 'pfs help salvage'")
    }
    directory = FilePath(bytes: operand)
  }

  func run(in context: CommandContext) throws(CommandError) -> ExitStatus {
    context.progress.begin(Array("salvage".utf8), totalByteCount: nil)
    let report = SalvageReport(directory, context)
    let summary: SalvageSummary
    do throws(StoreError) {
      summary = try Store.salvage(
        at: context.settings.storePath, into: directory, context.settings.store, cancellation: context.cancellation,
        progress: context.progress.add, onSalvaged: report.add, onFinding: report.add)
    } catch {
      throw report.failure ?? CommandError(error)
    }
    try report.finish(summary)
    return summary.isWhole ? .done : .damageFound
  }
}

/// What is said of a salvage, on standard output and in the directory.
private final class SalvageReport: Sendable {
  private struct State {
    var file: File?
    var byteCount = 0
    var failure: CommandError?
  }

  private static let fileName = "loss-report.jsonl"

  private let directory: FilePath
  private let context: CommandContext
  private let state = Monitor(State())

  init(_ directory: FilePath, _ context: CommandContext) {
    self.directory = directory
    self.context = context
  }

  /// Why the report could not be written, which ends the whole.
  var failure: CommandError? { state.withLock { $0.failure } }

  func add(_ finding: Finding) {
    let report = FindingReport(finding)
    write(report.json)
    attempt { () throws(CommandError) in
      try context.output.results(report.text(isJSON: context.output.isJSON) + "\n")
    }
  }

  func add(_ file: SalvagedFile) {
    let json = SalvageReport.json(file)
    write(json)
    attempt { () throws(CommandError) in
      if context.output.isJSON { return try context.output.result(json) }
      let path = DisplayName.escaped(file.path.bytes)
      context.output.detail("\(file.kind.rawValue) \(file.id) -> \(path)")
      if file.losses.isEmpty { return }
      let lines = LossLines(file.losses)
      try context.output.results(
        ([lines.summary(byteCount: file.byteCount)] + lines.salvage).map { "\(path): \($0)\n" }.joined())
    }
  }

  func finish(_ summary: SalvageSummary) throws(CommandError) {
    let integer = { (number: Int) in JSONValue.integer(Int64(number)) }
    let json: JSONValue = [
      "used_index": .bool(summary.usedIndex), "whole_files": integer(summary.wholeFileCount),
      "damaged_files": integer(summary.damagedFileCount), "uncommitted_files": integer(summary.uncommittedFileCount),
      "fragments": integer(summary.fragmentCount), "findings": integer(summary.findingCount),
    ]
    write(json)
    if let failure { throw failure }
    try context.check()
    if context.output.isJSON { return try context.output.result(json) }
    context.output.notice(
      "\(summary.wholeFileCount) files are whole, \(summary.damagedFileCount) are damaged, "
        + "\(summary.uncommittedFileCount) were perhaps never finished, \(summary.fragmentCount) are fragments; "
        + (summary.usedIndex ? "found by the index" : "found without the index"))
  }

  /// The report in the directory is made when there is something to say: the directory must be empty before.
  private func write(_ json: JSONValue) {
    attempt { () throws(CommandError) in
      do throws(SystemCallFailure) {
        try state.withLock { (state) throws(SystemCallFailure) in
          let path = directory.appending(SalvageReport.fileName)
          let file = if let file = state.file { file } else { try File.open(path, [.write, .createNew], mode: 0o600) }
          let line = Array((json.serialized + "\n").utf8)
          try file.write(line, at: state.byteCount)
          state.file = file
          state.byteCount += line.count
        }
      } catch {
        throw CommandError(error.isNoSpace ? .noSpace : .failed, error.description)
      }
    }
  }

  /// Without anybody to tell, or a place to keep it, there is no use in going on.
  private func attempt(_ body: () throws(CommandError) -> Void) {
    do throws(CommandError) { try body() } catch {
      state.withLock { $0.failure = $0.failure ?? error }
      context.cancellation.cancel()
    }
  }

  private static func json(_ file: SalvagedFile) -> JSONValue {
    var members: [JSONValue.Member] = [
      .init("salvaged", .string(file.kind.rawValue)), .init("id", .unsignedInteger(file.id.rawValue)),
    ]
    if let name = file.name { members += DisplayName.jsonMembers(name.bytes) }
    members += [
      .init("output", .string(DisplayName.escaped(file.path.bytes))), .init("size", .integer(Int64(file.byteCount))),
    ]
    return .object(members + LossLines(file.losses).members)
  }
}
