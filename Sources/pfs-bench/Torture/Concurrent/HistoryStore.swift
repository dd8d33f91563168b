import SegmentStore
import StorageIO

/// The store of some histories: small segments and parts, so that little data fills several of them.
enum HistoryStore {
  /// So little that some puts find no room.
  static let quotaByteCount = 500 << 10
  /// A delete may always add its tombstone.
  private static let tombstonesByteCount = 64 << 10

  /// - Parameter hasSmallSegments: So that many are full, and may be compacted.
  static func make(
    at path: FilePath, hasQuota: Bool = false, hasSmallSegments: Bool = true
  ) throws(BenchFailure) {
    try BenchFailure.translating { () throws(StoreError) in
      var options = Store.CreationOptions()
      (options.segmentByteCount, options.partByteCount) = (hasSmallSegments ? 128 << 10 : 1 << 20, 4096)
      if hasQuota { options.quotaByteCount = quotaByteCount }
      try Store.create(at: path, options)
    }
  }

  static func configuration(isMapped: Bool) -> Store.Configuration {
    var configuration = Store.Configuration()
    configuration.memoryByteCount = 4 << 20
    // Every other store writes as where a mapping is not safe.
    configuration.isMapped = isMapped ? nil : false
    return configuration
  }

  /// Opens the store at the end, when nobody else uses it: it must have what the histories ended with, whole, and nothing
  /// else. Then checks all that is in it.
  /// - Parameters:
  ///   - expected: ids, with the number of the content of each.
  ///   - highestID: the highest that was ever given out.
  /// - Returns: What is wrong.
  static func check(
    _ path: FilePath, scratch: FilePath, expected: [Int: UInt64], highestID: Int
  ) -> [(Violation.Kind, String)] {
    var wrong: [(Violation.Kind, String)] = []
    do {
      let store = try Store(at: path, configuration(isMapped: true))
      let files = try store.files(limit: 1 << 16).filter { !$0.isInterrupted }
      let ids = files.map { Int($0.id.rawValue) }
      if ids != expected.keys.sorted() {
        wrong.append((.lost, "the store has \(ids) in the end, the histories ended with \(expected.keys.sorted())"))
      }
      let statistics = try store.statistics()
      if let quota = statistics.quotaByteCount, statistics.liveByteCount > quota + tombstonesByteCount {
        wrong.append((.outcome, "\(statistics.liveByteCount) bytes are alive, the quota is \(quota)"))
      }
      for file in files where file.status != .ready {
        wrong.append((.inconsistent, "file \(file.id) is \(file.status)"))
      }
      for file in files {
        let target = scratch.appending("end")
        try store.get(file.id, to: .file(target, replacing: true))
        let bytes = try File.open(target).bytes(at: 0, byteCount: file.byteCount + 1)
        if HistoryContent.number(of: bytes) != expected[Int(file.id.rawValue)] {
          wrong.append((.wrongBytes, "file \(file.id) '\(file.name)' has the content of another in the end"))
        }
      }
      _ = try store.verify { event in
        if case .finding(let finding) = event { wrong.append((.inconsistent, "verify in the end: \(finding)")) }
      }
      try store.close()
      if wrong.isEmpty { wrong = try checkRebuilds(path, scratch: scratch, ids, highestID: highestID) }
    } catch {
      wrong.append((.unopenable, "the store in the end: \(error)"))
    }
    return wrong
  }

  /// Makes the index anew, which must change nothing; and once more when all files are deleted, and no segment remembers
  /// their ids.
  private static func checkRebuilds(
    _ path: FilePath, scratch: FilePath, _ ids: [Int], highestID: Int
  ) throws -> [(Violation.Kind, String)] {
    _ = try Store.rebuild(at: path)
    var store = try Store(at: path, configuration(isMapped: true))
    let found = try store.files(limit: 1 << 16)
    let foundIDs = found.filter { $0.status == .ready }.map { Int($0.id.rawValue) }
    if foundIDs != ids { return [(.lost, "a rebuild in the end finds \(foundIDs), there were \(ids)")] }
    for file in found { try store.delete(file.id) }
    try store.close()
    _ = try Store.rebuild(at: path)
    store = try Store(at: path, configuration(isMapped: true))
    let left = try store.files(limit: 1 << 16)
    if let file = left.first { return [(.lost, "file \(file.id) was deleted, and is back after a rebuild")] }
    let source = scratch.appending("last")
    try Tree.write(HistoryContent.bytes(1, byteCount: 100), to: source)
    let last = try store.put(.file(source), as: FileName(Array("last".utf8)))
    try store.close()
    if last.id.rawValue <= highestID {
      return [(.inconsistent, "id \(last.id) after a rebuild, \(highestID) was given out before")]
    }
    return []
  }
}

/// One history by threads of this process.
struct ThreadHistory: Sendable {
  let stage: HistoryStage
  let hasQuota: Bool

  struct Outcome: Sendable {
    var events: [HistoryEvent] = []
    var violations: [(kind: Violation.Kind, message: String)] = []
    var operationCount = 0
    var refusedCount = 0
    var movedByteCount = 0

    mutating func add(_ actor: HistoryActor) {
      events += actor.events
      violations += actor.violations
      operationCount += actor.operationCount
      refusedCount += actor.refusedCount
      movedByteCount += actor.movedByteCount
    }

    /// The highest id that was given out.
    var highestID: Int {
      events.reduce(0) { highest, event in
        guard case .added(let versions) = event.step else { return highest }
        return versions.reduce(highest) { max($0, $1.id) }
      }
    }

    /// What is there in the end.
    var remaining: [Int: UInt64] {
      var contents: [Int: UInt64] = [:]
      for event in events {
        if case .added(let versions) = event.step { for version in versions { contents[version.id] = version.content } }
      }
      for event in events { if case .removed(let id) = event.step { contents[id] = nil } }
      return contents
    }
  }

  /// By 2 to 6 threads with about 60 operations together; most histories are short, since most of what goes wrong needs few.
  func run(on store: Store) throws(BenchFailure) -> Outcome {
    var generator = stage.generator(ofActor: -1)
    let threadCount = 2 + generator.below(5)
    let operationCount = (40 + generator.below(41)) / threadCount
    let outcome = Monitor(Outcome())
    let seen = Monitor<[Int]>([])
    let (stage, hasQuota) = (stage, hasQuota)
    try ParallelWork.run(count: threadCount, workerCount: threadCount, { () throws(BenchFailure) in }) {
      (_: Void, number) throws(BenchFailure) in
      let actor = HistoryActor(stage, number: number, store, seen: seen, hasQuota: hasQuota)
      try actor.act(count: operationCount)
      outcome.withLock { $0.add(actor) }
    }
    let last = HistoryActor(stage, number: threadCount, store, seen: seen)
    try last.list()
    return outcome.withLock { outcome in
      outcome.add(last)
      return outcome
    }
  }
}
