import CommandSupport
import Console
import SegmentStore

/// `pfs info`: all that is known of one file.
struct InfoCommand: Command {
  static let name = "info"
  static let summary = "show all about one file"
  static let mayEndAtOnce = true
  static let operand = Operand.storedFiles
  static let options = OptionTable([
    .init("parts", help: "Also every part: where it is, how it is stored, and its MD5.")
  ])
  static let help = CommandHelp(
    ["pfs info [OPTIONS] ID|NAME"],
    "Show all that is known of one file. The etag is the MD5 of the MD5s of its parts, and their number, as S3 has "
      + "it for multipart uploads.",
    options: options,
    examples: [
      .init("pfs info disk.img", "the newest file with this name"),
      .init("pfs --json info --parts 7", "for a program, with the parts"),
    ])

  private static let pagePartCount = 1024

  private let argument: [UInt8]
  private let showsParts: Bool

  init(_ line: ParsedOptions) throws(CommandError) {
    guard line.operands.count == 1 else {
      throw CommandError(
        .wrongUsage, line.operands.isEmpty ? "no ID or NAME is given" : "more than one ID or NAME is given",
        advice: "see 'pfs help info'")
    }
    argument = line.operands[0]
    showsParts = line.contains("parts")
  }

  func run(in context: CommandContext) throws(CommandError) -> ExitStatus {
    let argument = try FileArgument(argument)
    let store = try context.store()
    let file = try argument.find(in: store)
    if context.output.isJSON {
      try context.output.result(try json(file, store, context))
    } else {
      try context.output.results(KeyedLines.text(InfoCommand.fields(file)))
      if showsParts { try printParts(of: file, store, context) }
    }
    return .done
  }

  private static func fields(_ file: StoredFile) -> [(String, String)] {
    let report = FileReport(file)
    return [
      ("id", file.id.description),
      ("name", report.name),
      ("status", file.status.rawValue),
      ("size", KeyedLines.size(file.byteCount)),
      ("stored size", KeyedLines.size(file.storedByteCount)),
      ("created", LocalTime.rfc3339(nanosecondsSinceEpoch: file.createdNanoseconds)),
      ("modified", LocalTime.rfc3339(nanosecondsSinceEpoch: file.modifiedNanoseconds)),
      ("mode", report.mode),
      ("parts", String(file.partCount)),
      ("part size", KeyedLines.size(file.partByteCount)),
      ("etag", file.etag),
    ]
  }

  private func json(_ file: StoredFile, _ store: Store, _ context: CommandContext) throws(CommandError) -> JSONValue {
    var members = FileReport(file).members
    guard showsParts else { return .object(members) }
    var parts: [JSONValue] = []
    try forEachPart(of: file, store, context) { (_, page) throws(CommandError) in parts += page.map(InfoCommand.json) }
    members.append(.init("part_list", .array(parts)))
    return .object(members)
  }

  private static func json(_ part: StoredPartInformation) -> JSONValue {
    [
      "id": .unsignedInteger(part.id.rawValue),
      "offset": .integer(Int64(part.offsetInFile)),
      "size": .integer(Int64(part.rawByteCount)),
      "stored_size": .integer(Int64(part.storedByteCount)),
      "codec": .string(part.codec),
      "segment": .unsignedInteger(part.segment.rawValue),
      "segment_offset": .integer(Int64(part.offsetInSegment)),
      "md5": .string(part.md5),
    ]
  }

  private func printParts(of file: StoredFile, _ store: Store, _ context: CommandContext) throws(CommandError) {
    var table = TableFormatter(columns: [
      .init("PART", .right), .init("ID", .right), .init("OFFSET", .right), .init("SIZE", .right),
      .init("STORED", .right), .init("CODEC"), .init("SEGMENT", .right), .init("AT", .right), .init("MD5"),
    ])
    try context.output.results("\n")
    try forEachPart(of: file, store, context) { (firstNumber, page) throws(CommandError) in
      let rows = page.enumerated().map { index, part in
        [
          String(firstNumber + index), part.id.description, String(part.offsetInFile), String(part.rawByteCount),
          String(part.storedByteCount), part.codec, part.segment.description, String(part.offsetInSegment), part.md5,
        ]
      }
      try context.output.results(table.lines(for: rows))
    }
  }

  private func forEachPart(
    of file: StoredFile, _ store: Store, _ context: CommandContext,
    _ body: (_ firstNumber: Int, [StoredPartInformation]) throws(CommandError) -> Void
  ) throws(CommandError) {
    for start in stride(from: 0, to: file.partCount, by: InfoCommand.pagePartCount) {
      try context.check()
      let end = min(start + InfoCommand.pagePartCount, file.partCount)
      try body(start, try translating { () throws(StoreError) in try store.parts(of: file.id, start..<end) })
    }
  }
}
