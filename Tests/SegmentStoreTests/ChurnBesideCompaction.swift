import StorageIO
import TestSupport

@testable import SegmentStore

/// A file as it was stored: its bytes follow from the rest.
struct ChurnContent: Hashable, Sendable {
  let name: String
  let seed: UInt64
  let byteCount: Int

  init(_ name: String, _ generator: inout SeededGenerator, byteCount: Int? = nil) {
    self.name = name
    seed = generator.next()
    let largest = [100, 5000, 5000, 40_000, 40_000, 250_000][generator.below(6)]
    self.byteCount = byteCount ?? generator.below(largest + 1)
  }

  var bytes: [UInt8] {
    seed.isMultiple(of: 2) ? noise(byteCount, seed: seed) : Corpus(seed: seed).bytes(byteCount)
  }
}

/// Small stores, of which no two have segments of one size.
func churnedStore(
  _ directory: TemporaryDirectory, _ mode: WriteMode, _ generator: inout SeededGenerator
) throws -> StoreFixture {
  let segmentByteCount = (1 << 16) << generator.below(3)
  return try StoreFixture(directory, configuration: mode.configuration(memoryByteCount: 8 << 20, workerCount: 2)) {
    $0.segmentByteCount = segmentByteCount
  }
}

/// Threads that work each with files of its own, while one compacts: itself, or by the command, in another process.
enum ChurnBesideCompaction {
  private static let workerCount = 3

  static func run(seed: UInt64, _ mode: WriteMode) throws {
    let directory = try TemporaryDirectory(isInMemory: true)
    var generator = SeededGenerator(seed: seed)
    let fixture = try churnedStore(directory, mode, &generator)
    let (store, path) = (fixture.store, fixture.path)
    let files = Monitor<[FileID: ChurnContent]>([:])
    let runningCount = Monitor(workerCount)
    try Watchdog.run(threads: workerCount + 1, "seed \(seed)") { thread in
      if thread < workerCount {
        defer { runningCount.withLock { $0 -= 1 } }
        let own = try work(SeededGenerator(seed: seed &* 10 + UInt64(thread)), store, directory)
        files.withLock { $0.merge(own) { $1 } }
      } else {
        while runningCount.withLock({ $0 > 0 }) { try compactAll(store, path, inProcess: seed.isMultiple(of: 2)) }
      }
    }
    let expected = files.withLock { $0 }
    try check(expected, fixture)
    try fixture.rebuild()
    try check(expected, fixture)
    try fixture.finish()
  }

  private static func compactAll(_ store: Store, _ path: FilePath, inProcess isInProcess: Bool) throws {
    var options = CompactionOptions()
    options.targetRatio = 1
    if isInProcess {
      _ = try store.compact(options)
    } else {
      let command = Command(
        Sandbox.executable, ["--store", path.description, "compact", "--target", "1"], environment: [:],
        workingDirectory: BytePath(path.description))
      let result = try command.run()
      if result.exitStatus != 0 { throw TestFailure("\(result)") }
    }
  }

  /// - Returns: The files that are left.
  private static func work(
    _ generator: SeededGenerator, _ store: Store, _ directory: TemporaryDirectory
  ) throws -> [FileID: ChurnContent] {
    var generator = generator
    var files: [FileID: ChurnContent] = [:]
    for _ in 0..<80 {
      let id = files.keys.sorted().randomElement(using: &generator)
      switch (generator.below(5), id) {
      case (2, let id?):
        let content = files[id]
        let bytes = try store.bytes(of: id, in: directory)
        if bytes != content?.bytes { throw TestFailure("file \(id) has other bytes") }
      case (3, let id?), (4, let id?):
        try store.delete(id)
        files[id] = nil
      default:
        let content = ChurnContent("name \(generator.below(20))", &generator)
        files[try store.put(content.bytes, as: content.name, in: directory).id] = content
      }
    }
    return files
  }

  private static func check(_ files: [FileID: ChurnContent], _ fixture: StoreFixture) throws {
    let listed = Dictionary(
      uniqueKeysWithValues: try fixture.store.allFiles().map { ($0.id, $0.name.description) })
    if listed != files.mapValues(\.name) { throw TestFailure("listed: \(listed), stored: \(files)") }
    for (id, content) in files where try fixture.get(id) != content.bytes {
      throw TestFailure("file \(id) has other bytes")
    }
    try fixture.store.checkInvariants()
  }
}
