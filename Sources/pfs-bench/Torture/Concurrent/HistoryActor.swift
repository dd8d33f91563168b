import SegmentStore
import StorageIO

/// What the actors of one history have in common.
struct HistoryStage: Sendable {
  let store: FilePath
  /// Where an actor keeps what it stores and what it restored.
  let scratch: FilePath
  let seed: UInt64
  let caseNumber: Int

  /// Few, so that the actors are in one another's way.
  static let nameCount = 3

  var prefix: String { "h\(caseNumber)-" }
  var names: [String] { (0..<HistoryStage.nameCount).map { "\(prefix)\($0)" } }

  func generator(ofActor actor: Int) -> SplitMix64 {
    var mixed = SplitMix64(seed: seed &+ UInt64(caseNumber) &* 0x1_0001)
    return SplitMix64(seed: mixed.next() &+ UInt64(bitPattern: Int64(actor)))
  }
}

/// One thread of a history: does operations of the library, and writes down what it saw and when. Used by one thread.
final class HistoryActor {
  private(set) var events: [HistoryEvent] = []
  private(set) var violations: [(kind: Violation.Kind, message: String)] = []
  private(set) var operationCount = 0
  /// Puts that a quota had no room for.
  private(set) var refusedCount = 0
  /// By compactions.
  private(set) var movedByteCount = 0

  let stage: HistoryStage
  let number: Int
  let store: Store
  private let hasQuota: Bool
  private var generator: SplitMix64
  /// Ids that were seen, by anybody who shares this.
  private let seen: Monitor<[Int]>

  /// - Parameter hasQuota: Whether a put may be refused because the store is full.
  init(_ stage: HistoryStage, number: Int, _ store: Store, seen: Monitor<[Int]>, hasQuota: Bool = false) {
    self.stage = stage
    self.number = number
    self.store = store
    self.seen = seen
    self.hasQuota = hasQuota
    generator = stage.generator(ofActor: number)
  }

  /// Does `count` operations, by chance.
  func act(count: Int) throws(BenchFailure) {
    for _ in 0..<count {
      operationCount += 1
      let choice = generator.below(100)
      switch choice {
      case ..<26: try put()
      case ..<28: compact()
      case ..<32: try putGroup()
      case ..<35: try putAndCancel()
      case ..<37: try putResumed()
      case ..<40: if let id = anyID() { try getResumed(id) }
      case ..<50: try getNewest()
      case ..<60: if let id = anyID() { try get(id) }
      case ..<72: try deleteNewest()
      case ..<80: if let id = anyID() { try delete(id) }
      case ..<86: try list()
      case ..<90: try listNewest()
      case ..<98: if let id = anyID() { try look(id) }
      case ..<99: verify()
      default: rebuild()
      }
    }
  }

  /// A list of all, for the end, when nobody else acts.
  func list() throws(BenchFailure) {
    try record { () throws(StoreError) in
      // One page, so that it is one moment.
      let page = try store.files(limit: HistoryActor.pageFileCount)
      return .all(own(page.filter { $0.status == .ready }))
    }
  }

  private static let pageFileCount = 4096

  private func own(_ files: [StoredFile]) -> [Int] {
    files.filter { $0.name.bytes.starts(with: stage.prefix.utf8) }.map { Int($0.id.rawValue) }
  }

  // MARK: Storing

  private func put() throws(BenchFailure) {
    let (name, content, path) = (anyName(), content(), try source())
    try record { () throws(StoreError) in
      .added([stored(try store.put(.file(path), as: try fileName(name)), name, content)])
    }
  }

  private func putGroup() throws(BenchFailure) {
    var contents: [(name: String, content: UInt64, path: FilePath)] = []
    for position in 0...(1 + generator.below(2)) {
      contents.append((anyName(), content(UInt64(position)), try source(position)))
    }
    try record { () throws(StoreError) in
      let group = store.beginGroup()
      var versions: [StoredVersion] = []
      for (name, content, path) in contents {
        let id = try group.put(.file(path), as: try fileName(name))
        versions.append(StoredVersion(name: name, id: Int(id.rawValue), content: content))
      }
      if generator.below(4) == 0 {
        group.rollBack()
        return nil
      }
      let published = try group.publish()
      guard published.map({ Int($0.rawValue) }) == versions.map(\.id).sorted() else {
        violations.append((.outcome, "a group of \(versions.map(\.id)) published \(published)"))
        return nil
      }
      note(versions.map(\.id))
      return .added(versions)
    }
  }

