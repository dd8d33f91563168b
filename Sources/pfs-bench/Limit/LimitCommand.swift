import CommandSupport
import StorageIO

/// `pfs-bench limit`: pfs beside the bare work, and one worker beside all.
enum LimitCommand {
  private static let table = LargeInput.table.adding(BenchSettings.table)

  static let help = CommandHelp(
    usages: ["pfs-bench limit [OPTIONS]"],
    summary: """
      Stores and restores a large file with pfs, and beside it the bare work: the same parts read, hashed (MD5, side by \
      side), encoded by the same engines, written and made durable, without index, metadata or memory limit. A file that \
      can be compressed goes through zlib, one that cannot is stored as it is. Then pfs with all workers beside pfs with \
      one. Restored bytes are compared outside the timing.
      """,
    sections: [CommandHelp.Section("Options", table)],
    notes: ["Needs four times the size of the input on the file system of DIR, and as much memory to cache it."])

  static func run(_ arguments: [[UInt8]]) throws(BenchFailure) {
    guard let options = try BenchRun.options(arguments, of: "limit", table: table, help: help) else { return }
    let (settings, input) = try BenchFailure.translating { () throws(UsageError) in
      (try BenchSettings(options), try LargeInput.Settings(options))
    }
    try BenchRun.run(
      settings,
      measure: { (run) throws(BenchFailure) in
        var figures = FigureSet()
        for kind in input.kinds {
          let file = try LargeInput(kind, input, run)
          try BareWorkBeside(file: file, run: run).measure(into: &figures)
          if kind == .compressible { try Scaling(file: file, run: run).measure(into: &figures) }
          try file.remove(run)
        }
        return figures
      },
      report: { figures, circumstances in
        FigureReport(
          benchmark: "limit", input: "\(input.description) (seed \(settings.seed))",
          inputJSON: [
            "file": input.input.map { .string($0.description) } ?? .null, "size": .integer(Int64(input.byteCount)),
            "seed": .unsignedInteger(settings.seed),
          ], figures: figures, circumstances: circumstances)
      })
  }
}

/// Put and get beside the bare work.
private struct BareWorkBeside: Sendable {
  let file: LargeInput
  let run: BenchRun

  func measure(into figures: inout FigureSet) throws(BenchFailure) {
    let codec = file.kind.codec
    // Hashing and zlib leave little to lose; where there is nothing to compress every copy counts.
    let target = Figure.Target.atLeastRatio(file.kind == .compressible ? 0.85 : 0.8)
    for operation in ["put", "get"] {
      figures.declare(
        Figure(
          "\(operation)_\(codec)", "\(operation), \(codec)", .gigabytesPerSecond, beside: "the bare work",
          target: target))
    }
    let work = file.kind.bareWork
    for runNumber in 1...run.settings.runCount {
      let put = try alternating(
        runNumber, { () throws(BenchFailure) in try file.put(into: "store", run, &figures) },
        { () throws(BenchFailure) in
          file.speed(try run.bare(work, "put", file.path, run.workspace.file("streams")).outcome.wallSeconds)
        })
      figures.add("put_\(codec)", run: runNumber, put)
      let get = try alternating(
        runNumber, { () throws(BenchFailure) in try file.get(from: "store", run, &figures) },
        { () throws(BenchFailure) in
          let output = run.workspace.file("decoded")
          let get = try run.bare(work, "get", run.workspace.file("streams"), output)
          try file.requireEqual(output, run)
          try run.workspace.remove("decoded")
          return file.speed(get.outcome.wallSeconds)
        })
      figures.add("get_\(codec)", run: runNumber, get)
      try run.workspace.remove("store", "streams", "streams.table")
      try run.note(
        "run \(runNumber)/\(run.settings.runCount), \(codec): put \(text(put)), get \(text(get)) of the bare work")
    }
  }
}

/// All workers beside one.
private struct Scaling: Sendable {
  let file: LargeInput
  let run: BenchRun

  func measure(into figures: inout FigureSet) throws(BenchFailure) {
    let workerCount = run.settings.workerCount
    guard workerCount > 1 else { return }
    for operation in ["put", "get"] {
      figures.declare(
        Figure(
          "scaling_\(operation)", "\(operation), \(file.kind.codec), \(workerCount) workers", .gigabytesPerSecond,
          beside: "1 worker", target: workerCount == 2 ? .atLeastRatio(1.8) : nil))
    }
    for runNumber in 1...run.settings.runCount {
      let put = try alternating(
        runNumber, { () throws(BenchFailure) in try file.put(into: "store", run, &figures) },
        { () throws(BenchFailure) in try file.put(into: "alone", workerCount: 1, run, &figures) })
      figures.add("scaling_put", run: runNumber, put)
      let get = try alternating(
        runNumber, { () throws(BenchFailure) in try file.get(from: "store", run, &figures) },
        { () throws(BenchFailure) in try file.get(from: "store", workerCount: 1, run, &figures) })
      figures.add("scaling_get", run: runNumber, get)
      try run.workspace.remove("store", "alone")
      try run.note(
        "run \(runNumber)/\(run.settings.runCount), \(workerCount) workers: put \(text(put)), get \(text(get)) of one")
    }
  }
}

private func text(_ comparison: Comparison) -> String { FixedPoint.percent(comparison.value / comparison.peer) }
