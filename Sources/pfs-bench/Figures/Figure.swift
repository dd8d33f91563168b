/// One thing that was measured several times over, as a rule beside something else.
struct Figure: Sendable {
  enum Unit: String, Sendable {
    case milliseconds = "ms"
    case gigabytesPerSecond = "GB/s"
    case filesPerSecond = "files/s"
    case partsPerSecond = "parts/s"
    case mebibytes = "MiB"
    case times = "x"
    case extents = "extents"
    case millionsPerSecond = "M/s"
    case nanoseconds = "ns"

    var decimals: Int {
      switch self {
      case .times: 3
      case .milliseconds, .gigabytesPerSecond: 2
      case .filesPerSecond, .partsPerSecond, .extents, .nanoseconds: 0
      case .mebibytes, .millionsPerSecond: 1
      }
    }
  }

  /// One measurement, and the one beside it.
  struct Sample: Hashable, Sendable {
    let runNumber: Int
    let value: Double
    /// Nil where nothing stands beside it.
    let peer: Double?
    let peerWasFirst: Bool

    var ratio: Double? { peer.map { peer in value / peer } }
  }

  /// A target of the project.
  struct Target: Hashable, Sendable {
    enum Subject: String, Sendable { case value, ratio }
    let subject: Subject
    let bound: Double
    let isLeast: Bool

    static func atMost(_ bound: Double) -> Target { Target(subject: .value, bound: bound, isLeast: false) }
    static func atLeast(_ bound: Double) -> Target { Target(subject: .value, bound: bound, isLeast: true) }
    /// Of what stands beside it.
    static func atLeastRatio(_ bound: Double) -> Target { Target(subject: .ratio, bound: bound, isLeast: true) }
    static func atMostRatio(_ bound: Double) -> Target { Target(subject: .ratio, bound: bound, isLeast: false) }

    func isMet(by value: Double) -> Bool { isLeast ? value >= bound : value <= bound }
  }

  /// For programs.
  let name: String
  /// For people.
  let title: String
  let unit: Unit
  /// What stands beside it, in the same unit.
  let peerTitle: String?
  let target: Target?
  /// Why it was not measured.
  let skipReason: String?
  var samples: [Sample] = []

  init(
    _ name: String, _ title: String, _ unit: Unit, beside peerTitle: String? = nil, target: Target? = nil,
    skipReason: String? = nil
  ) {
    self.name = name
    self.title = title
    self.unit = unit
    self.peerTitle = peerTitle
    self.target = target
    self.skipReason = skipReason
  }

  var value: Spread? { Spread(samples.map(\.value)) }
  var peer: Spread? { Spread(samples.compactMap(\.peer)) }

  /// The value as a share of what stood beside it: ratios first, then their median.
  var ratio: Spread? {
    Spread(balancing: samples.compactMap { sample in sample.ratio.map { ($0, sample.peerWasFirst) } })
  }

  /// What the target is held against.
  var judged: Double? { target?.subject == .ratio ? ratio?.median : value?.median }
  var isTargetMet: Bool? {
    guard let target, let judged else { return nil }
    return target.isMet(by: judged)
  }
}

/// All figures of one benchmark, and how quiet the machine was meanwhile. Belongs to one thread.
struct FigureSet: Sendable {
  private(set) var all: [Figure] = []
  private var programSeconds = 0.0
  private var othersSeconds = 0.0

  /// The share of the machine that everything else took while programs were measured.
  func othersShare(processorCount: Int) -> Double {
    programSeconds > 0 ? othersSeconds / (programSeconds * Double(processorCount)) : 0
  }

  /// Adds a figure that gets its samples later; its name must be new.
  mutating func declare(_ figure: Figure) {
    precondition(!all.contains { $0.name == figure.name }, "two figures '\(figure.name)'")
    all.append(figure)
  }

  mutating func add(_ name: String, run runNumber: Int, _ value: Double) {
    add(name, Figure.Sample(runNumber: runNumber, value: value, peer: nil, peerWasFirst: false))
  }

  mutating func add(_ name: String, run runNumber: Int, _ both: Comparison) {
    add(
      name,
      Figure.Sample(runNumber: runNumber, value: both.value, peer: both.peer, peerWasFirst: both.peerWasFirst))
  }

  private mutating func add(_ name: String, _ sample: Figure.Sample) {
    guard let index = all.firstIndex(where: { $0.name == name }) else {
      preconditionFailure("no figure '\(name)' is declared")
    }
    all[index].samples.append(sample)
  }

  /// Notes how much others took while a program ran.
  mutating func watch(_ run: ProgramRun) {
    programSeconds += run.outcome.wallSeconds
    othersSeconds += run.othersSeconds
  }
}

/// A measurement and what was measured beside it.
struct Comparison: Hashable, Sendable {
  let value: Double
  let peer: Double
  let peerWasFirst: Bool
}

/// Measures two things in turn, so that a machine that becomes slower or faster favours neither.
///
/// In even runs `peer` goes first.
func alternating(
  _ runNumber: Int, _ subject: () throws(BenchFailure) -> Double, _ peer: () throws(BenchFailure) -> Double
) throws(BenchFailure) -> Comparison {
  if runNumber.isMultiple(of: 2) {
    let peer = try peer()
    return Comparison(value: try subject(), peer: peer, peerWasFirst: true)
  }
  let value = try subject()
  return Comparison(value: value, peer: try peer(), peerWasFirst: false)
}
