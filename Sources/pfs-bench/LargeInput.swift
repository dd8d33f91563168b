import CommandSupport
import StorageIO

/// A file that is stored as one: made up, or the user's.
struct LargeInput: Sendable {
  static let table = OptionTable([
    OptionTable.Option("input", value: "FILE", help: "Store this file; default: a generated one of each kind."),
    OptionTable.Option("size", value: "SIZE", help: "Bytes to generate; default 1GiB."),
  ])

  /// What is in it decides what is to be compared with what.
  enum Kind: String, CaseIterable, Sendable {
    case compressible, incompressible

    var codec: String { self == .compressible ? "zlib" : "stored" }
    var bareWork: BareWork { self == .compressible ? .hashedZlib : .hashedStored }
  }

  struct Settings: Sendable {
    let input: FilePath?
    let byteCount: Int

    init(_ options: ParsedOptions) throws(UsageError) {
      input = options.value(of: "input").map { FilePath(bytes: $0) }
      byteCount = try options.byteCount(of: "size") ?? 1 << 30
      if byteCount == 0 { throw UsageError(.invalidValue, "option '--size': nothing to measure") }
    }

    /// The user's file is taken for one that can be compressed.
    var kinds: [Kind] { input == nil ? Kind.allCases : [.compressible] }
    var description: String { input.map { "'\($0)'" } ?? "\(ByteSize.text(byteCount)), generated" }
  }

  let kind: Kind
  let path: FilePath
  let byteCount: Int
  private let isGenerated: Bool

  /// Makes the file where it is not the user's, durably, and has it cached.
  init(_ kind: Kind, _ settings: Settings, _ run: BenchRun) throws(BenchFailure) {
    self.kind = kind
    isGenerated = settings.input == nil
    path = settings.input ?? run.workspace.file("input")
    let workerCount = run.settings.workerCount
    if isGenerated {
      try run.requireSpace(settings.byteCount * 4)
      try run.note("making \(ByteSize.text(settings.byteCount)) of \(kind.rawValue) input")
      let corpus = BenchCorpus(kind == .compressible ? .compressible : .incompressible, seed: run.settings.seed)
      try corpus.write(settings.byteCount, to: path, workerCount: workerCount, run.interruption)
    }
    byteCount = try FileComparison.warm(path, workerCount: workerCount, run.interruption)
    guard byteCount > 0 else { throw BenchFailure(.usage, "'\(path)' is empty: nothing to measure") }
    if !isGenerated { try run.requireSpace(byteCount * 3) }
  }

  func remove(_ run: BenchRun) throws(BenchFailure) {
    if isGenerated { try run.workspace.remove("input") }
  }

  /// GB/s of something that took so long for all of it.
  func speed(_ seconds: Double) -> Double { Double(byteCount) / 1e9 / seconds }

  // MARK: With pfs

  /// The speed of a put into the new store `store` of the workspace.
  func put(
    into store: String, workerCount: Int? = nil, _ run: BenchRun, _ figures: inout FigureSet
  ) throws(BenchFailure) -> Double {
    let put = try run.program.run(
      [
        "put", "--codec", kind.codec, "--level", "\(BareWork.level)", "--part-size", "\(BareWork.partByteCount)",
        "--name", "input", "--",
      ], store: run.workspace.file(store), workerCount: workerCount, operands: [path.bytes])
    figures.watch(put)
    return speed(put.outcome.wallSeconds)
  }

  /// The speed of a get out of such a store; what comes out is compared outside the timing.
  func get(
    from store: String, workerCount: Int? = nil, _ run: BenchRun, _ figures: inout FigureSet
  ) throws(BenchFailure) -> Double {
    let output = run.workspace.file("restored")
    let get = try run.program.run(
      ["get", "input", "-o"], store: run.workspace.file(store), workerCount: workerCount, operands: [output.bytes])
    figures.watch(get)
    try requireEqual(output, run)
    try run.workspace.remove("restored")
    return speed(get.outcome.wallSeconds)
  }

  /// - Throws: `.different` when `output` does not hold the same bytes.
  func requireEqual(_ output: FilePath, _ run: BenchRun) throws(BenchFailure) {
    try FileComparison.requireEqual(path, output, workerCount: run.settings.workerCount, run.interruption)
  }
}
