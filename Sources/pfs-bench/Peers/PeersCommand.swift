import CommandSupport
import StorageIO

/// `pfs-bench peers`: the same work by pfs and by what a user would take in its place.
enum PeersCommand {
  private static let table = LargeInput.table.adding(
    OptionTable([
      OptionTable.Option("files", value: "N", help: "How many files of 4KiB the tree has; 0 for none; default 100000."),
      OptionTable.Option(
        "only", value: "PEER[,PEER...]", help: "Of cp, zstd, pigz, restic, borg, casync, mksquashfs, tar_zstd."),
    ])
  ).adding(BenchSettings.table)

  static let help = CommandHelp(
    usages: ["pfs-bench peers [OPTIONS]"],
    summary: """
      Stores and restores a large file and a tree of small files with pfs and with other programs, in turn: cp, zstd, pigz, \
      restic, borg, casync, mksquashfs, tar with zstd, as Debian has them. What is not installed is named and left out. All \
      are timed until everything is durable ('sync -f' for those that do not see to it), and what comes back is compared.
      """,
    sections: [CommandHelp.Section("Options", table)],
    notes: ["Needs four times the size of the input on the file system of DIR, and as much memory to cache it."])

  static func run(_ arguments: [[UInt8]]) throws(BenchFailure) {
    guard let options = try BenchRun.options(arguments, of: "peers", table: table, help: help) else { return }
    let (settings, input, fileCount, only) = try BenchFailure.translating { () throws(UsageError) in
      (
        try BenchSettings(options), try LargeInput.Settings(options),
        try options.integer(of: "files", in: 0...100_000_000) ?? 100_000, try names(options)
      )
    }
    let wanted = { (peers: [Peer]) in peers.filter { peer in only.map { $0.contains(peer.name) } ?? true } }
    try BenchRun.run(
      settings,
      measure: { (run) throws(BenchFailure) in
        var figures = FigureSet()
        for kind in input.kinds {
          let file = try LargeInput(kind, input, run)
          // What cannot be compressed says nothing of those who try.
          let peers = kind == .compressible ? wanted(Peer.ofFiles) : wanted(Peer.ofFiles).filter { $0.name == "cp" }
          try FilePeers(file: file, peers: peers, run: run).measure(into: &figures)
          try file.remove(run)
        }
        if fileCount > 0 {
          let tree = try SmallFiles(fileCount, of: ChurnSettings.smallFileByteCount, syncingEach: false, run: run)
          try run.syncFileSystem()
          try TreePeers(tree: tree, peers: wanted(Peer.ofTrees), run: run).measure(into: &figures)
        }
        return figures
      },
      report: { figures, circumstances in
        FigureReport(
          benchmark: "peers", input: "\(input.description), and \(fileCount) files of 4 KiB (seed \(settings.seed))",
          inputJSON: [
            "file": input.input.map { .string($0.description) } ?? .null, "size": .integer(Int64(input.byteCount)),
            "files": .integer(Int64(fileCount)), "seed": .unsignedInteger(settings.seed),
          ], figures: figures, circumstances: circumstances)
      })
  }

  private static func names(_ options: ParsedOptions) throws(UsageError) -> Set<String>? {
    guard let value = options.value(of: "only") else { return nil }
    let known = Set((Peer.ofFiles + Peer.ofTrees).map(\.name))
    let names = String(decoding: value, as: UTF8.self).split(separator: ",").map(String.init)
    if let unknown = names.first(where: { !known.contains($0) }) {
      throw UsageError(
        .invalidValue, "option '--only': '\(unknown)' is none of \(known.sorted().joined(separator: ", "))")
    }
    return Set(names)
  }
}

/// One large file.
private struct FilePeers: Sendable {
  let file: LargeInput
  let peers: [Peer]
  let run: BenchRun

