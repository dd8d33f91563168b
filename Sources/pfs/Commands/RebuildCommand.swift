import CommandSupport
import SegmentStore

/// `pfs rebuild`: makes the index anew.
struct RebuildCommand: Command {
  static let name = "rebuild"
  static let summary = "make the index anew from the segments"
  static let options = OptionTable([])
  static let help = CommandHelp(
    ["pfs rebuild"],
    "Make the index of the store anew from its segments, when it is lost or damaged: the same ids, names, dates and "
      + "bytes; what was deleted stays deleted. The new index takes the place of the old one when it is whole and "
      + "durable; what is interrupted can be run again. Nobody else may use the store meanwhile. Says what could not be "
      + "restored, and then exits with status 3.",
    options: options,
    notes: [
      "A file of which parts are damaged is there afterwards, and reading those parts is an error: 'pfs get --salvage' "
        + "gives the rest. 'pfs verify' checks every byte.",
      "What is named like a segment and is none stays where it is, with '.unknown' behind its name.",
    ],
    examples: [
      .init("pfs rebuild", "after 'the index is damaged' or 'the index is missing'"),
      .init("pfs --json rebuild", "findings and figures for a program"),
    ])

  init(_ line: ParsedOptions) throws(CommandError) {
    guard line.operands.isEmpty else {
      throw CommandError(.wrongUsage, "'\(DisplayName.escaped(line.operands[0]))': rebuild takes no arguments")
    }
  }

  func run(in context: CommandContext) throws(CommandError) -> ExitStatus {
    if context.isInShell {
      throw CommandError(.wrongUsage, "the shell has the store open", advice: "leave it, then use 'pfs rebuild'")
    }
    let summary = try translating { () throws(StoreError) in
      try Store.rebuild(
        at: context.settings.storePath, context.settings.store, cancellation: context.cancellation,
        onFinding: { finding in
          // Without anybody to tell there is no use in going on.
          do throws(CommandError) {
            try context.output.results(FindingReport(finding).text(isJSON: context.output.isJSON) + "\n")
          } catch {
            context.cancellation.cancel()
          }
        })
    }
    try report(summary, context.output)
    return summary.findingCount == 0 ? .done : .damageFound
  }

  private func report(_ summary: RebuildSummary, _ output: Output) throws(CommandError) {
    if output.isJSON {
      let integer = { (number: Int) in JSONValue.integer(Int64(number)) }
      return try output.result([
        "files": integer(summary.fileCount), "parts": integer(summary.partCount), "size": integer(summary.byteCount),
        "deleted_files": integer(summary.deletedFileCount), "segments": integer(summary.segmentCount),
        "searched_segments": integer(summary.searchedSegmentCount), "findings": integer(summary.findingCount),
      ])
    }
    output.notice(
      "\(summary.fileCount) files of \(ByteSize.text(summary.byteCount)) in \(summary.segmentCount) segments; "
        + (summary.findingCount == 0
          ? "nothing is damaged" : "\(summary.findingCount) \(summary.findingCount == 1 ? "finding" : "findings")"))
  }
}
