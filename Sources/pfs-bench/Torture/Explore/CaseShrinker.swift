import Console

/// Makes a case that shows a violation as small as it will go: fewer operations, less that is lost.
struct CaseShrinker {
  private let run: TortureRun
  private let process: ExploreProcess
  private var best: ExploreFinding
  private let endSeconds: Double

  private static let limitSeconds = 60.0
  /// Of a shorter workload, so many states are looked at for the same violation.
  private static let searchedStateCount = 400
  private static let attemptCount = 3

  init(_ run: TortureRun, _ process: ExploreProcess, _ found: ExploreFinding) {
    self.run = run
    self.process = process
    best = found
    endSeconds = MonotonicClock.seconds() + CaseShrinker.limitSeconds
  }

  /// - Returns: The smallest case that was found and shows the violation; the first one, if it does not show again.
  func shrunk() throws(BenchFailure) -> ExploreFinding {
    var shrinker = self
    guard try shrinker.showsAgain() else {
      return ExploreFinding(kind: best.kind, found: best.found, message: best.message + " [did not show again]")
    }
    if best.found.crashes.isEmpty { return try shrinker.withFewerOperations() }
    try shrinker.cutOperationsBehind()
    try shrinker.simplifyState()
    let finding = try shrinker.withFewerOperations()
    shrinker.best = finding
    try shrinker.simplifyState()
    return shrinker.best
  }

  private var isOver: Bool { MonotonicClock.seconds() > endSeconds }

  private func showsAgain() throws(BenchFailure) -> Bool {
    for _ in 0..<CaseShrinker.attemptCount {
      if try finding(of: best.found) != nil { return true }
    }
    return false
  }

  /// The violation of the same kind that `other` shows.
  private func finding(of other: ExploreCase) throws(BenchFailure) -> ExploreFinding? {
    do throws(BenchFailure) {
      return try process.explore(other).found.first { $0.kind == best.kind }
    } catch {
      // A case of another log has other points and things.
      if error.code == .interrupted { throw error }
      return nil
    }
  }

  private mutating func takes(_ other: ExploreCase) throws(BenchFailure) -> Bool {
    if isOver { return false }
    guard let finding = try finding(of: other) else { return false }
    best = finding
    return true
  }

  // MARK: Operations

  /// What comes after the crash has no say in it.
  private mutating func cutOperationsBehind() throws(BenchFailure) {
    var (low, high) = (1, best.found.workload.operations.count)
    while low < high {
      let middle = (low + high) / 2
      let workload = best.found.workload.keeping { $0 < middle }
      if try takes(ExploreCase(workload, best.found.crashes)) { high = middle } else { low = middle + 1 }
    }
  }

  /// Leaves operations out as long as one of the states of the rest shows the violation.
  private mutating func withFewerOperations() throws(BenchFailure) -> ExploreFinding {
    var chunk = max(1, (best.found.workload.operations.count - 1) / 2)
    while true {
      var end = best.found.workload.operations.count
      while end > 1 {
        let start = max(1, end - chunk)
        let workload = best.found.workload.keeping { !(start..<end).contains($0) }
        if !isOver, let finding = try search(workload) { best = finding }
        end = min(start, best.found.workload.operations.count)
      }
      if chunk == 1 || isOver { return best }
      chunk /= 2
    }
  }

  private func search(_ workload: Workload) throws(BenchFailure) -> ExploreFinding? {
    var task = ExploreTask(
      directory: process.directory, workload: workload, seed: run.settings.seed,
      stateCount: CaseShrinker.searchedStateCount)
    task.violationLimit = 1
    do throws(BenchFailure) {
      return try process.explore(task).found.first { $0.kind == best.kind }
    } catch {
      if error.code == .interrupted { throw error }
      return nil
    }
  }

  // MARK: What is lost

  /// Has as many things as will go as they would be without a loss, or else as they were before; of each crash.
  private mutating func simplifyState() throws(BenchFailure) {
    for index in best.found.crashes.indices {
      let choice = best.found.crashes[index].choice
      if !choice.tears.isEmpty { _ = try takes(index, choice.picks, tears: []) }
      let usual = [StateChoice.Pick](repeating: .newest, count: choice.picks.count)
      let none = [StateChoice.Pick](repeating: .oldest, count: choice.picks.count)
      if try takes(index, usual, tears: []) { continue }
      if try takes(index, none, tears: []) { continue }
      var chunk = max(1, choice.picks.count / 2)
      while !isOver {
        for start in stride(from: 0, to: choice.picks.count, by: chunk) {
          var picks = best.found.crashes[index].choice.picks
          let range = start..<min(start + chunk, picks.count)
          if picks[range].allSatisfy({ $0 == .newest }) { continue }
          for thing in range { picks[thing] = .newest }
          _ = try takes(index, picks, tears: best.found.crashes[index].choice.tears)
        }
        if chunk == 1 { break }
        chunk /= 2
      }
    }
  }

  private mutating func takes(
    _ index: Int, _ picks: [StateChoice.Pick], tears: [StateChoice.Tear]
  ) throws(BenchFailure) -> Bool {
    var other = best.found
    let crash = other.crashes[index]
    other.crashes[index] = ExploreCase.Crash(
      point: crash.point, choice: StateChoice(crash.choice.model, picks, tears: tears))
    return other == best.found ? false : try takes(other)
  }
}

extension Workload {
  /// Those operations whose numbers `isKept` says.
  func keeping(_ isKept: (Int) -> Bool) -> Workload {
    Workload(seed: seed, operations: operations.indices.filter(isKept).map { operations[$0] })
  }
}
