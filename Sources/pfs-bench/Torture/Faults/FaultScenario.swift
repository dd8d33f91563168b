/// A command that is tortured, and what it does, so that it is known what a store must look like after it, or after half
/// of it.
struct FaultScenario: Hashable, Sendable {
  enum Effect: Hashable, Sendable {
    /// It makes the store.
    case makes
    /// It stores these sources, each under its own name.
    case stores([String])
    /// As `stores`: all or none of them.
    case storesTogether([String])
    case deletes([String])
    /// It only reads, or puts right what somebody left.
    case nothing
    /// It makes the index anew, which may be asked for again.
    case rebuilds
    /// It moves what is alive, and nobody sees a difference but in the space that is taken.
    case compacts

    /// Whether it promises that something is on the device.
    var isDurable: Bool {
      switch self {
      case .stores, .storesTogether, .deletes: true
      case .makes, .nothing, .rebuilds, .compacts: false
      }
    }
  }

  /// What the store is like before.
  enum Start: Hashable, Sendable, CaseIterable {
    /// There is none.
    case nothing
    /// With files, and after a delete.
    case plain
    /// With a put of a large file that was interrupted, to be gone on with.
    case interrupted
    /// As a put and a delete that were killed have left it.
    case crashed
    /// Without its index.
    case withoutIndex
    /// In full segments, every other of many small files was deleted.
    case halfDeleted
  }

  let name: String
  let start: Start
  let effect: Effect
  /// `@NAME` stands for the path of a source, `@out` for a new directory.
  let arguments: [String]

  private init(_ name: String, _ start: Start, _ effect: Effect, _ arguments: String...) {
    self.name = name
    self.start = start
    self.effect = effect
    self.arguments = arguments
  }

  static let initialize = FaultScenario(
    "init", .nothing, .makes, "init", "--segment-size", "1MiB", "--part-size", "16KiB")
  private static let tree = ["tree/a", "tree/b", "tree/c"]

  /// Those that change the store.
  static let writing = [
    initialize,
    FaultScenario("put-small", .plain, .stores(["small"]), "put", "@small"),
    // Several batches, over several segments.
    FaultScenario("put-large", .plain, .stores(["large"]), "put", "@large"),
    FaultScenario("put-tree", .plain, .stores(tree), "put", "-r", "@tree"),
    FaultScenario("put-batch", .plain, .storesTogether(tree + ["small"]), "put", "--batch", "-r", "@tree", "@small"),
    FaultScenario("put-resume", .interrupted, .stores(["large"]), "put", "--resume", "@large"),
    // A file with segments of its own, and a tombstone for it.
    FaultScenario("delete", .plain, .deletes(["doomed"]), "delete", "doomed"),
    FaultScenario("recover", .crashed, .nothing, "list"),
    FaultScenario("compact", .halfDeleted, .compacts, "compact", "--target", "1"),
    FaultScenario("rebuild", .plain, .rebuilds, "rebuild"),
    FaultScenario("rebuild-lost", .withoutIndex, .rebuilds, "rebuild"),
  ]

  static let reading = [
    FaultScenario("get", .plain, .nothing, "get", "doomed", "-o", "@out/restored"),
    FaultScenario("list", .plain, .nothing, "list"),
    FaultScenario("verify", .plain, .nothing, "verify"),
  ]

  static let all = writing + reading

  /// The exit statuses, besides 0, that mean "it could not be read": what reads everything says what it misses.
  var statusesOfBadReads: Set<Int32> {
    switch effect {
    case .rebuilds, .compacts: [1, 3]
    case .nothing: name == "verify" ? [1, 3] : [1]
    default: [1]
    }
  }
}

/// A fault that comes to one call of a scenario.
struct FaultPoint: Hashable, Sendable {
  let scenario: FaultScenario
  let fault: Fault
  /// The statuses that the command may end with.
  let statuses: Set<Int32>
  /// From 1 on.
  let number: Int
  /// The change at which the recovery that follows is killed too; 0: it is not.
  var recoveryNumber = 0

  /// What `--replay` takes.
  var text: String {
    isClean ? "\(scenario.name) \(FaultPoint.cleanWord)" : "\(scenario.name) \(fault.text) \(number) \(recoveryNumber)"
  }

  private static let cleanWord = "clean"

  /// The scenario as it is without any fault.
  static func clean(_ scenario: FaultScenario) -> FaultPoint {
    FaultPoint(FaultPlan(scenario: scenario, fault: Fault(.kill, at: [], .once), statuses: []), 0)
  }

  var isClean: Bool { self == FaultPoint.clean(scenario) }

  /// - Parameter plans: what a layer does to its scenarios, to find the statuses in.
  init?(_ text: String, plans: [FaultPlan]) {
    let words = text.split(separator: " ").map(String.init)
    if words.count == 2, words[1] == FaultPoint.cleanWord,
      let scenario = FaultScenario.all.first(where: { $0.name == words[0] })
    {
      self = FaultPoint.clean(scenario)
      return
    }
    guard words.count == 4, let number = Int(words[2]), let recoveryNumber = Int(words[3]), let fault = Fault(words[1]),
      let plan = plans.first(where: { $0.scenario.name == words[0] && $0.fault == fault })
    else { return nil }
    self = plan.point(number)
    self.recoveryNumber = recoveryNumber
  }

  var plan: FaultPlan { FaultPlan(scenario: scenario, fault: fault, statuses: statuses) }

  fileprivate init(_ plan: FaultPlan, _ number: Int) {
    scenario = plan.scenario
    fault = plan.fault
    statuses = plan.statuses
    self.number = number
  }
}

/// A fault that comes to every call of a scenario in turn.
struct FaultPlan: Hashable, Sendable {
  let scenario: FaultScenario
  let fault: Fault
  let statuses: Set<Int32>

  func point(_ number: Int) -> FaultPoint { FaultPoint(self, number) }
}
