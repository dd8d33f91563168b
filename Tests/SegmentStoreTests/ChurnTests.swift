import Foundation
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

/// Random work on a store of small segments, beside a model of what it must have.
///
/// `PFS_TEST_SEED` gives the first seed, `PFS_TEST_CHURN_SEEDS` how many are tried with each way of writing.
@Suite("Churn") struct ChurnTests {
  private static var seedCount: Int {
    ProcessInfo.processInfo.environment["PFS_TEST_CHURN_SEEDS"].flatMap { Int($0) } ?? 1
  }

  @Test(
    "puts, deletes, compactions, crashes and rebuilds leave what the model has, with its ids, and every byte",
    arguments: WriteMode.allCases)
  func alone(mode: WriteMode) throws {
    let first = TestSeed("churn", default: 5)
    for number in 0..<ChurnTests.seedCount {
      let churn = try Churn(seed: first.value + UInt64(number), mode)
      do { try churn.run(stepCount: 240) } catch {
        Issue.record("PFS_TEST_SEED=\(churn.seed) (\(mode)): \(error)\n\(churn.log.joined(separator: "\n"))")
      }
    }
  }

  @Test(
    "threads that put, get and delete while everything is compacted are refused nothing, and lose nothing",
    arguments: WriteMode.allCases)
  func beside(mode: WriteMode) throws {
    let first = TestSeed("churn beside a compaction", default: 6)
    // One in this process, one in another.
    for number in 0..<max(2, ChurnTests.seedCount) {
      let seed = first.value + UInt64(number)
      do { try ChurnBesideCompaction.run(seed: seed, mode) } catch {
        Issue.record("PFS_TEST_SEED=\(seed) (\(mode)): \(error)")
      }
    }
  }
}

extension ChurnTests {
  @Test("segments in which all is alive are left where they are", arguments: WriteMode.allCases)
  func nothingDead(mode: WriteMode) throws {
    let directory = try TemporaryDirectory(isInMemory: true)
    let fixture = try StoreFixture(directory, configuration: mode.configuration()) { $0.segmentByteCount = 1 << 16 }
    _ = try fixture.put(noise(500_000, seed: 1), as: "alive")
    var options = CompactionOptions()
    options.targetRatio = 1
    #expect(try fixture.store.statistics().sealedSegmentCount > 3)
    #expect(try fixture.store.compact(options).movedByteCount == 0)
    try fixture.finish()
  }
}

/// One step after the other.
private final class Churn {
  let seed: UInt64
  private(set) var log: [String] = []
  private var generator: SeededGenerator
  private let directory: TemporaryDirectory
  private let fixture: StoreFixture
  private var files: [FileID: ChurnContent] = [:]
  /// Puts that were interrupted and can be gone on with.
  private var halves: [FileID: ChurnContent] = [:]

  init(seed: UInt64, _ mode: WriteMode) throws {
    self.seed = seed
    generator = SeededGenerator(seed: seed)
    directory = try TemporaryDirectory(isInMemory: true)
    fixture = try churnedStore(directory, mode, &generator)
  }

  func run(stepCount: Int) throws {
    for number in 1...stepCount {
      log.append("\(number):")
      try step()
      try checkListing()
      if number.isMultiple(of: 30) { try fixture.store.checkInvariants() }
    }
    log.append("at the end:")
    try checkBytes()
    try compact(ratio: 1)
    try checkListing()
    try fixture.store.checkInvariants()
    try rebuild()
    try checkListing()
    try checkBytes()
    try fixture.finish()
  }

  private func step() throws {
    switch generator.below(100) {
    case 0..<30 where files.count < 60: try put()
    case 30..<36 where files.count < 60: try putGroup()
    case 36..<40: try cancelPut()
    case 40..<44: try interruptPut()
    case 44..<47: try resumePut()
    case 47..<65: try delete(count: 1)
    case 65..<70: try delete(count: 1 + files.count / 3)
    case 70..<76: try compact(ratio: 1)
    case 76..<80: try compact(ratio: 1 + Double(generator.below(100)) / 100)
    case 80..<83: try cancelCompaction()
    case 83..<90: try get()
    case 90..<93: try reopen()
    case 93..<96: try crash()
    case 96..<99: try rebuild()
    default: try delete(count: files.count)
    }
  }

  private func note(_ text: String) { log[log.count - 1] += " \(text)" }

  // MARK: Puts

  /// Few names, so that many files are versions of others.
  private func content(byteCount: Int? = nil) -> ChurnContent {
    ChurnContent("name \(generator.below(20))", &generator, byteCount: byteCount)
  }

  private func put() throws {
    let content = content()
    note("put \(content)")
    files[try fixture.put(content.bytes, as: content.name).id] = content
  }

  private func putGroup() throws {
    let group = fixture.store.beginGroup()
    let isPublished = generator.below(4) > 0
    note("put a group, published: \(isPublished)")
    var contents: [FileID: ChurnContent] = [:]
    for _ in 0..<(1 + generator.below(5)) {
      let content = content()
      contents[try group.put(.file(makeSource(of: content)), as: fileName(content.name))] = content
    }
    if isPublished {
      #expect(try Set(group.publish()) == Set(contents.keys), "seed \(seed)")
      files.merge(contents) { $1 }
    } else {
      group.rollBack()
    }
  }

  private func cancelPut() throws {
    let content = content(byteCount: 20_000 + generator.below(400_000))
    note("cancel the put of \(content)")
    if let id = try put(content, PutOptions(), cancelledAfter: generator.below(content.byteCount)) {
      files[id] = content
    }
  }

