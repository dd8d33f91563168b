import CommandSupport
import Console
import StorageIO
import Synchronization

/// The layers `flip` and `truncate`: every byte of every file of a store, every page, every length, and files that are
/// missing, doubled, or in the place of others.
enum DamageLayer {
  enum Kind: String, Sendable {
    case flip, truncate
  }

  static let partName = "flip-worker"

  static let flip = TortureLayer(
    "flip", "one bit of every byte of every file of a store, all bits where something is described", in: "/dev/shm",
    runsPFS: false
  ) { (run) throws(BenchFailure) in try DamageSupervisor(run, .flip).tryAll() }

  static let truncate = TortureLayer(
    "truncate", "files cut at every place, pages zeroed, misplaced, old or foreign, files missing or exchanged",
    in: "/dev/shm", runsPFS: false
  ) { (run) throws(BenchFailure) in try DamageSupervisor(run, .truncate).tryAll() }
}

/// What is damaged: stores of one kind, and who looks at them.
struct DamageTarget: Sendable {
  /// Of the worker, among the parts of `torture`.
  let partName: String
  /// Makes what ``ReferenceStores`` reads, in a workspace, by a seed.
  let makeReference: @Sendable (FilePath, UInt64) throws(BenchFailure) -> Void

  static let segments = DamageTarget(partName: DamageLayer.partName) { (workspace, seed) throws(BenchFailure) in
    try ReferenceStores.make(in: workspace, seed: seed)
  }
}

/// Starts workers, reads what they say, and takes note of how they end.
final class DamageSupervisor: Sendable {
  private let run: TortureRun
  private let layer: DamageLayer.Kind
  private let target: DamageTarget
  private let next = Mutex(0)

  /// A worker that says nothing for so long hangs; between two damages it says something every second.
  private static let silenceSeconds = 10.0
  /// How many damages a process tries: what an index that met damage keeps open goes with it.
  private static let pieceCount = 2_000

  init(_ run: TortureRun, _ layer: DamageLayer.Kind, of target: DamageTarget = .segments) {
    self.run = run
    self.layer = layer
    self.target = target
  }

  func tryAll() throws(BenchFailure) {
    let workspace = run.workspace.path
    try target.makeReference(workspace, run.settings.seed)
    let stores = try ReferenceStores(in: workspace)
    var file: String?
    if let text = run.settings.replay {
      guard DamageCase(text)?.isPossible(stores) ?? (stores.reference.files[text] != nil) else {
        throw BenchFailure(
          .usage, "--replay '\(text)': neither a damage nor one of the files \(stores.reference.names)")
      }
      if DamageCase(text) != nil {
        _ = try start(0, 0..<1)
        return
      }
      file = text
    }
    let catalog = DamageCatalog(stores, layer: layer, seed: run.settings.seed, file: file)
    run.count("bytes of the store", catalog.stores.reference.files.values.reduce(0) { $0 + $1.count })
    if catalog.firstPassCount > 0 { run.count("bytes to flip", catalog.firstPassCount) }
    run.count("damages there are", catalog.count)
    var end = catalog.count
    if case .cases(let limit) = run.settings.budget { end = min(end, limit) }
    let last = end
    try ParallelWork.run(
      count: run.settings.workerCount, workerCount: run.settings.workerCount, { () throws(BenchFailure) in }
    ) { (_: Void, place) throws(BenchFailure) in
      while let piece = self.nextPiece(below: last) { try self.attempt(piece, place) }
    }
    let tried = min(next.withLock { $0 }, last)
    guard tried > 0, run.caseCount > 0 else { throw BenchFailure(.failed, "no damage was tried") }
  }

  private var secondsLeft: Double {
    guard case .seconds(let limit) = run.settings.budget else { return 1e6 }
    return limit - run.seconds
  }

  private func nextPiece(below end: Int) -> Range<Int>? {
    guard secondsLeft > 0 else { return nil }
    return next.withLock { next in
      guard next < end else { return nil }
      defer { next += DamageSupervisor.pieceCount }
      return next..<min(end, next + DamageSupervisor.pieceCount)
    }
  }

  /// Has the damages `numbers` tried, whatever becomes of the workers.
  private func attempt(_ numbers: Range<Int>, _ place: Int) throws(BenchFailure) {
    var rest = numbers
    while !rest.isEmpty, secondsLeft > 0 {
      let tally = try start(place, rest)
      guard !tally.isWhole else { return }
      rest = min(tally.current + 1, rest.upperBound)..<rest.upperBound
    }
  }

  private func start(_ place: Int, _ numbers: Range<Int>) throws(BenchFailure) -> DamageTally {
    let assignment = DamageWorker.Assignment(
      layer, seed: run.settings.seed, run.workspace.path, place: place, numbers,
      seconds: Int(max(1, min(secondsLeft, 1e6))), only: run.settings.replay ?? "")
    let begin = MonotonicClock.seconds()
    let outcome = try run.runPart(
      [Array(target.partName.utf8)] + assignment.arguments, silenceSeconds: DamageSupervisor.silenceSeconds
    ) { self.read($0) }
    let tally = try self.tally(assignment)
    run.countCases(tally.doneCount)
    for (name, count) in tally.figures.sorted(by: { $0.key < $1.key }) { run.count(name, count) }
    if tally.isWhole && outcome.exitStatus == 0 { return tally }
    try judge(outcome, tally, assignment, seconds: MonotonicClock.seconds() - begin)
    return tally
  }

  private func tally(_ assignment: DamageWorker.Assignment) throws(BenchFailure) -> DamageTally {
    do throws(SystemCallFailure) {
      let file = try File.open(assignment.tally)
      return DamageTally(try file.bytes(at: 0, byteCount: try file.status().byteCount))
    } catch {
      return DamageTally()
    }
  }

  /// Takes note of a worker that did not come to its end.
  private func judge(
    _ outcome: ChildProcess.Outcome, _ tally: DamageTally, _ assignment: DamageWorker.Assignment, seconds: Double
  ) throws(BenchFailure) {
    let said = DisplayName.escaped(Array(outcome.standardError.prefix(2_000)))
    guard tally.current >= 0, let signal = outcome.signal else {
      throw BenchFailure(.failed, "a worker ended with status \(outcome.exitStatus ?? -1): \(said)")
    }
    let stores = try ReferenceStores(in: run.workspace.path)
    let only = DamageCase(assignment.only)
    let damage =
      only
      ?? DamageCatalog(
        stores, layer: layer, seed: run.settings.seed, file: assignment.only.isEmpty ? nil : assignment.only
      )[tally.current]
    run.countCases(1)
    if signal == SignalWatcher.kill {
      run.record(
        Violation(
          kind: .hang, message: "\(damage): nothing for \(Int(DamageSupervisor.silenceSeconds)) s",
          replay: run.replay("\(damage)")))
    } else {
      run.record(
        Violation(
          kind: .crash, message: "\(damage): signal \(signal); \(said)", replay: run.replay("\(damage)")))
    }
  }

  /// A line of a worker.
  private func read(_ line: [UInt8]) {
    let words = line.split(separator: UInt8(ascii: "\t"), maxSplits: 3).map { String(decoding: $0, as: UTF8.self) }
    switch words.first {
    case "violation" where words.count == 4:
      run.record(
        Violation(
          kind: Violation.Kind(rawValue: words[1]) ?? .outcome, message: "\(words[2]): \(words[3])",
          replay: run.replay(words[2])))
    case "said" where words.count == 2:
      do throws(ConsoleFailure) { try StandardStreams.write("  \(words[1])\n", to: .error) } catch {}
    default: break
    }
  }
}
