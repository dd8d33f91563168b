import CommandSupport
import Console
import StorageIO

/// What was found in one state.
struct ExploreFinding: Sendable {
  let kind: Violation.Kind
  let found: ExploreCase
  let message: String

  func violation(_ run: TortureRun) -> Violation {
    Violation(kind: kind, message: message, replay: run.replay(found.text))
  }
}

/// Runs workers, one after another, and takes down what they say; one that dies or hangs has found something, and the
/// next goes on behind it.
struct ExploreProcess: Sendable {
  struct Outcome: Sendable {
    var counts: [(name: String, count: Int)] = []
    var found: [ExploreFinding] = []
    var hashes: [UInt64] = []
  }

  let directory: FilePath
  private let run: TortureRun

  /// So many workers may die of the states of one workload.
  private static let deathLimit = 3
  /// A state is looked at in milliseconds; so long a silence is one that hangs.
  private static let silenceSeconds = 30.0

  init(_ run: TortureRun, name: String) throws(BenchFailure) {
    self.run = run
    directory = run.workspace.path.appending(name)
    let path = directory
    try BenchFailure.translating { () throws(SystemCallFailure) in try Directory.make(path) }
  }

  /// Only this state.
  func explore(_ onlyCase: ExploreCase) throws(BenchFailure) -> Outcome {
    var task = ExploreTask(directory: directory, workload: onlyCase.workload, seed: run.settings.seed, stateCount: 1)
    task.onlyCase = onlyCase
    return try explore(task)
  }

  /// - Throws: `.failed` when a worker cannot work; `.interrupted`.
  func explore(_ task: ExploreTask) throws(BenchFailure) -> Outcome {
    var task = task
    task.directory = directory
    try forget("log")
    var outcome = Outcome()
    for _ in 0..<ExploreProcess.deathLimit {
      try forget("progress")
      let ending = try start(task, &outcome)
      if ending.exitStatus == 0 { break }
      if let finding = try finding(task, ending) {
        outcome.found.append(finding.finding)
        guard let number = finding.number, task.onlyCase == nil else { break }
        task.skippedCount = number
      }
    }
    outcome.hashes = try hashes()
    return outcome
  }

  private func start(_ task: ExploreTask, _ outcome: inout Outcome) throws(BenchFailure) -> ChildProcess.Outcome {
    var lines: [ExploreLine] = []
    let ending = try run.runPart(
      task.arguments.map { Array($0.utf8) }, silenceSeconds: ExploreProcess.silenceSeconds
    ) { line in
      if let line = ExploreLine(parsing: line) { lines.append(line) }
    }
    for line in lines {
      switch line {
      case .alive: break
      case .count(let name, let count): outcome.counts.append((name, count))
      case .violation(let kind, let text, let message):
        outcome.found.append(
          ExploreFinding(
            kind: kind, found: try ExploreCase(parsing: text, seed: run.settings.seed), message: message))
      }
    }
    return ending
  }

  /// What the end of a worker says of the state that it was at, and its number.
  private func finding(
    _ task: ExploreTask, _ ending: ChildProcess.Outcome
  ) throws(BenchFailure) -> (finding: ExploreFinding, number: Int?)? {
    let said =
      String(decoding: ending.standardError, as: UTF8.self)
      .split(separator: "\n").last.map { DisplayName.escaped(String($0)) } ?? ""
    if let status = ending.exitStatus {
      guard status == BenchFailure.Code.different.exitStatus else {
        let code: BenchFailure.Code = status == BenchFailure.Code.usage.exitStatus ? .usage : .failed
        throw BenchFailure(code, "torture \(ExploreTask.partName) ended with \(status): \(said)")
      }
      return (ExploreFinding(kind: .outcome, found: ExploreCase(task.workload, []), message: "no crash: \(said)"), nil)
    }
    let signal = ending.signal ?? 0
    guard let (number, text) = try progress() else {
      throw BenchFailure(
        .failed, "torture \(ExploreTask.partName) ended with signal \(signal) before its first state: \(said)")
    }
    let isHang = signal == ExploreProcess.killSignal
    let message =
      isHang
      ? "said nothing for \(Int(ExploreProcess.silenceSeconds)) s, or was killed"
      : "the process died of signal \(signal): \(said)"
    let found = try ExploreCase(parsing: text, seed: run.settings.seed)
    return (ExploreFinding(kind: isHang ? .hang : .crash, found: found, message: message), number)
  }

  private static let killSignal: Int32 = 9

  // MARK: Files of the worker

  private func forget(_ name: String) throws(BenchFailure) {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      try Directory.open(directory).removeFile(Array(name.utf8))
    }
  }

  private func progress() throws(BenchFailure) -> (number: Int, text: String)? {
    guard let bytes = try contents(of: "progress") else { return nil }
    let words = String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self).split(separator: "\t")
    guard words.count == 2, let number = Int(words[0]) else { return nil }
    return (number, String(words[1]))
  }

  private func hashes() throws(BenchFailure) -> [UInt64] {
    guard let bytes = try contents(of: "hashes") else { return [] }
    let reader = ByteReader(bytes)
    return stride(from: 0, to: bytes.count - bytes.count % 8, by: 8).map { reader.get($0) }
  }

  private func contents(of name: String) throws(BenchFailure) -> [UInt8]? {
    do throws(SystemCallFailure) {
      let file = try File.open(directory.appending(name))
      return try file.bytes(at: 0, byteCount: try file.status().byteCount)
    } catch {
      if error.isNotFound { return nil }
      throw BenchFailure(.failed, error.description)
    }
  }
}
