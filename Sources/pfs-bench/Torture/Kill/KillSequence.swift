import SegmentStore
import StorageIO
import Synchronization

/// A store that several processes use at once, most of which are killed after 1 to 200 ms; then it is opened, all that was
/// acknowledged is looked for, and the next processes come. One case is a few such rounds on one store.
struct KillSequence {
  private static let prefix = "random "
  private static let roundCount = 4
  private static let limitSeconds = 0.001...0.2

  private let sweep: FaultSweep
  private let number: Int
  private var generator: SplitMix64
  /// What the store holds, as far as anybody was told.
  private var known = StoreState()

  /// The case that a replay names; nil when it names none of these.
  static func number(_ replay: String) -> Int? {
    guard replay.hasPrefix(prefix), let number = Int(replay.dropFirst(prefix.count)), number >= 0 else { return nil }
    return number
  }

  init(_ sweep: FaultSweep, number: Int) {
    self.sweep = sweep
    self.number = number
    generator = sweep.run.generator(of: number)
  }

  /// A process of a round, and how it ended.
  private struct Actor: Sendable {
    let arguments: [String]
    let limitSeconds: Double?
    var ending: TortureProgram.Ending?

    var makesStore: Bool { arguments.first == "put" || arguments.first == "init" }
    var wasKilled: Bool { ending?.outcome.signal == 9 }
  }

  /// Runs on a store in the new directory `directory`, which is removed at the end.
  func run(in directory: FilePath) throws(BenchFailure) {
    var sequence = self
    let stage = try sweep.bench.stage(in: directory, workerCount: 2)
    try stage.reset(to: nil)
    for round in 0..<KillSequence.roundCount {
      var actors: [Actor] = []
      do throws(CaseFailure) {
        actors = try sequence.act(on: stage, round)
        try sequence.check(stage, actors)
        sweep.run.count("rounds of kills at random, each checked")
      } catch {
        guard case .promise(let kind, let message) = error else {
          if case .harness(let failure) = error { throw failure }
          return
        }
        let said = actors.map { "\($0.ending.map { "\($0)" } ?? $0.arguments.joined(separator: " "))" }
        sweep.run.record(
          Violation(
            kind: kind, message: "round \(round) of kills at random: \(message); after \(said.joined(separator: ", "))",
            replay: sweep.run.replay("\(KillSequence.prefix)\(number)")))
        break
      }
    }
    try BenchFailure.translating { () throws(SystemCallFailure) in try Tree.remove(directory) }
  }

  // MARK: A round

  private mutating func act(on stage: FaultStage, _ round: Int) throws(CaseFailure) -> [Actor] {
    var actors: [Actor] = []
    // The first who come make the store, and may be killed at it; from then on some stay alone.
    let actorCount = generator.below(3) == 0 ? 1 : 2 + generator.below(3)
    var deletable = known.files.filter { $0.value != "kept" }.keys.sorted()
    for _ in 0..<actorCount {
      let arguments = nextArguments(&deletable)
      let limit = generator.below(5) == 0 ? nil : nextLimitSeconds()
      actors.append(Actor(arguments: arguments, limitSeconds: limit))
    }
    let running = Mutex(actors)
    let begun = actors
    try CaseFailure.harness { () throws(BenchFailure) in
      // `FaultStage` is for one thread, and what is needed of it is not.
      let (program, store, sources) = (stage.program, stage.store, stage.sources)
      let directory = stage.directory
      try ParallelWork.run(count: begun.count, workerCount: begun.count) { () throws(BenchFailure) in
      } _: { (_: Void, index) throws(BenchFailure) in
        let words = begun[index].arguments.map { word in
          FaultStage.expand(word.replacing("@out/", with: "@out/\(index)-"), sources, directory)
        }
        let ending = try program.run(words, store: store, limitSeconds: begun[index].limitSeconds)
        running.withLock { $0[index].ending = ending }
      }
    }
    actors = running.withLock { $0 }
    let killedCount = actors.count(where: \.wasKilled)
    sweep.run.count("kills at random", killedCount)
    if actors.count > 1 { sweep.run.count("  of one of several processes", killedCount) }
    return actors
  }

  private mutating func nextArguments(_ deletable: inout [UInt64]) -> [String] {
    let choice = generator.below(known.lastID == 0 ? 9 : 20)
    switch choice {
    case 0: return FaultScenario.initialize.arguments
    case 1, 2: return ["put", "--part-size", "16KiB", "@large"]
    case 3: return ["put", "--part-size", "16KiB", "--resume", "@large"]
    case 4: return ["put", "-r", "@tree"]
    case 5: return ["put", "--batch", "-r", "@tree", "@small", "@doomed"]
    case 6, 7: return ["put"] + Array(repeating: ["@kept", "@small", "@gone", "@empty"], count: 6).flatMap { $0 }
    case 8: return ["put", "-r", "@half"]
    case 9, 10, 11:
      let ids = (0..<min(deletable.count, 1 + generator.below(20))).map { _ in
        "\(deletable.remove(at: generator.below(deletable.count)))"
      }
      return ids.isEmpty ? ["put", "@small"] : ["delete"] + ids
    case 12: return ["list"]
    case 13: return ["verify"]
    case 14: return ["rebuild", "--lock-timeout", "100ms"]
    case 15, 16, 17: return ["compact", "--target", "1"]
    case 18: return ["get", "\(known.files.keys.sorted().first ?? 1)", "-o", "@out/restored"]
    default: return ["put", "@doomed", "@large", "@small"]
    }
  }

