import SegmentStore
import StorageIO

/// What is known of the files in a store.
struct StoreState: Sendable {
  /// The ready files: id and name. The content is that of the source of that name.
  var files: [UInt64: String] = [:]
  /// Those of puts that were interrupted and wait to be gone on with.
  var interrupted: [UInt64: String] = [:]
  /// No id up to this one may be given to a new file.
  var lastID: UInt64 = 0
  /// What the segments take on the disk.
  var segmentByteCount = 0
}

/// Looks at a store as its next users do: everything is there, exact, and goes on working.
struct StoreInspection {
  let store: FilePath
  /// A file of the inspection's own.
  let copy: FilePath
  let sources: FaultSources

  private static let storeNames = ["STORE", "high-water", "index", "locks", "reserve", "segments"]
  private static let indexNames = ["data.mdb", "lock.mdb"]
  private static let pageFileCount = 512
  /// Stored and deleted again, to see that this works.
  private static let probeName = "probe"

  static var configuration: Store.Configuration {
    var configuration = Store.Configuration()
    configuration.memoryByteCount = 32 << 20
    configuration.workerCount = 1
    configuration.lockTimeoutSeconds = 30
    return configuration
  }

  /// Opens the store, which puts it right, and closes it again.
  /// - Parameter isRebuiltIfDamaged: whether the index may have to be made anew: else that breaks a promise.
  func open(isRebuiltIfDamaged: Bool) throws(CaseFailure) {
    let damage: StoreError
    do throws(StoreError) {
      return try Store(at: store, StoreInspection.configuration).close()
    } catch {
      damage = error
    }
    guard isRebuiltIfDamaged && damage.code == .indexDamaged else {
      throw .promise(.unopenable, "the next open: \(damage.code): \(damage.message)")
    }
    try rebuild(afterRecovery: false)
    try CaseFailure.store(.unopenable, "the open after a rebuild") { () throws(StoreError) in
      try Store(at: store, StoreInspection.configuration).close()
    }
  }

  /// - Parameter afterRecovery: whether what was not acknowledged has been cut off. Else a record that was being written may be
  ///   found torn, and with the index gone nobody knows that it never counted.
  func rebuild(afterRecovery: Bool = true) throws(CaseFailure) {
    var findings: [String] = []
    _ = try CaseFailure.store(.unopenable, "the rebuild") { () throws(StoreError) in
      try Store.rebuild(at: store, StoreInspection.configuration) { finding in
        // A file of a batch that was never published is one; that all that was acknowledged is there is asked later.
        let isTornRecord = finding.kind == .segment && finding.offset != nil
        if finding.kind == .uncommittedFile || isTornRecord && !afterRecovery { return }
        findings.append(finding.message)
      }
    }
    try CaseFailure.demand(findings.isEmpty, .lost, "the rebuild: \(findings.joined(separator: "; "))")
  }

  /// Demands that nothing is left of what went before but files, each of them exact, that a verification finds nothing, and
  /// that neither another open nor reading changes a byte.
  func state() throws(CaseFailure) -> StoreState {
    let before = try CaseFailure.harness { () throws(SystemCallFailure) in try StoreImage(of: store) }
    let opened = try CaseFailure.store(.unopenable, "the second open") { () throws(StoreError) in
      try Store(at: store, StoreInspection.configuration)
    }
    var state = try listed(opened)
    for (id, name) in state.files.sorted(by: { $0.key < $1.key }) { try checkBytes(of: id, name, in: opened) }
    try verify(opened)
    try CaseFailure.store(.inconsistent, "close") { () throws(StoreError) in try opened.close() }
    let after = try CaseFailure.harness { () throws(SystemCallFailure) in try StoreImage(of: store) }
    let differences = after.differences(from: before)
    try CaseFailure.demand(
      differences.isEmpty, .inconsistent, "the second open or reading changed \(differences.joined(separator: ", "))")
    try checkLeftovers()
    state.segmentByteCount = try CaseFailure.harness { () throws(SystemCallFailure) in
      try Tree.allocatedByteCount(of: store.appending("segments"))
    }
    return state
  }