  /// A put that is cancelled when its first bytes are stored, or a moment too late.
  private func putAndCancel() throws(BenchFailure) {
    let (name, content, path) = (anyName(), content(), try source())
    let cancellation = Cancellation()
    try record { () throws(StoreError) in
      do throws(StoreError) {
        let file = try store.put(.file(path), as: try fileName(name), cancellation: cancellation) { _ in
          cancellation.cancel()
        }
        return .added([stored(file, name, content)])
      } catch  where error.code == .cancelled {
        return nil
      }
    }
  }

  func stored(_ file: StoredFile, _ name: String, _ content: UInt64) -> StoredVersion {
    note([Int(file.id.rawValue)])
    return StoredVersion(name: name, id: Int(file.id.rawValue), content: content)
  }

  // MARK: Reading

  /// As `pfs get NAME`: the newest version, and its bytes; if it is deleted in between, from the beginning.
  private func getNewest() throws(BenchFailure) {
    for _ in 0..<8 {
      guard let id = try newest() else { return }
      if try get(id) { return }
    }
  }

  private func deleteNewest() throws(BenchFailure) {
    guard let id = try newest() else { return }
    try delete(id)
  }

  private func newest() throws(BenchFailure) -> Int? {
    let name = anyName()
    var found: Int?
    try record { () throws(StoreError) in
      let ids = own(try store.files(named: try fileName(name)))
      found = ids.last
      return .versions(name, ids)
    }
    return found
  }

  @discardableResult func get(_ id: Int) throws(BenchFailure) -> Bool {
    let output = try emptyFile("out")
    var isThere = false
    try record { () throws(StoreError) in
      do throws(StoreError) {
        try store.get(FileID(rawValue: UInt64(id)), to: .stream(output))
      } catch  where error.code == .notFound {
        return .missing(id)
      }
      isThere = true
      return .present(id, content: nil)
    }
    if isThere { try judgeContent(of: id, in: output) }
    return isThere
  }

  /// Says in the last event, a get of `id`, what came back.
  func judgeContent(of id: Int, in output: File) throws(BenchFailure) {
    let bytes = try BenchFailure.translating { () throws(SystemCallFailure) in
      try output.bytes(at: 0, byteCount: try output.status().byteCount)
    }
    guard let content = HistoryContent.number(of: bytes) else {
      violations.append((.wrongBytes, "get of file \(id): \(bytes.count) bytes that were never stored"))
      return
    }
    events[events.count - 1].step = .present(id, content: content)
  }

  private func look(_ id: Int) throws(BenchFailure) {
    try record { () throws(StoreError) in
      try store.file(FileID(rawValue: UInt64(id)))?.status == .ready ? .present(id, content: nil) : .missing(id)
    }
  }

  private func listNewest() throws(BenchFailure) {
    try record { () throws(StoreError) in
      let page = try store.newestFiles(namePrefix: Array(stage.prefix.utf8), limit: HistoryActor.pageFileCount)
      let ids = Dictionary(
        page.map { (String(decoding: $0.name.bytes, as: UTF8.self), Int($0.id.rawValue)) },
        uniquingKeysWith: { first, _ in first })
      return .newest(stage.names.map { NewestVersion(name: $0, id: ids[$0]) })
    }
  }

  // MARK: The rest

  private func delete(_ id: Int) throws(BenchFailure) {
    try record { () throws(StoreError) in
      do throws(StoreError) {
        try store.delete(FileID(rawValue: UInt64(id)))
        return .removed(id)
      } catch  where error.code == .notFound {
        return .missing(id)
      }
    }
  }

