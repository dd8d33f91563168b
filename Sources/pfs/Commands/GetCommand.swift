import CommandSupport
import Console
import SegmentStore

/// `pfs get`: restores files.
struct GetCommand: Command {
  static let name = "get"
  static let summary = "restore files"
  static let showsProgress = true
  static let operand = Operand.storedFiles
  static let options = OptionTable([
    .init("output", short: "o", value: "PATH", help: "Where to write it; '-' is standard output."),
    .init("recursive", short: "r", help: "Restore every file below a name, the newest version of each."),
    .init("force", help: "Overwrite what is there."),
    .init("range", value: "A-B", help: "Only these bytes, both ends counted; A- to the end, -N the last N."),
    .init("salvage", help: "Of a damaged file, keep what is intact and leave holes for the rest."),
    .init("resume", help: "Go on with an interrupted get; when interrupted, keep what is done."),
  ])
  static let help = CommandHelp(
    ["pfs get [OPTIONS] ID|NAME", "pfs get -r [OPTIONS] NAME"],
    "Restore a file: exactly, or not at all. Digits alone are an id, ./123 is the name 123, and a name means the "
      + "newest version of it. Written to the last component of its name in the working directory, unless -o says "
      + "otherwise; if that is a directory, into it. The output appears when it is whole and verified.",
    options: options,
    notes: [
      "With -r the files below NAME go into the directory PATH, or else the last component of NAME.",
      "A damaged file is exit status 3 and not written, unless --salvage is given: then it is written at its full size, "
        + "standard error lists the bytes that are lost (zeros are in their place) and those that are there but "
        + "unverified, and the exit status is 3 if there are any. With --json the list is part of the result; with -o - "
        + "that goes to standard error.",
      "--resume keeps what it has in .NAME.pfs-partial beside the output. What is found there is checked, not trusted.",
    ],
    examples: [
      .init("pfs get disk.img", "write ./disk.img"),
      .init("pfs get 7 -o /tmp/old.img", "an older version, by its id"),
      .init("pfs get -o - db.sql | psql db", "to a program"),
      .init("pfs get -r photos -o /tmp/photos", "a tree"),
      .init("pfs get --range 0-511 disk.img -o -", "its first sector"),
      .init("pfs get --salvage disk.img", "what is left of a damaged file"),
    ])

  private enum Target {
    case standardOutput
    /// Nil: as the name says.
    case path([UInt8]?)
  }

  private let argument: [UInt8]
  private let target: Target
  private let isRecursive: Bool
  private let isForced: Bool
  private let selection: ByteSelection?
  private let salvages: Bool
  private let resumes: Bool

  init(_ line: ParsedOptions) throws(CommandError) {
    guard line.operands.count == 1 else {
      throw CommandError(
        .wrongUsage, line.operands.isEmpty ? "no ID or NAME is given" : "more than one ID or NAME is given",
        advice: "see 'pfs help get'")
    }
    argument = line.operands[0]
    isRecursive = line.contains("recursive")
    isForced = line.contains("force")
    selection = try translatingUsage { () throws(UsageError) in try line.byteSelection(of: "range") }
    salvages = line.contains("salvage")
    resumes = line.contains("resume")
    let output = line.value(of: "output")
    if output == [] { throw CommandError(.wrongUsage, "option '--output': the path is empty") }
    target = output == Array("-".utf8) ? .standardOutput : .path(output)
    if let reason = contradiction(isJSON: line.contains("json")) { throw CommandError(.wrongUsage, reason) }
  }

  /// Why the options cannot be meant together.
  private func contradiction(isJSON: Bool) -> String? {
    if isRecursive && selection != nil { return "--range is for one file, not for a tree" }
    if isRecursive && resumes { return "--resume is for one file, not for a tree" }
    if resumes && selection != nil { return "--resume is for a whole file, not for a --range" }
    guard case .standardOutput = target else { return nil }
    if isRecursive { return "a tree of files cannot go to standard output" }
    if resumes { return "--resume needs a file to go on with, not standard output" }
    // What was salvaged has to be told somewhere: of a damaged file standard error then carries it.
    if isJSON && !salvages { return "--json and -o - both want standard output" }
    return nil
  }

  func run(in context: CommandContext) throws(CommandError) -> ExitStatus {
    if isRecursive { return try getTree(context) }
    let argument = try FileArgument(argument)
    let store = try context.store()
    var status = ExitStatus.done
    try argument.use(in: store) { (file) throws(CommandError) in status = try get(file, store, context) }
    return status
  }

  private func get(
    _ file: StoredFile, _ store: Store, _ context: CommandContext
  ) throws(CommandError) -> ExitStatus {
    var options = options
    options.byteRange = selection?.range(ofByteCount: file.byteCount)
    let byteCount = options.byteRange?.clamped(to: 0..<file.byteCount).count ?? file.byteCount
    context.progress.begin(file.name.bytes, totalByteCount: byteCount)
    guard case .path(let given) = target else {
      return try report(file, byteCount, try writeToStandardOutput(file, options, store, context), nil, context)
    }
    let path = try GetCommand.path(given, for: file)
    let losses = try translating { () throws(StoreError) in
      try store.get(
        file.id, to: try target(path), options, cancellation: context.cancellation, progress: context.progress.add)
    }
    return try report(file, byteCount, losses, path, context)
  }

