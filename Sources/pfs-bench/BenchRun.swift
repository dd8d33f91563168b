import CommandSupport
import Console
import StorageIO

/// What a measurement gives, for people and for programs.
protocol BenchReport: Sendable {
  var text: String { get }
  var json: JSONValue { get }
}

/// What stands around every measurement: a workspace that is gone afterwards, Ctrl-C, and the result where it was wanted.
struct BenchRun: Sendable {
  let settings: BenchSettings
  let workspace: Workspace
  let program: PFSProgram
  let interruption: Interruption

  /// Reads the options by `table`; nil when only help was wanted, which is printed.
  static func options(
    _ arguments: [[UInt8]], of name: String, table: OptionTable, help: CommandHelp
  ) throws(BenchFailure) -> ParsedOptions? {
    let options = try BenchFailure.translating { () throws(UsageError) in
      try OptionParser.parse(arguments, table: table, stopsAtFirstOperand: false)
    }
    if options.contains("help") {
      try BenchCommand.print(help.text())
      return nil
    }
    if let operand = options.operands.first {
      throw BenchFailure(.usage, "'\(DisplayName.escaped(operand))': \(name) takes no operands; see --help")
    }
    return options
  }

  /// Calls `measure` with a workspace, removes that, and writes the report that is made of the outcome.
  static func run<Outcome: Sendable>(
    _ settings: BenchSettings, measure: (BenchRun) throws(BenchFailure) -> Outcome,
    report: (Outcome, Circumstances) -> any BenchReport
  ) throws(BenchFailure) {
    let interruption = Interruption()
    try interruption.listen()
    // Opened now, so that a result is not lost for a mistyped path.
    let output = try settings.output.map { (path) throws(BenchFailure) in
      try BenchFailure.translating { () throws(SystemCallFailure) in
        try File.open(path, [.write, .create], mode: 0o644)
      }
    }
    let program = PFSProgram(path: settings.pfs, workerCount: settings.workerCount, interruption: interruption)
    let circumstances = Circumstances(
      settings: settings, machine: Machine(directory: settings.directory), pfsVersion: try program.version(),
      startedNanoseconds: Clock.wallNanoseconds())
    let workspace = try Workspace(in: settings.directory)
    let outcome: Result<Outcome, BenchFailure>
    do throws(BenchFailure) {
      outcome = .success(
        try measure(
          BenchRun(settings: settings, workspace: workspace, program: program, interruption: interruption)))
    } catch {
      outcome = .failure(error)
    }
    do throws(BenchFailure) { try workspace.remove() } catch {
      // The failure that came first is the one to report.
      _ = try outcome.get()
      throw error
    }
    try write(report(try outcome.get(), circumstances), settings, output)
  }

  private static func write(
    _ report: any BenchReport, _ settings: BenchSettings, _ output: File?
  ) throws(BenchFailure) {
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

  // MARK: For those who measure

  /// - Throws: `.failed` when fewer bytes are free where the files are made.
  func requireSpace(_ byteCount: Int) throws(BenchFailure) {
    let free = try BenchFailure.translating { () throws(SystemCallFailure) in
      try FileSystem.freeByteCount(at: settings.directory)
    }
    guard free >= byteCount else {
      throw BenchFailure(
        .failed,
        "'\(settings.directory)': \(ByteSize.text(byteCount)) are needed here, \(ByteSize.text(free)) are free")
    }
  }

  /// Says on standard error how far the measurement is.
  func note(_ line: String) throws(BenchFailure) {
    try BenchFailure.translating { () throws(ConsoleFailure) in try StandardStreams.write(line + "\n", to: .error) }
  }
}