  /// What others do meanwhile is no damage.
  private func verify() {
    var findings: [String] = []
    do throws(StoreError) {
      _ = try store.verify { event in if case .finding(let finding) = event { findings.append("\(finding)") } }
    } catch {
      violations.append((.outcome, "verify while others use the store: \(error)"))
    }
    if !findings.isEmpty {
      violations.append((.inconsistent, "verify while others use the store: \(findings.joined(separator: "; "))"))
    }
  }

  /// Of all segments from which space can be had, now and then slowly, so that others come between its steps; others go on
  /// and none is refused.
  private func compact() {
    var options = CompactionOptions()
    options.targetRatio = 1
    if generator.below(2) == 0 { options.bytesPerSecond = HistoryActor.slowBytesPerSecond }
    do throws(StoreError) {
      movedByteCount += try store.compact(options).movedByteCount
    } catch {
      violations.append((error.code == .busy ? .hang : .outcome, "compact: \(error.code): \(error.message)"))
    }
  }

  private static let slowBytesPerSecond = 2 << 20

  /// Refused, since this very process has the store open.
  private func rebuild() {
    var configuration = Store.Configuration()
    configuration.lockTimeoutSeconds = 0
    do throws(StoreError) {
      _ = try Store.rebuild(at: stage.store, configuration)
      violations.append((.outcome, "an index was made anew while the store was in use"))
    } catch  where error.code == .busy {
    } catch {
      violations.append((.outcome, "a rebuild while the store is in use: \(error)"))
    }
  }

  // MARK: Helpers of all of them

  /// Notes what `operation` did between now and its end: nothing when it gives nil. An error is a violation.
  func record(
    _ operation: () throws(StoreError) -> HistoryStep?
  ) throws(BenchFailure) {
    let invoked = Clock.monotonicNanoseconds()
    do throws(StoreError) {
      guard let step = try operation() else { return }
      events.append(
        HistoryEvent(
          thread: number, invokedNanoseconds: invoked, returnedNanoseconds: Clock.monotonicNanoseconds(), step: step))
    } catch  where error.code == .noSpace && hasQuota {
      refusedCount += 1
    } catch {
      violations.append((error.code == .busy ? .hang : .outcome, "\(error.code): \(error.message)"))
    }
  }

  private func anyName() -> String { stage.names[generator.below(HistoryStage.nameCount)] }

  private func anyID() -> Int? {
    let number = generator.below(1 << 20)
    return seen.withLock { $0.isEmpty ? nil : $0[number % $0.count] }
  }

  private func note(_ ids: [Int]) { seen.withLock { $0 += ids } }

  func fileName(_ name: String) throws(StoreError) -> FileName { try FileName(Array(name.utf8)) }

  /// A source of several batches.
  func largeSource(_ position: Int) throws(BenchFailure) -> FilePath {
    try source(position, byteCount: 160_000)
  }

  func content(_ position: UInt64 = 0) -> UInt64 {
    UInt64(stage.caseNumber) << 32 | UInt64(number) << 24 | UInt64(operationCount) << 4 | position
  }

  /// A file with the content of the next put: mostly of one part, now and then of several batches.
  private func source(_ position: Int = 0) throws(BenchFailure) -> FilePath {
    let byteCount =
      switch generator.below(16) {
      case 0: 90_000 + generator.below(90_000)
      case 1..<4: 4096 * (1 + generator.below(4))
      default: HistoryContent.minimumByteCount + generator.below(2000)
      }
    return try source(position, byteCount: byteCount)
  }

  private func source(_ position: Int, byteCount: Int) throws(BenchFailure) -> FilePath {
    let file = try emptyFile("in\(position)")
    return try BenchFailure.translating { () throws(SystemCallFailure) in
      try file.write(HistoryContent.bytes(content(UInt64(position)), byteCount: byteCount), at: 0)
      return file.path
    }
  }

  private func emptyFile(_ name: String) throws(BenchFailure) -> File {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      let file = try File.open(stage.scratch.appending("\(name)-\(stage.caseNumber)-\(number)"), [.write, .create])
      try file.truncate(to: 0)
      return file
    }
  }
}
