import CommandSupport
import SegmentStore

/// `pfs delete`: removes files.
struct DeleteCommand: Command {
  static let name = "delete"
  static let summary = "delete files and give their space back"
  static let operand = Operand.storedFiles
  static let options = OptionTable([
    .init("recursive", short: "r", help: "Delete every file below a name, in all versions."),
    .init("all-versions", help: "Delete all versions of a name, not only the newest."),
    .init("dry-run", help: "Say what would be deleted and what would come back, and delete nothing."),
  ])
  static let help = CommandHelp(
    ["pfs delete [OPTIONS] ID|NAME...", "pfs delete -r [OPTIONS] NAME..."],
    "Delete files and give their space back. Digits alone are an id, ./123 is the name 123, and a name means the "
      + "newest version of it. Prints the id, a tab and the name of each file that is gone for good. Waits for those "
      + "who read a file, at most as long as --lock-timeout says; the others go on meanwhile. At the end it says by how "
      + "much the store takes less of the disk (in a script only with --json or --verbose): of files below 64 KiB that were stored between others nothing, until "
      + "their neighbours are gone too. In the shell the prompt comes back when the files are gone for good, and "
      + "their space comes back behind it.",
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
    let store = try context.store()
    let selection = DeleteSelection(
      arguments: arguments, isRecursive: isRecursive, takesAllVersions: takesAllVersions, context: context, store: store
    )
    if isDryRun { return try preview(selection, context, store) }
    let before = context.isInShell ? nil : try translating { () throws(StoreError) in try store.diskByteCount() }
    let deletedCount = try delete(selection, context, store)
    if let before, deletedCount > 0 { try reportFreed(deletedCount, before, store, context) }
    return selection.status
  }

  // MARK: Deleting

  /// - Returns: How many are gone.
  private func delete(
    _ selection: DeleteSelection, _ context: CommandContext, _ store: Store
  ) throws(CommandError) -> Int {
    var options = DeleteOptions()
    // There the prompt is to come back.
    options.waitsForSpace = !context.isInShell
    var deletedCount = 0
    let onDeleted = { (file: StoredFile) in
      deletedCount += 1
      do throws(CommandError) { try DeleteCommand.report(file, isDeleted: true, context.output) } catch {
        // Without anybody to tell there is no use in going on.
        context.cancellation.cancel()
      }
    }
    do throws(StoreError) {
      _ = try store.delete(
        options, cancellation: context.cancellation,
        produce: { (handOver: (StoredFile) throws(StoreError) -> Void) throws(StoreError) in
          try selection.forEach(handOver)
        }, onDeleted: onDeleted, onFailed: selection.fail)
    } catch {
      throw selection.stop ?? CommandError(error)
    }
    while let (argument, file) = selection.nextLost() {
      // Deleted by somebody else meanwhile; the name may have an older version, or a newer one.
      do throws(CommandError) {
        try argument.use(in: store, after: file.id) { (file) throws(CommandError) in
          try translating { () throws(StoreError) in
            try store.delete(file.id, options, cancellation: context.cancellation)
          }
          onDeleted(file)
        }
      } catch {
        if error.status.stopsCommand { throw error }
        selection.note(error)
      }
    }
    return deletedCount
  }

  /// Closed before: what is reserved for more files that never come goes back to the disk.
  private func reportFreed(
    _ fileCount: Int, _ before: Int, _ store: Store, _ context: CommandContext
  ) throws(CommandError) {
    let after = try translating { () throws(StoreError) in
      try context.stores.close()
      return try store.diskByteCount()
    }
    let freed = max(0, before - after)
    if context.output.isJSON {
      try context.output.result(["deleted_files": .integer(Int64(fileCount)), "freed": .integer(Int64(freed))])
    } else if context.output.isForPeople {
      try context.output.results("\(ByteSize.text(freed)) freed\n")
    } else {
      context.output.detail("\(ByteSize.text(freed)) freed")
    }
  }

  // MARK: Dry run

  private func preview(
    _ selection: DeleteSelection, _ context: CommandContext, _ store: Store
  ) throws(CommandError) -> ExitStatus {
    let space = SpacePreview(store)
    var (fileCount, storedByteCount) = (0, 0)
    var failure: CommandError?
    let freed: Int
    do throws(StoreError) {
      try selection.forEach { (file) throws(StoreError) in
        if context.cancellation.isCancelled { throw StoreError(.cancelled, "interrupted") }
        try space.add(file.id)
        fileCount += 1
        storedByteCount += file.storedByteCount
        do throws(CommandError) { try DeleteCommand.report(file, isDeleted: false, context.output) } catch {
          failure = error
          context.cancellation.cancel()
        }
      }
      freed = try space.freedByteCount()
    } catch {
      throw failure ?? selection.stop ?? CommandError(error)
    }
    if context.output.isJSON {
      try context.output.result(["deleted_files": .integer(0), "would_free": .integer(Int64(freed))])
    } else {
      context.output.notice(
        "would delete \(fileCount) \(fileCount == 1 ? "file" : "files"): \(ByteSize.text(storedByteCount)) stored, "
          + "\(ByteSize.text(freed)) would be freed")
    }
    return selection.status
  }

  /// Says what is gone, or would be.
  static func report(_ file: StoredFile, isDeleted: Bool, _ output: Output) throws(CommandError) {
    let report = FileReport(file)
    guard output.isJSON else { return try output.results(report.line) }
    let members: [JSONValue.Member] = [
      .init("deleted", .bool(isDeleted)), .init("size", .integer(Int64(file.byteCount))),
      .init("stored_size", .integer(Int64(file.storedByteCount))),
    ]
    try output.result(.object(report.idAndName + members))
  }
}
