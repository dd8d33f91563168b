import CommandSupport
import StorageIO

/// `pfs-bench churn`: what deletes give back, at what cost, and what compaction does to others.
enum ChurnCommand {
  static let table = ChurnSettings.table.adding(BenchSettings.table)

  static let help = CommandHelp(
    usages: ["pfs-bench churn [OPTIONS]"],
    summary: """
      Measures delete of a large file and of a tree beside rm of the same; the disk space and the latencies of random \
      puts and deletes for many times the size of a store; compaction beside a copy of a file; small gets and puts \
      beside a compaction and without one; and segments with many holes beside segments with none.
      """,
    sections: [CommandHelp.Section("Options", table)],
    notes: ["Needs some three times SIZE on the file system of DIR, and as much memory, so that all of it is cached."])

  private static func measure(
    _ part: ChurnSettings.Part, _ churn: ChurnSettings, _ run: BenchRun, into figures: inout FigureSet
  ) throws(BenchFailure) {
    switch part {
    case .delete: try LargeDelete(byteCount: churn.largeByteCount, run: run).measure(into: &figures)
    case .tree: try TreeDelete(fileCount: churn.fileCount, run: run).measure(into: &figures)
    case .space: try RandomChurn(settings: churn, run: run).measure(into: &figures)
    case .compaction: try CompactionSpeed(settings: churn, run: run).measure(into: &figures)
    case .latency: try CompactionLatency(settings: churn, run: run).measure(into: &figures)
    case .punched: try PunchedSegments(settings: churn, run: run).measure(into: &figures)
    }
  }

  static func run(_ arguments: [[UInt8]]) throws(BenchFailure) {
    guard let options = try BenchRun.options(arguments, of: "churn", table: table, help: help) else { return }
    let (settings, churn) = try BenchFailure.translating { () throws(UsageError) in
      (try BenchSettings(options), try ChurnSettings(options))
    }
    try BenchRun.run(
      settings,
      measure: { (run) throws(BenchFailure) in
        let space = max(churn.largeByteCount, churn.liveByteCount, churn.fileCount * ChurnSettings.smallFileByteCount)
        try run.requireSpace(3 * space)
        var figures = FigureSet()
        for part in ChurnSettings.Part.allCases where churn.parts.contains(part) {
          try measure(part, churn, run, into: &figures)
        }
        return figures
      },
      report: { figures, circumstances in
        FigureReport(
          benchmark: "churn",
          input: "a file of \(ByteSize.text(churn.largeByteCount)), \(churn.fileCount) files of "
            + "\(ByteSize.text(ChurnSettings.smallFileByteCount)), stores of \(ByteSize.text(churn.liveByteCount)) in "
            + "segments of \(ByteSize.text(churn.segmentByteCount)) (seed \(settings.seed))",
          inputJSON: [
            "size": .integer(Int64(churn.largeByteCount)), "files": .integer(Int64(churn.fileCount)),
            "live": .integer(Int64(churn.liveByteCount)), "times": .integer(Int64(churn.timesCount)),
            "segment_size": .integer(Int64(churn.segmentByteCount)),
            "operations": .integer(Int64(churn.operationCount)), "corpus": "compressible",
            "seed": .unsignedInteger(settings.seed),
          ], figures: figures, circumstances: circumstances)
      })
  }
}
