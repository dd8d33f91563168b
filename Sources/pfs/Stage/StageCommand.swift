import CommandSupport
import SegmentStore
import StagingFS

/// `stage` in the shell: a tree of files in memory, until it is committed into the store as a whole.
struct StageCommand: Command {
  static let name = "stage"
  static let summary = "collect files in memory, and store them in one step"
  static let isDoneInOrder = true
  static let options = OptionTable([
    .init("parents", short: "p", help: "mkdir: also make the directories above, and do not mind those that are there."),
    .init("recursive", short: "r", help: "remove: directories, with all that is in them. list: all that is below."),
    .init("output", short: "o", value: "FILE", help: "get: write FILE (default: the last component of PATH)."),
    .init("force", help: "get: replace FILE."),
    .init("wait", value: "DURATION", help: "How long to wait for a file that another command uses (default 30)."),
    .init("quota", value: "SIZE", help: "The first 'stage': what the tree may take of --memory (default: a quarter)."),
  ])
  static let help = CommandHelp(
    [
      "stage mkdir [-p] PATH...", "stage put FILE [PATH]", "stage get [--force] [-o FILE] PATH",
      "stage list [-r] [PATH]", "stage stats", "stage rename PATH NEW-PATH", "stage remove [-r] PATH...",
      "stage commit [PREFIX]", "stage drop",
    ],
    "In the shell: keep a tree of files in memory, under a hard quota, and store it at the end. 'commit' stores all "
      + "files, under PREFIX, a slash and their paths, in one atomic step: also if power fails all are there or none. "
      + "The tree stays as it is until 'drop'; what was not committed is gone when the shell ends.",
    options: options,
    notes: [
      "These commands are done one after the other, in the order of the lines. 'put' reads FILE (not '-') into PATH, or "
        + "into the directory PATH under its last component. 'list' prints size, a tab and the path; a directory "
        + "ends in a slash. Directories without files are not stored."
    ],
    examples: [
      .init("stage put a.csv", "into memory"),
      .init("stage list -r", "see what is there"),
      .init("stage commit jobs/today", "store all of it, or nothing"),
    ])

  private let action: StageAction
  private let quotaByteCount: Int?
  private let timeoutSeconds: Double?

  init(_ line: ParsedOptions) throws(CommandError) {
    action = try StageAction(line)
    (quotaByteCount, timeoutSeconds) = try translatingUsage { () throws(UsageError) in
      (try line.byteCount(of: "quota"), try line.seconds(of: "wait"))
    }
  }

  func run(in context: CommandContext) throws(CommandError) -> ExitStatus {
    guard let staging = context.staging else {
      throw CommandError(
        .wrongUsage, "what is staged is in the memory of a shell", advice: "start one with 'pfs shell'")
    }
    if case .drop = action {
      staging.drop()
      return .done
    }
    let store = try context.storeMakingOne()
    let tree = try staging.tree(of: store, quotaByteCount: quotaByteCount)
    try run(StageRun(tree: tree, store: store, timeoutSeconds: timeoutSeconds, context: context))
    return .done
  }

  private func run(_ run: StageRun) throws(CommandError) {
    switch action {
    case .mkdir(let paths, let isWithParents): try run.makeDirectories(paths, isWithParents)
    case .put(let file, let path): try run.put(file, path)
    case .get(let path, let target, let isForced): try run.get(path, target, isForced)
    case .list(let path, let isRecursive): try run.list(path, isRecursive)
    case .stats: try run.stats()
    case .rename(let path, let newPath): try run.rename(path, to: newPath)
    case .remove(let paths, let isRecursive): try run.remove(paths, isRecursive)
    case .commit(let prefix): try run.commit(prefix)
    case .drop: break
    }
  }
}

/// What one `stage` line asks for.
enum StageAction: Sendable {
  case mkdir([StagingPath], isWithParents: Bool)
  case put(FilePath, StagingPath?)
  case get(StagingPath, FilePath?, isForced: Bool)
  case list(StagingPath, isRecursive: Bool)
  case stats
  case rename(StagingPath, StagingPath)
  case remove([StagingPath], isRecursive: Bool)
  case commit(StagingPath)
  case drop

  private static let names = ["mkdir", "put", "get", "list", "stats", "rename", "remove", "commit", "drop"]

  init(_ line: ParsedOptions) throws(CommandError) {
    guard let word = line.operands.first else {
      throw CommandError(.wrongUsage, "no action is given", advice: "see 'help stage'")
    }
    let name = String(decoding: word, as: UTF8.self)
    let arguments = Array(line.operands.dropFirst())
    func paths(_ counts: ClosedRange<Int>) throws(CommandError) -> [StagingPath] {
      guard counts.contains(arguments.count) else {
        throw CommandError(
          .wrongUsage, "\(name): \(arguments.count) arguments are given", advice: "see 'help stage'")
      }
      return arguments.map { StagingPath(bytes: $0) }
    }
    let isRecursive = line.contains("recursive")
    switch name {
    case "mkdir": self = .mkdir(try paths(1...Int.max), isWithParents: line.contains("parents"))
    case "put":
      let path = try paths(1...2).dropFirst().first
      self = .put(FilePath(bytes: arguments[0]), path)
    case "get":
      self = .get(
        try paths(1...1)[0], line.value(of: "output").map { FilePath(bytes: $0) }, isForced: line.contains("force"))
    case "list": self = .list(try paths(0...1).first ?? .root, isRecursive: isRecursive)
    case "stats":
      _ = try paths(0...0)
      self = .stats
    case "rename":
      let both = try paths(2...2)
      self = .rename(both[0], both[1])
    case "remove": self = .remove(try paths(1...Int.max), isRecursive: isRecursive)
    case "commit": self = .commit(try paths(0...1).first ?? .root)
    case "drop":
      _ = try paths(0...0)
      self = .drop
    default:
      throw Commands.unknown(word, among: StageAction.names, advice: "see 'help stage'")
    }
  }
}
