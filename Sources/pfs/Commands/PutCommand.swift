import CommandSupport
import Console
import SegmentStore

/// `pfs put`: stores files.
struct PutCommand: Command {
  static let name = "put"
  static let summary = "store files"
  static let showsProgress = true
  static let operand = Operand.files
  static let options = OptionTable([
    .init("name", value: "NAME", help: "Store under this name, not the last component of PATH."),
    .init("recursive", short: "r", help: "Store every file below a directory."),
    .init("part-size", value: "SIZE", help: "The size of the parts, 4KiB to half a segment (default: the store's)."),
    .init(
      "codec", value: "CODEC", choices: CodecChoice.allCases.map(\.rawValue),
      help: "zlib, zstd, lz4, stored, or auto: what is best for each part (default auto)."),
    .init("level", value: "N", help: "1 (fast) to 12 (small), for zstd to 19 (default 1)."),
    .init("verify", help: "Read each part back, decode it and compare it before it counts."),
    .init("resume", help: "Go on with an interrupted put; keep this one when it is interrupted."),
    .init("batch", help: "Make all files visible together, or none of them."),
    .init(
      "from-command", value: "CMD", help: "Store what a shell command writes, under --name, if it exits with status 0."),
  ])
  static let help = CommandHelp(
    [
      "pfs put [OPTIONS] PATH...", "pfs put [OPTIONS] --name NAME -",
      "pfs put [OPTIONS] --name NAME --from-command CMD",
    ],
    "Store files, each under the last component of its path; '-' is standard input. Makes the store when there is "
      + "none. Prints the id, a tab and the name of each file as soon as it is durable: it then survives a loss of "
      + "power. What is interrupted or fails is rolled back.",
    options: options,
    notes: [
      "With -r a directory is stored as its last component, a slash and the path below it. Links, pipes and devices "
        + "in it are reported and left out. A name that is stored twice is two files: 'get NAME' means the newer.",
      "With --resume the file is read again and compared with what an interrupted put of the same name has stored; only "
        + "what is missing is stored. A file that the store has already, under this name, is not stored again. What is "
        + "kept of an interrupted put is listed as 'writing', and can be deleted by its id.",
      "With --batch all files of all arguments appear in one moment, also if power fails; one that cannot be stored, a "
        + "link in a tree for example, keeps all from being stored. A batch takes 8KiB of --memory for each file.",
      "What CMD of --from-command writes until it ends is stored. It gets no input; when the put fails or is "
        + "interrupted, it and all that it started get SIGTERM, and after 10 seconds SIGKILL.",
      "Holes of a file are not read, take next to no space, and are holes again when it is restored.",
    ],
    examples: [
      .init("pfs put disk.img", "store a file"),
      .init("pfs put -r photos", "store photos/a.jpg, photos/2026/b.jpg ..."),
      .init("pg_dump db | pfs put --name db.sql -", "store what a program writes"),
      .init("pfs put --name db.sql --from-command 'pg_dump db'", "the same, but nothing if it fails"),
      .init("pfs put --batch -r site index.html", "a new version in one step"),
      .init("pfs put --codec stored film.mkv", "without compression"),
    ])

  let paths: [[UInt8]]
  let name: FileName?
  /// What a shell is to run.
  let commandLine: [UInt8]?
  let isRecursive: Bool
  private let isBatch: Bool
  private let resumes: Bool
  private let verifies: Bool
  private let partByteCount: Int?
  private let codec: CodecChoice?
  private let level: Int?

  private var isStandardInput: Bool { paths == [Array("-".utf8)] }

