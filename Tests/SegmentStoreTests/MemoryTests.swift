import Foundation
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Memory budget") struct MemoryBudgetTests {
  @Test("whoever came first is served first")
  func order() throws {
    let budget = MemoryBudget(limitByteCount: 1000)
    let served = Monitor<[Int]>([])
    var first: MemoryLease? = try budget.lease(900)
    #expect(first?.region.byteCount == 900)
    var waiting: [BackgroundWork<Void>] = []
    for number in 0..<6 {
      waiting.append(
        BackgroundWork {
          // The one that fits at once (number 3) waits behind those that do not.
          let lease = try budget.lease(number == 3 ? 50 : 600)
          served.withLock { $0.append(number) }
          withExtendedLifetime(lease) {}
        })
      try waitUntilQueued(budget, number + 1)
    }
    #expect(try budget.leaseIfFree(10) == nil, "nobody overtakes those who wait")
    first = nil
    for work in waiting { try work.result() }
    #expect(served.withLock { $0 } == [0, 1, 2, 3, 4, 5])
    #expect(budget.leasedByteCount == 0)
  }

  @Test("leased and kept memory together never exceed the limit, and all of it comes back")
  func limit() throws {
    let seed = TestSeed("memory budget", default: 51)
    let limit = 1 << 20
    let budget = MemoryBudget(limitByteCount: limit)
    budget.setAside(100_000)
    let held = Monitor(100_000)
    try Watchdog.run(threads: 32) { thread in
      var generator = SeededGenerator(seed: seed.value * 100 + UInt64(thread))
      for _ in 0..<300 {
        let byteCount = 1 + generator.below(generator.below(10) == 0 ? limit - 100_000 : 60_000)
        let lease: MemoryLease?
        if generator.below(4) == 0 {
          lease = try budget.leaseIfFree(byteCount)
        } else {
          lease = try budget.lease(byteCount)
        }
        guard let lease else { continue }
        #expect(lease.region.byteCount == byteCount)
        let total = held.withLock { total in
          total += byteCount
          return total
        }
        #expect(total <= limit, "\(seed)")
        held.withLock { $0 -= byteCount }
        withExtendedLifetime(lease) {}
      }
    }
    #expect(budget.leasedByteCount == 100_000)
    #expect(budget.peakByteCount <= limit)
    // All that was kept gives way to one who wants everything.
    #expect(try budget.lease(limit - 100_000).region.byteCount == limit - 100_000)
  }

  @Test("a lease is all or nothing: two who want more than half take turns")
  func turns() throws {
    let budget = MemoryBudget(limitByteCount: 1000)
    let inside = Monitor(0)
    try Watchdog.run(threads: 8) { _ in
      for _ in 0..<50 {
        let lease = try budget.lease(501)
        #expect(
          inside.withLock {
            $0 += 1; return $0 == 1
          })
        inside.withLock { $0 -= 1 }
        withExtendedLifetime(lease) {}
      }
    }
    #expect(budget.leasedByteCount == 0)
  }

  /// Waits until `count` threads stand in the queue: nobody else can be served then.
  private func waitUntilQueued(_ budget: MemoryBudget, _ count: Int) throws {
    let deadline = Date(timeIntervalSinceNow: 60)
    while budget.waitingCount < count {
      guard Date() < deadline else { throw Watchdog.Timeout(description: "\(count) threads do not wait") }
      sched_yield()
    }
  }
}

