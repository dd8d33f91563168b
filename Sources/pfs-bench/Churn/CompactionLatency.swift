import CommandSupport
import Console
import SegmentStore
import StorageIO

/// Small gets and puts while a compaction runs, in a thread of the same process and in another process, beside the same
/// while none does.
struct CompactionLatency: Sendable {
  private enum Compactor: String, CaseIterable, Sendable {
    case thread, process

    var title: String { self == .thread ? "a thread" : "another process" }
  }

  let settings: ChurnSettings
  let run: BenchRun

  func measure(into figures: inout FigureSet) throws(BenchFailure) {
    for compactor in Compactor.allCases {
      for operation in ["get", "put"] {
        figures.declare(
          Figure(
            "latency_\(operation)_\(compactor)", "\(operation) of 4 KiB while \(compactor.title) compacts, p99",
            .milliseconds, beside: "none does", target: .atMostRatio(2)))
      }
    }
    let small = try run.makeSource("small", byteCount: ChurnSettings.smallFileByteCount)
    for runNumber in 1...run.settings.runCount {
      for compactor in Compactor.allCases {
        let thinned = try ThinnedStore(settings, .manyFiles, run)
        let ground = Ground(thinned: thinned, small: small, smallFiles: try thinned.store.put(small, count: 64))
        let idle = { () throws(BenchFailure) in try operate(ground, compactor: nil) }
        let busy = { () throws(BenchFailure) in try operate(ground, compactor: compactor) }
        let isIdleFirst = runNumber.isMultiple(of: 2)
        let first = try isIdleFirst ? idle() : busy()
        let second = try isIdleFirst ? busy() : idle()
        for (operation, times) in [("get", \Latencies.getMilliseconds), ("put", \Latencies.putMilliseconds)] {
          let (first, second) = (first[keyPath: times].percentile(99), second[keyPath: times].percentile(99))
          let name = "latency_\(operation)_\(compactor)"
          let both = Comparison(
            value: isIdleFirst ? second : first, peer: isIdleFirst ? first : second, peerWasFirst: isIdleFirst)
          figures.add(name, run: runNumber, both)
          try run.note(
            "run \(runNumber)/\(run.settings.runCount), \(name): \(FixedPoint.text(both.value, decimals: 2)) ms, idle: "
              + "\(FixedPoint.text(both.peer, decimals: 2)) ms")
        }
        try thinned.remove()
      }
    }
    try run.workspace.remove("small")
  }

  /// As many gets and puts, in turn, as are wanted; beside a compaction only those count that had one beside them.
  private func operate(_ ground: Ground, compactor: Compactor?) throws(BenchFailure) -> Latencies {
    var latencies = Latencies()
    let output = try ChurnedStore.nowhere()
    let compactions = Compactions()
    let thread = try compactor.map { (compactor) throws(BenchFailure) in
      try BenchFailure.translating { () throws(SystemCallFailure) in
        try SystemThread { compactions.run { () throws(BenchFailure) in try compact(ground, compactor, compactions) } }
      }
    }
    defer {
      compactions.stop()
      thread?.join()
    }
    var number = 0
    while latencies.putMilliseconds.count < settings.operationCount {
      try run.interruption.check()
      try compactions.checkRunning()
      let before = compactions.moment
      let start = MonotonicClock.seconds()
      try ground.store.get(ground.smallFiles[number % ground.smallFiles.count], to: output)
      let middle = MonotonicClock.seconds()
      let between = compactions.moment
      let stored = try ground.store.put(ground.small, as: "small")
      let end = MonotonicClock.seconds()
      let after = compactions.moment
      try ground.store.delete(stored.id)
      number += 1
      if compactor == nil || before.isBeside(between) { latencies.getMilliseconds.append((middle - start) * 1000) }
      if compactor == nil || between.isBeside(after) { latencies.putMilliseconds.append((end - middle) * 1000) }
    }
    return latencies
  }

  /// One compaction after the other; before each so much dies in every segment that all of it has to move.
  private func compact(_ ground: Ground, _ compactor: Compactor, _ compactions: Compactions) throws(BenchFailure) {
    while !compactions.isStopped {
      try ground.thinned.thinOut()
      try compactions.mark { () throws(BenchFailure) in
        switch compactor {
        case .thread: _ = try ground.store.compact(to: 1)
        case .process: _ = try run.program.run(["compact", "--target", "1"], store: ground.store.path)
        }
      }
    }
  }
}

private struct Latencies: Sendable {
  var getMilliseconds: [Double] = []
  var putMilliseconds: [Double] = []
}

/// A store with much to move in it, and small files to get.
private struct Ground: Sendable {
  let thinned: ThinnedStore
  let small: FilePath
  let smallFiles: [FileID]

  var store: ChurnedStore { thinned.store }
}

/// When compactions ran, for those who were beside them.
private final class Compactions: Sendable {
  struct Moment: Sendable {
    var isRunning = false
    var begunCount = 0

    /// Whether one ran at some time between this moment and a later one.
    func isBeside(_ later: Moment) -> Bool { isRunning || later.begunCount != begunCount }
  }

  private struct State {
    var moment = Moment()
    var isStopped = false
    var failure: BenchFailure?
  }

  private let state = Monitor(State())

  var moment: Moment { state.withLock { $0.moment } }
  var isStopped: Bool { state.withLock { $0.isStopped } }

  func stop() { state.withLock { $0.isStopped = true } }

  func checkRunning() throws(BenchFailure) { if let failure = state.withLock({ $0.failure }) { throw failure } }

  func run(_ body: () throws(BenchFailure) -> Void) {
    do throws(BenchFailure) { try body() } catch { state.withLock { $0.failure = error } }
  }

  func mark(_ compact: () throws(BenchFailure) -> Void) throws(BenchFailure) {
    state.withLock { state in
      state.moment.begunCount += 1
      state.moment.isRunning = true
    }
    defer { state.withLock { $0.moment.isRunning = false } }
    try compact()
  }
}
