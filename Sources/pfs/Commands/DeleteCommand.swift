import CommandSupport
import SegmentStore

/// `pfs delete`: removes files.
struct DeleteCommand: Command {
  static let name = "delete"
  static let summary = "delete files and give their space back"
  static let options = OptionTable([
    .init("recursive", short: "r", help: "Delete every file below a name, in all versions."),
    .init("all-versions", help: "Delete all versions of a name, not only the newest."),
    .init("dry-run", help: "Say what would be deleted, and delete nothing."),
  ])
  static let help = CommandHelp(
    ["pfs delete [OPTIONS] ID|NAME...", "pfs delete -r [OPTIONS] NAME..."],
    "Delete files and give their space back. Digits alone are an id, ./123 is the name 123, and a name means the "
      + "newest version of it. Prints the id, a tab and the name of each file that is gone for good. Waits for those "
      + "who read a file, at most as long as --lock-timeout says.",
    options: options,
    examples: [
      .init("pfs delete 7 old.img", "two files"),
      .init("pfs delete --all-versions disk.img", "every file with this name"),
      .init("pfs delete -r --dry-run photos", "what would go"),
    ])

  private let arguments: [[UInt8]]
  private let isRecursive: Bool
  private let takesAllVersions: Bool
  private let isDryRun: Bool

  init(_ line: ParsedOptions) throws(CommandError) {
    arguments = line.operands
    isRecursive = line.contains("recursive")
    takesAllVersions = line.contains("all-versions")
    isDryRun = line.contains("dry-run")
    if arguments.isEmpty {
      throw CommandError(.wrongUsage, "no ID or NAME is given", advice: "see 'pfs help delete'")
    }
  }

  func run(in context: CommandContext) throws(CommandError) -> ExitStatus {
    var total = Total()
    let status = try context.forEach(arguments) { (argument) throws(CommandError) in
      if isRecursive { return try deleteTree(argument, context, &total) }
      let argument = try FileArgument(argument)
      let store = try context.store()
      if takesAllVersions { return try delete(try argument.findAll(in: store), in: store, context, &total) }
      try argument.use(in: store) { (file) throws(CommandError) in try delete(file, in: store, context, &total) }
      return .done
    }
    if isDryRun {
      let (fileCount, size) = (total.fileCount, ByteSize.text(total.storedByteCount))
      context.output.notice("would delete \(fileCount) \(fileCount == 1 ? "file" : "files"): \(size) stored")
    }
    return status
  }

  private struct Total {
    var fileCount = 0
    var storedByteCount = 0

    mutating func add(_ file: StoredFile) {
      fileCount += 1
      storedByteCount += file.storedByteCount
    }
  }

  /// All versions of all files below a name.
  private func deleteTree(
    _ argument: [UInt8], _ context: CommandContext, _ total: inout Total
  ) throws(CommandError) -> ExitStatus {
    let prefix = try FileArgument.prefix(argument)
    let store = try context.store()
    let failures = FirstFailure()
    var fileCount = 0
    do throws(StoreError) {
      if isDryRun {
        try store.forEachFile(below: prefix) { (file) throws(StoreError) in
          total.add(file)
          fileCount += 1
          report(file, to: context)
        }
      } else {
        let result = try store.deleteTree(
          prefix, cancellation: context.cancellation, onDeleted: { report($0, to: context) },
          onFailed: { _, error in
            let error = CommandError(error)
            failures.note(error.status)
            context.output.report(error)
          })
        fileCount = result.doneCount + result.failedCount
      }
    } catch {
      throw CommandError(error)
    }
    if fileCount == 0 { throw CommandError(.notFound, "no file below '\(DisplayName.escaped(prefix.bytes))/'") }
    return failures.status
  }

  /// Says what is gone. Without anybody to tell there is no use in going on.
  private func report(_ file: StoredFile, to context: CommandContext) {
    do throws(CommandError) { try report(file, context) } catch { context.cancellation.cancel() }
  }

  private func delete(
    _ files: [StoredFile], in store: Store, _ context: CommandContext, _ total: inout Total
  ) throws(CommandError) -> ExitStatus {
    try context.forEach(files) { (file) throws(CommandError) in
      try delete(file, in: store, context, &total)
      return .done
    }
  }

  private func delete(
    _ file: StoredFile, in store: Store, _ context: CommandContext, _ total: inout Total
  ) throws(CommandError) {
    if !isDryRun {
      try translating { () throws(StoreError) in try store.delete(file.id, cancellation: context.cancellation) }
    }
    total.add(file)
    try report(file, context)
  }

  private func report(_ file: StoredFile, _ context: CommandContext) throws(CommandError) {
    let report = FileReport(file)
    guard context.output.isJSON else { return try context.output.results(report.line) }
    let members: [JSONValue.Member] = [
      .init("deleted", .bool(!isDryRun)), .init("size", .integer(Int64(file.byteCount))),
      .init("stored_size", .integer(Int64(file.storedByteCount))),
    ]
    try context.output.result(.object(report.idAndName + members))
  }
}
