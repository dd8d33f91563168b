import CommandSupport
import SegmentStore

/// `pfs compact`: has the space of what is dead come back.
struct CompactCommand: Command {
  static let name = "compact"
  static let summary = "move live parts together, remove segments"
  static let showsProgress = true
  static let options = OptionTable([
    .init(
      "target", value: "RATIO",
      help: "Stop when the store takes at most so many bytes of disk for each byte that is alive; 1.1 if not given."),
    .init("rate", value: "SIZE/s", help: "Move at most so many bytes in a second."),
  ])
  static let help = CommandHelp(
    ["pfs compact [--target RATIO] [--rate SIZE/s]"],
    "Move what is alive out of segments in which much is dead, and remove these. Others may put, get and delete "
      + "meanwhile. Can be interrupted at any time: what was moved stays moved. Works on a full disk.",
    options: options,
    notes: [
      "A delete gives the space of large files back by itself. What is left for this are small files, and file systems "
        + "that cannot punch holes.",
      "A segment with damaged records that are needed is left with these; the exit status is 3 then.",
    ],
    examples: [
      .init("pfs compact", "what is worth it"),
      .init("pfs compact --target 1", "all that can be had"),
      .init("pfs compact --rate 20MiB/s", "slowly, beside other work"),
    ])

  private let options: CompactionOptions

  init(_ line: ParsedOptions) throws(CommandError) {
    if let operand = line.operands.first {
      throw CommandError(.wrongUsage, "'\(DisplayName.escaped(operand))': compact takes no arguments")
    }
    var options = CompactionOptions()
    if let text = try translatingUsage({ () throws(UsageError) in try line.text(of: "target") }) {
      guard let ratio = Double(text), ratio >= 1, ratio.isFinite else {
        throw CommandError(
          .wrongUsage, "option '--target': '\(DisplayName.escaped(Array(text.utf8)))' is not a number from 1 on")
      }
      options.targetRatio = ratio
    }
    options.bytesPerSecond = try line.bytesPerSecond(of: "rate")
    self.options = options
  }

  func run(in context: CommandContext) throws(CommandError) -> ExitStatus {
    let store = try context.store()
    var hasBegun = false
    let summary = try translating { () throws(StoreError) in
      try store.compact(options, cancellation: context.cancellation) { (byteCount, total) in
        if !hasBegun { context.progress.begin(store.path.lastComponent, totalByteCount: total) }
        hasBegun = true
        context.progress.add(byteCount)
      }
    }
    let indexByteCount = try compactIndex(of: store, context)
    try report(summary, indexByteCount, context.output)
    return summary.damagedSegments.isEmpty ? .done : .damageFound
  }

  /// Nobody may have the store open meanwhile, not even this process. A copy takes room: where there is none the index stays.
  /// - Returns: What the index gave back, in bytes.
  private func compactIndex(of store: Store, _ context: CommandContext) throws(CommandError) -> Int {
    let before = try translating { () throws(StoreError) in try store.indexSpace() }
    guard before.isWorthCompacting else { return 0 }
    var reason = "nobody else uses the store"
    if !context.isInShell {
      let freed = try translating { () throws(StoreError) -> Int? in
        // What was stored is safe; and closing compacts a small index by itself.
        try context.stores.close()
        do throws(StoreError) {
          switch try Store.compactIndex(at: store.path, cancellation: context.cancellation) {
          case .inUse: return nil
          case .notWorthIt(let now): return before.byteCount - now.byteCount
          case .done(_, let after): return before.byteCount - after.byteCount
          }
        } catch  where error.code == .noSpace {
          reason = "the disk has room for a copy"
          return nil
        }
      }
      if let freed { return freed }
    }
    context.output.notice("\(ByteSize.text(before.freeByteCount)) of the index are free, and stay until \(reason)")
    return 0
  }

  private func report(
    _ summary: CompactionSummary, _ indexByteCount: Int, _ output: Output
  ) throws(CommandError) {
    let freedByteCount = summary.diskByteCountBefore - summary.diskByteCountAfter + indexByteCount
    if output.isJSON {
      let integer = { (number: Int) in JSONValue.integer(Int64(number)) }
      return try output.result([
        "freed": integer(freedByteCount), "moved": integer(summary.movedByteCount),
        "removed_segments": integer(summary.removedSegmentCount), "live": integer(summary.liveByteCount),
        "disk": integer(summary.diskByteCountAfter),
        "damaged_segments": .array(summary.damagedSegments.map { integer(Int(clamping: $0.rawValue)) }),
      ])
    }
    for segment in summary.damagedSegments {
      try output.results("segment \(segment) has damaged records that are needed: they stay there; see 'pfs verify'\n")
    }
    let segments = summary.removedSegmentCount == 1 ? "1 segment" : "\(summary.removedSegmentCount) segments"
    output.notice(
      "\(ByteSize.text(max(0, freedByteCount))) came back; \(segments) removed, "
        + "\(ByteSize.text(summary.movedByteCount)) moved; \(ByteSize.text(summary.liveByteCount)) alive in "
        + "\(ByteSize.text(summary.diskByteCountAfter)) of disk")
  }
}
