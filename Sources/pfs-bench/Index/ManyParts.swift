import Console
import SegmentStore
import StorageIO

/// A store with very many parts: how long it takes to open, to make anew, and to delete from.
struct ManyParts: Sendable {
  /// The smallest that pfs allows.
  static let partByteCount = 4 << 10
  /// So short a time is measured as the median of several.
  private static let repetitionCount = 10

  let partCount: Int
  let run: BenchRun

  private var store: FilePath { run.workspace.file("many") }
  private var emptyStore: FilePath { run.workspace.file("empty") }

  func measure(into figures: inout FigureSet) throws(BenchFailure) {
    declare(in: &figures)
    try prepare()
    for runNumber in 1...run.settings.runCount {
      try run.interruption.check()
      let library = try alternating(
        runNumber, { () throws(BenchFailure) in try openMilliseconds(store) },
        { () throws(BenchFailure) in try openMilliseconds(emptyStore) })
      figures.add(
        "open_library", run: runNumber, library)
      let program = try alternating(
        runNumber, { () throws(BenchFailure) in try listMilliseconds(store, &figures) },
        { () throws(BenchFailure) in try listMilliseconds(emptyStore, &figures) })
      figures.add(
        "open_program", run: runNumber, program)
      try run.note(
        "run \(runNumber)/\(run.settings.runCount), \(partCount) parts: open "
          + "\(FixedPoint.text(library.value, decimals: 2)) ms, as a program \(FixedPoint.text(program.value, decimals: 2)) ms"
      )
    }
    // Once: each takes long and changes the store.
    let rebuild = try run.program.run(["rebuild"], store: store)
    figures.watch(rebuild)
    figures.add("rebuild_parts", run: 1, Double(partCount) / rebuild.outcome.wallSeconds)
    let delete = try run.program.run(["delete", "zeros"], store: store)
    figures.watch(delete)
    figures.add("delete_parts", run: 1, Double(partCount) / delete.outcome.wallSeconds)
    try run.workspace.remove("many", "empty")
  }

  private func declare(in figures: inout FigureSet) {
    figures.declare(
      Figure(
        "open_library", "open and close in a process, \(partCount) parts", .milliseconds, beside: "an empty store",
        target: .atMost(20)))
    figures.declare(
      Figure(
        "open_program", "'pfs list', one file of \(partCount) parts", .milliseconds, beside: "an empty store",
        target: .atMost(20)))
    figures.declare(Figure("rebuild_parts", "'pfs rebuild', \(partCount) parts", .partsPerSecond))
    figures.declare(Figure("delete_parts", "'pfs delete' of \(partCount) parts", .partsPerSecond))
  }

  /// Parts of zeros take no payload: the index is as large as with any other bytes, and made in less time.
  private func prepare() throws(BenchFailure) {
    try run.note("storing \(partCount) parts")
    let zeros = run.workspace.file("zeros")
    try BenchFailure.translating { () throws(SystemCallFailure) in
      try File.open(zeros, [.write, .createNew]).truncate(to: partCount * ManyParts.partByteCount)
    }
    _ = try run.program.run(
      ["put", "--part-size", "\(ManyParts.partByteCount)", "--"], store: store, operands: [zeros.bytes])
    _ = try run.program.run(["init"], store: emptyStore)
    try run.workspace.remove("zeros")
  }

  private func openMilliseconds(_ path: FilePath) throws(BenchFailure) -> Double {
    try ManyParts.median { () throws(BenchFailure) in
      try BenchFailure.translating { () throws(StoreError) in
        let start = MonotonicClock.seconds()
        try Store(at: path).close()
        return (MonotonicClock.seconds() - start) * 1000
      }
    }
  }

  private func listMilliseconds(_ path: FilePath, _ figures: inout FigureSet) throws(BenchFailure) -> Double {
    try ManyParts.median { () throws(BenchFailure) in
      let list = try run.program.run(["list"], store: path)
      figures.watch(list)
      return list.outcome.wallSeconds * 1000
    }
  }

  /// The median of several measurements.
  static func median(_ measure: () throws(BenchFailure) -> Double) throws(BenchFailure) -> Double {
    var values: [Double] = []
    for _ in 0..<repetitionCount { values.append(try measure()) }
    return Spread(values)?.median ?? 0
  }
}
