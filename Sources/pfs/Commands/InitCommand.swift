import CommandSupport
import SegmentStore

/// `pfs init`: makes a store.
struct InitCommand: Command {
  static let name = "init"
  static let summary = "make a store"
  static let options = OptionTable([
    .init(
      "segment-size", value: "SIZE", help: "The size of a segment file, a power of two, 64KiB to 4GiB (default 64MiB)."),
    .init("part-size", value: "SIZE", help: "The size of the parts of a file, 4KiB to half a segment (default 1MiB)."),
    .init("quota", value: "SIZE", help: "The most that stored files may take, headers included (default: no limit)."),
  ])
  static let help = CommandHelp(
    ["pfs init [OPTIONS]"],
    "Make an empty store: at --store, $PFS_STORE, 'path' of the configuration, or ~/.local/share/pfs. There must be "
      + "nothing yet, or an empty directory. 'pfs put' makes a store too when there is none.",
    options: options,
    examples: [
      .init("pfs --store /data/pfs init", "a store with the usual sizes"),
      .init("pfs init --quota 100GiB", "one that refuses to grow beyond a size"),
      .init("pfs init --segment-size 1GiB --part-size 4MiB", "for few, very large files"),
    ])

  private let segmentByteCount: Int?
  private let partByteCount: Int?
  private let quotaByteCount: Int?

  init(_ line: ParsedOptions) throws(CommandError) {
    segmentByteCount = try translatingUsage { () throws(UsageError) in try line.byteCount(of: "segment-size") }
    partByteCount = try translatingUsage { () throws(UsageError) in try line.byteCount(of: "part-size") }
    quotaByteCount = try translatingUsage { () throws(UsageError) in try line.byteCount(of: "quota") }
    guard line.operands.isEmpty else {
      throw CommandError(
        .wrongUsage, "'\(DisplayName.escaped(line.operands[0]))': init takes no arguments",
        advice: "name the place with --store DIR")
    }
  }

  func run(in context: CommandContext) throws(CommandError) -> ExitStatus {
    var options = context.stores.creationOptions
    if let segmentByteCount { options.segmentByteCount = segmentByteCount }
    if let partByteCount { options.partByteCount = partByteCount }
    options.quotaByteCount = quotaByteCount
    let path = context.stores.path
    try translating { () throws(StoreError) in try Store.create(at: path, options) }
    if context.output.isJSON {
      try context.output.result([
        "path": .string(DisplayName.escaped(path.bytes)), "segment_size": .integer(Int64(options.segmentByteCount)),
        "part_size": .integer(Int64(options.partByteCount)),
        "quota": options.quotaByteCount.map { .integer(Int64($0)) } ?? .null,
      ])
    } else {
      try context.output.results("made the store '\(DisplayName.escaped(path.bytes))'\n")
    }
    return .done
  }
}
