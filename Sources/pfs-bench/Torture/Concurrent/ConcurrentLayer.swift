import Console
import SegmentStore
import StorageIO
import Synchronization

/// Threads and processes that put, get, delete, list and verify in one store at once, on few names so that they meet; every
/// history of what they saw must have an explanation.
enum ConcurrentLayer {
  static let layer = TortureLayer(
    "concurrent", "threads and processes in one store at once; histories are checked for linearizability",
    in: "/dev/shm", runsPFS: true, run)

  /// Histories that share a store, by a process of their own: it costs less than a store for each, and a process that dies
  /// or hangs costs no more than these.
  private static let batchCount = 16
  /// One history in so many is of processes.
  private static let processStride = 16
  private static let silenceSeconds = 60.0
  /// What a replay tries, since no two runs are the same.
  private static let replayCount = 200

  private static func run(_ run: TortureRun) throws(BenchFailure) {
    if let text = run.settings.replay { return try replay(text, run) }
    let nextStore = Atomic(0)
    try ParallelWork.run(
      count: run.settings.workerCount, workerCount: run.settings.workerCount, { () throws(BenchFailure) in }
    ) { (_: Void, _) throws(BenchFailure) in
      while true {
        let storeNumber = nextStore.wrappingAdd(1, ordering: .relaxed).oldValue
        var threadCases: [Int] = []
        var processCases: [Int] = []
        while threadCases.count < batchCount, let number = try run.nextCase() {
          // The first of all is by threads, so that a short run has both.
          if number % processStride == processStride - 1 {
            processCases.append(number)
          } else {
            threadCases.append(number)
          }
        }
        if threadCases.isEmpty && processCases.isEmpty { return }
        if !threadCases.isEmpty { try histories(threadCases, storeNumber, run) }
        for number in processCases { try ProcessHistory(run, number, storeNumber).judge() }
      }
    }
    for name in ["histories", "operations", "events", "bytes moved by compactions"] { run.count(name, 0) }
  }

  /// Has a process run these histories by threads, one after another in one store.
  private static func histories(_ cases: [Int], _ storeNumber: Int, _ run: TortureRun) throws(BenchFailure) {
    let directory = run.workspace.file("threads-\(storeNumber)")
    try BenchFailure.translating { () throws(SystemCallFailure) in try Directory.make(directory) }
    let list = cases.map(String.init).joined(separator: ",")
    let arguments = [
      "histories", directory.appending("store").description, directory.description, "\(run.settings.seed)", list,
    ]
    let done = Mutex<(count: Int, hasEnded: Bool)>((0, false))
    let worker = ConcurrentProcess(run, arguments)
    let outcome = try worker.forEachReport(silenceSeconds: silenceSeconds) { report in
      switch report {
      case .history(_, let eventCount, let operationCount, let refusedCount, let movedByteCount):
        run.count("histories")
        run.count("operations", operationCount)
        run.count("events", eventCount)
        run.count("puts that a quota refused", refusedCount)
        run.count("bytes moved by compactions", movedByteCount)
        done.withLock { $0.count += 1 }
      case .violation(let kind, let number, let message):
        run.record(Violation(kind: kind, message: "history \(number): \(message)", replay: run.replay("\(number)")))
      case .end: done.withLock { $0.hasEnded = true }
      case .event, .moved: break
      }
    }
    let (count, hasEnded) = done.withLock { $0 }
    if !hasEnded {
      let number = cases[min(count, cases.count - 1)]
      run.record(
        Violation(
          kind: worker.wasSilent(outcome) ? .hang : .crash,
          message: "history \(number): the process \(ConcurrentProcess.ending(outcome))",
          replay: run.replay("\(number)")))
    }
    try run.workspace.remove("threads-\(storeNumber)")
  }

  private static func replay(_ text: String, _ run: TortureRun) throws(BenchFailure) {
    guard let number = UInt32(text).map({ Int($0) }) else {
      throw BenchFailure(.usage, "torture: '--replay \(text)' is not the number of a history")
    }
    for attempt in 0..<replayCount {
      guard try run.nextCase() != nil else { return }
      if number % processStride == processStride - 1 {
        try ProcessHistory(run, number, attempt).judge()
      } else {
        try histories([number], attempt, run)
      }
    }
  }
}

/// A worker of the layer `concurrent`, and what it says.
struct ConcurrentProcess: Sendable {
  private let run: TortureRun
  private let arguments: [String]

  init(_ run: TortureRun, _ arguments: [String]) {
    self.run = run
    self.arguments = arguments
  }

  func forEachReport(
    silenceSeconds: Double, _ body: (ConcurrentReport) -> Void
  ) throws(BenchFailure) -> ChildProcess.Outcome {
    let words = [ConcurrentWorker.name] + arguments
    return try run.runPart(words.map { Array($0.utf8) }, silenceSeconds: silenceSeconds) { line in
      if let report = ConcurrentReport(parsing: line) { body(report) }
    }
  }

  /// Whether it was killed for saying nothing.
  func wasSilent(_ outcome: ChildProcess.Outcome) -> Bool { outcome.signal == ConcurrentProcess.killSignal }

  private static let killSignal: Int32 = 9

  static func ending(_ outcome: ChildProcess.Outcome) -> String {
    let error = String(decoding: outcome.standardError.suffix(2000), as: UTF8.self)
    if outcome.signal == killSignal { return "said nothing for a minute, and was killed: \(error)" }
    if let signal = outcome.signal { return "ended by signal \(signal): \(error)" }
    return "ended with exit status \(outcome.exitStatus ?? -1): \(error)"
  }
}
