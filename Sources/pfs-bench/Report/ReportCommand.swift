import CommandSupport
import Console
import StorageIO

/// `pfs-bench report`: one page of results of other subcommands.
enum ReportCommand {
  private static let table = OptionTable([
    OptionTable.Option("output", short: "o", value: "FILE", help: "Write the page to FILE; default: standard output."),
    OptionTable.Option("help", short: "h", help: "Print this help and exit."),
  ])

  static let help = CommandHelp(
    usages: ["pfs-bench report [-o FILE] RESULTS.json..."],
    summary: """
      Makes one page of HTML of results that other subcommands wrote with --output: throughput against the memory limit, \
      ratios to peers and to the bare work with their spread, and all figures. It needs nothing from the network.
      """,
    sections: [CommandHelp.Section("Options", table)])

  static func run(_ arguments: [[UInt8]]) throws(BenchFailure) {
    let options = try BenchFailure.translating { () throws(UsageError) in
      try OptionParser.parse(arguments, table: table, stopsAtFirstOperand: false)
    }
    if options.contains("help") { return try BenchCommand.print(help.text()) }
    if options.operands.isEmpty { throw BenchFailure(.usage, "report: give results; see --help") }
    var results: [MeasuredResult] = []
    for path in options.operands { results.append(try MeasuredResult(of: FilePath(bytes: path))) }
    let page = ReportPage(results).html
    guard let output = options.value(of: "output") else { return try BenchCommand.print(page) }
    try BenchFailure.translating { () throws(SystemCallFailure) in
      let file = try File.open(FilePath(bytes: output), [.write, .create], mode: 0o644)
      try file.truncate(to: 0)
      try file.write(Array(page.utf8), at: 0)
      try file.sync()
    }
  }
}

/// What a benchmark wrote.
struct MeasuredResult: Sendable {
  let benchmark: String
  let json: JSONValue

  private static let largestByteCount = 64 << 20

  init(of path: FilePath) throws(BenchFailure) {
    let bytes = try BenchFailure.translating { () throws(SystemCallFailure) in
      let file = try File.open(path)
      return try file.bytes(at: 0, byteCount: min(try file.status().byteCount, MeasuredResult.largestByteCount))
    }
    do throws(JSONReader.Failure) { json = try JSONReader.value(of: bytes) } catch {
      throw BenchFailure(.failed, "'\(path)' is no JSON: \(error.message), at byte \(error.offset)")
    }
    guard let name = json["benchmark"]?.text, json["format"]?.number == 1,
      !(json["figures"] ?? json["summary"] ?? .null).elements.isEmpty
    else { throw BenchFailure(.failed, "'\(path)' is no result of a benchmark that can be drawn") }
    benchmark = name
  }

  /// On what, when, and with what it was measured.
  var circumstances: String {
    let machine = json["machine"]
    let memory = machine?["memory"]?.number.map { "\(FixedPoint.text($0 / 1_073_741_824, decimals: 1)) GiB" }
    let words = [
      json["started"]?.text, machine?["processor"]?.text,
      machine?["processors"]?.number.map { "\(Int($0)) processors" }, memory,
      machine?["kernel"]?.text.map { "Linux \($0)" }, machine?["file_system"]?.text, json["versions"]?["pfs"]?.text,
      json["commit"]?.text.map { "commit \($0)" },
      json["others_share"]?.number.map { "others took \(FixedPoint.percent($0)) of the machine" },
    ]
    return words.compactMap { $0 }.joined(separator: " · ")
  }
}

/// A median with its ends, as results have it.
struct MeasuredSpread: Hashable, Sendable {
  let median: Double
  let minimum: Double
  let maximum: Double

  init?(_ json: JSONValue?) {
    guard let median = json?["median"]?.number, let minimum = json?["min"]?.number, let maximum = json?["max"]?.number
    else { return nil }
    (self.median, self.minimum, self.maximum) = (median, minimum, maximum)
  }
}
