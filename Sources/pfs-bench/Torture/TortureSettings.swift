import CommandSupport
import Console
import StorageIO

/// What a torture is told.
struct TortureSettings: Sendable {
  static let table = OptionTable([
    OptionTable.Option("seed", value: "N", help: "The same seed does the same; default 1."),
    OptionTable.Option(
      "budget", value: "60s|N", help: "How long to go on, or how many cases to try; default 60s."),
    OptionTable.Option(
      "store-dir", value: "DIR", help: "Where stores are made, which decides the file system; default: by the layer."),
    OptionTable.Option("workers", value: "N", help: "Processes that try cases at the same time; default: processors."),
    OptionTable.Option(
      "pfs", value: "PATH", help: "The pfs to torture, for a layer that runs it; default: the one beside pfs-bench."),
    OptionTable.Option("replay", value: "CASE", help: "Only this case, as a violation gave it."),
    OptionTable.Option("json", help: "Print the result as JSON."),
    OptionTable.Option("output", value: "FILE", help: "Write the result as JSON to FILE too."),
    OptionTable.Option("help", short: "h", help: "Print this help and exit."),
  ])

  /// When to stop.
  enum Budget: Hashable, Sendable {
    case seconds(Double)
    case cases(Int)
  }

  let seed: UInt64
  let budget: Budget
  let storeDirectory: FilePath?
  let workerCount: Int
  let pfs: FilePath
  /// What `--pfs` says.
  let givenPFS: FilePath?
  let replay: String?
  let printsJSON: Bool
  let output: FilePath?

  init(_ options: ParsedOptions) throws(UsageError) {
    seed = UInt64(try options.integer(of: "seed", in: 0...Int.max) ?? 1)
    budget = try TortureSettings.budget(try options.text(of: "budget") ?? "60s")
    storeDirectory = options.value(of: "store-dir").map { FilePath(bytes: $0) }
    workerCount = try options.integer(of: "workers", in: 1...1024) ?? SystemThread.processorCount
    pfs = try BenchSettings.pfs(options)
    givenPFS = options.value(of: "pfs").map { FilePath(bytes: $0) }
    replay = try options.text(of: "replay")
    printsJSON = options.contains("json")
    output = options.value(of: "output").map { FilePath(bytes: $0) }
  }

  private static func budget(_ text: String) throws(UsageError) -> Budget {
    if let count = Int(text), count > 0 { return .cases(count) }
    return .seconds(try TimeSpan.parse(text))
  }
}
