import SegmentStore
import StorageIO

/// Does with a damaged store what a user does, with the real engine, and compares all that comes of it with what was
/// stored.
struct DamageCheck {
  /// The smallest that works: one thread, so that a store is opened in little time.
  static var configuration: Store.Configuration {
    var configuration = Store.Configuration()
    configuration.workerCount = 1
    configuration.memoryByteCount = 16 << 20
    configuration.lockTimeoutSeconds = 1
    return configuration
  }

  private static let refusals: Set<StoreError.Code> = [.indexDamaged, .corrupt, .notAStore, .newerFormat, .io]
  /// What a get may say of a file: also that the system could not read it.
  private static let readErrors: Set<StoreError.Code> = [.indexDamaged, .corrupt, .io]

  let store: FilePath
  private let workspace: FilePath
  private let scratch: FilePath
  private(set) var files: [StoredFile] = []
  private(set) var contents: [FileID: [UInt8]] = [:]

  /// Learns what the store in `store`, which is whole, holds, and checks that with what was put into it.
  init(store: FilePath, workspace: FilePath) throws(BenchFailure) {
    self.store = store
    self.workspace = workspace
    scratch = store.parent
    try BenchFailure.translating { () throws(StoreError) in
      let opened = try Store(at: store, DamageCheck.configuration)
      files = try opened.files(limit: 10_000)
      try opened.close()
    }
    for file in files where file.status == .ready {
      contents[file.id] = try ReferenceStores.content(of: file.id, in: workspace)
    }
    guard contents.count >= 10, files.contains(where: \.isInterrupted) else {
      throw BenchFailure(.failed, "the reference store has \(contents.count) files")
    }
    var outcome = DamageOutcome()
    read(expecting: files, .everything, &outcome)
    guard outcome.violations.isEmpty, outcome.outcomeClass == .harmless else {
      throw BenchFailure(
        .failed, "the reference store is not whole: \(outcome.violations) \(outcome.errors) \(outcome.findings)")
    }
  }

  // MARK: Reading

  /// How much of it is done.
  enum Extent {
    case everything
    /// The segments are verified only where something of the index was wrong: where all files can be read by the index
    /// and it contradicts itself nowhere, the segments have nothing to say of it.
    case index
  }

  /// Opens the store, lists, finds and gets everything, and verifies.
  func read(expecting expected: [StoredFile], _ extent: Extent, _ outcome: inout DamageOutcome) {
    let opened = outcome.attempt("open", DamageCheck.refusals) { (_) throws(StoreError) in
      try Store(at: store, DamageCheck.configuration)
    }
    guard let opened else { return }
    list(opened, expecting: expected, &outcome)
    for file in expected where file.status == .ready { get(file, opened, &outcome) }
    verify(opened, extent, &outcome)
    _ = outcome.attempt("close", DamageCheck.readErrors) { (_) throws(StoreError) in try opened.close() }
  }

  /// Gets and verifies these files alone, in a store that stays open: nobody reads the records of others for it.
  func read(only hit: Set<FileID>, in opened: Store, _ outcome: inout DamageOutcome) {
    for file in files where file.status == .ready && hit.contains(file.id) {
      get(file, opened, &outcome)
      let collected = Collected()
      _ = outcome.attempt("verify of \(file.id)", []) { (_) throws(StoreError) in
        try opened.verify(file: file.id) { event in collected.add(event) }
      }
      outcome.findings += collected.findings
      if outcome.unreadable.contains(file.id) && collected.findings.isEmpty {
        outcome.violate(.silent, "verify of file \(file.id) finds nothing, and it cannot be read")
      }
    }
  }

  private func list(_ store: Store, expecting expected: [StoredFile], _ outcome: inout DamageOutcome) {
    let listed = outcome.attempt("list", [.indexDamaged]) { (_) throws(StoreError) in
      try store.files(limit: 10_000)
    }
    if let listed, listed != expected {
      let missing = expected.filter { !listed.contains($0) }.map(\.id)
      let others = listed.filter { !expected.contains($0) }.map(\.id)
      outcome.violate(.silent, "list says nothing, lacks files \(missing) as they were, and has \(others) otherwise")
    }
    let ready = expected.filter { $0.status == .ready }
    let newest = outcome.attempt("list of names", [.indexDamaged]) { (_) throws(StoreError) in
      try store.newestFiles(namePrefix: [], limit: 10_000)
    }
    if let newest, Set(newest.map(\.name)) != Set(ready.map(\.name)) {
      outcome.violate(.silent, "the list of names says nothing, and has \(newest.map(\.id)) of \(ready.map(\.id))")
    }
    for file in ready {
      let named = outcome.attempt("look-up of '\(file.name)'", [.indexDamaged]) { (_) throws(StoreError) in
        try store.files(named: file.name)
      }
      guard let named, !named.contains(file) else { continue }
      if !named.contains(where: { $0.id == file.id && $0.name == file.name }) {
        outcome.violate(.silent, "'\(file.name)' (id \(file.id)) is not found by its name, and nothing is said")
      } else if outcome.errors.isEmpty {
        // Where the list has said that the table is not what it was, a look-up of one entry need not say it again.
        outcome.violate(.silent, "'\(file.name)' (id \(file.id)) has other dates or sizes, and nothing is said")
      }
    }
  }

