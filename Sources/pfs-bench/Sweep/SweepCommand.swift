import CommandSupport

/// `pfs-bench sweep`: reads the options, makes the input, measures, reports, and leaves no file behind.
enum SweepCommand {
  static let help = CommandHelp(
    usages: ["pfs-bench sweep [OPTIONS]"],
    summary: """
      Stores and restores a file with pfs at several memory limits, and beside each the bare work: the same parts \
      through zlib at level 1 by as many threads, written and made durable, without hash, index or memory limit. \
      Restored bytes are compared outside the timing.
      """,
    sections: [CommandHelp.Section("Options", SweepSettings.table)],
    notes: ["Needs three times the size of the input on the file system of DIR, and as much memory to cache it."])

  static func run(_ arguments: [[UInt8]]) throws(BenchFailure) {
    let options = try BenchRun.options(arguments, of: "sweep", table: SweepSettings.table, help: help)
    guard let options else { return }
    let settings = try BenchFailure.translating { () throws(UsageError) in try SweepSettings(options) }
    try BenchRun.run(
      settings.common,
      measure: { (run) throws(BenchFailure) in try measure(settings, run) },
      report: { result, circumstances in
        SweepReport(settings: settings, result: result, circumstances: circumstances)
      })
  }

  private static func measure(_ settings: SweepSettings, _ run: BenchRun) throws(BenchFailure) -> SweepResult {
    let input = settings.input ?? run.workspace.file("corpus")
    let workerCount = settings.common.workerCount
    if settings.input == nil {
      try run.requireSpace(settings.corpusByteCount * 3)
      try run.note("making \(ByteSize.text(settings.corpusByteCount)) of input")
      let corpus = BenchCorpus(settings.corpus, seed: settings.common.seed)
      try corpus.write(settings.corpusByteCount, to: input, workerCount: workerCount, run.interruption)
    }
    let byteCount = try FileComparison.warm(input, workerCount: workerCount, run.interruption)
    guard byteCount > 0 else { throw BenchFailure(.usage, "'\(input)' is empty: nothing to measure") }
    if settings.input != nil { try run.requireSpace(byteCount * 2) }
    return try Sweep(settings: settings, input: input, inputByteCount: byteCount, run: run).measure()
  }
}
