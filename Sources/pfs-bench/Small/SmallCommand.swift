import CommandSupport
import StorageIO

/// `pfs-bench small`: very many small files.
enum SmallCommand {
  static let table = OptionTable([
    OptionTable.Option("files", value: "N", help: "How many files; default 10000."),
    OptionTable.Option("file-size", value: "SIZE", help: "The size of each, 1 byte to 4MiB; default 4KiB."),
    OptionTable.Option("writers", value: "N", help: "Threads that put at the same time; default 8."),
  ]).adding(BenchSettings.table)

  static let help = CommandHelp(
    usages: ["pfs-bench small [OPTIONS]"],
    summary: """
      Measures many threads that each put one small file after the other, beside one thread that does; and put -r, \
      get -r, list and delete -r of all files, the first two beside a plain copy of which each file is made durable.
      """,
    sections: [CommandHelp.Section("Options", table)])

  static func run(_ arguments: [[UInt8]]) throws(BenchFailure) {
    guard let options = try BenchRun.options(arguments, of: "small", table: table, help: help) else { return }
    let (settings, fileCount, fileByteCount, writerCount) = try BenchFailure.translating { () throws(UsageError) in
      (
        try BenchSettings(options), try options.integer(of: "files", in: 1...100_000_000) ?? 10_000,
        try options.byteCount(of: "file-size") ?? 4 << 10, try options.integer(of: "writers", in: 2...1024) ?? 8
      )
    }
    guard (1...BenchCorpus.sectionByteCount).contains(fileByteCount) else {
      throw BenchFailure(.usage, "option '--file-size': from 1 byte to 4MiB")
    }
    guard fileCount >= writerCount else {
      throw BenchFailure(.usage, "option '--files': at least one for each of the \(writerCount) writers")
    }
    try BenchRun.run(
      settings,
      measure: { (run) throws(BenchFailure) in
        let tree = try SmallFiles(fileCount, of: fileByteCount, run: run)
        var figures = FigureSet()
        try GroupCommit(writerCount: writerCount, tree: tree, run: run).measure(into: &figures)
        try TreeCommands(tree: tree, run: run).measure(into: &figures)
        return figures
      },
      report: { figures, circumstances in
        FigureReport(
          benchmark: "small",
          input: "\(fileCount) files of \(fileByteCount) bytes, generated (compressible, seed \(settings.seed))",
          inputJSON: [
            "files": .integer(Int64(fileCount)), "file_size": .integer(Int64(fileByteCount)),
            "writers": .integer(Int64(writerCount)), "corpus": "compressible", "seed": .unsignedInteger(settings.seed),
          ], figures: figures, circumstances: circumstances)
      })
  }
}
