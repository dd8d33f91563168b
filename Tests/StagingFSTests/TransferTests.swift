import SegmentStore
import StorageIO
import TestSupport
import Testing

@testable import StagingFS

@Suite("Staging export and import") struct StagingTransferTests {
  let staging: StagingFileSystem

  init() throws {
    staging = try StagingFileSystem(quota: 16 << 20, defaultLockTimeout: .zero)
    try staging.importTree([("/a/one", [1]), ("/a/b/two", [2]), ("/three", [3])])
  }

  @Test func `gives a tree as it is at one moment, or what was changed since a mark`() throws {
    let mark = staging.mark
    #expect(try staging.exportTree(changedSince: mark).isEmpty)
    try staging.withFile("/a/b/two", .append) { try $0.write([22]) }
    try staging.write([4], to: "/four")
    try staging.rename("/three", to: "/moved")
    let changed = try staging.exportTree(changedSince: mark)
    #expect(changed.map(\.path.description) == ["/a/b/two", "/four"])
    #expect(try changed[0].bytes() == [2, 22])
    #expect(try staging.exportTree("/a").map(\.path.description) == ["/a/b/two", "/a/one"])
    #expect(try staging.exportTree("/moved").map { try $0.bytes() } == [[3]])
    #expect(try staging.exportTree(changedSince: staging.mark).isEmpty)
    #expect(stagingError { _ = try staging.exportTree("/none") }?.code == .notFound)
    // Opening and closing changes nothing.
    let second = staging.mark
    try staging.open("/four", .append).close()
    _ = try staging.read("/four")
    #expect(try staging.exportTree(changedSince: second).isEmpty)
    try staging.copy("/four", to: "/five")
    #expect(try staging.exportTree(changedSince: second).map(\.path.description) == ["/five"])
  }

  @Test func `one by one leaves out what has gone meanwhile`() throws {
    var files = try staging.exportSequence()
    let first = try files.next()
    #expect(first?.path == "/a/b/two")
    try staging.remove("/a/one")
    let writer = try staging.open("/three", .append)
    #expect(stagingError { _ = try files.next() }?.code == .lockTimeout)
    #expect(try files.next() == nil)
    withExtendedLifetime(writer) {}
  }

  @Test func `has a file that was made before the mark and is closed, empty, behind it`() throws {
    for mode in [OpenMode.createNew, .write, .append] {
      let staging = try StagingFileSystem(quota: 1 << 20)
      let handle = try staging.open("/empty", mode)
      let mark = staging.mark
      try handle.close()
      #expect(try staging.exportTree(changedSince: mark).map(\.path) == ["/empty"], "\(mode)")
      #expect(try staging.status("/empty").generation == 0)
    }
  }

  @Test func `one by one leaves out what has become a directory`() throws {
    let staging = try StagingFileSystem(quota: 1 << 20)
    try staging.importTree([("/a", [1]), ("/b", [2])])
    var sequence = try staging.exportSequence()
    try staging.remove("/a")
    try staging.importTree([("/a/x", [3]), ("/a/y", [4])])
    #expect(try sequence.next()?.path == "/b")
    #expect(try sequence.next() == nil)
  }

