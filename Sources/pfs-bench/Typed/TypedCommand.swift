import ChunkStore
import CommandSupport
import Console
import StorageIO

/// `pfs-bench typed`: elements of typed arrays beside ctypes and bare pointers; `typed dump` shows what an object holds.
enum TypedCommand {
  static let table = OptionTable([
    OptionTable.Option(
      "elements", value: "N", help: "Numbers of 8 bytes in the large array; default 16777216, 128 MiB."),
    OptionTable.Option("rounds", value: "N", help: "How often all elements are visited in a slice; default 40."),
  ]).adding(BenchSettings.table)

  static let help = CommandHelp(
    usages: ["pfs-bench typed [OPTIONS]", "pfs-bench typed dump STORE KEY [--from N] [--limit N]"],
    summary: """
      Measures sequential and random reads and writes of arrays of 256 x 256 numbers and objects in a store of chunks, \
      beside Python's ctypes over mmap and beside bare pointers into a mapped file, in the same run; the get of a warm \
      key; single reads and writes; and filling and adding up a large array.
      """,
    sections: [CommandHelp.Section("Options", table)])

  static func run(_ arguments: [[UInt8]]) throws(BenchFailure) {
    if arguments.first == Array("dump".utf8) { return try TypedDump.run(Array(arguments.dropFirst())) }
    guard let options = try BenchRun.options(arguments, of: "typed", table: table, help: help) else { return }
    let (settings, elementCount, roundCount) = try BenchFailure.translating { () throws(UsageError) in
      (
        try BenchSettings(options), try options.integer(of: "elements", in: 1...(1 << 34)) ?? 1 << 24,
        try options.integer(of: "rounds", in: 1...1_000_000) ?? 40
      )
    }
    try BenchRun.run(
      settings,
      measure: { (run) throws(BenchFailure) in
        try TypedMeasurement(run: run, elementCount: elementCount, roundCount: roundCount).measure()
      },
      report: { figures, circumstances in
        FigureReport(
          benchmark: "typed",
          input: "arrays of 256 x 256 elements; a large one of \(elementCount) numbers (seed \(settings.seed))",
          inputJSON: ["elements": .integer(Int64(elementCount)), "seed": .unsignedInteger(settings.seed)],
          figures: figures, circumstances: circumstances)
      })
  }
}

/// `pfs-bench typed dump`: an object as text, by the layout that is stored with it.
enum TypedDump {
  private static let table = OptionTable([
    OptionTable.Option("from", value: "N", help: "The element to begin with; default 0."),
    OptionTable.Option("limit", value: "N", help: "How many elements; default 64."),
    OptionTable.Option("help", short: "h", help: "Print this help and exit."),
  ])

  static func run(_ arguments: [[UInt8]]) throws(BenchFailure) {
    let options = try BenchFailure.translating { () throws(UsageError) in
      try OptionParser.parse(arguments, table: table, stopsAtFirstOperand: false)
    }
    if options.contains("help") {
      return try BenchCommand.print(
        CommandHelp(
          usages: ["pfs-bench typed dump STORE [KEY]"],
          summary: "Shows what an object of a store of chunks holds, or without a key which objects there are.",
          sections: [CommandHelp.Section("Options", table)]
        ).text())
    }
    guard (1...2).contains(options.operands.count) else {
      throw BenchFailure(.usage, "typed dump takes a store and a key; see --help")
    }
    let (first, limit) = try BenchFailure.translating { () throws(UsageError) in
      (try options.integer(of: "from", in: 0...Int.max) ?? 0, try options.integer(of: "limit", in: 1...Int.max) ?? 64)
    }
    let lines = try BenchFailure.translating { () throws(ChunkStoreError) -> [String] in
      var configuration = TypedStore.Configuration()
      configuration.isReadOnly = true
      let store = try TypedStore(at: FilePath(bytes: options.operands[0]), configuration)
      guard options.operands.count == 2 else {
        return try store.keys(limit: limit).map { (key) throws(ChunkStoreError) in try summary(of: key, in: store) }
      }
      let key = ChunkKey(bytes: options.operands[1])
      return [try summary(of: key, in: store)] + (try store.dump(key, from: first, limit: limit))
    }
    try BenchCommand.print(lines.map { $0 + "\n" }.joined())
  }

  private static func summary(of key: ChunkKey, in store: TypedStore) throws(ChunkStoreError) -> String {
    guard let object = try store.object(key) else { return "\(key): none" }
    let seal = object.isSealed ? "sealed" : "not sealed"
    return "\(key): \(object.kind) of \(object.elementCount), \(seal), \(object.layout)"
  }
}
