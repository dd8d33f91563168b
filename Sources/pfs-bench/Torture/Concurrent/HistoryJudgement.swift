/// What is wrong with a history, if anything.
struct HistoryJudgement: Hashable, Sendable {
  let kind: Violation.Kind
  /// What is wrong, and the few events that show it.
  let message: String

  /// Nil for a history that can be explained.
  static func of(_ events: [HistoryEvent]) -> HistoryJudgement? {
    if let wrong = wrongContent(in: events) ?? wrongOrder(in: events) { return wrong }
    switch LinearizabilityCheck(events).verdict() {
    case .linearizable: return nil
    case .undecided:
      return HistoryJudgement(
        kind: .inconsistent, message: "a history of \(events.count) events is too entangled to be decided")
    case .notLinearizable:
      let minimal = minimal(events)
      return HistoryJudgement(
        kind: .inconsistent,
        message: "no order of these events explains what they saw (of \(events.count)):\n" + text(minimal))
    }
  }

  /// Every id is given once, with one content, and that comes back.
  private static func wrongContent(in events: [HistoryEvent]) -> HistoryJudgement? {
    var stored: [Int: (content: UInt64?, event: HistoryEvent)] = [:]
    for event in events {
      guard case .added(let versions) = event.step else { continue }
      for version in versions {
        if let other = stored[version.id] {
          return HistoryJudgement(kind: .lost, message: "an id was given twice:\n" + text([other.event, event]))
        }
        stored[version.id] = (version.content, event)
      }
    }
    for event in events {
      guard case .present(let id, let content?) = event.step, let put = stored[id], put.content != nil else { continue }
      if put.content != content {
        return HistoryJudgement(
          kind: .wrongBytes, message: "the content of another file came back:\n" + text([put.event, event]))
      }
    }
    return nil
  }

  /// Whoever stores a name when another put of it has ended has the newer version.
  private static func wrongOrder(in events: [HistoryEvent]) -> HistoryJudgement? {
    var puts: [(event: HistoryEvent, version: StoredVersion)] = []
    for event in events {
      if case .added(let versions) = event.step { puts += versions.map { (event, $0) } }
    }
    for first in puts {
      for second in puts
      where first.version.name == second.version.name && first.version.id > second.version.id
        && first.event.returnedNanoseconds < second.event.invokedNanoseconds
      {
        return HistoryJudgement(
          kind: .inconsistent,
          message: "what was stored later is the older version:\n" + text([first.event, second.event]))
      }
    }
    return nil
  }

  // MARK: Less of it

  /// A part of the history that cannot be explained either, from which nothing more can be left out.
  ///
  /// What is left out is a read, or all that tells of one version, or of all names but one: if the whole could be
  /// explained, so could what remains.
  private static func minimal(_ events: [HistoryEvent]) -> [HistoryEvent] {
    let nameOfID = names(in: events)
    var smallest = events
    for name in Set(nameOfID.values).sorted() {
      let candidate = events.compactMap { restricted($0, to: name, nameOfID) }
      if candidate.count < smallest.count && isUnexplained(candidate) { smallest = candidate }
    }
    var isShrinking = true
    while isShrinking {
      isShrinking = false
      for id in names(in: smallest).keys.sorted() {
        let candidate = smallest.compactMap { without(id, $0) }
        if isUnexplained(candidate) { (smallest, isShrinking) = (candidate, true) }
      }
      for position in smallest.indices.reversed() where smallest[position].step.isRead {
        var candidate = smallest
        candidate.remove(at: position)
        if position < candidate.count, candidate[position].thread == smallest[position].thread {
          candidate[position].isSecondHalf = false
        }
        if isUnexplained(candidate) { (smallest, isShrinking) = (candidate, true) }
      }
    }
    return smallest
  }

  private static func isUnexplained(_ events: [HistoryEvent]) -> Bool {
    LinearizabilityCheck(events).verdict() == .notLinearizable
  }

  private static func names(in events: [HistoryEvent]) -> [Int: String] {
    var names: [Int: String] = [:]
    for event in events {
      if case .added(let versions) = event.step { for version in versions { names[version.id] = version.name } }
    }
    return names
  }

  /// What an event says of one name.
  private static func restricted(_ event: HistoryEvent, to name: String, _ nameOfID: [Int: String]) -> HistoryEvent? {
    var event = event
    switch event.step {
    case .added(let versions):
      let own = versions.filter { $0.name == name }
      if own.isEmpty { return nil }
      event.step = .added(own)
    case .removed(let id), .present(let id, _), .missing(let id):
      // Of an id that nobody stored nothing is known; it belongs everywhere.
      if let owner = nameOfID[id], owner != name { return nil }
    case .newest(let newest):
      let own = newest.filter { $0.name == name }
      if own.isEmpty { return nil }
      event.step = .newest(own)
    case .versions(let other, _): if other != name { return nil }
    case .all(let ids): event.step = .versions(name, ids.filter { nameOfID[$0] == nil || nameOfID[$0] == name })
    }
    event.isSecondHalf = false
    return event
  }

  /// What an event says without one version.
  private static func without(_ id: Int, _ event: HistoryEvent) -> HistoryEvent? {
    var event = event
    switch event.step {
    case .added(let versions):
      let others = versions.filter { $0.id != id }
      if others.isEmpty { return nil }
      event.step = .added(others)
    case .removed(let other), .present(let other, _), .missing(let other): if other == id { return nil }
    case .newest(let newest):
      let others = newest.filter { $0.id != id }
      if others.isEmpty { return nil }
      event.step = .newest(others)
    case .versions(let name, let ids): event.step = .versions(name, ids.filter { $0 != id })
    case .all(let ids): event.step = .all(ids.filter { $0 != id })
    }
    event.isSecondHalf = false
    return event
  }

  /// The events in the order of their calls; times from the first call on.
  private static func text(_ events: [HistoryEvent]) -> String {
    let start = events.map(\.invokedNanoseconds).min() ?? 0
    return events.sorted { $0.invokedNanoseconds < $1.invokedNanoseconds }.map { event in
      var event = event
      event.invokedNanoseconds -= start
      event.returnedNanoseconds -= start
      return "    \(event)"
    }.joined(separator: "\n")
  }
}
