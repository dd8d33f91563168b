import CommandSupport
import Console
import StorageIO

/// `pfs-bench sweep`: reads the options, makes the input, measures, reports, and leaves no file behind.
enum SweepCommand {
  private static let help = CommandHelp(
    usages: ["pfs-bench sweep [OPTIONS]"],
    summary: """
      Stores and restores a file with pfs at several memory limits, and beside each the bare work: the same parts \
      through zlib at level 1 by as many threads, written and made durable, without hash, index or memory limit. \
      Restored bytes are compared outside the timing.
      """,
    sections: [CommandHelp.Section("Options", SweepSettings.table)],
    notes: ["Needs three times the size of the input on the file system of DIR, and as much memory to cache it."])

  static func run(_ arguments: [[UInt8]]) throws(BenchFailure) {
    let options = try BenchFailure.translating { () throws(UsageError) in
      try OptionParser.parse(arguments, table: SweepSettings.table, stopsAtFirstOperand: false)
    }
    if options.contains("help") { return try BenchCommand.print(help.text()) }
    if let operand = options.operands.first {
      throw BenchFailure(.usage, "'\(DisplayName.escaped(operand))': sweep takes no operands; see --input")
    }
    let settings = try BenchFailure.translating { () throws(UsageError) in try SweepSettings(options) }
    let interruption = Interruption()
    try interruption.listen()
    // Opened now, so that a result is not lost for a mistyped path.
    let output = try settings.output.map { (path) throws(BenchFailure) in
      try BenchFailure.translating { () throws(SystemCallFailure) in
        try File.open(path, [.write, .create], mode: 0o644)
      }
    }
    let report = try measure(settings, interruption)
    let json = report.json.serializedBytes + [UInt8(ascii: "\n")]
    if let output {
      try BenchFailure.translating { () throws(SystemCallFailure) in
        try output.truncate(to: 0)
        try output.write(json, at: 0)
        try output.sync()
      }
    }
    try BenchCommand.print(settings.printsJSON ? String(decoding: json, as: UTF8.self) : report.text)
  }

  private static func measure(
    _ settings: SweepSettings, _ interruption: Interruption
  ) throws(BenchFailure) -> SweepReport {
    let program = PFSProgram(path: settings.pfs, workerCount: settings.workerCount, interruption: interruption)
    let version = try program.version()
    let startedNanoseconds = Clock.wallNanoseconds()
    let workspace = try Workspace(in: settings.directory)
    let outcome: Result<SweepResult, BenchFailure>
    do throws(BenchFailure) {
      outcome = .success(try measure(settings, workspace, program, interruption))
    } catch {
      outcome = .failure(error)
    }
    do throws(BenchFailure) { try workspace.remove() } catch {
      // The failure that came first is the one to report.
      let result = try outcome.get()
      throw BenchFailure(.failed, "\(error.message); \(result.samples.count) measurements were made")
    }
    return SweepReport(
      settings: settings, result: try outcome.get(), machine: Machine(directory: settings.directory),
      pfsVersion: version, startedNanoseconds: startedNanoseconds)
  }

  private static func measure(
    _ settings: SweepSettings, _ workspace: Workspace, _ program: PFSProgram, _ interruption: Interruption
  ) throws(BenchFailure) -> SweepResult {
    let input = settings.input ?? workspace.file("corpus")
    if settings.input == nil {
      try requireSpace(settings.corpusByteCount * 3, settings.directory)
      try note("making \(ByteSize.text(settings.corpusByteCount)) of input\n")
      let corpus = BenchCorpus(settings.corpus, seed: settings.seed)
      try corpus.write(
        settings.corpusByteCount, to: input, workerCount: settings.workerCount, interruption)
    }
    let byteCount = try FileComparison.warm(input, workerCount: settings.workerCount, interruption)
    guard byteCount > 0 else { throw BenchFailure(.usage, "'\(input)' is empty: nothing to measure") }
    if settings.input != nil { try requireSpace(byteCount * 2, settings.directory) }
    return try Sweep(
      settings: settings, input: input, inputByteCount: byteCount, workspace: workspace, program: program,
      interruption: interruption, note: note
    ).run()
  }

  private static func requireSpace(_ byteCount: Int, _ directory: FilePath) throws(BenchFailure) {
    let free = try BenchFailure.translating { () throws(SystemCallFailure) in
      try FileSystem.freeByteCount(at: directory)
    }
    guard free >= byteCount else {
      throw BenchFailure(
        .failed, "'\(directory)': \(ByteSize.text(byteCount)) are needed here, \(ByteSize.text(free)) are free")
    }
  }

  /// Says on standard error how far the measurement is.
  private static func note(_ text: String) throws(BenchFailure) {
    try BenchFailure.translating { () throws(ConsoleFailure) in try StandardStreams.write(text, to: .error) }
  }
}