  private var options: GetOptions {
    var options = GetOptions()
    options.salvages = salvages
    options.resumes = resumes
    return options
  }

  /// A file, or a device such as `/dev/null`, which is written to and never replaced.
  private func target(_ path: FilePath) throws(StoreError) -> GetTarget {
    switch ConsolePath.kind(path.bytes) {
    case .characterDevice:
      do { return .stream(try File.open(path, .write)) } catch {
        throw StoreError(.unusableFile, error.description)
      }
    case .other:
      throw StoreError(
        .unusableFile, "'\(path)': is neither a file nor a directory", advice: "use -o - and a redirection")
    default: return .file(path, replacing: isForced)
    }
  }

  /// Where the file is to go.
  private static func path(_ given: [UInt8]?, for file: StoredFile) throws(CommandError) -> FilePath {
    guard let given else { return FilePath(bytes: try lastComponent(of: file)) }
    if ConsolePath.kind(given) == .directory {
      return FilePath(bytes: given).appending(try lastComponent(of: file))
    }
    guard given.last != UInt8(ascii: "/") else {
      throw CommandError(.failed, "\(DisplayName.escaped(given)): no such directory")
    }
    return FilePath(bytes: given)
  }

  private static func lastComponent(of file: StoredFile) throws(CommandError) -> [UInt8] {
    let name = file.name.bytes
    let slash = UInt8(ascii: "/")
    let last = name.lastIndex(of: slash).map { Array(name[($0 + 1)...]) } ?? name
    guard !last.isEmpty, last != Array(".".utf8), last != Array("..".utf8) else {
      throw CommandError(
        .wrongUsage, "the name '\(DisplayName.escaped(name))' does not say what to call the file",
        advice: "name the output with -o PATH")
    }
    return last
  }

  private func writeToStandardOutput(
    _ file: StoredFile, _ options: GetOptions, _ store: Store, _ context: CommandContext
  ) throws(CommandError) -> LossReport {
    let output: File
    do { output = try File.standardStream(1) } catch { throw CommandError(.failed, error.description) }
    do throws(StoreError) {
      return try store.get(
        file.id, to: .stream(output), options, cancellation: context.cancellation, progress: context.progress.add)
    } catch {
      // Who reads has seen enough: nothing to complain about.
      if error.code == .unusableFile, !StandardStreams.hasReader(.output) { throw CommandError(.failed, nil) }
      throw CommandError(error)
    }
  }

  private func getTree(_ context: CommandContext) throws(CommandError) -> ExitStatus {
    let prefix = try FileArgument.prefix(argument)
    var directory = FilePath(bytes: FilePath(bytes: prefix.bytes).lastComponent)
    if case .path(let given?) = target { directory = FilePath(bytes: given) }
    if [[], Array(".".utf8), Array("..".utf8)].contains(directory.bytes), case .path(nil) = target {
      throw CommandError(
        .wrongUsage, "the name '\(DisplayName.escaped(prefix.bytes))' does not say what to call the directory",
        advice: "name it with -o DIR")
    }
    let root = directory
    let store = try context.store()
    context.progress.begin(prefix.bytes, totalByteCount: nil)
    let failures = FirstFailure()
    _ = try translating { () throws(StoreError) in
      try store.getTree(
        prefix, into: root, replacing: isForced, options, cancellation: context.cancellation,
        progress: context.progress.add,
        onRestored: { file, losses in
          let path = root.appending(Array(file.name.bytes.dropFirst(prefix.bytes.count + 1)))
          do throws(CommandError) {
            failures.note(try report(file, file.byteCount, losses, path, context))
          } catch {
            context.cancellation.cancel()
          }
        },
        onFailed: { file, error in
          let error = CommandError(error, subject: file.name.bytes)
          failures.note(error.status)
          context.output.report(error)
        })
    }
    return failures.status
  }

  /// Says what was restored, and what of it is not as it was stored.
  /// - Parameter path: nil for standard output, which then takes no results.
  private func report(
    _ file: StoredFile, _ byteCount: Int, _ losses: LossReport, _ path: FilePath?, _ context: CommandContext
  ) throws(CommandError) -> ExitStatus {
    let name = FileReport(file).name
    let shownPath = path.map { DisplayName.escaped($0.bytes) } ?? "-"
    let lines = LossLines(losses)
    if path != nil { context.output.detail("restored \(name) -> \(shownPath)") }
    if context.output.isJSON {
      let members: [JSONValue.Member] = [
        .init("output", .string(shownPath)), .init("size", .integer(Int64(byteCount))),
      ]
      let object = JSONValue.object(FileReport(file).idAndName + members + (salvages ? lines.members : []))
      if path == nil { context.output.resultBesideOutput(object) } else { try context.output.result(object) }
    } else if !losses.isEmpty {
      context.output.report(
        CommandError(
          .damageFound, "\(name): \(lines.summary(byteCount: byteCount))", details: lines.salvage))
    }
    return losses.isEmpty ? .done : .damageFound
  }
}
