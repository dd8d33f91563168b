import CommandSupport
import Console
import SegmentStore

/// `pfs list`: the files of the store.
struct ListCommand: Command {
  static let name = "list"
  static let summary = "list files"
  static let mayEndAtOnce = true
  static let operand = Operand.names
  static let options = OptionTable([
    .init(
      "sort", value: "KEY", choices: Key.allCases.map(\.rawValue),
      help: "id, name, size, stored or date, the smallest or oldest first (default id)."),
    .init("long", short: "l", help: "Also parts, mode, date of the last change and etag."),
  ])
  static let help = CommandHelp(
    ["pfs list [OPTIONS] [PATTERN...]"],
    "List the files: id, status, size, stored size, date and name. A file is 'ready', 'writing' while it is being "
      + "stored, or 'deleting'. When standard output is not a terminal there are no titles, fields are separated by "
      + "tabs and sizes are in bytes.",
    options: options,
    notes: [
      "A PATTERN is matched against the whole name: * is any run of characters but /, ** any run at all, ? one "
        + "character, [a-z] one of a set. Quote it from your shell."
    ],
    examples: [
      .init("pfs list", "all files"),
      .init("pfs list --sort size '*.iso'", "the largest last"),
      .init("pfs list 'photos/**'", "a tree"),
      .init("pfs list | awk '{print $1}'", "the ids"),
    ])

  private enum Key: String, CaseIterable {
    case id, name, size, stored, date
  }

  private static let pageFileCount = 512

  private let patterns: [Glob]
  private let key: Key
  private let isLong: Bool

  init(_ line: ParsedOptions) throws(CommandError) {
    isLong = line.contains("long")
    let choice = try translatingUsage { () throws(UsageError) in
      try line.choice(of: "sort", among: Key.allCases.map(\.rawValue))
    }
    key = choice.flatMap(Key.init) ?? .id
    patterns = try line.operands.map { (pattern) throws(CommandError) in
      try translatingUsage { () throws(UsageError) in try Glob(pattern) }
    }
  }

  func run(in context: CommandContext) throws(CommandError) -> ExitStatus {
    let store = try context.store()
    var lines = FileLines(isLong: isLong, context.output)
    guard key != .id else {
      try forEachPage(of: store, context) { (page) throws(CommandError) in
        try context.output.results(lines.text(for: page))
      }
      return .done
    }
    // In any other order the whole list has to be there before its first line.
    var files: [StoredFile] = []
    try forEachPage(of: store, context) { (page) throws(CommandError) in files += page }
    files = sorted(files)
    for start in stride(from: 0, to: files.count, by: ListCommand.pageFileCount) {
      let end = min(start + ListCommand.pageFileCount, files.count)
      try context.output.results(lines.text(for: Array(files[start..<end])))
    }
    return .done
  }

  private func forEachPage(
    of store: Store, _ context: CommandContext, _ body: ([StoredFile]) throws(CommandError) -> Void
  ) throws(CommandError) {
    var next: FileID? = FileID(rawValue: 0)
    while let start = next {
      try context.check()
      let page = try translating { () throws(StoreError) in
        try store.files(from: start, limit: ListCommand.pageFileCount)
      }
      try body(patterns.isEmpty ? page : page.filter { file in patterns.contains { $0.matches(file.name.bytes) } })
      // A page that is not full is the last one: what was stored since is not of the moment that it shows.
      next = page.count < ListCommand.pageFileCount ? nil : page.last.map { FileID(rawValue: $0.id.rawValue + 1) }
    }
  }

  /// Swift's sort is stable, so files that are alike stay in the order of their ids.
  private func sorted(_ files: [StoredFile]) -> [StoredFile] {
    switch key {
    case .id: files
    case .name: files.sorted { $0.name.bytes.lexicographicallyPrecedes($1.name.bytes) }
    case .size: files.sorted { $0.byteCount < $1.byteCount }
    case .stored: files.sorted { $0.storedByteCount < $1.storedByteCount }
    case .date: files.sorted { $0.createdNanoseconds < $1.createdNanoseconds }
    }
  }
}

/// The lines of a list: a table for people, fields between tabs for programs, or JSON.
private struct FileLines {
  private let isLong: Bool
  private let isJSON: Bool
  private let isForPeople: Bool
  private var table: TableFormatter

  init(isLong: Bool, _ output: Output) {
    self.isLong = isLong
    isJSON = output.isJSON
    isForPeople = output.isForPeople
    let details: [TableFormatter.Column] = [
      .init("PARTS", .right), .init("MODE"), .init("MODIFIED"), .init("ETAG"),
    ]
    table = TableFormatter(
      columns: [
        .init("ID", .right), .init("STATUS"), .init("SIZE", .right), .init("STORED", .right), .init("DATE"),
      ] + (isLong ? details : []) + [.init("NAME")])
  }

  mutating func text(for files: [StoredFile]) -> String {
    if isJSON { return files.map { FileReport($0).json.serialized + "\n" }.joined() }
    let rows = files.map(row)
    // No titles over nothing.
    if isForPeople { return rows.isEmpty ? "" : table.lines(for: rows) }
    return rows.map { $0.joined(separator: "\t") + "\n" }.joined()
  }

  private func row(_ file: StoredFile) -> [String] {
    let report = FileReport(file)
    let size = { (byteCount: Int) in isForPeople ? ByteSize.text(byteCount) : String(byteCount) }
    var cells = [
      file.id.description, file.status.rawValue, size(file.byteCount), size(file.storedByteCount),
      LocalTime.short(nanosecondsSinceEpoch: file.createdNanoseconds),
    ]
    if isLong {
      cells += [
        String(file.partCount), report.mode, LocalTime.short(nanosecondsSinceEpoch: file.modifiedNanoseconds),
        file.etag,
      ]
    }
    return cells + [report.name]
  }
}
