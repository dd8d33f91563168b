import Foundation
import SegmentStore
import StorageIO
import TestSupport
import Testing

@testable import StagingFS

@Suite("Staging commit") struct StagingCommitTests {
  let directory: TemporaryDirectory
  let store: Store

  init() throws {
    directory = try TemporaryDirectory(isInMemory: true)
    store = try StagingCommitTests.makeStore(directory.path(of: "store"))
  }

  static func makeStore(_ path: String, memoryByteCount: Int = 64 << 20) throws -> Store {
    var options = Store.CreationOptions()
    options.segmentByteCount = 4 << 20
    options.partByteCount = 64 << 10
    try Store.create(at: FilePath(path), options)
    var configuration = Store.Configuration()
    configuration.memoryByteCount = memoryByteCount
    return try Store(at: FilePath(path), configuration)
  }

  private func names() throws -> [String] {
    try store.newestFiles(namePrefix: [], limit: 1000).map(\.name.description)
  }

  private func finish() throws {
    try store.checkInvariants()
    try store.close()
  }

  @Test func `publishes the tree, and a load brings it back`() throws {
    let staging = try StagingFileSystem(quota: 32 << 20)
    let files: [(path: StagingPath, bytes: [UInt8])] = [
      ("/a/one", noise(3_000_000)), ("/a/b/two", [2]), ("/empty", []),
      ("/zeros", [UInt8](repeating: 0, count: 300_000)),
    ]
    try staging.importTree(files)
    try staging.withFile("/pieces", .write) { handle in
      for number in 0..<300 { try handle.write(noise(1000, seed: UInt64(number))) }
    }
    try staging.makeDirectory("/no/file", makingParents: true)
    let progress = Monitor(0)
    let ids = try staging.commit(
      into: store, under: "jobs/today/", progress: { count in progress.withLock { $0 += count } })
    #expect(ids.count == 5 && progress.withLock { $0 } == 3_600_001)
    #expect(
      try names() == [
        "jobs/today/a/b/two", "jobs/today/a/one", "jobs/today/empty", "jobs/today/pieces", "jobs/today/zeros",
      ])
    #expect(staging.statistics().fileCount == 5)
    let second = try StagingFileSystem(quota: 32 << 20)
    try second.importTree([("/back/empty", [9])])
    #expect(try second.load(from: store, under: "jobs/today", into: "/back") == 5)
    for (path, bytes) in files {
      #expect(try second.read(StagingPath("/back\(path)")) == bytes)
      #expect(try second.status(StagingPath("/back\(path)")).generation == 0)
    }
    #expect(try second.read("/back/pieces") == staging.read("/pieces"))
    try finish()
  }

  @Test func `takes a part of the tree, and stores a name anew as a new version`() throws {
    let staging = try StagingFileSystem(quota: 1 << 20)
    try staging.importTree([("/a/one", [1]), ("/a/b/two", [2]), ("/three", [3])])
    try staging.commit(into: store, from: "/a")
    try staging.commit(into: store, under: "x", from: "/three")
    try staging.write([22], to: "/a/b/two")
    try staging.commit(into: store, from: "/a/b")
    try staging.commit(into: store, from: "/a")
    #expect(try names() == ["b/two", "one", "two", "x/three"])
    #expect(try store.files(named: FileName(Array("b/two".utf8))).count == 2)
    let second = try StagingFileSystem(quota: 1 << 20)
    #expect(try second.load(from: store) == 4)
    #expect(try second.read("/b/two") == [22])
    try staging.makeDirectory("/none")
    #expect(try staging.commit(into: store, from: "/none").isEmpty)
    #expect(stagingError { try staging.commit(into: store, from: "/nowhere") }?.code == .notFound)
    #expect(stagingError { try staging.commit(into: store, under: "../x") }?.code == .badPath)
    try finish()
  }

  @Test func `with writers open is an error, or waits for them, as asked`() throws {
    let (staging, store) = (try StagingFileSystem(quota: 1 << 20), store)
    try staging.importTree([("/a", [1]), ("/b", [2])])
    let writer = try staging.open("/b", .append)
    try writer.write([22])
    let error = stagingError { try staging.commit(into: store) }
    #expect(error?.code == .lockTimeout && error?.message.contains("/b") == true)
    #expect(
      stagingError { try staging.commit(into: store, writers: .areWaitedFor(.duration(.milliseconds(5)))) }?.code
        == .lockTimeout)
    #expect(try names().isEmpty)
    let commit = BackgroundWork { try staging.commit(into: store, writers: .areWaitedFor(.unlimited)) }
    try staging.waitForWaiting(1, at: "/b")
    try staging.write([3], to: "/c")
    try writer.close()
    #expect(try commit.result().count == 3)
    let loaded = try StagingFileSystem(quota: 1 << 20)
    try loaded.load(from: store)
    #expect(try loaded.read("/b") == [2, 22])
    // A reader is no obstacle.
    let reader = try staging.open("/a")
    try staging.commit(into: store, from: "/a")
    withExtendedLifetime(reader) {}
    try finish()
  }

  @Test func `is of one moment, whatever is changed while it runs`() throws {
    let (staging, store) = (try StagingFileSystem(quota: 8 << 20), store)
    let names = (0..<20).map { StagingPath("/\($0)") }
    try staging.importTree(names.map { ($0, [UInt8](repeating: 0, count: 5000)) })
    let isDone = Monitor(false)
    let writer = BackgroundWork {
      var round: UInt8 = 1
      while !isDone.withLock({ $0 }) {
        try staging.importTree(names.map { ($0, [UInt8](repeating: round, count: 5000)) }, lockTimeout: .unlimited)
        round = round % 250 + 1
      }
    }
    for _ in 0..<5 {
      try staging.commit(into: store, under: "x", writers: .areWaitedFor(.unlimited))
      let loaded = try StagingFileSystem(quota: 8 << 20)
      try loaded.load(from: store, under: "x")
      #expect(try Set(loaded.exportTree().map { try $0.bytes() }).count == 1)
    }
    isDone.withLock { $0 = true }
    try writer.result()
    try finish()
  }

  @Test func `of far more than the memory limit of the store works, and with the quota used up`() throws {
    let small = try StagingCommitTests.makeStore(directory.path(of: "small"), memoryByteCount: 8 << 20)
    let staging = try StagingFileSystem(quota: 40 << 20)
    for number in 0..<9 { try staging.write(noise(4 << 20, seed: UInt64(number)), to: StagingPath("/\(number)")) }
    try staging.write([UInt8](repeating: 1, count: staging.statistics().freeByteCount - 16_000), to: "/rest")
    try staging.commit(into: small)
    #expect(try small.statistics().fileCount == 10)
    let copy = try StagingFileSystem(quota: 41 << 20)
    #expect(try copy.load(from: small) == 10)
    #expect(try copy.read("/8") == noise(4 << 20, seed: 8))
    try small.checkInvariants()
    try small.close()
    try finish()
  }

  @Test func `that fails leaves nothing in the store, and the tree as it was`() throws {
    var options = Store.CreationOptions()
    options.segmentByteCount = 1 << 20
    options.partByteCount = 4096
    options.quotaByteCount = 1 << 20
    let path = FilePath(directory.path(of: "limited"))
    try Store.create(at: path, options)
    let limited = try Store(at: path)
    let staging = try StagingFileSystem(quota: 8 << 20)
    for number in 0..<20 { try staging.write(noise(100_000, seed: UInt64(number)), to: StagingPath("/\(number)")) }
    let before = staging.statistics()
    let error = stagingError { try staging.commit(into: limited) }
    #expect(error?.code == .store && error?.storeError?.code == .noSpace)
    #expect(try limited.files(limit: 100).isEmpty)
    #expect(staging.statistics() == before)
    let cancellation = Cancellation()
    cancellation.cancel()
    #expect(
      stagingError { try staging.commit(into: store, cancellation: cancellation) }?.storeError?.code == .cancelled)
    #expect(try names().isEmpty)
    try limited.checkInvariants()
    try limited.close()
    try finish()
  }

  @Test func `loaded by a tree that has no room leaves nothing in it`() throws {
    let staging = try StagingFileSystem(quota: 8 << 20)
    try staging.importTree([("/a", noise(100_000)), ("/b", noise(1_000_000)), ("/c", noise(10))])
    try staging.commit(into: store)
    let small = try StagingFileSystem(quota: 500_000)
    try small.write([1], to: "/a")
    let before = small.statistics()
    #expect(stagingError { try small.load(from: store) }?.code == .quotaExceeded)
    #expect(small.statistics() == before)
    #expect(try small.read("/a") == [1])
    try finish()
  }

  @Test("does not load names that are no paths", arguments: ["a/../b", "/absolute", "a//b", "a/./b", "a/"])
  func hostileNames(name: String) throws {
    let source = directory.path(of: "source")
    try Data([1]).write(to: URL(fileURLWithPath: source))
    _ = try store.put(.file(FilePath(source)), as: FileName(Array(name.utf8)))
    let staging = try StagingFileSystem(quota: 1 << 20)
    #expect(stagingError { try staging.load(from: store) }?.code == .badPath)
    #expect(staging.statistics().fileCount == 0)
    try finish()
  }

  @Test func `shares the memory of the store, which gets it back`() throws {
    let most = store.reservableMemoryByteCount
    #expect(most > 16 << 20)
    let error = stagingError { _ = try StagingFileSystem(quota: most + 1, sharingMemoryOf: store) }
    #expect(error?.code == .quotaExceeded && error?.availableByteCount == most)
    var staging: StagingFileSystem? = try StagingFileSystem(quota: most, sharingMemoryOf: store)
    #expect(store.reservableMemoryByteCount <= most / 2 + 1)
    try staging?.write(noise(12 << 20), to: "/file")
    try staging?.commit(into: store)
    #expect(try names() == ["file"])
    staging = nil
    #expect(store.reservableMemoryByteCount == most)
    try finish()
  }

  @Test("is all there or not at all when the process is killed")
  func killed() async throws {
    let seed = TestSeed("killed commit", default: 74)
    var generator = seed.generator
    try store.close()
    for round in 0..<10 {
      // From before the first put to after the publication.
      let spinCount = generator.below(400_000)
      await #expect(processExitsWith: .signal(SIGKILL)) {
        [path = store.path.description as String, spinCount = spinCount as Int, round = round as Int] in
        let store = try Store(at: FilePath(path))
        let staging = try StagingFileSystem(quota: 16 << 20)
        for number in 0..<20 {
          try staging.write(noise(number * 5000, seed: UInt64(number)), to: StagingPath("/\(number)"))
        }
        let count = Monitor(0)
        let killer = BackgroundWork {
          for _ in 0..<spinCount { count.withLock { $0 += 1 } }
          kill(getpid(), SIGKILL)
        }
        try staging.commit(into: store, under: StagingPath("\(round)"))
        try killer.result()
      }
      let opened = try Store(at: store.path)
      let found = try opened.newestFiles(namePrefix: Array("\(round)/".utf8), limit: 100)
      #expect(found.isEmpty || found.count == 20, "\(seed), round \(round): \(found.count) files")
      if !found.isEmpty {
        let loaded = try StagingFileSystem(quota: 16 << 20)
        try loaded.load(from: opened, under: StagingPath("\(round)"))
        for number in 0..<20 {
          #expect(try loaded.read(StagingPath("/\(number)")) == noise(number * 5000, seed: UInt64(number)))
        }
      }
      try opened.checkInvariants()
      try opened.close()
    }
  }
}