  @Test func `of a range that the file has not, or that is too long, is an error`() async {
    await #expect(processExitsWith: .success) {
      let staging = try StagingFileSystem(quota: 1 << 20)
      try staging.write([1, 2, 3], to: "/file")
      let export = try staging.export("/file")
      for range in [0..<3, 2..<4, -1..<1, 5..<6, 9..<9, Int.max - 1..<Int.max] {
        let error = stagingError {
          var bytes: [UInt8] = [0, 0]
          try bytes.withMutableRawSpan { (span) throws(StagingError) in try export.copy(range, into: &span) }
        }
        guard error?.code == .invalidArgument else { throw TestFailure("\(range): \(String(describing: error))") }
      }
    }
  }

  @Test func `replaces files that are there and makes the others, with their directories`() throws {
    try staging.importTree([("/a/one", [11]), ("/x/y/z", [26]), ("/x/w", []), ("/x/w", [23])])
    #expect(try staging.read("/a/one") == [11] && staging.read("/x/y/z") == [26] && staging.read("/x/w") == [23])
    #expect(try staging.status("/a/one").generation == 0)
    #expect(staging.statistics().fileCount == 5 && staging.statistics().directoryCount == 4)
    try staging.importTree([])
  }

  @Test func `sees a group of imported files whole or not at all, while threads import and export`() throws {
    let staging = staging
    let names = (0..<20).map { StagingPath("/group/\($0)") }
    try staging.importTree(names.map { ($0, [0]) })
    let isDone = Monitor(0)
    try Watchdog.run(threads: 4) { thread in
      if thread < 2 {
        for round in 0..<100 {
          let value = UInt8(thread * 100 + round)
          try staging.importTree(names.map { ($0, [value]) }, lockTimeout: .unlimited)
        }
        isDone.withLock { $0 += 1 }
      } else {
        while isDone.withLock({ $0 }) < 2 {
          let files = try staging.exportTree("/group", lockTimeout: .unlimited)
          #expect(try Set(files.map { try $0.bytes() }).count == 1)
        }
      }
    }
  }
}

@Suite("Staging for tasks") struct AsyncStagingTests {
  @Test("text is written and read by scalars and lines, each line by one of those who ask")
  func text() async throws {
    let staging = AsyncStagingFileSystem(try StagingFileSystem(quota: 1 << 20))
    let lines = (0..<500).map { "line \($0) \u{e4}\u{1F600}" }
    let output = AsyncStagingTextHandle(try await staging.open("/text", .write))
    for line in lines { try await output.write(line + "\n") }
    try await output.write("no line feed\r")
    try await output.handle.close()

    let input = AsyncStagingTextHandle(try await staging.open("/text"))
    #expect(try await input.readLine() == lines[0] + "\n")
    #expect(try await input.read(4) == "line")
    try await input.handle.seek(to: 0)
    let found = try await withThrowingTaskGroup(of: [String].self) { group in
      for _ in 0..<4 {
        group.addTask {
          var found: [String] = []
          for try await line in input { found.append(line) }
          return found
        }
      }
      return try await group.reduce([], +)
    }
    #expect(found.sorted() == (lines + ["no line feed\r"]).sorted())
    try await input.handle.close()
    await #expect(throws: StagingError.self) { try await input.readLine() }

    try await staging.write([0x61, 0xFF, 0x0A], to: "/bytes")
    let strict = AsyncStagingTextHandle(try await staging.open("/bytes"))
    await #expect(throws: StagingError.self) { try await strict.lines() }
    let lenient = AsyncStagingTextHandle(try await staging.open("/bytes"), invalidBytes: .replace)
    #expect(try await lenient.lines() == ["a\u{FFFD}"])
  }

