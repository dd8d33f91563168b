import CommandSupport
import SegmentStore

/// `pfs stats`: sizes and counts of the whole store.
struct StatsCommand: Command {
  static let name = "stats"
  static let summary = "show sizes and counts of the store"
  static let mayEndAtOnce = true
  static let options = OptionTable([
    .init("segments", help: "Also each segment."),
    .init("map", value: "FILE", help: "Draw all segments into FILE, as SVG; - is standard output."),
  ])
  static let help = CommandHelp(
    ["pfs stats [--segments] [--map FILE]"],
    "Show sizes and counts of the whole store. Every byte of a segment is live (records that a file needs), dead "
      + "(records of deleted files that are still on disk), given back (of these, to the file system), free (set aside "
      + "behind the records) or overhead (headers, footers, rests of pages). All but what was given back is what du "
      + "counts. The space amplification is what the segments take on disk, divided by the live bytes.",
    options: options,
    notes: [
      "The picture shows where in the segments what lies: each is a bar, and of many each is a tile. Point at one to "
        + "read its numbers. FILE is replaced when the picture is whole."
    ],
    examples: [
      .init("pfs stats", "for people"),
      .init("pfs --json stats --segments", "for a program, in bytes"),
      .init("pfs stats --map segments.svg", "a picture, for a browser"),
    ])

  private let showsSegments: Bool
  private let pictureTarget: PictureTarget?

  init(_ line: ParsedOptions) throws(CommandError) {
    guard line.operands.isEmpty else {
      throw CommandError(.wrongUsage, "'\(DisplayName.escaped(line.operands[0]))': stats takes no arguments")
    }
    showsSegments = line.contains("segments")
    pictureTarget = try line.value(of: "map").map { (path) throws(CommandError) in try PictureTarget(path) }
  }

  func run(in context: CommandContext) throws(CommandError) -> ExitStatus {
    let store = try context.store()
    let path = DisplayName.escaped(store.path.bytes)
    if let pictureTarget {
      let map = try translating { () throws(StoreError) in
        try store.segmentMap(
          tileLimit: SegmentPicture.tileLimit, stepLimit: SegmentPicture.stepLimit, cancellation: context.cancellation)
      }
      try pictureTarget.write(SegmentPicture(map, path: path), context.output)
      // Numbers would be in the middle of the picture.
      if pictureTarget == .standardOutput { return .done }
    }
    let statistics = try translating { () throws(StoreError) in try store.statistics() }
    let segments = try translating { () throws(StoreError) in showsSegments ? try store.segmentSpaces() : [] }
    if context.output.isJSON {
      var object = StatsCommand.json(statistics, path)
      if showsSegments { object.append(.init("segment_list", .array(segments.map(StatsCommand.json)))) }
      try context.output.result(.object(object))
    } else {
      try context.output.results(KeyedLines.text(StatsCommand.fields(statistics, path)))
      if showsSegments { try context.output.results("\n" + StatsCommand.table(segments)) }
    }
    return .done
  }

  private static func json(_ statistics: StoreStatistics, _ path: String) -> [JSONValue.Member] {
    let integer = { (number: Int) in JSONValue.integer(Int64(number)) }
    return [
      .init("path", .string(path)),
      .init("uuid", .string(statistics.uuid)),
      .init("files", integer(statistics.fileCount)),
      .init("unfinished_files", integer(statistics.unfinishedFileCount)),
      .init("parts", integer(statistics.partCount)),
      .init("segments", integer(statistics.segmentCount)),
      .init("sealed_segments", integer(statistics.sealedSegmentCount)),
      .init("size", integer(statistics.byteCount)),
      .init("stored_size", integer(statistics.storedByteCount)),
      .init("live_bytes", integer(statistics.liveByteCount)),
      .init("dead_bytes", integer(statistics.deadByteCount)),
      .init("punched_bytes", integer(statistics.punchedByteCount)),
      .init("free_bytes", integer(statistics.freeByteCount)),
      .init("overhead_bytes", integer(statistics.overheadByteCount)),
      .init("segment_bytes_on_disk", integer(statistics.segmentDiskByteCount)),
      .init("index_bytes_on_disk", integer(statistics.indexDiskByteCount)),
      .init("index_free_bytes", integer(statistics.indexFreeByteCount)),
      .init("store_bytes_on_disk", integer(statistics.storeDiskByteCount)),
      .init("space_amplification", .double(statistics.spaceAmplification)),
      .init("segment_size", integer(statistics.segmentByteCount)),
      .init("part_size", integer(statistics.partByteCount)),
      .init("quota", statistics.quotaByteCount.map(integer) ?? .null),
      .init("memory_limit", integer(statistics.memoryLimitByteCount)),
      .init("workers", integer(statistics.workerCount)),
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
      ("given back", KeyedLines.size(statistics.punchedByteCount)),
      ("free", KeyedLines.size(statistics.freeByteCount)),
      ("overhead", KeyedLines.size(statistics.overheadByteCount)),
      ("segments on disk", KeyedLines.size(statistics.segmentDiskByteCount)),
      (
        "index on disk",
        "\(KeyedLines.size(statistics.indexDiskByteCount)), \(ByteSize.text(statistics.indexFreeByteCount)) of it free"
      ),
      ("store on disk", KeyedLines.size(statistics.storeDiskByteCount)),
      ("space amplification", "\(amplification / 100).\(hundredths < 10 ? "0" : "")\(hundredths)"),
      ("segment size", ByteSize.text(statistics.segmentByteCount)),
      ("part size", ByteSize.text(statistics.partByteCount)),
      ("quota", statistics.quotaByteCount.map(ByteSize.text) ?? "none"),
      ("memory limit", ByteSize.text(statistics.memoryLimitByteCount)),
      ("workers", String(statistics.workerCount)),
    ]
  }

  // MARK: Each segment

  private static func json(_ segment: SegmentSpace) -> JSONValue {
    let integer = { (number: Int) in JSONValue.integer(Int64(number)) }
    return [
      "id": .unsignedInteger(segment.id.rawValue),
      "sealed": .bool(segment.isSealed),
      "size": integer(segment.byteCount),
      "live_bytes": integer(segment.liveByteCount),
      "dead_bytes": integer(segment.deadByteCount),
      "punched_bytes": integer(segment.punchedByteCount),
      "free_bytes": integer(segment.freeByteCount),
      "overhead_bytes": integer(segment.overheadByteCount),
      "bytes_on_disk": integer(segment.diskByteCount),
    ]
  }

  private static func table(_ segments: [SegmentSpace]) -> String {
    let titles = ["segment", "size", "live", "dead", "given back", "free", "overhead", "on disk"]
    var table = TableFormatter(columns: titles.map { .init($0, .right) })
    return table.lines(
      for: segments.map { segment in
        [String(segment.id.rawValue)]
          + [
            segment.byteCount, segment.liveByteCount, segment.deadByteCount, segment.punchedByteCount,
            segment.freeByteCount, segment.overheadByteCount, segment.diskByteCount,
          ].map { ByteSize.text($0) }
      })
  }
}