  /// As often between 1 and 10 ms as between 10 and 100.
  private mutating func nextLimitSeconds() -> Double {
    var seconds = KillSequence.limitSeconds.lowerBound
    let octaves = 7
    for _ in 0..<generator.below(octaves) { seconds *= 2 }
    seconds *= 1 + Double(generator.below(1000)) / 1000
    return min(seconds, KillSequence.limitSeconds.upperBound)
  }

  // MARK: What must hold

  private mutating func check(_ stage: FaultStage, _ actors: [Actor]) throws(CaseFailure) {
    for actor in actors { try checkEnding(actor) }
    let directory = stage.directory
    let inspection = StoreInspection(
      store: stage.store, copy: directory.appending("copy"), sources: stage.sources)
    let isMade = try CaseFailure.harness { () throws(SystemCallFailure) in try Tree.exists(stage.store) }
    guard isMade else {
      let acknowledged = actors.contains { actor in actor.ending?.succeeded == true && actor.makesStore }
      return try CaseFailure.demand(!acknowledged && known.lastID == 0, .lost, "the store is not there")
    }
    try inspection.open(isRebuiltIfDamaged: false)
    var state = try inspection.state()
    try check(state, actors)
    try checkOutputs(stage)
    state = state.with(lastID: max(known.lastID, actors.flatMap { $0.ending?.acknowledged.map(\.id) ?? [] }.max() ?? 0))
    state.lastID = try inspection.probe(state)
    known = state
  }

  private func checkEnding(_ actor: Actor) throws(CaseFailure) {
    guard let ending = actor.ending else { throw .promise(.hang, "it did not end") }
    if ending.isTooLong { throw .promise(.hang, "\(ending) after \(TortureProgram.limitSeconds) s") }
    if let signal = ending.outcome.signal {
      return try CaseFailure.demand(signal == 9 && actor.limitSeconds != nil, .crash, "\(ending)")
    }
    // No store yet, no such file since somebody was first, a rebuild that meets others or is met.
    let allowed: Set<Int32> =
      switch actor.arguments.first {
      case "init": [0, 1]
      case "put": [0, 5]
      case "rebuild": [0, 4, 5]
      default: [0, 4, 5]
      }
    try CaseFailure.demand(allowed.contains(ending.outcome.exitStatus ?? -1), .outcome, "\(ending)")
  }

  private func check(_ state: StoreState, _ actors: [Actor]) throws(CaseFailure) {
    var deletable: Set<UInt64> = []
    var deleted: Set<UInt64> = []
    for actor in actors where actor.arguments.first == "delete" {
      deletable.formUnion(actor.arguments.compactMap { UInt64($0) })
      deleted.formUnion(actor.ending?.acknowledged.map(\.id) ?? [])
    }
    for (id, name) in known.files where !deletable.contains(id) {
      try CaseFailure.demand(state.files[id] == name, .lost, "'\(name)' (id \(id)) is not there any more")
    }
    for id in deleted { try CaseFailure.demand(state.files[id] == nil, .lost, "id \(id) was deleted and is back") }
    for actor in actors where actor.arguments.first == "put" {
      // One that goes on with a put may find that the file is there already, while another deletes it.
      for (id, name) in actor.ending?.acknowledged ?? [] where !deletable.contains(id) {
        try CaseFailure.demand(state.files[id] == name, .lost, "'\(name)' (id \(id)) was acknowledged and is lost")
        try CaseFailure.demand(
          id > known.lastID || known.interrupted[id] == name || known.files[id] == name, .inconsistent,
          "id \(id) is given again")
      }
    }
    for (id, name) in state.files where known.files[id] == nil {
      try CaseFailure.demand(
        id > known.lastID || known.interrupted[id] == name, .inconsistent, "'\(name)' (id \(id)) was not there before")
    }
  }

  /// Under the names that gets were given are whole files, or nothing; what a killed one left has another name.
  private func checkOutputs(_ stage: FaultStage) throws(CaseFailure) {
    for name in try CaseFailure.harness({ () throws(SystemCallFailure) in try Tree.names(in: stage.output) }) {
      let path = stage.output.appending(name)
      let bytes = try CaseFailure.harness { () throws(SystemCallFailure) in try Tree.bytes(of: path) }
      try CaseFailure.demand(
        name.hasSuffix("-restored") && stage.sources.contents.values.contains(bytes), .wrongBytes,
        "the restored '\(name)' is nothing that was stored")
    }
    try CaseFailure.harness { () throws(BenchFailure) in try Tree.removeAll(in: stage.output) }
  }
}