  func measure(into figures: inout FigureSet) throws(BenchFailure) {
    let programs = try PeerPrograms(file.path, run)
    let how = "\(file.kind.rawValue) file of \(ByteSize.text(file.byteCount))"
    for peer in peers {
      guard let title = try declare(peer, how, programs, file.kind, into: &figures) else { continue }
      for runNumber in 1...run.settings.runCount {
        let put = try alternating(
          runNumber, { () throws(BenchFailure) in try file.put(into: "store", run, &figures) },
          { () throws(BenchFailure) in file.speed(try programs.put(peer)) })
        figures.add(name("put", peer), run: runNumber, put)
        let get = try alternating(
          runNumber, { () throws(BenchFailure) in try file.get(from: "store", run, &figures) },
          { () throws(BenchFailure) in
            let seconds = try programs.get(peer)
            try file.requireEqual(programs.output, run)
            return file.speed(seconds)
          })
        figures.add(name("get", peer), run: runNumber, get)
        try programs.clear()
        try run.workspace.remove("store")
        try run.note("run \(runNumber)/\(run.settings.runCount), \(how), \(title): put \(text(put)), get \(text(get))")
      }
    }
  }

  private func name(_ operation: String, _ peer: Peer) -> String { "\(operation)_\(file.kind.rawValue)_\(peer.name)" }

  private func declare(
    _ peer: Peer, _ how: String, _ programs: PeerPrograms, _ kind: LargeInput.Kind, into figures: inout FigureSet
  ) throws(BenchFailure) -> String? {
    let (title, missing) = try programs.version(of: peer)
    let isCopied = kind == .incompressible
    for (operation, target) in [
      ("put", isCopied ? Figure.Target.atLeastRatio(0.8) : peer.putTarget), ("get", isCopied ? nil : peer.getTarget),
    ] {
      figures.declare(
        Figure(
          name(operation, peer), "\(operation), \(how)", .gigabytesPerSecond, beside: title ?? peer.name,
          target: target,
          skipReason: missing.map { "\($0) is not installed" }))
    }
    return title
  }
}

/// A tree of small files.
private struct TreePeers: Sendable {
  let tree: SmallFiles
  let peers: [Peer]
  let run: BenchRun

  func measure(into figures: inout FigureSet) throws(BenchFailure) {
    let programs = try PeerPrograms(tree.root, run)
    for peer in peers {
      let (title, missing) = try programs.version(of: peer)
      for (operation, target) in [("put", peer.putTarget), ("get", peer.getTarget)] {
        figures.declare(
          Figure(
            "\(operation)_tree_\(peer.name)", "\(operation) -r, \(tree.fileCount) files", .filesPerSecond,
            beside: title ?? peer.name, target: target, skipReason: missing.map { "\($0) is not installed" }))
      }
      guard let title else { continue }
      for runNumber in 1...run.settings.runCount {
        let put = try alternating(
          runNumber, { () throws(BenchFailure) in try putTree(&figures) },
          { () throws(BenchFailure) in speed(try programs.put(peer)) })
        figures.add("put_tree_\(peer.name)", run: runNumber, put)
        let get = try alternating(
          runNumber, { () throws(BenchFailure) in try getTree(&figures) },
          { () throws(BenchFailure) in
            let seconds = try programs.get(peer)
            try requireEqual(programs.output)
            return speed(seconds)
          })
        figures.add("get_tree_\(peer.name)", run: runNumber, get)
        try programs.clear()
        try run.workspace.remove("store")
        try run.note("run \(runNumber)/\(run.settings.runCount), tree, \(title): put \(text(put)), get \(text(get))")
      }
    }
  }

  private func speed(_ seconds: Double) -> Double { Double(tree.fileCount) / seconds }

  private func requireEqual(_ copy: FilePath) throws(BenchFailure) {
    try tree.requireEqual(copy, workerCount: run.settings.workerCount, run.interruption)
  }

  private func putTree(_ figures: inout FigureSet) throws(BenchFailure) -> Double {
    let put = try run.program.run(["put", "-r", "--"], store: run.workspace.file("store"), operands: [tree.root.bytes])
    figures.watch(put)
    return speed(put.outcome.wallSeconds)
  }

  private func getTree(_ figures: inout FigureSet) throws(BenchFailure) -> Double {
    let restored = run.workspace.file("restored")
    let get = try run.program.run(
      ["get", "-r", "tree", "-o"], store: run.workspace.file("store"), operands: [restored.bytes])
    figures.watch(get)
    try requireEqual(restored)
    try run.workspace.remove("restored")
    return speed(get.outcome.wallSeconds)
  }
}

private func text(_ comparison: Comparison) -> String {
  "\(FixedPoint.text(comparison.value / comparison.peer, decimals: 2)) times"
}
