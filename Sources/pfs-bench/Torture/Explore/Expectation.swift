/// What must be in a store after the marks that a workload has made so far: see ``WorkloadRun``.
struct Expectation: Hashable, Sendable {
  /// A stored file that was acknowledged.
  struct StoredVersion: Hashable, Sendable {
    let id: UInt64
    let name: String
    let content: StoredContent
  }

  let workload: Workload
  /// Whether the store was made, and that was acknowledged.
  private(set) var hasStore: Bool
  /// Acknowledged and not deleted, in the order of ids.
  private(set) var files: [StoredVersion] = []
  /// Whose deletion was acknowledged.
  private(set) var deletedIDs: Set<UInt64> = []
  /// The highest that were told of.
  private(set) var highestFileID: UInt64 = 0
  private(set) var highestPartID: UInt64 = 0
  /// What each compaction moved.
  private(set) var movedByteCounts: [Int] = []
  /// Names under which a put may wait to be gone on with.
  private(set) var interruptedNames: Set<String> = []
  /// The operation that was begun and not acknowledged: it is there wholly or not at all.
  private(set) var inFlight: Int?

  /// Before the first mark. A workload that does not begin with `init` begins with a store that is there.
  init(_ workload: Workload) {
    self.workload = workload
    hasStore = workload.operations.first != .initialize
  }

  /// - Throws: As ``apply(mark:)``.
  init(_ workload: Workload, marks: some Sequence<String>) throws(BenchFailure) {
    self.init(workload)
    for mark in marks { try apply(mark: mark) }
  }

  var operation: StoreOperation? { inFlight.map { workload.operations[$0] } }

  /// Takes the next mark: `begin N`, `done N [ID...] [part=ID] [moved=BYTES]`, `failed N WHY`; others say
  /// nothing.
  /// - Throws: `.failed` for a mark that makes no sense.
  mutating func apply(mark: String) throws(BenchFailure) {
    let words = mark.split { $0 == " " || $0 == "\n" }
    guard let verb = words.first, ["begin", "done", "failed"].contains(verb) else { return }
    guard words.count > 1, let number = Int(words[1]), workload.operations.indices.contains(number) else {
      throw BenchFailure(.failed, "mark '\(mark)': no such operation")
    }
    if verb == "begin" {
      inFlight = number
      noteBegin(of: workload.operations[number])
      return
    }
    guard inFlight == number else { throw BenchFailure(.failed, "mark '\(mark)': not the operation that was begun") }
    inFlight = nil
    if verb == "failed" { return }
    var ids: [UInt64] = []
    for word in words.dropFirst(2) {
      if word.hasPrefix("part="), let part = UInt64(word.dropFirst(5)) {
        highestPartID = max(highestPartID, part)
      } else if word.hasPrefix("moved="), let byteCount = Int(word.dropFirst(6)) {
        movedByteCounts.append(byteCount)
      } else if let id = UInt64(word) {
        ids.append(id)
        highestFileID = max(highestFileID, id)
      } else {
        throw BenchFailure(.failed, "mark '\(mark)': '\(word)' is no id")
      }
    }
    try noteDone(number, ids, mark)
  }

  private mutating func noteBegin(of operation: StoreOperation) {
    switch operation {
    case .interrupted(let name), .resume(let name): interruptedNames.insert(name)
    default: break
    }
  }

  private mutating func noteDone(_ number: Int, _ ids: [UInt64], _ mark: String) throws(BenchFailure) {
    switch workload.operations[number] {
    case .initialize: hasStore = true
    case .put, .batch, .resume:
      let contents = workload.contents(of: number)
      guard ids.count == contents.count else { throw BenchFailure(.failed, "mark '\(mark)': \(contents.count) files") }
      for (id, stored) in zip(ids, contents) where !files.contains(where: { $0.id == id }) {
        files.append(StoredVersion(id: id, name: stored.name, content: stored.content))
      }
      files.sort { $0.id < $1.id }
    case .delete:
      files.removeAll { ids.contains($0.id) }
      deletedIDs.formUnion(ids)
    default: break
    }
  }

  // MARK: What may be there besides

  /// The newest acknowledged version of a name: what a delete of it takes.
  func newest(_ name: String) -> StoredVersion? { files.last { $0.name == name } }

  /// Whether a put of this name may wait to be gone on with.
  func mayBeInterrupted(_ name: String) -> Bool { interruptedNames.contains(name) }

  /// Whether the operation in flight goes on with a file that was begun before: its id is older than others.
  var isResuming: Bool {
    if case .resume = operation { return true }
    return false
  }

  /// The file that may be gone: the operation in flight deletes it.
  var vanishing: StoredVersion? {
    guard case .delete(let name) = operation else { return nil }
    return newest(name)
  }

  /// The files that may be there besides, all or none: the operation in flight stores them.
  var appearing: [(name: String, content: StoredContent)] {
    guard let inFlight else { return [] }
    switch workload.operations[inFlight] {
    case .put, .batch, .resume: return workload.contents(of: inFlight)
    default: return []
    }
  }
}