  @Test func `does what its twin does`() async throws {
    let staging = AsyncStagingFileSystem(try StagingFileSystem(quota: 1 << 20))
    try await staging.makeDirectory("/a/b", makingParents: true)
    let writer = try await staging.open("/a/b/file", .write)
    try await writer.write([1, 2, 3])
    try await writer.adopt([4])
    try await writer.seek(to: 0)
    try await writer.flush()
    try await writer.truncate(to: 3)
    #expect(try await writer.position() == 0)
    #expect(try await writer.byteCount() == 3)
    try await writer.close()
    let reader = try await staging.open("/a/b/file")
    #expect(try await reader.read(2) == [1, 2])
    try await reader.discard()
    #expect(try await staging.read("/a/b/file") == [1, 2, 3])
    try await staging.write([9], to: "/nine")
    try await staging.copy("/nine", to: "/ten")
    try await staging.copyTree("/a", to: "/c")
    try await staging.rename("/ten", to: "/eleven")
    try await staging.move("/eleven", to: "/x/eleven")
    #expect(try await staging.list() == ["a", "c", "nine", "x"].map { Array($0.utf8) })
    #expect(try await staging.exists("/x"))
    #expect(try await staging.isDirectory("/x"))
    #expect(try await staging.isFile("/nine"))
    #expect(try await staging.glob("/**/eleven") == ["/x/eleven"])
    #expect(try await staging.walk().count == 6)
    #expect(try await staging.byteCount(of: "/nine") == 1)
    #expect(try await staging.status("/nine").generation == 1)
    #expect(try await staging.export("/nine").bytes() == [9])
    #expect(try await staging.exportTree().count == 4)
    try await staging.importTree([("/i", [1])])
    try await staging.remove("/i")
    try await staging.removeTree("/")
    #expect(try await staging.statistics().fileCount == 0)
    await #expect(throws: StagingError.self) { try await staging.read("/none") }
  }

  @Test func `commits, loads, imports a file and exports one by one`() async throws {
    let directory = try TemporaryDirectory(isInMemory: true)
    let store = try StagingCommitTests.makeStore(directory.path(of: "store"))
    let source = FilePath(directory.path(of: "source"))
    let staging = AsyncStagingFileSystem(try StagingFileSystem(quota: 1 << 20))
    try await staging.importTree([("/a", [1]), ("/b/c", [2])])
    let mark = staging.fileSystem.mark
    try staging.fileSystem.export("/a").write(to: source, replacing: false)
    try await staging.importFile(source, as: "/d")
    var paths: [StagingPath] = []
    for try await file in try await staging.exportSequence() { paths.append(file.path) }
    #expect(paths == ["/a", "/b/c", "/d"])
    var changed = try await staging.exportSequence(changedSince: mark).makeAsyncIterator()
    #expect(try await changed.next()?.path == "/d")
    #expect(try await changed.next() == nil)
    #expect(try await staging.commit(into: store, under: "job").count == 3)
    let loaded = AsyncStagingFileSystem(try StagingFileSystem(quota: 1 << 20))
    #expect(try await loaded.load(from: store, under: "job", into: "/back") == 3)
    #expect(try await loaded.read("/back/b/c") == [2])
    // A writer is waited for by a thread, and not by one of the pool.
    let writer = try await staging.open("/a", .append)
    let error = await #expect(throws: StagingError.self) { try await staging.commit(into: store) }
    #expect(error?.code == .lockTimeout)
    async let committed = staging.commit(into: store, writers: .areWaitedFor(.unlimited))
    try await staging.perform { (fileSystem) throws(StagingError) in
      do { try fileSystem.waitForWaiting(1, at: "/a") } catch { throw StagingError(.invalidArgument, "\(error)") }
    }
    try await writer.close()
    #expect(try await committed.count == 3)
    try store.close()
  }

  @Test func `waits in far more tasks than there are threads for them, and all come to their end`() async throws {
    let staging = AsyncStagingFileSystem(try StagingFileSystem(quota: 16 << 20, defaultLockTimeout: .unlimited))
    try await staging.write([], to: "/file")
    let holder = try await staging.open("/file", .append)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<100 {
        group.addTask {
          let handle = try await staging.open("/file", .append)
          try await handle.write([UInt8(number)])
          try await handle.close()
        }
      }
      // If waiting blocked the pool, this would never be reached.
      group.addTask {
        try await staging.perform { (fileSystem) throws(StagingError) in
          do { try fileSystem.waitForWaiting(50, at: "/file") } catch {
            throw StagingError(.invalidArgument, "\(error)")
          }
        }
        try await holder.write([255])
        try await holder.close()
      }
      try await group.waitForAll()
    }
    let bytes = try await staging.read("/file")
    #expect(bytes.first == 255 && Set(bytes).count == 101)
  }
}