  private func get(_ file: StoredFile, _ store: Store, _ outcome: inout DamageOutcome) {
    guard let content = contents[file.id] else { return }
    let errorCount = outcome.errors.count
    let found = outcome.attempt("get of \(file.id)", DamageCheck.readErrors) { (_) throws(StoreError) in
      try bytes(of: file.id, limit: content.count + 1, store)
    }
    if let found {
      if found != content { outcome.violate(.wrongBytes, "file \(file.id): other bytes than were stored") }
    } else if outcome.errors.count > errorCount {
      outcome.unreadable.insert(file.id)
    }
  }

  private func bytes(of id: FileID, limit: Int, _ store: Store) throws(StoreError) -> [UInt8] {
    let file: File
    do throws(SystemCallFailure) { file = try File.open(scratch, [.write, .unnamed]) } catch {
      throw StoreError(.cancelled, "\(error)")
    }
    try store.get(id, to: .stream(file))
    do throws(SystemCallFailure) { return try file.bytes(at: 0, byteCount: limit) } catch {
      throw StoreError(.cancelled, "\(error)")
    }
  }

  private func verify(_ store: Store, _ extent: Extent, _ outcome: inout DamageOutcome) {
    let collected = Collected()
    var options = VerificationOptions()
    if extent == .index && outcome.errors.isEmpty { options.scope = .index }
    let chosen = options
    let summary = outcome.attempt("verify", []) { (_) throws(StoreError) in
      try store.verify(chosen) { event in collected.add(event) }
    }
    outcome.findings += collected.findings
    outcome.notes += collected.notes
    guard let summary else { return }
    if summary.findingCount != collected.findings.count {
      outcome.violate(
        .inconsistent, "verify counts \(summary.findingCount) findings, and told \(collected.findings.count)")
    }
    if collected.findings.isEmpty && !outcome.unreadable.isEmpty {
      let said = outcome.errors.first.map { "\($0)" } ?? ""
      outcome.violate(
        .silent, "verify finds nothing, and files \(outcome.unreadable.sorted()) cannot be read: \(said)")
    }
  }

  /// What a verification said; used on one thread.
  private final class Collected {
    var findings: [Finding] = []
    var notes: [String] = []

    func add(_ event: VerificationEvent) {
      switch event {
      case .finding(let finding): findings.append(finding)
      case .note(let text): notes.append(text)
      case .progress, .reached: break
      }
    }
  }

  // MARK: Writing

  /// Puts a file and deletes one, and then reads everything as after a restart: what was acknowledged has to be so.
  func write(_ outcome: inout DamageOutcome) {
    var expected = files
    let victim = files[files.count / 2]
    let added: [UInt8] = (0..<9_000).map { UInt8(truncatingIfNeeded: $0 * 7 ^ $0 >> 8) }
    let writeErrors = DamageCheck.readErrors.union([.durabilityUnknown])
    var isUncertain = false
    let opened = outcome.attempt("open", DamageCheck.refusals) { (_) throws(StoreError) in
      try Store(at: store, DamageCheck.configuration)
    }
    guard let opened else { return }
    let source = scratch.appending("added")
    let put = outcome.attempt("put", writeErrors) { (_) throws(StoreError) in
      do throws(SystemCallFailure) {
        try ReferenceImage.remove("added", in: scratch)
        try ReferenceImage.write(added, to: source)
      } catch {
        throw StoreError(.cancelled, "\(error)")
      }
      return try opened.put(.file(source), as: FileName(Array("added".utf8)))
    }
    if let put { expected.append(put) } else { isUncertain = true }
    let isDeleted: Void? = outcome.attempt("delete", writeErrors) { (_) throws(StoreError) in
      try opened.delete(victim.id)
    }
    expected.removeAll { $0.id == victim.id }
    if isDeleted == nil { isUncertain = true }
    _ = outcome.attempt("close", writeErrors) { (_) throws(StoreError) in try opened.close() }
    // A call that failed may have been done or not; all others are compared.
    reread(expected, put.map { ($0.id, added) }, ignoresOthers: isUncertain, &outcome)
  }

