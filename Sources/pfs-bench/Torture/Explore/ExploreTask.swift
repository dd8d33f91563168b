import CommandSupport
import Console
import StorageIO

/// What a process that explores is told: one workload, or one case of it.
struct ExploreTask: Sendable {
  static let partName = "explore-worker"

  static let table = OptionTable([
    OptionTable.Option("directory", value: "DIR", help: "Where it works; there, and its own."),
    OptionTable.Option("workload", value: "TEXT", help: "What is done before the crashes."),
    OptionTable.Option("case", value: "CASE", help: "Only this state, of the workload in it."),
    OptionTable.Option("seed", value: "N", help: "Decides which states are looked at."),
    OptionTable.Option("states", value: "N", help: "The most states that are looked at."),
    OptionTable.Option("from", value: "N", help: "Only crashes after this operation was begun."),
    OptionTable.Option("skip", value: "N", help: "Goes over so many states: they have been looked at."),
    OptionTable.Option("stop", value: "N", help: "Ends after so many violations."),
    OptionTable.Option("blind", value: "TEXT", help: "As if nobody synced the files whose paths contain it."),
    OptionTable.Option("until", value: "SECONDS", help: "Ends when the monotonic clock says so."),
  ])

  var directory: FilePath
  var workload: Workload
  var onlyCase: ExploreCase?
  var seed: UInt64
  var stateCount: Int
  var firstOperation = 0
  var skippedCount = 0
  var violationLimit = 3
  var untilSeconds: Int?
  /// For tests of the explorer: see ``DurabilityModel/crashPoints(of:base:blindSpot:)``.
  var blindSpot: String?

  init(directory: FilePath, workload: Workload, seed: UInt64, stateCount: Int) {
    self.directory = directory
    self.workload = workload
    self.seed = seed
    self.stateCount = stateCount
  }

  init(_ arguments: [[UInt8]]) throws(BenchFailure) {
    let options = try BenchFailure.translating { () throws(UsageError) in
      try OptionParser.parse(arguments, table: ExploreTask.table, stopsAtFirstOperand: false)
    }
    func integer(_ name: String, _ standard: Int) throws(BenchFailure) -> Int {
      try BenchFailure.translating { () throws(UsageError) in
        try options.integer(of: name, in: 0...Int.max) ?? standard
      }
    }
    func text(_ name: String) throws(BenchFailure) -> String? {
      try BenchFailure.translating { () throws(UsageError) in try options.text(of: name) }
    }
    guard let directory = options.value(of: "directory") else {
      throw BenchFailure(.usage, "torture \(ExploreTask.partName): give --directory")
    }
    seed = UInt64(try integer("seed", 1))
    onlyCase = nil
    if let text = try text("case") { onlyCase = try ExploreCase(parsing: text, seed: seed) }
    if let onlyCase {
      workload = onlyCase.workload
    } else {
      workload = try Workload(parsing: try text("workload") ?? "init", seed: seed)
    }
    self.directory = FilePath(bytes: directory)
    stateCount = try integer("states", 1)
    firstOperation = try integer("from", 0)
    skippedCount = try integer("skip", 0)
    violationLimit = try integer("stop", 3)
    let until = try integer("until", 0)
    untilSeconds = until == 0 ? nil : until
    blindSpot = try text("blind")
  }

  var arguments: [String] {
    var words = [ExploreTask.partName, "--directory", directory.description, "--seed", "\(seed)"]
    if let onlyCase { words += ["--case", onlyCase.text] } else { words += ["--workload", workload.text] }
    words += ["--states", "\(stateCount)", "--from", "\(firstOperation)", "--skip", "\(skippedCount)"]
    words += ["--stop", "\(violationLimit)"]
    if let blindSpot { words += ["--blind", blindSpot] }
    if let untilSeconds { words += ["--until", "\(untilSeconds)"] }
    return words
  }

  // MARK: Where a worker says how it is getting on

  /// The case that is being looked at, with a newline behind it.
  var progressPath: FilePath { directory.appending("progress") }
  /// The hashes of all states, eight bytes each.
  var hashesPath: FilePath { directory.appending("hashes") }
}

/// A line that a worker writes to its standard output.
enum ExploreLine {
  /// It lives.
  case alive
  /// How often something was counted.
  case count(String, Int)
  case violation(Violation.Kind, case: String, message: String)

  var text: String {
    switch self {
    case .alive: "alive"
    case .count(let name, let count): "count\t\(count)\t\(name)"
    case .violation(let kind, let text, let message): "violation\t\(kind.rawValue)\t\(text)\t\(message)"
    }
  }

  init?(parsing line: [UInt8]) {
    let words = String(decoding: line, as: UTF8.self).split(
      separator: "\t", maxSplits: 3, omittingEmptySubsequences: false
    ).map(String.init)
    switch words.first {
    case "alive": self = .alive
    case "count":
      guard words.count == 3, let count = Int(words[1]) else { return nil }
      self = .count(words[2], count)
    case "violation":
      guard words.count == 4, let kind = Violation.Kind(rawValue: words[1]) else { return nil }
      self = .violation(kind, case: words[2], message: words[3])
    default: return nil
    }
  }
}