  init(_ line: ParsedOptions) throws(CommandError) {
    paths = line.operands
    isRecursive = line.contains("recursive")
    isBatch = line.contains("batch")
    resumes = line.contains("resume")
    verifies = line.contains("verify")
    commandLine = line.value(of: "from-command")
    (partByteCount, codec, level) = try translatingUsage { () throws(UsageError) in
      let codec = try line.text(of: "codec").map { (text) throws(UsageError) in try CodecChoice(parsing: text) }
      return (try line.byteCount(of: "part-size"), codec, try line.integer(of: "level", in: CodecChoice.levels))
    }
    name = try line.value(of: "name").map { (name) throws(CommandError) in
      do throws(StoreError) { return try FileName(name) } catch {
        throw CommandError(.wrongUsage, "option '--name': \(error.message)")
      }
    }
    try checkArguments()
  }

  private func checkArguments() throws(CommandError) {
    if resumes, isBatch || commandLine != nil || isStandardInput {
      throw CommandError(
        .wrongUsage, "--resume is for files stored one by one: not for standard input, --from-command or --batch")
    }
    if let commandLine { return try checkArguments(ofCommand: commandLine) }
    if paths.isEmpty { throw CommandError(.wrongUsage, "no PATH is given", advice: "see 'pfs help put'") }
    if paths.contains([]) { throw CommandError(.wrongUsage, "a PATH is empty") }
    if name != nil, paths.count > 1 {
      throw CommandError(.wrongUsage, "--name is for one PATH, and there are \(paths.count)")
    }
    if paths.contains(Array("-".utf8)), name == nil {
      throw CommandError(
        .wrongUsage, "standard input has no name", advice: "say which one is meant: pfs put --name NAME -")
    }
    for path in paths where name == nil { _ = try PutCommand.name(of: path) }
  }

  private func checkArguments(ofCommand commandLine: [UInt8]) throws(CommandError) {
    if commandLine.isEmpty { throw CommandError(.wrongUsage, "the command of --from-command is empty") }
    if !paths.isEmpty { throw CommandError(.wrongUsage, "--from-command takes no PATH: its output is what is stored") }
    if name == nil {
      throw CommandError(
        .wrongUsage, "the output of a command has no name", advice: "say which one is meant: --name NAME")
    }
  }

  /// What a path is stored under.
  static func name(of path: [UInt8]) throws(CommandError) -> FileName {
    let last = FilePath(bytes: path).lastComponent
    guard !last.isEmpty, last != Array(".".utf8), last != Array("..".utf8) else {
      throw CommandError(
        .wrongUsage, "\(DisplayName.escaped(path)): has no last component to store it under",
        advice: "say which name is meant with --name NAME")
    }
    do throws(StoreError) { return try FileName(last) } catch { throw CommandError(error, subject: path) }
  }

  func run(in context: CommandContext) throws(CommandError) -> ExitStatus {
    let options = options(context.settings)
    if resumes { context.stores.willResume(try resumedNames()) }
    if let commandLine, let name {
      try putOutput(of: commandLine, as: name, options, context)
      return .done
    }
    if isStandardInput {
      try putStandardInput(options, context)
      return .done
    }
    if isBatch {
      try putBatch(options, context)
      return .done
    }
    return try context.forEach(paths) { (path) throws(CommandError) in
      let name = if let name { name } else { try PutCommand.name(of: path) }
      try checkOutsideStore(path, context)
      guard let kind = ConsolePath.kind(path) else {
        // Not there, as far as can be told: no reason to make a store, but if there is one it says why.
        return try putFile(path, name, nil, options, in: context.store(orFailing: path), context)
      }
      let store = try context.storeMakingOne()
      if kind == .directory, isRecursive { return try putTree(path, name, options, in: store, context) }
      return try putFile(path, name, kind, options, in: store, context)
    }
  }

  private func resumedNames() throws(CommandError) -> ResumedNames {
    var names = ResumedNames()
    for path in paths {
      let name = if let name { name } else { try PutCommand.name(of: path) }
      names.insert(name)
      if isRecursive { names.insertTree(name) }
    }
    return names
  }

  private func options(_ settings: Settings) -> PutOptions {
    var options = PutOptions()
    options.encoding = (codec ?? settings.codec ?? .auto).encoding
    options.level = level ?? settings.level ?? options.level
    options.partByteCount = partByteCount ?? settings.partByteCount
    options.verifies = verifies
    options.resumes = resumes
    return options
  }

