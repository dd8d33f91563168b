import CommandSupport
import Console
import StorageIO

/// One way to torture a store.
struct TortureLayer: Sendable {
  let name: String
  /// One line for the help.
  let summary: String
  /// Where its stores are made unless `--store-dir` says otherwise.
  let defaultDirectory: String
  /// Whether it runs `pfs`; else the engine that it tortures is the one in this program.
  let runsPFS: Bool
  /// Goes on until the budget is used up or all there is has been tried.
  let run: @Sendable (TortureRun) throws(BenchFailure) -> Void

  init(
    _ name: String, _ summary: String, in defaultDirectory: String = ".", runsPFS: Bool,
    _ run: @escaping @Sendable (TortureRun) throws(BenchFailure) -> Void
  ) {
    self.name = name
    self.summary = summary
    self.defaultDirectory = defaultDirectory
    self.runsPFS = runsPFS
    self.run = run
  }
}

/// `pfs-bench torture`: tries to break stores, and says what broke.
enum TortureCommand {
  static let layers: [TortureLayer] = [
    ExploreLayer.layer,
    KillLayer.layer, IOErrorLayer.layer, FullDiskLayer.layer,
    DamageLayer.flip, DamageLayer.truncate,
    ConcurrentLayer.layer, MemoryLayer.layer, TypedLayer.layer,
    TypedDamageLayer.flip, TypedDamageLayer.truncate, MutantsLayer.layer,
  ]

  /// What this program starts itself with, in processes of their own, to do a part of a layer.
  static let parts: [String: @Sendable ([[UInt8]]) throws(BenchFailure) -> Void] = [
    "act": WorkloadRun.act, "check": StoreCheckPart.run, ExploreTask.partName: ExploreWorker.run,
    FaultyFileSystem.partName: FaultyFileSystem.serve,
    DamageLayer.partName: DamageWorker.run,
    ConcurrentWorker.name: ConcurrentWorker.run, MemoryWorker.name: MemoryWorker.run,
    TypedLayer.partName: TypedLayer.act, TypedDamageLayer.partName: TypedDamageWorker.run,
  ]

  static let help = CommandHelp(
    usages: ["pfs-bench torture LAYER [OPTIONS]"],
    summary: """
      Does to stores of its own what crashes, bad disks, full disks and other processes do, and checks after each that \
      nothing acknowledged is lost, no wrong byte comes back and the store works on. It touches nothing but a directory \
      that it makes in DIR and removes. Each violation comes with the command that shows it again.
      """,
    sections: [CommandHelp.Section("Options", TortureSettings.table)],
    notes: layers.map { layer in "\(layer.name): \(layer.summary)" } + [
      "--pfs is for \(layerNames { $0.runsPFS }); concurrent runs it in one history of 16. The engine that "
        + "\(layerNames { !$0.runsPFS }) torture is the one in pfs-bench.",
      "Exit status: 0 no violation; 1 failed; 2 wrong usage; 3 a violation was found; 130 interrupted.",
    ])

  private static func layerNames(_ isNamed: (TortureLayer) -> Bool) -> String {
    layers.filter(isNamed).map(\.name).joined(separator: ", ")
  }

  static func run(_ arguments: [[UInt8]]) throws(BenchFailure) {
    if let first = arguments.first, let part = parts[String(decoding: first, as: UTF8.self)] {
      return try part(Array(arguments.dropFirst()))
    }
    let options = try BenchFailure.translating { () throws(UsageError) in
      try OptionParser.parse(arguments, table: TortureSettings.table, stopsAtFirstOperand: false)
    }
    if options.contains("help") { return try BenchCommand.print(help.text()) }
    let names = layers.map(\.name)
    guard let operand = options.operands.first, options.operands.count == 1 else {
      throw BenchFailure(.usage, "torture takes one layer: \(names.joined(separator: ", "))")
    }
    guard let layer = layers.first(where: { $0.name == DisplayName.escaped(operand) }) else {
      throw BenchFailure(
        .usage, "torture: no layer '\(DisplayName.escaped(operand))'; there are \(names.joined(separator: ", "))")
    }
    let settings = try BenchFailure.translating { () throws(UsageError) in try TortureSettings(options) }
    guard layer.runsPFS || settings.givenPFS == nil else {
      throw BenchFailure(
        .usage,
        "torture \(layer.name) takes no --pfs: it tortures the engine in pfs-bench; for \(layerNames { $0.runsPFS })")
    }
    try TortureRun.run(layer, settings)
  }
}
