/// Whether a history can be explained: whether each of its steps can be given a moment between its call and its return, so
/// that done one after another at these moments they see what they saw.
///
/// The search of Wing and Gong with the memory of Lowe: of the steps that could come next one is tried after another, and a
/// set of steps from which there was no way on is not tried again. What a set of steps leaves behind does not depend on
/// their order, since each version is added once and removed once; so the set is all there is to remember. A read that sees
/// what it saw is taken at once: it changes nothing, so waiting could not help.
struct LinearizabilityCheck {
  enum Verdict: Hashable {
    case linearizable
    case notLinearizable
    /// Given up after too many sets of steps.
    case undecided
  }

  private static let maximumSetCount = 4_000_000

  private let events: [HistoryEvent]
  /// The versions by their ids, oldest first.
  private let indexOfID: [Int: Int]
  private let versionsOfName: [String: [Int]]
  private let isWellFormed: Bool
  private let firstHalf: [Int?]

  init(_ events: [HistoryEvent]) {
    self.events = events
    let added = events.flatMap { event in
      if case .added(let versions) = event.step { versions } else { [StoredVersion]() }
    }.sorted { $0.id < $1.id }
    indexOfID = Dictionary(added.enumerated().map { ($1.id, $0) }, uniquingKeysWith: { first, _ in first })
    versionsOfName = Dictionary(grouping: added.indices, by: { added[$0].name })
    isWellFormed = indexOfID.count == added.count
    firstHalf = LinearizabilityCheck.firstHalves(of: events)
  }

  func verdict() -> Verdict {
    // An id that was given twice, or one that nobody was given, has no explanation.
    guard isWellFormed, events.allSatisfy({ knows($0.step) }) else { return .notLinearizable }
    return search()
  }

  // MARK: The order of calls and returns

  /// Calls and returns in the order of time, as a list from which steps are taken and put back.
  private struct Timeline {
    struct Entry {
      let event: Int
      let isCall: Bool
      var previous = 0
      var next = 0
      var matching = 0
    }

    /// With one at both ends that is neither.
    private(set) var entries: [Entry] = []
    var first: Int { entries[0].next }
    var isEmpty: Bool { entries[0].next == entries.count - 1 }

    init(_ events: [HistoryEvent]) {
      var moments: [(nanoseconds: Int64, isReturn: Int, event: Int)] = []
      for (number, event) in events.enumerated() {
        moments.append((event.invokedNanoseconds, 0, number))
        moments.append((max(event.returnedNanoseconds, event.invokedNanoseconds), 1, number))
      }
      // Steps that touch count as overlapping: a call at the same moment goes first.
      moments.sort { ($0.nanoseconds, $0.isReturn, $0.event) < ($1.nanoseconds, $1.isReturn, $1.event) }
      entries = [Entry(event: -1, isCall: false)]
      entries += moments.map { Entry(event: $0.event, isCall: $0.isReturn == 0) }
      entries.append(Entry(event: -1, isCall: false))
      var calls = [Int](repeating: 0, count: events.count)
      for index in entries.indices {
        entries[index].previous = index - 1
        entries[index].next = index + 1
        guard entries[index].event >= 0 else { continue }
        if entries[index].isCall {
          calls[entries[index].event] = index
        } else {
          entries[calls[entries[index].event]].matching = index
        }
      }
    }

    mutating func take(_ call: Int) {
      for index in [call, entries[call].matching] {
        entries[entries[index].previous].next = entries[index].next
        entries[entries[index].next].previous = entries[index].previous
      }
    }

    mutating func putBack(_ call: Int) {
      for index in [entries[call].matching, call] {
        entries[entries[index].previous].next = index
        entries[entries[index].next].previous = index
      }
    }
  }

  /// What the steps taken so far have left.
  private struct Versions {
    var isAlive: [Bool]
    var aliveCount = 0

    mutating func set(_ index: Int, _ alive: Bool) {
      if isAlive[index] != alive { aliveCount += alive ? 1 : -1 }
      isAlive[index] = alive
    }
  }

  // MARK: The search

  private func search() -> Verdict {
    var timeline = Timeline(events)
    var versions = Versions(isAlive: [Bool](repeating: false, count: indexOfID.count))
    var isTaken = [Bool](repeating: false, count: events.count)
    var random = SplitMix64(seed: 1)
    // A set of steps is known by the exclusive or of 128 bits for each of them.
    let marks = events.map { _ in UInt128(random.next()) << 64 | UInt128(random.next()) }
    var set: UInt128 = 0
    var known: Set<UInt128> = []
    var path: [Int] = []
    var entry = timeline.first
    while !timeline.isEmpty {
      let event = timeline.entries[entry].event
      if timeline.entries[entry].isCall {
        if firstHalf[event].map({ isTaken[$0] }) ?? true, holds(events[event].step, versions),
          known.insert(set ^ marks[event]).inserted
        {
          if known.count > LinearizabilityCheck.maximumSetCount { return .undecided }
          apply(events[event].step, to: &versions, undoing: false)
          timeline.take(entry)
          isTaken[event] = true
          set ^= marks[event]
          path.append(entry)
          entry = timeline.first
        } else {
          entry = timeline.entries[entry].next
        }
        continue
      }
      // A step returned that was not taken: back to the last choice.
      var wasRead = true
      while wasRead {
        guard let last = path.popLast() else { return .notLinearizable }
        let event = timeline.entries[last].event
        apply(events[event].step, to: &versions, undoing: true)
        timeline.putBack(last)
        isTaken[event] = false
        set ^= marks[event]
        entry = timeline.entries[last].next
        wasRead = events[event].step.isRead
      }
    }
    return .linearizable
  }

  private func apply(_ step: HistoryStep, to versions: inout Versions, undoing: Bool) {
    switch step {
    case .added(let added):
      for version in added { if let index = indexOfID[version.id] { versions.set(index, !undoing) } }
    case .removed(let id):
      if let index = indexOfID[id] { versions.set(index, undoing) }
    default: break
    }
  }

  private func holds(_ step: HistoryStep, _ versions: Versions) -> Bool {
    switch step {
    case .added: true
    case .removed(let id), .present(let id, _): indexOfID[id].map { versions.isAlive[$0] } ?? false
    case .missing(let id): indexOfID[id].map { !versions.isAlive[$0] } ?? true
    case .newest(let newest):
      newest.allSatisfy { version in
        (versionsOfName[version.name] ?? []).last { versions.isAlive[$0] } == version.id.flatMap { indexOfID[$0] }
      }
    case .versions(let name, let ids):
      (versionsOfName[name] ?? []).filter { versions.isAlive[$0] } == ids.compactMap { indexOfID[$0] }.sorted()
    case .all(let ids):
      versions.aliveCount == ids.count && ids.allSatisfy { indexOfID[$0].map { versions.isAlive[$0] } ?? false }
    }
  }

  private func knows(_ step: HistoryStep) -> Bool {
    switch step {
    case .added, .missing: true
    case .removed(let id), .present(let id, _): indexOfID[id] != nil
    case .newest(let newest): newest.allSatisfy { $0.id.map { indexOfID[$0] != nil } ?? true }
    case .versions(_, let ids), .all(let ids): ids.allSatisfy { indexOfID[$0] != nil }
    }
  }

  /// For each event the one that must come before it as the first half of the same operation.
  private static func firstHalves(of events: [HistoryEvent]) -> [Int?] {
    var lastOfThread: [Int: Int] = [:]
    return events.enumerated().map { number, event in
      defer { lastOfThread[event.thread] = number }
      return event.isSecondHalf ? lastOfThread[event.thread] : nil
    }
  }
}
