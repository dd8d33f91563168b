import CommandSupport
import Console
import SegmentStore
import StorageIO

/// Random puts and deletes for many times what is alive, while the store compacts itself beside them, as it does in a
/// process that lives long. The disk is looked at after every operation.
struct RandomChurn: Sendable {
  private static let sourceByteCounts = 10...22
  private static let sourceCount = 24

  let settings: ChurnSettings
  let run: BenchRun

  func measure(into figures: inout FigureSet) throws(BenchFailure) {
    declare(in: &figures)
    var random = SplitMix64(seed: run.settings.seed)
    var sources: [(path: FilePath, byteCount: Int)] = []
    for number in 0..<RandomChurn.sourceCount {
      // As many between 1 and 2 KiB as between 2 and 4 MiB.
      let exponent = RandomChurn.sourceByteCounts.lowerBound + number % (RandomChurn.sourceByteCounts.count - 1)
      let byteCount = min((1 << exponent) + random.below(1 << exponent), settings.segmentByteCount)
      sources.append((try run.makeSource("source-\(number)", byteCount: byteCount), byteCount))
    }
    for runNumber in 1...run.settings.runCount {
      let store = try ChurnedStore("churned", settings, compacting: true, run)
      var state = ChurnState(random: random, segmentByteCount: settings.segmentByteCount)
      while state.putByteCount < settings.timesCount * settings.liveByteCount {
        try run.interruption.check()
        try step(&state, store, sources)
        try state.look(at: store)
      }
      add(state, run: runNumber, to: &figures)
      try store.remove()
      let worst = FixedPoint.text(state.worstRatio, decimals: 3)
      try run.note("run \(runNumber)/\(run.settings.runCount), churn: at most \(worst) bytes of disk for each alive")
    }
    for number in 0..<RandomChurn.sourceCount { try run.workspace.remove("source-\(number)") }
  }

  private func declare(in figures: inout FigureSet) {
    let times = "\(settings.timesCount) x \(ByteSize.text(settings.liveByteCount))"
    figures.declare(
      Figure(
        "churn", "\(times) of puts and deletes: most of (disk - a segment) / live", .times, target: .atMost(1.2)))
    figures.declare(Figure("churn_end", "the same at the end, segment included", .times))
    figures.declare(Figure("churn_put_median", "put while churning, median", .milliseconds))
    figures.declare(Figure("churn_put", "put while churning, p99", .milliseconds))
    figures.declare(Figure("churn_delete", "delete while churning, p99", .milliseconds))
  }

  private func add(_ state: ChurnState, run runNumber: Int, to figures: inout FigureSet) {
    figures.add("churn", run: runNumber, state.worstRatio)
    figures.add("churn_end", run: runNumber, state.lastRatio)
    figures.add("churn_put_median", run: runNumber, Spread(state.putMilliseconds)?.median ?? 0)
    figures.add("churn_put", run: runNumber, state.putMilliseconds.percentile(99))
    figures.add("churn_delete", run: runNumber, state.deleteMilliseconds.percentile(99))
  }

  private func step(
    _ state: inout ChurnState, _ store: ChurnedStore, _ sources: [(path: FilePath, byteCount: Int)]
  ) throws(BenchFailure) {
    let isFull = state.liveByteCount > settings.liveByteCount
    let isHalfEmpty = state.liveByteCount < settings.liveByteCount * 3 / 4
    let start = MonotonicClock.seconds()
    if isFull || (!isHalfEmpty && state.random.below(2) == 0) {
      let (id, byteCount) = state.files.remove(at: state.random.below(state.files.count))
      try store.delete(id)
      state.deleteMilliseconds.append((MonotonicClock.seconds() - start) * 1000)
      state.liveByteCount -= byteCount
    } else {
      let source = sources[state.random.below(sources.count)]
      let file = try store.put(source.path, as: "f\(state.putByteCount)")
      state.putMilliseconds.append((MonotonicClock.seconds() - start) * 1000)
      state.files.append((file.id, source.byteCount))
      state.liveByteCount += source.byteCount
      state.putByteCount += source.byteCount
    }
  }
}

/// What one run of the churn has, and has seen.
private struct ChurnState {
  var random: SplitMix64
  let segmentByteCount: Int
  var files: [(id: FileID, byteCount: Int)] = []
  var liveByteCount = 0
  var putByteCount = 0
  var putMilliseconds: [Double] = []
  var deleteMilliseconds: [Double] = []
  private(set) var worstRatio = 0.0
  private(set) var lastRatio = 0.0

  init(random: SplitMix64, segmentByteCount: Int) {
    self.random = random
    self.segmentByteCount = segmentByteCount
  }

  /// Compares what the segments take with what is alive in them; the one that a writer may have open is not counted.
  mutating func look(at store: ChurnedStore) throws(BenchFailure) {
    let spaces = try BenchFailure.translating { () throws(StoreError) in try store.store.segmentSpaces() }
    let diskByteCount = spaces.reduce(0) { sum, space in sum + space.diskByteCount }
    let liveByteCount = Double(max(1, spaces.reduce(0) { sum, space in sum + space.liveByteCount }))
    let ratio = Double(max(0, diskByteCount - segmentByteCount)) / liveByteCount
    worstRatio = max(worstRatio, ratio)
    lastRatio = Double(diskByteCount) / liveByteCount
  }
}

extension [Double] {
  /// The least value that so many in a hundred do not exceed; 0 of none.
  func percentile(_ percent: Int) -> Double {
    let sorted = sorted()
    guard !sorted.isEmpty else { return 0 }
    return sorted[Swift.min(sorted.count - 1, (sorted.count * percent + 99) / 100 - 1)]
  }
}