  private func interruptPut() throws {
    let content = ChurnContent("half \(log.count)", &generator, byteCount: 500_000 + generator.below(400_000))
    note("interrupt the put of \(content)")
    if let id = try put(content, Churn.resuming, cancelledAfter: generator.below(content.byteCount)) {
      files[id] = content
    } else if let half = try fixture.store.allFiles().last, half.name.description == content.name {
      halves[half.id] = content
    }
  }

  private func resumePut() throws {
    guard let (id, content) = halves.min(by: { $0.key < $1.key }) else { return }
    note("go on with the put of \(id)")
    let resumed = try put(content, Churn.resuming, cancelledAfter: nil)
    try require(resumed == id, "gone on with \(id) as \(String(describing: resumed))")
    halves[id] = nil
    files[id] = content
  }

  private static var resuming: PutOptions {
    var options = PutOptions()
    options.resumes = true
    return options
  }

  /// - Returns: Nil when it was cancelled in time.
  private func put(_ content: ChurnContent, _ options: PutOptions, cancelledAfter byteCount: Int?) throws -> FileID? {
    let source = try makeSource(of: content)
    let cancellation = Cancellation()
    let done = Monitor(0)
    let progress: @Sendable (Int) -> Void = { count in
      let doneByteCount = done.withLock { done in
        done += count
        return done
      }
      if let byteCount, doneByteCount > byteCount { cancellation.cancel() }
    }
    return try unlessCancelled {
      try fixture.store.put(
        .file(source), as: fileName(content.name), options, cancellation: cancellation, progress: progress
      ).id
    }
  }

  private func unlessCancelled<R>(_ body: () throws -> R) throws -> R? {
    do { return try body() } catch let error as StoreError where error.code == .cancelled { return nil }
  }

  private func makeSource(of content: ChurnContent) throws -> FilePath {
    let path = directory.path(of: "source")
    try FilesOnDisk.write(content.bytes, to: path)
    return FilePath(path)
  }

  // MARK: What gives space back

  private func delete(count: Int) throws {
    let ids = (files.keys.sorted() + halves.keys.sorted()).shuffled(using: &generator).prefix(count)
    note("delete \(ids.map(\.description).joined(separator: " "))")
    for id in ids {
      try fixture.store.delete(id)
      files[id] = nil
      halves[id] = nil
    }
  }

  /// One compaction, or as many as find something to do: those fill segments up in which something was dead.
  private func compact(ratio: Double) throws {
    var options = CompactionOptions()
    options.targetRatio = ratio
    let roundCount = 1 + generator.below(2) * 5
    note("compact to \(ratio):")
    for _ in 0..<roundCount {
      let summary = try fixture.store.compact(options)
      note("\(summary.movedByteCount) bytes moved, \(summary.removedSegmentCount) segments removed;")
      try require(summary.damagedSegments.isEmpty, "damaged: \(summary.damagedSegments)")
      let plan = try CompactionPlan(fixture.store)
      try require(plan.empty.isEmpty, "left empty: \(plan.empty)")
      if plan.chosen(ratio: ratio).isEmpty { return }
    }
    try require(roundCount == 1, "still something to do after \(roundCount) compactions")
  }

  private func cancelCompaction() throws {
    var options = CompactionOptions()
    options.targetRatio = 1
    let cancellation = Cancellation()
    var count = generator.below(4)
    note("cancel a compaction after \(count) segments")
    _ = try unlessCancelled {
      try fixture.store.compact(options, cancellation: cancellation) { _, _ in
        count -= 1
        if count <= 0 { cancellation.cancel() }
      }
    }
  }

  // MARK: Opens

  private func reopen() throws {
    note("reopen")
    try fixture.reopen()
  }

  /// The writer dies, and what it has not brought to an end is for the next one.
  private func crash() throws {
    note("crash")
    let image = try fixture.crashImage("image")
    try fixture.store.close()
    FilesOnDisk.removeTree(fixture.path.description)
    try FileManager.default.moveItem(atPath: image, toPath: fixture.path.description)
    try fixture.open()
  }

  private func rebuild() throws {
    note("rebuild")
    for id in halves.keys { try fixture.store.delete(id) }
    halves = [:]
    let before = try IndexDump(fixture.store)
    let (_, findings) = try fixture.rebuild()
    // What was rolled back is no damage.
    let damage = findings.filter { $0.kind != .uncommittedFile }
    try require(damage.isEmpty, "a rebuild found \(damage)")
    let after = try IndexDump(fixture.store)
    try require(after.parts == before.parts, "parts of the rebuilt index differ")
    try require(after.names == before.names, "names of the rebuilt index differ")
  }

  // MARK: Checks

  private func require(_ isTrue: Bool, _ text: @autoclosure () -> String) throws {
    if !isTrue { throw TestFailure(text()) }
  }

  private func checkListing() throws {
    var missing = files
    for file in try fixture.store.allFiles() {
      if file.status == .ready {
        let content = missing.removeValue(forKey: file.id)
        try require(
          content?.name == file.name.description && content?.byteCount == file.byteCount,
          "listed: \(file), stored: \(String(describing: content))")
      } else {
        try require(file.isInterrupted && halves[file.id] != nil, "left behind: \(file)")
      }
    }
    try require(missing.isEmpty, "not listed: \(missing)")
    let name = "name \(generator.below(20))"
    let versions = files.filter { $0.value.name == name }.keys.sorted()
    try require(
      try fixture.store.files(named: fileName(name)).map(\.id) == versions, "'\(name)' is not \(versions)")
  }

  private func get() throws {
    guard let id = files.keys.sorted().randomElement(using: &generator), let content = files[id] else { return }
    note("get \(id)")
    try require(try fixture.get(id) == content.bytes, "file \(id) has other bytes")
  }

  private func checkBytes() throws {
    for (id, content) in files { try require(try fixture.get(id) == content.bytes, "file \(id) has other bytes") }
  }
}
