import Console
import StorageIO

/// One history by several processes in one store: two of this program that use the library, and two threads that run `pfs`.
struct ProcessHistory: Sendable {
  private static let libraryActorCount = 2
  private static let commandActorCount = 2
  private static let silenceSeconds = 60.0

  private let run: TortureRun
  private let stage: HistoryStage
  private let directoryName: String

  init(_ run: TortureRun, _ number: Int, _ storeNumber: Int) {
    self.run = run
    directoryName = "processes-\(storeNumber)-\(number)"
    let directory = run.workspace.file(directoryName)
    stage = HistoryStage(
      store: directory.appending("store"), scratch: directory, seed: run.settings.seed, caseNumber: number)
  }

  private struct State {
    var outcome = ThreadHistory.Outcome()
    var rebuildCount = 0
  }

  func judge() throws(BenchFailure) {
    try BenchFailure.translating { () throws(SystemCallFailure) in try Directory.make(stage.scratch) }
    try HistoryStore.make(at: stage.store)
    let state = Monitor(State())
    let count = ProcessHistory.libraryActorCount + ProcessHistory.commandActorCount
    try ParallelWork.run(count: count, workerCount: count, { () throws(BenchFailure) in }) {
      (_: Void, number) throws(BenchFailure) in
      if number < ProcessHistory.libraryActorCount {
        try actByLibrary(number, state)
      } else {
        try actByCommands(number, state)
      }
    }
    if let wrong = try DeadReaders(run: run, stage: stage).judge() { record(.inconsistent, wrong) }
    let found = state.withLock { $0 }
    for violation in found.outcome.violations { record(violation.kind, violation.message) }
    if let judgement = HistoryJudgement.of(found.outcome.events) { record(judgement.kind, judgement.message) }
    let wrong = HistoryStore.check(
      stage.store, scratch: stage.scratch, expected: found.outcome.remaining, highestID: found.outcome.highestID)
    for (kind, message) in wrong { record(kind, message) }
    run.count("histories")
    run.count("operations", found.outcome.operationCount)
    run.count("events", found.outcome.events.count)
    run.count("histories of processes")
    run.count("rebuilds in between", found.rebuildCount)
    run.count("bytes moved by compactions", found.outcome.movedByteCount)
    try run.workspace.remove(directoryName)
  }

  private func record(_ kind: Violation.Kind, _ message: String) {
    run.record(
      Violation(
        kind: kind, message: "history \(stage.caseNumber): \(message)", replay: run.replay("\(stage.caseNumber)")))
  }

  private func actByLibrary(_ number: Int, _ state: Monitor<State>) throws(BenchFailure) {
    var generator = stage.generator(ofActor: number + 2000)
    let operationCount = 20 + generator.below(40)
    let arguments = [
      "act", stage.store.description, stage.scratch.description, "\(stage.seed)", "\(stage.caseNumber)", "\(number)",
      "\(operationCount)",
    ]
    let worker = ConcurrentProcess(run, arguments)
    var hasEnded = false
    let outcome = try worker.forEachReport(silenceSeconds: ProcessHistory.silenceSeconds) { report in
      switch report {
      case .event(let event): state.withLock { $0.outcome.events.append(event) }
      case .violation(let kind, _, let message): state.withLock { $0.outcome.violations.append((kind, message)) }
      case .end: hasEnded = true
      case .moved(let byteCount): state.withLock { $0.outcome.movedByteCount += byteCount }
      case .history: break
      }
    }
    state.withLock { state in
      state.outcome.operationCount += operationCount
      if !hasEnded {
        state.outcome.violations.append(
          (worker.wasSilent(outcome) ? .hang : .crash, "a process \(ConcurrentProcess.ending(outcome))"))
      }
    }
  }

  private func actByCommands(_ number: Int, _ state: Monitor<State>) throws(BenchFailure) {
    var generator = stage.generator(ofActor: number + 2000)
    let actor = CommandActor(stage, number: number, pfs: run.settings.pfs, run.interruption)
    try actor.act(count: 6 + generator.below(8))
    state.withLock { state in
      state.outcome.events += actor.events
      state.outcome.violations += actor.violations
      state.outcome.operationCount += actor.operationCount
      state.outcome.movedByteCount += actor.movedByteCount
      state.rebuildCount += actor.rebuildCount
    }
  }
}
