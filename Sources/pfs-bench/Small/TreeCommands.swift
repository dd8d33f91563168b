import Console
import StorageIO

/// `put -r`, `get -r`, `list` and `delete -r` of a tree of small files, as programs.
struct TreeCommands: Sendable {
  let tree: SmallFiles
  let run: BenchRun

  private var store: FilePath { run.workspace.file("store") }

  func measure(into figures: inout FigureSet) throws(BenchFailure) {
    let files = "\(tree.fileCount) files"
    figures.declare(Figure("put_tree", "'pfs put -r'", .filesPerSecond, beside: "durable copies"))
    figures.declare(Figure("get_tree", "'pfs get -r'", .filesPerSecond, beside: "durable copies"))
    figures.declare(Figure("list", "'pfs list', \(files)", .filesPerSecond))
    figures.declare(Figure("list_milliseconds", "'pfs list', \(files), whole", .milliseconds))
    figures.declare(Figure("list_memory", "'pfs list', \(files), peak RssAnon", .mebibytes))
    figures.declare(Figure("delete_tree", "'pfs delete -r'", .filesPerSecond))
    for runNumber in 1...run.settings.runCount {
      let put = try alternating(
        runNumber, { () throws(BenchFailure) in try timed(["put", "-r", "--"], [tree.root.bytes], &figures) }, copySpeed
      )
      figures.add("put_tree", run: runNumber, put)
      let restored = run.workspace.file("restored")
      let get = try alternating(
        runNumber,
        { () throws(BenchFailure) in
          let speed = try timed(["get", "-r", "tree", "-o"], [restored.bytes], &figures)
          try tree.requireEqual(restored, workerCount: run.settings.workerCount, run.interruption)
          try run.workspace.remove("restored")
          return speed
        }, copySpeed)
      figures.add("get_tree", run: runNumber, get)
      try measureList(runNumber, &figures)
      figures.add("delete_tree", run: runNumber, try timed(["delete", "-r", "tree"], [], &figures))
      try run.workspace.remove("store")
      try run.note(
        "run \(runNumber)/\(run.settings.runCount), \(files): put \(text(put.value)), get \(text(get.value))")
    }
  }

  private func text(_ speed: Double) -> String { "\(FixedPoint.text(speed, decimals: 0)) files/s" }

  private func measureList(_ runNumber: Int, _ figures: inout FigureSet) throws(BenchFailure) {
    var list = try run.program.run(["list"], store: store)
    // One that was over before its memory could be looked at says nothing of it.
    for _ in 0..<100 where list.outcome.peakAnonymousByteCount == 0 {
      list = try run.program.run(["list"], store: store)
    }
    guard list.outcome.peakAnonymousByteCount > 0 else {
      throw BenchFailure(.failed, "the memory of 'pfs list' could not be seen")
    }
    figures.watch(list)
    figures.add("list", run: runNumber, Double(tree.fileCount) / list.outcome.wallSeconds)
    figures.add("list_milliseconds", run: runNumber, list.outcome.wallSeconds * 1000)
    figures.add("list_memory", run: runNumber, Double(list.outcome.peakAnonymousByteCount) / 1_048_576)
  }

  /// Files a second of one command for all files.
  private func timed(
    _ words: [String], _ operands: [[UInt8]], _ figures: inout FigureSet
  ) throws(BenchFailure) -> Double {
    let command = try run.program.run(words, store: store, operands: operands)
    figures.watch(command)
    return Double(tree.fileCount) / command.outcome.wallSeconds
  }

  private func copySpeed() throws(BenchFailure) -> Double {
    let copy = run.workspace.file("copy")
    let seconds = try tree.copySeconds(to: copy, workerCount: run.settings.workerCount, run.interruption)
    try run.workspace.remove("copy")
    return Double(tree.fileCount) / seconds
  }
}
