import StorageIO
import TestSupport
import Testing

@testable import StagingFS

@Suite("Staging locks") struct StagingLockTests {
  let staging: StagingFileSystem

  init() throws {
    staging = try StagingFileSystem(quota: 16 << 20)
    try staging.importTree([("/file", [1]), ("/other", [2]), ("/d/inner", [3])])
  }

  @Test func `let many readers or one writer in`() throws {
    let readers = try (0..<3).map { _ in try staging.open("/file", lockTimeout: .zero) }
    for mode in [OpenMode.write, .append, .readWrite] {
      #expect(stagingError { _ = try staging.open("/file", mode, lockTimeout: .zero) }?.code == .lockTimeout)
    }
    for reader in readers { try reader.close() }
    let writer = try staging.open("/file", .append, lockTimeout: .zero)
    for mode in [OpenMode.read, .write, .append, .readWrite] {
      #expect(stagingError { _ = try staging.open("/file", mode, lockTimeout: .zero) }?.code == .lockTimeout)
    }
    try writer.close()
    _ = try staging.open("/file", lockTimeout: .zero)
  }

  @Test("are waited for as long as is asked for, and then it is an error that says so")
  func timeouts() throws {
    let writer = try staging.open("/file", .append)
    let error = stagingError { _ = try staging.open("/file", lockTimeout: .duration(.milliseconds(20))) }
    #expect(error?.code == .lockTimeout && error?.message.contains("/file") == true)
    #expect(
      stagingError { _ = try staging.open("/file", .write, lockTimeout: .duration(.milliseconds(5))) }?.code
        == .lockTimeout)
    // Who gave up has left nothing behind.
    try writer.close()
    _ = try staging.open("/file", .write, lockTimeout: .zero)
    let short = try StagingFileSystem(quota: 1 << 20, defaultLockTimeout: .duration(.milliseconds(1)))
    let held = try short.open("/x", .write)
    #expect(stagingError { _ = try short.open("/x") }?.code == .lockTimeout)
    withExtendedLifetime(held) {}
  }

  @Test func `are given in the order of coming, so that readers do not keep a writer out`() throws {
    let staging = staging
    let order = Monitor<[String]>([])
    let first = try staging.open("/file")
    let goesOn = Signal()
    let writer = BackgroundWork {
      let handle = try staging.open("/file", .append, lockTimeout: .unlimited)
      order.withLock { $0.append("writer") }
      try handle.close()
    }
    try staging.waitForWaiting(1, at: "/file")
    // It could be let in beside the first one, but the writer came before it.
    let second = BackgroundWork {
      let handle = try staging.open("/file", lockTimeout: .unlimited)
      order.withLock { $0.append("second") }
      try goesOn.wait()
      try handle.close()
    }
    try staging.waitForWaiting(2, at: "/file")
    #expect(stagingError { _ = try staging.open("/file", lockTimeout: .zero) }?.code == .lockTimeout)
    let third = BackgroundWork {
      let handle = try staging.open("/file", .append, lockTimeout: .unlimited)
      order.withLock { $0.append("third") }
      try handle.close()
    }
    try staging.waitForWaiting(3, at: "/file")
    #expect(order.withLock { $0 } == [])
    try first.close()
    goesOn.raise()
    try writer.result()
    try second.result()
    try third.result()
    #expect(order.withLock { $0 } == ["writer", "second", "third"])
  }

  @Test func `let those behind go on when one who waits gives up`() throws {
    let staging = staging
    let reader = try staging.open("/file")
    let writer = BackgroundWork {
      stagingError { _ = try staging.open("/file", .write, lockTimeout: .duration(.milliseconds(50))) }?.code
    }
    try staging.waitForWaiting(1, at: "/file")
    // Behind a writer that will not come; the first reader never leaves.
    let second = BackgroundWork { try staging.open("/file", lockTimeout: .unlimited).read() }
    #expect(try writer.result() == .lockTimeout)
    #expect(try second.result() == [1])
    withExtendedLifetime(reader) {}
  }

  @Test func `let a writer in while readers come and go without a pause`() throws {
    let staging = staging
    let isDone = Monitor(false)
    try Watchdog.run(threads: 4) { thread in
      if thread == 0 {
        for _ in 0..<50 { try staging.withFile("/file", .append, lockTimeout: .unlimited) { try $0.write([9]) } }
        isDone.withLock { $0 = true }
      } else {
        var handle = try staging.open("/file", lockTimeout: .unlimited)
        while !isDone.withLock({ $0 }) {
          // Where two would wait for each other, one lets go first.
          do { handle = try staging.open("/file", lockTimeout: .zero) } catch {
            try handle.close()
            handle = try staging.open("/file", lockTimeout: .unlimited)
          }
        }
      }
    }
    #expect(try staging.byteCount(of: "/file") == 51)
  }

  @Test func `that are waited for keep no call on anything else waiting`() throws {
    let staging = staging
    let writer = try staging.open("/file", .append)
    let waiting: [BackgroundWork<Void>] = [
      BackgroundWork { _ = try staging.open("/file", lockTimeout: .unlimited) },
      BackgroundWork { _ = try staging.open("/file", .write, lockTimeout: .unlimited) },
      BackgroundWork { try staging.copy("/file", to: "/copy", lockTimeout: .unlimited) },
      BackgroundWork { _ = try staging.exportTree("/", lockTimeout: .unlimited) },
      BackgroundWork { try staging.importTree([("/file", [5])], lockTimeout: .unlimited) },
      BackgroundWork { try staging.removeTree("/", lockTimeout: .unlimited) },
    ]
    try staging.waitForWaiting(waiting.count, at: "/file")
    try Watchdog.run { _ in
      #expect(try staging.read("/other") == [2])
      try staging.write([4], to: "/new")
      try staging.makeDirectory("/e")
      try staging.rename("/file", to: "/e/moved")
      try staging.rename("/e/moved", to: "/file")
      try staging.copy("/other", to: "/e/other")
      try staging.remove("/new")
      #expect(try staging.walk().count == 3)
      #expect(try staging.status("/file").byteCount == 1)
      #expect(try staging.export("/other").bytes() == [2])
    }
    try writer.close()
    for (index, work) in waiting.enumerated() {
      // What comes behind the removal finds nothing, or goes before it.
      do { try work.result() } catch let error as StagingError {
        #expect(error.code == .notFound, "\(index): \(error)")
      }
    }
  }

  @Test("keep what is open from being removed, replaced or copied half-way, and nothing has happened then")
  func busy() throws {
    let before = staging.statistics()
    let writer = try staging.open("/d/inner", .readWrite)
    let calls: [(StagingFileSystem) throws -> Void] = [
      { try $0.remove("/d/inner", lockTimeout: .zero) }, { try $0.removeTree("/d", lockTimeout: .zero) },
      { try $0.removeTree("/", lockTimeout: .duration(.milliseconds(5))) },
      { try $0.copyTree("/d", to: "/e", lockTimeout: .zero) },
      { try $0.copy("/d/inner", to: "/e", lockTimeout: .zero) },
      { _ = try $0.export("/d/inner", lockTimeout: .zero) },
      { _ = try $0.exportTree("/", lockTimeout: .duration(.milliseconds(5))) },
      { try $0.importTree([("/n/x", [1]), ("/d/inner", [1])], lockTimeout: .zero) },
    ]
    for (index, call) in calls.enumerated() {
      #expect(stagingError { try call(staging) }?.code == .lockTimeout, "call \(index)")
    }
    try writer.close()
    #expect(staging.statistics() == before)
    // A reader keeps from removal, and not from copies.
    let reader = try staging.open("/d/inner")
    #expect(stagingError { try staging.removeTree("/d", lockTimeout: .zero) }?.code == .lockTimeout)
    try staging.copyTree("/d", to: "/e", lockTimeout: .zero)
    try reader.close()
    try staging.removeTree("/d", lockTimeout: .zero)
  }

  @Test func `of a file that was removed meanwhile lead to the one that has its path then`() throws {
    let staging = staging
    let reader = try staging.open("/file")
    let removal = BackgroundWork { try staging.remove("/file", lockTimeout: .unlimited) }
    try staging.waitForWaiting(1, at: "/file")
    let opened = BackgroundWork { try staging.open("/file", lockTimeout: .unlimited).read() }
    let appended = BackgroundWork {
      try staging.withFile("/file", .append, lockTimeout: .unlimited) { try $0.write([8]) }
    }
    try staging.waitForWaiting(3, at: "/file")
    try reader.close()
    try removal.result()
    try appended.result()
    // It came either before the append made a new file, or behind it.
    do { #expect(try opened.result() == [8]) } catch let error as StagingError { #expect(error.code == .notFound) }
    #expect(try staging.read("/file") == [8])
  }

  @Test func `and the tree survive threads that do everything at once`() throws {
    let seed = TestSeed("staging threads", default: 73)
    let staging = try StagingFileSystem(quota: 4 << 20, defaultLockTimeout: .duration(.milliseconds(20)))
    let empty = staging.usedByteCount
    for name in ["/a", "/b", "/a/c"] as [StagingPath] { try staging.makeDirectory(name) }
    try Watchdog.run(threads: 8) { thread in
      var generator = SeededGenerator(seed: seed.value + UInt64(thread))
      let places = ["/", "/a", "/b", "/a/c", "/b/c", "/a/d"]
      func path() -> StagingPath {
        StagingPath(places[generator.below(places.count)]).appending("\(generator.below(4))")
      }
      func directory() -> StagingPath { StagingPath(places[1 + generator.below(places.count - 1)]) }
      for _ in 0..<400 {
        do {
          switch generator.below(12) {
          case 0, 1: try staging.write([UInt8](repeating: UInt8(thread), count: generator.below(3000)), to: path())
          case 2: try staging.withFile(path(), .append) { try $0.write([UInt8](repeating: 9, count: 10)) }
          case 3: try staging.remove(path())
          case 4: try staging.rename(path(), to: path())
          case 5: try staging.rename(directory(), to: directory())
          case 6: try staging.copyTree(directory(), to: directory())
          case 7: try staging.removeTree(directory())
          case 8: try staging.makeDirectory(directory(), makingParents: true, mayExist: true)
          case 9: _ = try staging.exportTree("/").map { try $0.bytes() }
          case 10: try staging.importTree([(path(), [1]), (path(), [2])])
          default:
            // What one wrote whole is read whole.
            let bytes = try staging.read(path())
            #expect(Set(bytes.filter { $0 != 9 }).count <= 1, "\(seed)")
          }
        } catch is StagingError {}
      }
    }
    let walked = try staging.walk()
    #expect(walked.reduce(0) { $0 + $1.fileNames.count } == staging.statistics().fileCount, "\(seed)")
    #expect(walked.count - 1 == staging.statistics().directoryCount, "\(seed)")
    try staging.removeTree("/")
    #expect(staging.usedByteCount == empty, "\(seed)")
  }
}