  private func putFile(
    _ path: [UInt8], _ name: FileName, _ kind: ConsolePath.Kind?, _ options: PutOptions, in store: Store,
    _ context: CommandContext
  ) throws(CommandError) -> ExitStatus {
    var totalByteCount: Int?
    if case .file(let byteCount) = kind { totalByteCount = byteCount }
    context.progress.begin(name.bytes, totalByteCount: totalByteCount)
    let file: StoredFile
    do throws(StoreError) {
      file = try store.put(
        .file(FilePath(bytes: path)), as: name, options, cancellation: context.cancellation,
        progress: context.progress.add)
    } catch {
      throw CommandError(error, subject: path)
    }
    try report(file, context)
    return .done
  }

  private func putTree(
    _ path: [UInt8], _ prefix: FileName, _ options: PutOptions, in store: Store, _ context: CommandContext
  ) throws(CommandError) -> ExitStatus {
    context.progress.begin(prefix.bytes, totalByteCount: nil)
    let failures = FirstFailure()
    let storePath = ConsolePath.canonical(store.path.bytes)
    do throws(StoreError) {
      _ = try store.putTree(
        FilePath(bytes: path), as: prefix, options, cancellation: context.cancellation, progress: context.progress.add,
        onStored: { file in
          // Without anybody to tell there is no use in going on.
          do throws(CommandError) { try report(file, context) } catch { context.cancellation.cancel() }
        },
        onFailed: { path, error in
          if ConsolePath.canonical(path.bytes) == storePath {
            context.output.notice("\(DisplayName.escaped(path.bytes)): is the store itself; left out")
            return
          }
          let error = CommandError(error, subject: path.bytes)
          failures.note(error.status)
          context.output.report(error)
        })
    } catch {
      throw CommandError(error, subject: path)
    }
    return failures.status
  }

  private func putStandardInput(_ options: PutOptions, _ context: CommandContext) throws(CommandError) {
    guard !context.isInShell else {
      throw CommandError(
        .wrongUsage, "standard input is where the shell reads its commands", advice: "use 'pfs put --name NAME -'")
    }
    guard let name else { throw CommandError(.wrongUsage, "standard input has no name") }
    let input: File
    do { input = try File.standardStream(0) } catch { throw CommandError(.failed, error.description) }
    let store = try context.storeMakingOne()
    context.progress.begin(name.bytes, totalByteCount: nil)
    let file: StoredFile
    do throws(StoreError) {
      file = try store.put(
        .stream(input), as: name, options, cancellation: context.cancellation, progress: context.progress.add)
    } catch {
      throw CommandError(error, subject: Array("standard input".utf8))
    }
    try report(file, context)
  }

  func report(_ file: StoredFile, _ context: CommandContext) throws(CommandError) {
    let report = FileReport(file)
    if context.output.isJSON {
      try context.output.result(report.json)
    } else {
      try context.output.results(report.line)
    }
  }

  /// A store that swallows its own files changes while it reads them.
  func checkOutsideStore(_ path: [UInt8], _ context: CommandContext) throws(CommandError) {
    guard let store = ConsolePath.canonical(context.stores.path.bytes), let source = ConsolePath.canonical(path) else {
      return
    }
    if source == store || source.starts(with: store + [UInt8(ascii: "/")]) {
      throw CommandError(.failed, "\(DisplayName.escaped(path)): is the store itself, or a file of it")
    }
  }
}

extension CommandContext {
  /// The store if there is one, for a path that leads nowhere.
  fileprivate func store(orFailing path: [UInt8]) throws(CommandError) -> Store {
    do throws(CommandError) { return try store() } catch  where error.status == .notFound {
      throw CommandError(.failed, "\(DisplayName.escaped(path)): no such file, or it cannot be reached")
    }
  }
}