  /// Demands that a file can be stored, under an id that nobody had, and deleted.
  func probe(_ state: StoreState) throws(CaseFailure) -> UInt64 {
    let opened = try CaseFailure.store(.unopenable, "the third open") { () throws(StoreError) in
      try Store(at: store, StoreInspection.configuration)
    }
    let id = try CaseFailure.store(.inconsistent, "the next put and delete") { () throws(StoreError) in
      let file = try opened.put(
        .file(sources.path("small")), as: FileName(Array(StoreInspection.probeName.utf8)))
      try opened.delete(file.id)
      try opened.close()
      return file.id.rawValue
    }
    try CaseFailure.demand(id > state.lastID, .inconsistent, "id \(id) is given again, after \(state.lastID)")
    return id
  }

  /// Deletes all files of the many small ones but one, and demands that an index made anew agrees. What a compaction that
  /// was cut short has left of them may lie in a segment that is still there, while that in which they were last is gone.
  /// - Returns: What is there then.
  func wear(_ state: StoreState, keeping number: Int) throws(CaseFailure) -> StoreState {
    let small = state.files.filter { $0.value.hasPrefix("half/") }.keys.sorted()
    guard !small.isEmpty else { return state }
    var expected = state.files
    try CaseFailure.store(.inconsistent, "many deletes") { () throws(StoreError) in
      let opened = try Store(at: store, StoreInspection.configuration)
      for (index, id) in small.enumerated() where index != number % small.count {
        try opened.delete(FileID(rawValue: id))
        expected[id] = nil
      }
      try opened.close()
    }
    try rebuild()
    let worn = try self.state()
    let back = worn.files.filter { expected[$0.key] == nil }.values.sorted()
    try CaseFailure.demand(back.isEmpty, .lost, "deleted, and back in an index made anew: \(back)")
    try CaseFailure.demand(worn.files == expected, .lost, "an index made anew has \(worn.files.count) files")
    return worn.with(lastID: state.lastID)
  }

  private func listed(_ opened: Store) throws(CaseFailure) -> StoreState {
    var state = StoreState()
    var next: UInt64? = 0
    while let start = next {
      let page = try CaseFailure.store(.unopenable, "a listing") { () throws(StoreError) in
        try opened.files(from: FileID(rawValue: start), limit: StoreInspection.pageFileCount)
      }
      for file in page {
        let name = file.name.description
        if file.isInterrupted {
          state.interrupted[file.id.rawValue] = name
        } else if file.status == .ready {
          state.files[file.id.rawValue] = name
        } else {
          throw .promise(.inconsistent, "after recovery '\(name)' (id \(file.id)) is \(file.status)")
        }
        state.lastID = max(state.lastID, file.id.rawValue)
      }
      next = page.last.map { file in file.id.rawValue + 1 }
    }
    return state
  }

  private func checkBytes(of id: UInt64, _ name: String, in opened: Store) throws(CaseFailure) {
    guard let expected = sources.contents[name] else {
      throw .promise(.wrongBytes, "'\(name)' (id \(id)) was never stored")
    }
    try CaseFailure.store(.lost, "get of '\(name)' (id \(id))") { () throws(StoreError) in
      _ = try opened.get(FileID(rawValue: id), to: .file(copy, replacing: true))
    }
    let bytes = try CaseFailure.harness { () throws(SystemCallFailure) in try Tree.bytes(of: copy) }
    try CaseFailure.demand(bytes == expected, .wrongBytes, "'\(name)' (id \(id)) differs from what was stored")
  }

  private func verify(_ opened: Store) throws(CaseFailure) {
    var found: [String] = []
    let summary = try CaseFailure.store(.inconsistent, "verify") { () throws(StoreError) in
      try opened.verify { event in
        switch event {
        case .finding(let finding): found.append("\(finding.kind): \(finding.message)")
        // Of two slots that are written in turn, one may be torn until it is written again.
        case .note(let note): if !note.hasPrefix("high-water: slot") { found.append(note) }
        case .progress, .reached: break
        }
      }
    }
    try CaseFailure.demand(
      found.isEmpty && summary.findingCount == 0, .inconsistent, "verify: \(found.joined(separator: "; "))")
  }

  private func checkLeftovers() throws(CaseFailure) {
    let (names, index) = try CaseFailure.harness { () throws(SystemCallFailure) in
      (try Tree.names(in: store), try Tree.names(in: store.appending("index")))
    }
    try CaseFailure.demand(
      names == StoreInspection.storeNames, .inconsistent, "in the store: \(names.joined(separator: " "))")
    try CaseFailure.demand(
      index == StoreInspection.indexNames, .inconsistent, "in the index: \(index.joined(separator: " "))")
  }
}
