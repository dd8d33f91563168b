/// What a store must hold after a command, by what it held before and what the command said.
struct EffectCheck {
  let scenario: FaultScenario
  let start: StoreState

  /// What was there and what was acknowledged is there; what was under way is there or gone; nothing else is.
  /// - Parameter ending: How it ended; nil when nobody was told.
  func check(_ state: StoreState, after ending: TortureProgram.Ending?) throws(CaseFailure) {
    let acknowledged = ending?.acknowledged ?? []
    var deletable: Set<String> = []
    var storable: Set<String> = []
    switch scenario.effect {
    case .makes, .nothing, .rebuilds, .compacts: break
    case .stores(let names), .storesTogether(let names): storable = Set(names)
    case .deletes(let names): deletable = Set(names)
    }
    for (id, name) in start.files where !deletable.contains(name) {
      try CaseFailure.demand(state.files[id] == name, .lost, "'\(name)' (id \(id)) is not there any more")
    }
    let deleted = start.files.filter { deletable.contains($0.value) && state.files[$0.key] == nil }
    let added = state.files.filter { start.files[$0.key] == nil }
    for (id, name) in added {
      try CaseFailure.demand(
        storable.contains(name), .inconsistent, "'\(name)' (id \(id)) should not be there")
      try CaseFailure.demand(
        id > start.lastID || start.interrupted[id] == name, .inconsistent, "id \(id) of '\(name)' is given again")
    }
    for (id, name) in state.interrupted {
      try CaseFailure.demand(
        start.interrupted[id] == name, .inconsistent, "'\(name)' (id \(id)) waits to be gone on with")
    }
    for (id, name) in acknowledged where storable.contains(name) {
      try CaseFailure.demand(state.files[id] == name, .lost, "'\(name)' (id \(id)) was acknowledged and is lost")
    }
    for (id, name) in acknowledged where deletable.contains(name) {
      try CaseFailure.demand(state.files[id] == nil, .lost, "'\(name)' (id \(id)) was deleted and is back")
    }
    if ending?.succeeded == true {
      let missing = storable.subtracting(added.values).union(deletable.subtracting(deleted.values))
      try CaseFailure.demand(missing.isEmpty, .lost, "nothing was done about \(missing.sorted())")
    }
    if case .storesTogether(let names) = scenario.effect {
      try CaseFailure.demand(
        added.isEmpty || added.count == names.count, .inconsistent, "\(added.count) of \(names.count) are there")
    }
    if scenario.effect == .compacts && ending?.succeeded == true {
      try CaseFailure.demand(
        state.segmentByteCount < start.segmentByteCount, .inconsistent,
        "no space came back: \(state.segmentByteCount) bytes, \(start.segmentByteCount) before")
    }
    guard state.files == start.files else { return }
    // What a put left in a segment that it filled up, and that others have records in, is for the compactor.
    try CaseFailure.demand(
      scenario.effect == .makes || state.segmentByteCount <= start.segmentByteCount + 2 << 20, .inconsistent,
      "space is not given back: \(state.segmentByteCount) bytes, \(start.segmentByteCount) before")
  }
}
