import CommandSupport
import Console
import SegmentStore
import StorageIO

/// `pfs delete` of one large file beside `rm` of a file of as many bytes, and how soon the delete is durable.
struct LargeDelete: Sendable {
  let byteCount: Int
  let run: BenchRun

  private var store: FilePath { run.workspace.file("store") }
  private var file: FilePath { run.workspace.file("large") }

  func measure(into figures: inout FigureSet) throws(BenchFailure) {
    let size = ByteSize.text(byteCount)
    figures.declare(
      Figure("delete_large", "'pfs delete' of \(size)", .milliseconds, beside: "rm", target: .atMostRatio(1.3)))
    figures.declare(
      Figure("delete_large_answer", "delete of \(size) in a process, until durable", .milliseconds, target: .atMost(20))
    )
    for runNumber in 1...run.settings.runCount {
      try prepare()
      let times = try alternating(
        runNumber,
        { () throws(BenchFailure) in
          let delete = try run.program.run(["delete", "large"], store: store)
          figures.watch(delete)
          return delete.outcome.wallSeconds * 1000
        },
        { () throws(BenchFailure) in try run.removeMilliseconds(file, recursive: false) })
      figures.add("delete_large", run: runNumber, times)
      let answer = try answerMilliseconds()
      figures.add("delete_large_answer", run: runNumber, answer)
      try run.workspace.remove("store")
      try run.note(
        "run \(runNumber)/\(run.settings.runCount), delete of \(size): "
          + "\(FixedPoint.text(times.value, decimals: 1)) ms, "
          + "rm: \(FixedPoint.text(times.peer, decimals: 1)) ms, answer: \(FixedPoint.text(answer, decimals: 1)) ms"
      )
    }
  }

  /// A file, and a store that has it twice, as it is: one for each measurement.
  private func prepare() throws(BenchFailure) {
    try BenchCorpus(.compressible, seed: run.settings.seed)
      .write(byteCount, to: file, workerCount: run.settings.workerCount, run.interruption)
    for name in ["large", "answered"] {
      _ = try run.program.run(["put", "--codec", "stored", "--name", name, "--"], store: store, operands: [file.bytes])
    }
  }

  /// The call of the library that returns when the file is gone for good.
  private func answerMilliseconds() throws(BenchFailure) -> Double {
    try BenchFailure.translating { () throws(StoreError) in
      let store = try Store(at: store)
      var milliseconds = 0.0
      var options = DeleteOptions()
      options.waitsForSpace = false
      for file in try store.files(named: FileName(Array("answered".utf8))) {
        let start = MonotonicClock.seconds()
        try store.delete(file.id, options)
        milliseconds = (MonotonicClock.seconds() - start) * 1000
      }
      try store.close()
      return milliseconds
    }
  }
}

/// `pfs delete -r` of a tree of small files beside `rm -r` of the tree.
struct TreeDelete: Sendable {
  let fileCount: Int
  let run: BenchRun

  func measure(into figures: inout FigureSet) throws(BenchFailure) {
    figures.declare(
      Figure(
        "delete_tree", "'pfs delete -r' of \(fileCount) files of 4 KiB", .milliseconds, beside: "rm -r",
        target: .atMostRatio(1)))
    let store = run.workspace.file("store")
    for runNumber in 1...run.settings.runCount {
      // The tree that was stored is the one that rm has to remove.
      let tree = try SmallFiles(fileCount, of: ChurnSettings.smallFileByteCount, syncingEach: false, run: run)
      try run.syncFileSystem()
      _ = try run.program.run(["put", "--codec", "stored", "-r", "--"], store: store, operands: [tree.root.bytes])
      let times = try alternating(
        runNumber,
        { () throws(BenchFailure) in
          let delete = try run.program.run(["delete", "-r", "tree"], store: store)
          figures.watch(delete)
          return delete.outcome.wallSeconds * 1000
        },
        { () throws(BenchFailure) in try run.removeMilliseconds(tree.root, recursive: true) })
      figures.add("delete_tree", run: runNumber, times)
      try run.workspace.remove("store")
      try run.note(
        "run \(runNumber)/\(run.settings.runCount), delete -r: \(FixedPoint.text(times.value, decimals: 0)) ms, "
          + "rm -r: \(FixedPoint.text(times.peer, decimals: 0)) ms")
    }
  }
}

extension BenchRun {
  /// The time that `rm` takes, as a program.
  func removeMilliseconds(_ path: FilePath, recursive: Bool) throws(BenchFailure) -> Double {
    let options = recursive ? ["-r", "--"] : ["--"]
    let remove = try interruption.run(Array("/bin/rm".utf8), options.map { Array($0.utf8) } + [path.bytes])
    try requireSuccess(remove.outcome, "rm \(path)")
    return remove.outcome.wallSeconds * 1000
  }

  /// Has everything in the workspace durable, so that no writeback of it falls into a measurement.
  func syncFileSystem() throws(BenchFailure) {
    let sync = try interruption.run(Array("/bin/sync".utf8), [Array("-f".utf8), workspace.path.bytes])
    try requireSuccess(sync.outcome, "sync -f \(workspace.path)")
  }
}
