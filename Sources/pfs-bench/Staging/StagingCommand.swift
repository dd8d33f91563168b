import CommandSupport
import StorageIO

/// `pfs-bench staging`: StagingFS beside D-MemFS.
enum StagingCommand {
  static let table = OptionTable([
    OptionTable.Option(
      "peer", value: "DIR", help: "Where D-MemFS is unpacked, with its folder dmemfs; default: what python3 finds."),
    OptionTable.Option("python", value: "PATH", help: "The Python that runs it; default /usr/bin/env python3."),
    OptionTable.Option("large", value: "SIZE", help: "The size of the large stream; default 512MiB."),
    OptionTable.Option("threads", value: "N", help: "Threads of the rows with threads; default 8."),
  ]).adding(BenchSettings.table)

  static let help = CommandHelp(
    usages: ["pfs-bench staging [OPTIONS]"],
    summary: """
      Measures a staging tree beside D-MemFS, the same work in one process each, in turn: small files, streams, random \
      access, many files, a deep tree, and all of it with threads. D-MemFS keeps the buffers that it is given and hands out \
      slices of them: 'adopted' is the same here, 'copied' copies in and out. Every buffer is another one. Each does its work \
      five times in one tree, the large stream once, and removes it again; the shortest time counts.
      """,
    sections: [CommandHelp.Section("Options", table)])

  static func run(_ arguments: [[UInt8]]) throws(BenchFailure) {
    guard let options = try BenchRun.options(arguments, of: "staging", table: table, help: help) else { return }
    let (settings, largeByteCount, threadCount) = try BenchFailure.translating { () throws(UsageError) in
      (
        try BenchSettings(options), try options.byteCount(of: "large") ?? 512 << 20,
        try options.integer(of: "threads", in: 1...1024) ?? 8
      )
    }
    guard largeByteCount >= StagingCase.largePieceByteCount else {
      throw BenchFailure(.usage, "option '--large': at least \(ByteSize.text(StagingCase.largePieceByteCount))")
    }
    try BenchRun.run(
      settings,
      measure: { (run) throws(BenchFailure) in
        let peer = DMemFSPeer(python: options.value(of: "python"), directory: options.value(of: "peer"), run: run)
        var figures = FigureSet()
        try StagingComparison(
          largeByteCount: largeByteCount, threadCount: threadCount, peer: peer, run: run
        ).measure(into: &figures)
        return figures
      },
      report: { figures, circumstances in
        FigureReport(
          benchmark: "staging", input: "generated buffers, all distinct; \(threadCount) threads where it says so",
          inputJSON: [
            "large": .integer(Int64(largeByteCount)), "threads": .integer(Int64(threadCount)),
            "seed": .unsignedInteger(settings.seed),
          ], figures: figures, circumstances: circumstances)
      })
  }
}