@Suite("Memory limit") struct MemoryLimitTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test("the smallest limit that the error names works, and one KiB less does not", arguments: WriteMode.allCases)
  func floor(mode: WriteMode) throws {
    let path = FilePath(directory.path(of: "store"))
    try Store.create(at: path)
    let error = storeError { _ = try Store(at: path, mode.configuration(memoryByteCount: 4096)) }
    #expect(error?.code == .memoryLimitTooSmall)
    let floor = try smallest(error)
    let below = storeError { _ = try Store(at: path, mode.configuration(memoryByteCount: floor - 1024)) }
    #expect(below?.code == .memoryLimitTooSmall)
    #expect(try smallest(below) == floor)
    let fixture = try StoreFixture(
      opening: path.description, in: directory, mode.configuration(memoryByteCount: floor))
    let bytes = Corpus(seed: 1).bytes(5_000_000)
    let stored = try fixture.put(bytes, as: "file")
    #expect(try fixture.get(stored.id) == bytes)
    #expect(fixture.store.budget.peakByteCount <= floor)
    try fixture.finish()
  }

  @Test(
    "a file of many parts goes in and out under every limit from the floor to four times it",
    arguments: [1.0, 1.1, 1.5, 2, 2.7, 4], WriteMode.allCases)
  func limits(factor: Double, mode: WriteMode) throws {
    let floor = try floor(mode)
    let limit = Int(Double(floor) * factor)
    let fixture = try StoreFixture(directory, configuration: mode.configuration(memoryByteCount: limit))
    let bytes = Corpus(seed: 1).bytes(700_001)
    let stored = try fixture.put(bytes, as: "file")
    let pipe = try PipePair(in: directory)
    let feeder = pipe.feed(bytes)
    let streamed = try fixture.store.put(.stream(pipe.reading), as: fileName("streamed"))
    try feeder.result()
    #expect(try fixture.get(stored.id) == bytes)
    #expect(try fixture.store.streamedBytes(of: streamed.id, in: directory) == bytes)
    #expect(fixture.store.budget.peakByteCount <= limit)
    try fixture.finish()
  }

  @Test(
    "a file with parts too large for the limit is refused with the limit that it needs", arguments: WriteMode.allCases)
  func largeParts(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration())
    var options = PutOptions()
    options.partByteCount = 400_000
    let bytes = noise(900_000, seed: 1)
    let stored = try fixture.put(bytes, as: "large parts", options)
    let floor = try floor(mode)
    try fixture.store.close()
    let small = try StoreFixture(
      opening: fixture.path.description, in: directory, mode.configuration(memoryByteCount: floor))
    let get = storeError { _ = try small.get(stored.id) }
    #expect(get?.code == .memoryLimitTooSmall)
    let put = storeError { _ = try small.put(bytes, as: "again", options) }
    #expect(put?.code == .memoryLimitTooSmall)
    #expect(try small.store.allFiles().map(\.id) == [stored.id])
    let needed = max(try smallest(get), try smallest(put))
    try small.store.close()
    let enough = try StoreFixture(
      opening: fixture.path.description, in: directory, mode.configuration(memoryByteCount: needed))
    #expect(try enough.get(stored.id) == bytes)
    #expect(try enough.get(enough.put(bytes, as: "again", options).id) == bytes)
    try enough.finish()
  }

  @Test("32 operations at once under the smallest limit all come to their end", arguments: WriteMode.allCases)
  func concurrent(mode: WriteMode) throws {
    let floor = try floor(mode)
    let fixture = try StoreFixture(directory, configuration: mode.configuration(memoryByteCount: floor))
    let (store, directory) = (fixture.store, directory)
    let bytes = Corpus(seed: 1).bytes(150_000)
    let source = directory.path(of: "source")
    try FilesOnDisk.write(bytes, to: source)
    let shared = try fixture.put(bytes, as: "shared")
    try Watchdog.run(threads: 32) { number in
      for _ in 0..<2 {
        switch number % 4 {
        case 0:
          let stored = try store.put(.file(FilePath(source)), as: fileName("file \(number)"))
          try store.delete(stored.id)
        case 1:
          let pipe = try PipePair(in: directory)
          let feeder = pipe.feed(bytes)
          let stored = try store.put(.stream(pipe.reading), as: fileName("streamed \(number)"))
          try feeder.result()
          #expect(stored.byteCount == bytes.count)
        case 2: #expect(try store.bytes(of: shared.id, in: directory) == bytes)
        default: #expect(try store.streamedBytes(of: shared.id, in: directory) == bytes)
        }
      }
    }
    #expect(store.budget.peakByteCount <= floor)
    try expectLeased(store.workers.workerCount * MemoryPlan.workerByteCount, store)
    try fixture.finish()
  }

  @Test("puts of a hundred times the limit leave no memory leased", arguments: WriteMode.allCases)
  func leaks(mode: WriteMode) throws {
    let limit = 600_000
    let fixture = try StoreFixture(directory, configuration: mode.configuration(memoryByteCount: limit))
    let before = fixture.store.budget.leasedByteCount
    let bytes = [UInt8](repeating: 7, count: 6_000_000)
    for _ in 0..<10 { _ = try fixture.put(bytes, as: "file") }
    try expectLeased(before, fixture.store)
    #expect(fixture.store.budget.peakByteCount <= limit)
    try fixture.finish()
  }

  @Test("operations that fail or are cancelled give their memory back", arguments: WriteMode.allCases)
  func failures(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration(memoryByteCount: 1 << 20))
    let before = fixture.store.budget.leasedByteCount
    let bytes = noise(1_000_000, seed: 1)
    let source = directory.path(of: "source")
    try FilesOnDisk.write(bytes, to: source)
    let stored = try fixture.put(bytes, as: "file")
    for afterByteCount in [4096, 300_000, 900_000] {
      for isPut in [true, false] {
        let cancellation = Cancellation()
        let count = Monitor(0)
        let progress: @Sendable (Int) -> Void = { done in
          if count.withLock({
            $0 += done; return $0 >= afterByteCount
          }) {
            cancellation.cancel()
          }
        }
        let target = GetTarget.file(FilePath(directory.path(of: "target")), replacing: false)
        let error = storeError {
          if isPut {
            _ = try fixture.store.put(
              .file(FilePath(source)), as: fileName("cancelled"), cancellation: cancellation, progress: progress)
          } else {
            try fixture.store.get(stored.id, to: target, cancellation: cancellation, progress: progress)
          }
        }
        #expect(error?.code == .cancelled)
        #expect(!FileManager.default.fileExists(atPath: directory.path(of: "target")))
      }
    }
    let location = try #require(try fixture.store.parts(of: stored.id, 100..<101).first)
    try FilesOnDisk.overwrite(fixture.segmentPath(location.segment), at: location.offsetInSegment, with: [0, 0])
    #expect(storeError { _ = try fixture.get(stored.id) }?.code == .corrupt)
    try expectLeased(before, fixture.store)
    try fixture.store.delete(stored.id)
    try fixture.finish()
  }

  @Test("a stream that stands still can be cancelled, and gives its memory to those who wait")
  func stalledStream() throws {
    let floor = try floor(.mapped)
    let fixture = try StoreFixture(directory, configuration: WriteMode.mapped.configuration(memoryByteCount: floor))
    let (store, directory) = (fixture.store, directory)
    let running = try RunningPut(store, in: directory, fed: [])
    let waiting = BackgroundWork { try store.put([1, 2, 3], as: "waiting", in: directory) }
    try running.cancel()
    #expect(try waiting.result().byteCount == 3)
    try fixture.finish()
  }

  @Test("a get whose reader has stopped reading can be cancelled", arguments: [0, 4096, 5000, 70_000])
  func stalledReader(readByteCount: Int) throws {
    let fixture = try StoreFixture(directory)
    let stored = try fixture.put(noise(1_000_000, seed: 1), as: "file")
    let pipe = try PipePair(in: directory)
    let (store, cancellation, written) = (fixture.store, Cancellation(), Monitor(0))
    let work = BackgroundWork {
      try store.get(
        stored.id, to: .stream(File.open(FilePath(pipe.path), .write)), cancellation: cancellation,
        progress: { count in written.withLock { $0 += count } })
    }
    let reader = try #require(FileHandle(forReadingAtPath: pipe.path))
    var left = readByteCount
    while left > 0, let data = try reader.read(upToCount: left) { left -= data.count }
    // No page of the pipe is free: whatever the get writes now has to wait for the reader.
    let deadline = Date(timeIntervalSinceNow: 60)
    while try FilesOnDisk.waitingByteCount(reader) <= 65_536 - 4096 {
      guard Date() < deadline else { throw Watchdog.Timeout(description: "the pipe does not fill") }
      sched_yield()
    }
    cancellation.cancel()
    #expect(storeError { try work.result(seconds: 30) }?.code == .cancelled)
    try fixture.finish()
  }

  /// Waits until exactly `byteCount` bytes are leased: a worker lets go of a batch just after its result is known.
  private func expectLeased(_ byteCount: Int, _ store: Store) throws {
    let deadline = Date(timeIntervalSinceNow: 60)
    while store.budget.leasedByteCount != byteCount {
      guard Date() < deadline else {
        Issue.record("\(store.budget.leasedByteCount) bytes stay leased, \(byteCount) before")
        return
      }
      sched_yield()
    }
  }

  /// The smallest limit under which a store of small parts opens.
  private func floor(_ mode: WriteMode) throws -> Int {
    let probe = FilePath(directory.path(of: "probe"))
    var options = Store.CreationOptions()
    (options.segmentByteCount, options.partByteCount) = (1 << 20, 4096)
    try Store.create(at: probe, options)
    defer { FilesOnDisk.removeTree(probe.description) }
    return try smallest(storeError { _ = try Store(at: probe, mode.configuration(memoryByteCount: 1)) })
  }

  /// The limit that the message names, in bytes.
  private func smallest(_ error: StoreError?) throws -> Int {
    let message = try #require(error).message
    let number = try #require(message.split(separator: " ").last?.replacing("KiB", with: ""))
    return try #require(Int(number)) * 1024
  }
}
