import CommandSupport
import SegmentStore

/// `pfs stats`: sizes and counts of the whole store.
struct StatsCommand: Command {
  static let name = "stats"
  static let summary = "show sizes and counts of the store"
  static let mayEndAtOnce = true
  static let options = OptionTable([])
  static let help = CommandHelp(
    ["pfs stats"],
    "Show sizes and counts of the whole store. Live bytes are those that a file needs, dead ones those of deleted "
      + "files, whose whole pages are given back to the file system. The space amplification is what the segments "
      + "take on disk, divided by the live bytes.",
    options: options,
    examples: [
      .init("pfs stats", "for people"),
      .init("pfs --json stats", "for a program, in bytes"),
    ])

  init(_ line: ParsedOptions) throws(CommandError) {
    guard line.operands.isEmpty else {
      throw CommandError(.wrongUsage, "'\(DisplayName.escaped(line.operands[0]))': stats takes no arguments")
    }
  }

  func run(in context: CommandContext) throws(CommandError) -> ExitStatus {
    let store = try context.store()
    let statistics = try translating { () throws(StoreError) in try store.statistics() }
    let path = DisplayName.escaped(store.path.bytes)
    if context.output.isJSON {
      try context.output.result(StatsCommand.json(statistics, path))
    } else {
      try context.output.results(KeyedLines.text(StatsCommand.fields(statistics, path)))
    }
    return .done
  }

  private static func json(_ statistics: StoreStatistics, _ path: String) -> JSONValue {
    let integer = { (number: Int) in JSONValue.integer(Int64(number)) }
    return [
      "path": .string(path),
      "uuid": .string(statistics.uuid),
      "files": integer(statistics.fileCount),
      "unfinished_files": integer(statistics.unfinishedFileCount),
      "parts": integer(statistics.partCount),
      "segments": integer(statistics.segmentCount),
      "sealed_segments": integer(statistics.sealedSegmentCount),
      "size": integer(statistics.byteCount),
      "stored_size": integer(statistics.storedByteCount),
      "live_bytes": integer(statistics.liveByteCount),
      "dead_bytes": integer(statistics.deadByteCount),
      "segment_bytes_on_disk": integer(statistics.segmentDiskByteCount),
      "index_bytes_on_disk": integer(statistics.indexDiskByteCount),
      "space_amplification": .double(statistics.spaceAmplification),
      "segment_size": integer(statistics.segmentByteCount),
      "part_size": integer(statistics.partByteCount),
      "quota": statistics.quotaByteCount.map(integer) ?? .null,
      "memory_limit": integer(statistics.memoryLimitByteCount),
      "workers": integer(statistics.workerCount),
    ]
  }

  private static func fields(_ statistics: StoreStatistics, _ path: String) -> [(String, String)] {
    let amplification = Int((statistics.spaceAmplification * 100).rounded())
    let hundredths = amplification % 100
    return [
      ("path", path),
      ("uuid", statistics.uuid),
      ("files", String(statistics.fileCount)),
      ("unfinished files", String(statistics.unfinishedFileCount)),
      ("parts", String(statistics.partCount)),
      ("segments", "\(statistics.segmentCount), \(statistics.sealedSegmentCount) of them sealed"),
      ("size of the files", KeyedLines.size(statistics.byteCount)),
      ("stored size", KeyedLines.size(statistics.storedByteCount)),
      ("live", KeyedLines.size(statistics.liveByteCount)),
      ("dead", KeyedLines.size(statistics.deadByteCount)),
      ("segments on disk", KeyedLines.size(statistics.segmentDiskByteCount)),
      ("index on disk", KeyedLines.size(statistics.indexDiskByteCount)),
      ("space amplification", "\(amplification / 100).\(hundredths < 10 ? "0" : "")\(hundredths)"),
      ("segment size", ByteSize.text(statistics.segmentByteCount)),
      ("part size", ByteSize.text(statistics.partByteCount)),
      ("quota", statistics.quotaByteCount.map(ByteSize.text) ?? "none"),
      ("memory limit", ByteSize.text(statistics.memoryLimitByteCount)),
      ("workers", String(statistics.workerCount)),
    ]
  }
}