  private func reread(
    _ expected: [StoredFile], _ added: (id: FileID, bytes: [UInt8])?, ignoresOthers: Bool,
    _ outcome: inout DamageOutcome
  ) {
    let opened = outcome.attempt("open again", DamageCheck.refusals) { (_) throws(StoreError) in
      try Store(at: store, DamageCheck.configuration)
    }
    guard let opened else { return }
    let listed = outcome.attempt("list again", [.indexDamaged]) { (_) throws(StoreError) in
      try opened.files(limit: 10_000)
    }
    if let listed {
      let missing = expected.filter { !listed.contains($0) && !$0.isInterrupted }
      let others = listed.filter { !expected.contains($0) }
      if !missing.isEmpty || (!others.isEmpty && !ignoresOthers) {
        outcome.violate(
          .silent, "after a put and a delete the list lacks \(missing.map(\.id)), and has \(others.map(\.id)) besides")
      }
    }
    for file in expected where file.status == .ready && file.id != added?.id { get(file, opened, &outcome) }
    if let added {
      let found = outcome.attempt("get of what was put", DamageCheck.readErrors) { (_) throws(StoreError) in
        try bytes(of: added.id, limit: added.bytes.count + 1, opened)
      }
      if let found, found != added.bytes { outcome.violate(.wrongBytes, "what was put comes back with other bytes") }
    }
    _ = outcome.attempt("close", DamageCheck.readErrors) { (_) throws(StoreError) in try opened.close() }
  }

  // MARK: Rebuilding

  /// Makes the index anew and reads everything.
  /// - Parameters:
  ///   - harmed: The files whose records may be damaged: they may be gone or unreadable, if the rebuild says
  ///     something. All others have to be as they were.
  ///   - canLeaveNoTrace: Whether what is gone of these may be gone in silence.
  func rebuild(harmed: Set<FileID>?, canLeaveNoTrace: Bool, _ outcome: inout DamageOutcome) {
    let collected = Collected()
    let summary = outcome.attempt("rebuild", [.corrupt, .notAStore, .newerFormat]) { (_) throws(StoreError) in
      try Store.rebuild(at: store, DamageCheck.configuration) { finding in collected.add(.finding(finding)) }
    }
    guard summary != nil else { return }
    let opened = outcome.attempt("open after rebuild", []) { (_) throws(StoreError) in
      try Store(at: store, DamageCheck.configuration)
    }
    guard let opened else { return }
    let listed =
      outcome.attempt("list after rebuild", []) { (_) throws(StoreError) in try opened.files(limit: 10_000) } ?? []
    let findings = collected.findings.filter { $0.kind != .uncommittedFile }
    for file in files where file.status == .ready {
      let isHarmed = harmed?.contains(file.id) ?? true
      if let found = listed.first(where: { $0.id == file.id }) {
        if found != file { outcome.violate(.wrongBytes, "file \(file.id) is not what it was after a rebuild") }
        get(file, after: findings, isHarmed, opened, &outcome)
      } else if isHarmed && canLeaveNoTrace && findings.isEmpty {
        outcome.forgotten.insert(file.id)
      } else if !isHarmed || findings.isEmpty {
        outcome.violate(.lost, "file \(file.id) is gone after a rebuild; findings: \(findings.map(\.message))")
      }
    }
    let returned = listed.filter { file in !files.contains { $0.id == file.id } }
    if !returned.isEmpty && findings.isEmpty && !canLeaveNoTrace {
      outcome.violate(.lost, "deleted files \(returned.map(\.id)) are back after a rebuild, and nothing was said")
    }
    _ = outcome.attempt("close after rebuild", []) { (_) throws(StoreError) in try opened.close() }
  }

  private func get(
    _ file: StoredFile, after findings: [Finding], _ isHarmed: Bool, _ store: Store, _ outcome: inout DamageOutcome
  ) {
    guard let content = contents[file.id] else { return }
    var message = ""
    let found = outcome.attempt("get after rebuild", [.corrupt, .io]) { (_) throws(StoreError) in
      do throws(StoreError) { return try bytes(of: file.id, limit: content.count + 1, store) } catch {
        message = error.message
        throw error
      }
    }
    if let found {
      if found != content { outcome.violate(.wrongBytes, "file \(file.id): other bytes after a rebuild") }
    } else if !isHarmed {
      outcome.violate(.lost, "file \(file.id) cannot be read after a rebuild: \(message)")
    }
  }
}
