import Console
import SegmentStore
import StorageIO

/// Threads of one process that each put one file after the other, every one durable, beside one thread that does.
struct GroupCommit: Sendable {
  let writerCount: Int
  let tree: SmallFiles
  let run: BenchRun

  func measure(into figures: inout FigureSet) throws(BenchFailure) {
    figures.declare(
      Figure(
        "group_commit", "\(writerCount) writers, each file durable", .filesPerSecond, beside: "one writer",
        target: .atLeastRatio(4)))
    for runNumber in 1...run.settings.runCount {
      let speeds = try alternating(
        runNumber,
        { () throws(BenchFailure) in try filesPerSecond(writerCount: writerCount, fileCount: tree.fileCount) },
        // As many files as each of the many puts, so that neither side takes much longer.
        { () throws(BenchFailure) in try filesPerSecond(writerCount: 1, fileCount: tree.fileCount / writerCount) })
      figures.add("group_commit", run: runNumber, speeds)
      try run.note(
        "run \(runNumber)/\(run.settings.runCount), \(writerCount) writers: "
          + "\(FixedPoint.text(speeds.value, decimals: 0)) files/s, one: \(FixedPoint.text(speeds.peer, decimals: 0))")
    }
  }

  /// The speed of puts into a new store, in which something was stored before.
  private func filesPerSecond(writerCount: Int, fileCount: Int) throws(BenchFailure) -> Double {
    let path = run.workspace.file("commits")
    let store = try BenchFailure.translating { () throws(StoreError) in
      try Store.create(at: path)
      let store = try Store(at: path)
      _ = try store.put(.file(tree.path(0)), as: try FileName(Array("first".utf8)))
      return store
    }
    let start = MonotonicClock.seconds()
    try ParallelWork.run(count: fileCount, workerCount: writerCount, { () throws(BenchFailure) in }) {
      (_: Void, number) throws(BenchFailure) in
      try run.interruption.check()
      try BenchFailure.translating { () throws(StoreError) in
        _ = try store.put(.file(tree.path(number)), as: try FileName(Array("f\(number)".utf8)))
      }
    }
    let seconds = MonotonicClock.seconds() - start
    try BenchFailure.translating { () throws(StoreError) in try store.close() }
    try run.workspace.remove("commits")
    return Double(fileCount) / seconds
  }
}
