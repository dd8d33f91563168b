import Foundation
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Store concurrency") struct StoreConcurrencyTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test("threads that put, get, list and delete see whole files or none", arguments: WriteMode.allCases)
  func threads(mode: WriteMode) throws {
    let seed = TestSeed("concurrent threads", default: 81)
    let fixture = try StoreFixture(directory, configuration: mode.configuration(memoryByteCount: 4 << 20))
    let (store, directory) = (fixture.store, directory)
    let live = Monitor<[FileID: Int]>([:])
    try Watchdog.run(threads: 12) { thread in
      var generator = SeededGenerator(seed: seed.value * 100 + UInt64(thread))
      for round in 0..<20 {
        let mine = live.withLock { $0.keys.sorted() }
        switch generator.below(6) {
        case 0, 1, 2:
          let content = thread * 1000 + round
          let stored = try store.put(StoreConcurrencyTests.content(content), as: "\(content)", in: directory)
          live.withLock { $0[stored.id] = content }
        case 3 where !mine.isEmpty:
          let id = mine[generator.below(mine.count)]
          if live.withLock({ $0.removeValue(forKey: id) }) != nil { try store.delete(id) }
        case 4:
          for file in try store.allFiles() where file.status == .ready {
            let content = try #require(Int(file.name.description))
            #expect(file.byteCount == StoreConcurrencyTests.byteCount(content))
          }
        default:
          guard let id = mine.randomElement(using: &generator) else { continue }
          do {
            let found = try store.bytes(of: id, in: directory)
            if let content = try store.file(id).flatMap({ Int($0.name.description) }) {
              #expect(found == StoreConcurrencyTests.content(content), "\(seed)")
            }
          } catch let error as StoreError {
            #expect(error.code == .notFound || error.code == .busy, "\(seed): \(error)")
          }
        }
      }
    }
    let expected = live.withLock { $0 }
    #expect(try store.allFiles().map(\.id) == expected.keys.sorted(), "\(seed)")
    for (id, content) in expected { #expect(try fixture.get(id) == StoreConcurrencyTests.content(content)) }
    try fixture.finish()
  }

  private static func byteCount(_ content: Int) -> Int { content % 7 * 17_003 }
  private static func content(_ content: Int) -> [UInt8] {
    Corpus(seed: UInt64(content)).bytes(byteCount(content))
  }

  @Test("a file is listed by name when it is whole, and not before")
  func visibility() throws {
    let fixture = try StoreFixture(directory)
    let running = try RunningPut(fixture.store, in: directory, fed: noise(65_536 * 3, seed: 1))
    let seen = try #require(try fixture.store.allFiles().first)
    #expect(seen.status == .writing)
    #expect(seen.name.description == "running")
    #expect(try fixture.store.files(named: fileName("running")).isEmpty)
    #expect(try fixture.store.newestFiles(namePrefix: [], limit: 9).isEmpty)
    #expect(storeError { _ = try fixture.get(seen.id) }?.code == .notFound)
    #expect(storeError { try fixture.store.delete(seen.id) }?.code == .notFound)
    let stored = try running.finish()
    #expect(stored.id == seen.id)
    #expect(try fixture.store.files(named: fileName("running")).map(\.id) == [seen.id])
    try fixture.finish()
  }

  @Test("a delete waits for those who read the file, and says busy when they take too long")
  func deleteWhileRead() throws {
    let configuration = WriteMode.mapped.configuration(lockTimeoutSeconds: 0.05)
    let fixture = try StoreFixture(directory, configuration: configuration)
    let bytes = noise(1_000_000, seed: 1)
    let stored = try fixture.put(bytes, as: "file")
    let other = try fixture.put([1], as: "other")
    let (store, pipe) = (fixture.store, try PipePair(in: directory))
    let reader = try #require(FileHandle(forReadingAtPath: pipe.path))
    let get = BackgroundWork { try store.get(stored.id, to: .stream(File.open(FilePath(pipe.path), .write))) }
    var received = try reader.read(upToCount: 1) ?? Data()
    // The get has begun and cannot end before its output is read.
    let busy = storeError { try store.delete(stored.id) }
    #expect(busy?.code == .busy)
    #expect(busy?.message.contains("\(stored.id)") == true)
    // Others are not kept waiting.
    try store.delete(other.id)
    let rest = BackgroundWork { [start = received] in
      var received = start
      while received.count < bytes.count, let piece = try reader.read(upToCount: bytes.count - received.count) {
        received.append(piece)
      }
      return received
    }
    received = try rest.result()
    try get.result()
    #expect(Array(received) == bytes)
    try store.delete(stored.id)
    #expect(try store.allFiles().isEmpty)
    try fixture.finish()
  }

  @Test("two who delete the same file at once: one does it, the other is told that it is gone")
  func deleteTwice() throws {
    let fixture = try StoreFixture(directory)
    let store = fixture.store
    for _ in 0..<10 {
      let stored = try fixture.put(noise(5000, seed: 1), as: "file")
      let outcomes = Monitor<[StoreError.Code?]>([])
      try Watchdog.run(threads: 4) { _ in
        do throws(StoreError) {
          try store.delete(stored.id)
          outcomes.withLock { $0.append(nil) }
        } catch {
          outcomes.withLock { $0.append(error.code) }
        }
      }
      #expect(outcomes.withLock { $0 }.count { $0 == nil } == 1)
      #expect(outcomes.withLock { $0 }.count { $0 == .notFound } == 3)
    }
    try fixture.finish()
  }

  @Test("processes use one store at the same time", arguments: WriteMode.allCases)
  func processes(mode: WriteMode) async throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration())
    let shared = try fixture.put(noise(300_000, seed: 1), as: "shared")
    let (store, directory, path) = (fixture.store, directory, fixture.path.description)
    let here = BackgroundWork { try StoreConcurrencyTests.use(store, directory, "0", shared.id) }
    await withTaskGroup(of: Void.self) { group in
      for number in 1...2 {
        group.addTask {
          await #expect(processExitsWith: .success) {
            [
              path = path as String, name = "\(number)" as String, mode = mode.rawValue as String,
              shared = shared.id.rawValue as UInt64
            ] in
            let mode = try #require(WriteMode(rawValue: mode))
            let store = try Store(at: FilePath(path), mode.configuration())
            try StoreConcurrencyTests.use(store, TemporaryDirectory(), name, FileID(rawValue: shared))
            try store.close()
          }
        }
      }
    }
    try here.result()
    let files = try store.allFiles()
    #expect(files.count == 1 + 3 * 15)
    #expect(Set(files.map(\.id)).count == files.count)
    for file in files where file.id != shared.id {
      let content = try #require(Int(file.name.description))
      #expect(try fixture.get(file.id) == StoreConcurrencyTests.content(content))
    }
    try fixture.finish()
  }

  /// Stores twenty files, deletes every fourth, and reads the shared one in between.
  private static func use(_ store: Store, _ directory: TemporaryDirectory, _ name: String, _ shared: FileID) throws {
    for round in 0..<20 {
      let content = try #require(Int(name)) * 1000 + round
      let stored = try store.put(StoreConcurrencyTests.content(content), as: "\(content)", in: directory)
      if round % 4 == 0 { try store.delete(stored.id) }
      if round % 7 == 0 { #expect(try store.bytes(of: shared, in: directory) == noise(300_000, seed: 1)) }
    }
  }

  @Test("what one process stores another one sees at once, and what it deletes is gone")
  func seenElsewhere() async throws {
    let fixture = try StoreFixture(directory)
    let deleted = try fixture.put(noise(50_000, seed: 1), as: "deleted")
    #expect(try fixture.get(deleted.id) == noise(50_000, seed: 1))
    await #expect(processExitsWith: .success) { [path = fixture.path.description as String] in
      let directory = try TemporaryDirectory()
      let store = try Store(at: FilePath(path))
      let file = try #require(try store.files(named: fileName("deleted")).first)
      #expect(try store.bytes(of: file.id, in: directory) == noise(50_000, seed: 1))
      try store.delete(file.id)
      _ = try store.put(noise(60_000, seed: 2), as: "stored", in: directory)
      try store.close()
    }
    #expect(storeError { _ = try fixture.get(deleted.id) }?.code == .notFound)
    let stored = try #require(try fixture.store.files(named: fileName("stored")).first)
    #expect(try fixture.get(stored.id) == noise(60_000, seed: 2))
    try fixture.finish()
  }

  @Test("a delete in one process waits for a reader in another, until it dies", arguments: [true, false])
  func readerElsewhere(isKilled: Bool) async throws {
    let fixture = try StoreFixture(directory, configuration: WriteMode.mapped.configuration(lockTimeoutSeconds: 60))
    let stored = try fixture.put(noise(2_000_000, seed: 1), as: "file")
    let (started, go) = (try PipePair(in: directory), try PipePair(in: directory))
    let store = fixture.store
    let delete = BackgroundWork {
      guard let reader = FileHandle(forReadingAtPath: started.path) else { return }
      _ = try reader.read(upToCount: 1)
      // The other process holds its shared lock from here on, until it is told to go on.
      let lock = try store.locks.acquire(.file(stored.id), .exclusive, timeoutSeconds: 0)
      #expect(lock == nil, "the reader holds no lock")
      try go.writing.write(contentsOf: Data([1]))
      try store.delete(stored.id)
    }
    await #expect(processExitsWith: isKilled ? .signal(SIGKILL) : .success) {
      [
        path = fixture.path.description as String, id = stored.id.rawValue as UInt64, started = started.path as String,
        go = go.path as String, isKilled = isKilled as Bool
      ] in
      let store = try Store(at: FilePath(path))
      let isFirst = Monitor(true)
      let writing = FileHandle(forWritingAtPath: started)
      let reading = FileHandle(forReadingAtPath: go)
      try store.get(FileID(rawValue: id), to: .stream(File.open("/dev/null", .write))) { _ in
        let isNow = isFirst.withLock { isFirst in
          defer { isFirst = false }
          return isFirst
        }
        guard isNow else { return }
        do {
          try writing?.write(contentsOf: Data([1]))
          _ = try reading?.read(upToCount: 1)
        } catch {}
        if isKilled { kill(getpid(), SIGKILL) }
      }
      try store.close()
    }
    try delete.result()
    #expect(try fixture.store.allFiles().isEmpty)
    try fixture.finish()
  }
}
