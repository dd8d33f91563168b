import CommandSupport
import Console
import StorageIO

/// What every measurement is told: where, how often, with which pfs, and where the result goes.
struct BenchSettings: Sendable {
  static let table = OptionTable([
    OptionTable.Option("seed", value: "N", help: "Generates the same bytes for the same seed; default 1."),
    OptionTable.Option(
      "directory", value: "DIR", help: "Where all files are made: the file system that is tested; default '.'."),
    OptionTable.Option("runs", value: "N", help: "How often everything is measured; even, default 4."),
    OptionTable.Option(
      "workers", value: "N", help: "Threads of pfs and of what is measured beside it; default: processors."),
    OptionTable.Option("pfs", value: "PATH", help: "The pfs to measure; default: the one beside pfs-bench."),
    OptionTable.Option("json", help: "Print the result as JSON instead of tables."),
    OptionTable.Option("output", value: "FILE", help: "Write the result as JSON to FILE too."),
    OptionTable.Option("commit", value: "ID", help: "Recorded in the result: what was built."),
    OptionTable.Option(
      "library", value: "NAME=VERSION", help: "Recorded in the result: a library in use; may be given several times."),
    OptionTable.Option("help", short: "h", help: "Print this help and exit."),
  ])

  let seed: UInt64
  let directory: FilePath
  let runCount: Int
  let workerCount: Int
  let pfs: FilePath
  let printsJSON: Bool
  let output: FilePath?
  let commit: String?
  let libraries: [(name: String, version: String)]

  init(_ options: ParsedOptions) throws(UsageError) {
    seed = UInt64(try options.integer(of: "seed", in: 0...Int.max) ?? 1)
    directory = FilePath(bytes: options.value(of: "directory") ?? Array(".".utf8))
    runCount = try options.integer(of: "runs", in: 1...1000) ?? 4
    workerCount = try options.integer(of: "workers", in: 1...1024) ?? SystemThread.processorCount
    if let path = options.value(of: "pfs") {
      pfs = FilePath(bytes: path)
    } else {
      pfs = FilePath(bytes: try BenchSettings.pfsBesideThis())
    }
    printsJSON = options.contains("json")
    output = options.value(of: "output").map { FilePath(bytes: $0) }
    commit = try options.text(of: "commit")
    libraries = try BenchSettings.libraries(options.values(of: "library"))
  }

  private static func libraries(_ values: [[UInt8]]) throws(UsageError) -> [(name: String, version: String)] {
    var libraries: [(name: String, version: String)] = []
    for value in values {
      let text = String(decoding: value, as: UTF8.self)
      guard let separator = text.firstIndex(of: "=") else {
        throw UsageError(.invalidValue, "option '--library': '\(DisplayName.escaped(text))' is not NAME=VERSION")
      }
      libraries.append((String(text[..<separator]), String(text[text.index(after: separator)...])))
    }
    return libraries
  }

  private static func pfsBesideThis() throws(UsageError) -> [UInt8] {
    do throws(ConsoleFailure) {
      return FilePath(bytes: try ProgramFile.path()).parent.appending("pfs").bytes
    } catch {
      throw UsageError(.missingValue, "give '--pfs PATH': \(error.message)")
    }
  }
}
