import CommandSupport
import StorageIO

/// `pfs-bench index`: how the index scales, and how fast a store is checked and made anew.
enum IndexCommand {
  static let table = OptionTable([
    OptionTable.Option("parts", value: "N", help: "Parts of the store that is opened; default 1000000."),
    OptionTable.Option(
      "size", value: "SIZE", help: "The large file, for a range, rebuild and verify; at least 8MiB, default 10GiB."),
  ]).adding(BenchSettings.table)

  static let help = CommandHelp(
    usages: ["pfs-bench index [OPTIONS]"],
    summary: """
      Measures the open of a store with very many parts, a range out of a large file, rebuild with and without the \
      footers of segments, and verify --fast; beside each what it is to be compared with, in turn, in the same run.
      """,
    sections: [CommandHelp.Section("Options", table)],
    notes: [
      """
      Needs one and a half times SIZE on the file system of DIR, and half of SIZE in memory to cache the segments. What \
      the pfs that is measured cannot do is left out, and said.
      """
    ])

  static func run(_ arguments: [[UInt8]]) throws(BenchFailure) {
    guard let options = try BenchRun.options(arguments, of: "index", table: table, help: help) else { return }
    let (settings, partCount, byteCount) = try BenchFailure.translating { () throws(UsageError) in
      (
        try BenchSettings(options), try options.integer(of: "parts", in: 1...100_000_000) ?? 1_000_000,
        try options.byteCount(of: "size") ?? 10 << 30
      )
    }
    guard byteCount >= LargeFile.leastByteCount else {
      throw BenchFailure(.usage, "option '--size': at least \(ByteSize.text(LargeFile.leastByteCount))")
    }
    try BenchRun.run(
      settings,
      measure: { (run) throws(BenchFailure) in
        var figures = FigureSet()
        try ManyParts(partCount: partCount, run: run).measure(into: &figures)
        try LargeFile(byteCount: byteCount, run: run).measure(into: &figures)
        return figures
      },
      report: { figures, circumstances in
        FigureReport(
          benchmark: "index",
          input: "\(partCount) parts of \(ByteSize.text(ManyParts.partByteCount)), zeros; and a file of "
            + "\(byteCount) bytes, generated (compressible, seed \(settings.seed))",
          inputJSON: [
            "parts": .integer(Int64(partCount)), "size": .integer(Int64(byteCount)), "corpus": "compressible",
            "seed": .unsignedInteger(settings.seed),
          ], figures: figures, circumstances: circumstances)
      })
  }
}
