import CommandSupport
import Console
import StorageIO
import Synchronization

/// A torture that goes on: its workspace, its budget, what it has counted and what it has found. For any thread.
final class TortureRun: Sendable {
  let settings: TortureSettings
  let layer: TortureLayer
  /// Made in the store directory, removed at the end.
  let workspace: Workspace
  let interruption: Interruption
  private let startSeconds = MonotonicClock.seconds()
  private let state = Mutex(State())

  private struct State {
    var caseCount = 0
    var figures: [(name: String, count: Int)] = []
    var violations: [Violation] = []
    var unmet: String?
    var lacksSpace = false
  }

  /// More than so many violations are counted, but not kept: the first ones say enough.
  private static let keptViolationCount = 100

  /// With less than this free, what is found may be for want of space in the workspace, and says nothing of a store: the
  /// stores that are made here have segments of a mebibyte or less.
  private static let leastFreeByteCount = 16 << 20

  private init(_ layer: TortureLayer, _ settings: TortureSettings, _ interruption: Interruption) throws(BenchFailure) {
    self.layer = layer
    self.settings = settings
    self.interruption = interruption
    workspace = try Workspace(in: settings.storeDirectory ?? FilePath(layer.defaultDirectory))
  }

  /// Runs `layer` and writes what it found.
  /// - Throws: `.different` when there is a violation.
  static func run(_ layer: TortureLayer, _ settings: TortureSettings) throws(BenchFailure) {
    let interruption = Interruption()
    try interruption.listen()
    let output = try settings.output.map { (path) throws(BenchFailure) in
      try BenchFailure.translating { () throws(SystemCallFailure) in
        try File.open(path, [.write, .create], mode: 0o644)
      }
    }
    let run = try TortureRun(layer, settings, interruption)
    let outcome: Result<Void, BenchFailure>
    do throws(BenchFailure) {
      try layer.run(run)
      outcome = .success(try run.requireSpace())
    } catch {
      outcome = .failure(error)
    }
    let report = run.report()
    do throws(BenchFailure) { try run.workspace.remove() } catch {
      // The failure that came first is the one to report.
      _ = try outcome.get()
      throw error
    }
    try outcome.get()
    try report.write(settings, output)
    guard report.violationCount == 0 else {
      throw BenchFailure(
        .different, "torture \(layer.name): \(TortureReport.text(violationCount: report.violationCount))")
    }
    // Nothing found where nothing was tried is no good news.
    if let unmet = run.state.withLock({ $0.unmet }) { throw BenchFailure(.failed, "torture \(layer.name): \(unmet)") }
    guard settings.replay != nil || report.caseCount > 0 else {
      throw BenchFailure(.failed, "torture \(layer.name): the budget was used up before a case was tried")
    }
  }

  /// The number of the next case, from 0 on; nil when the budget, or this share of it, is used up.
  /// - Throws: `.interrupted`.
  func nextCase(share: Double = 1) throws(BenchFailure) -> Int? {
    try interruption.check()
    try requireSpace()
    let seconds = MonotonicClock.seconds() - startSeconds
    return state.withLock { state in
      switch settings.budget {
      case .seconds(let limit): guard seconds < limit * share else { return nil }
      case .cases(let limit): guard Double(state.caseCount) < Double(limit) * share else { return nil }
      }
      defer { state.caseCount += 1 }
      return state.caseCount
    }
  }

  /// Adds cases that processes of their own have tried, without ``nextCase()``.
  func countCases(_ count: Int) { state.withLock { $0.caseCount += count } }

  var violationCount: Int { state.withLock { $0.violations.count } }

  /// The cases so far.
  var caseCount: Int { state.withLock { $0.caseCount } }

  /// Counts cases that somebody else has numbered.
  func addCases(_ count: Int) { state.withLock { state in state.caseCount += count } }

  /// Seconds since the torture began.
  var seconds: Double { MonotonicClock.seconds() - startSeconds }

  /// Adds to a figure of the report; figures stand there in the order in which they were first counted.
  func count(_ name: String, _ count: Int = 1) {
    state.withLock { state in
      if let index = state.figures.firstIndex(where: { $0.name == name }) {
        state.figures[index].count += count
      } else {
        state.figures.append((name, count))
      }
    }
  }

  /// - Throws: `.failed` when something was found while there was no space left to make stores in.
  func requireSpace() throws(BenchFailure) {
    guard state.withLock({ $0.lacksSpace }) else { return }
    throw BenchFailure(
      .failed,
      "torture \(layer.name): no space: stores need more than \(TortureRun.leastFreeByteCount >> 20) MiB free in "
        + "'\(workspace.path.parent)'; --store-dir names another directory")
  }

  /// Whether there is space to make stores in; if not, ``requireSpace()`` throws from now on. For when something was found.
  func hasSpace() -> Bool {
    let freeByteCount: Int
    // Where the system does not say there is no excuse for what was found.
    do throws(SystemCallFailure) { freeByteCount = try FileSystem.freeByteCount(at: workspace.path) } catch {
      freeByteCount = .max
    }
    if freeByteCount >= TortureRun.leastFreeByteCount { return true }
    state.withLock { state in state.lacksSpace = true }
    return false
  }

  /// Keeps what was found, and says it on standard error at once; where there is no space, keeps only that.
  func record(_ violation: Violation) {
    guard hasSpace() else { return }
    let isKept = state.withLock { state in
      state.violations.append(violation)
      return state.violations.count <= TortureRun.keptViolationCount
    }
    guard isKept else { return }
    do throws(ConsoleFailure) { try StandardStreams.write("\(violation)\n", to: .error) } catch {}
  }

  /// Keeps why a case that was to be replayed did not come to pass: a failure, unless there is a violation all the same.
  func recordUnmet(_ why: String) { state.withLock { state in state.unmet = why } }

  /// The generator of one case: the same whatever ran before it.
  func generator(of caseNumber: Int) -> SplitMix64 {
    var mixed = SplitMix64(seed: settings.seed)
    return SplitMix64(seed: mixed.next() &+ UInt64(caseNumber))
  }

  /// Cases in an order of the seed's, so that a small budget meets a bit of everything.
  func shuffled<Case>(_ cases: [Case]) -> [Case] {
    var generator = SplitMix64(seed: settings.seed)
    return generator.shuffled(cases)
  }

  /// The options and the case that show a violation again.
  func replay(_ text: String) -> String {
    command(of: layer) + " --replay \(ShellWord.quoted(Array(text.utf8)))"
  }

  /// A command that runs `layer` as this run was told to.
  func command(of layer: TortureLayer) -> String {
    var command = "pfs-bench torture \(layer.name) --seed \(settings.seed)"
    if let pfs = settings.givenPFS, layer.runsPFS { command += " --pfs \(ShellWord.quoted(pfs.bytes))" }
    if let directory = settings.storeDirectory { command += " --store-dir \(ShellWord.quoted(directory.bytes))" }
    return command
  }

  private func report() -> TortureReport {
    let state = state.withLock { state in state }
    return TortureReport(
      layer: layer.name, seed: settings.seed, machine: Machine(directory: workspace.path), seconds: seconds,
      caseCount: state.caseCount, figures: state.figures, violationCount: state.violations.count,
      violations: Array(state.violations.prefix(TortureRun.keptViolationCount)))
  }
}
