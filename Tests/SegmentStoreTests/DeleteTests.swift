import Foundation
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Delete") struct DeleteTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test("gives the space of a big file back and leaves its neighbours alone", arguments: WriteMode.allCases)
  func space(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration(workerCount: 1)) {
      $0.segmentByteCount = 16 << 20
    }
    let before = try fixture.put(noise(50_000, seed: 1), as: "before")
    let big = try fixture.put(noise(6_000_000, seed: 2), as: "big")
    let after = try fixture.put(noise(50_000, seed: 3), as: "after")
    try fixture.reopen()
    let path = fixture.segmentPath(try #require(try fixture.segments(of: big).first))
    let full = try allocatedByteCount(path)
    try fixture.store.delete(big.id)
    // Opened again, because the tombstone's writer has reserved space ahead.
    try fixture.reopen()
    #expect(try allocatedByteCount(path) < full - 5_900_000)
    #expect(try fixture.get(before.id) == noise(50_000, seed: 1))
    #expect(try fixture.get(after.id) == noise(50_000, seed: 3))
    try fixture.finish()
  }

  @Test("gives back whole pages, and changes no other byte of what died", arguments: WriteMode.allCases)
  func wholePages(mode: WriteMode) throws {
    let seed = TestSeed("pages of dead records", default: 92)
    var generator = seed.generator
    let fixture = try StoreFixture(directory, configuration: mode.configuration(workerCount: 1))
    let files = try (0..<24).map { number in
      try fixture.put(noise(generator.below(200_000), seed: UInt64(number)), as: "file")
    }
    try fixture.reopen()
    let before = Dictionary(uniqueKeysWithValues: try fixture.segmentFiles().map { ($0.path, $0) })
    for file in files where generator.below(2) == 0 { try fixture.store.delete(file.id) }
    try fixture.reopen()
    var punchedCount = 0
    for segment in try fixture.segmentFiles() {
      let old = try #require(before[segment.path])
      let end = (try old.records().map { $0.offset + $0.recordByteCount }.max() ?? 0)
      for start in stride(from: 0, to: end, by: 4096) {
        let page = start..<min(start + 4096, end)
        if segment.bytes[page] == old.bytes[page] { continue }
        punchedCount += 1
        #expect(segment.bytes[page].allSatisfy { $0 == 0 }, "\(seed): \(segment.path), page at \(start)")
      }
    }
    #expect(punchedCount > 0)
    try fixture.finish()
  }

  @Test("a deleted file is unknown by id and name, at once and after opening again")
  func unknown() throws {
    let fixture = try StoreFixture(directory)
    let kept = try fixture.put([1], as: "kept")
    let file = try fixture.put(noise(10_000, seed: 1), as: "file")
    try fixture.store.delete(file.id)
    for _ in 0..<2 {
      #expect(storeError { _ = try fixture.get(file.id) }?.code == .notFound)
      #expect(storeError { try fixture.store.delete(file.id) }?.code == .notFound)
      #expect(storeError { _ = try fixture.store.parts(of: file.id, 0..<1) }?.code == .notFound)
      #expect(try fixture.store.file(file.id) == nil)
      #expect(try fixture.store.files(named: fileName("file")).isEmpty)
      #expect(try fixture.store.allFiles().map(\.id) == [kept.id])
      try fixture.reopen()
    }
    try fixture.finish()
  }

  @Test("ids of deleted and failed files are never given to another")
  func ids() throws {
    let fixture = try StoreFixture(directory)
    var seen: Set<FileID> = []
    for round in 0..<12 {
      let stored = try fixture.put([UInt8(round)], as: "file")
      #expect(seen.insert(stored.id).inserted)
      if round % 2 == 0 { try fixture.store.delete(stored.id) }
      if round % 3 == 0 { try fixture.reopen() }
    }
    for file in try fixture.store.allFiles() { try fixture.store.delete(file.id) }
    try fixture.reopen()
    let highest = try #require(seen.max())
    #expect(try fixture.put([1], as: "file").id > highest)
    try fixture.finish()
  }

  @Test("a store whose files are all deleted keeps no segment once it is closed", arguments: WriteMode.allCases)
  func everything(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration())
    let files = try (0..<5).map { try fixture.put(noise(500_000, seed: UInt64($0)), as: "file \($0)") }
    for file in files { try fixture.store.delete(file.id) }
    try fixture.reopen()
    #expect(try fixture.segmentNames.isEmpty)
    #expect(try fixture.segmentEntries().isEmpty)
    #expect(try fixture.tombstonedSegments().isEmpty)
    try fixture.finish()
  }

  @Test("wholly dead segments go while the store is open")
  func deadSegments() throws {
    let fixture = try StoreFixture(directory, configuration: WriteMode.mapped.configuration(workerCount: 1))
    let big = try fixture.put(noise(5_000_000, seed: 1), as: "big")
    let count = try fixture.segmentNames.count
    #expect(count >= 5)
    try fixture.store.delete(big.id)
    // The last one is open, and holds the manifest and the tombstone.
    #expect(try fixture.segmentNames.count == 1)
    try fixture.finish()
  }

  @Test("a tombstone stays as long as the manifest it buries, and goes with it", arguments: WriteMode.allCases)
  func tombstones(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration(workerCount: 1))
    let first = try fixture.put(noise(5000, seed: 1), as: "first")
    let beside = try fixture.put(noise(5000, seed: 2), as: "beside")
    let firstSegment = try #require(try fixture.manifestLocation(first.id)).segment
    // Fills the segment, so that tombstones go to a later one.
    let filler = try fixture.put(noise(1_200_000, seed: 3), as: "filler")
    let fillerSegment = try #require(try fixture.manifestLocation(filler.id)).segment
    #expect(fillerSegment != firstSegment)
    #expect(try fixture.segmentEntry(firstSegment)?.state == .sealed)

    try fixture.store.delete(first.id)
    #expect(try fixture.tombstonedSegments() == [firstSegment])
    try fixture.store.checkInvariants()
    // Its own data is gone from the later segment, but the tombstone there is needed while `beside` keeps the manifest.
    try fixture.store.delete(filler.id)
    try fixture.reopen()
    #expect(try fixture.segmentNames.count == 2)
    #expect(try fixture.tombstonedSegments() == [firstSegment, fillerSegment])
    try fixture.store.checkInvariants()

    try fixture.store.delete(beside.id)
    #expect(!(try fixture.segmentNames.contains(String(decoding: firstSegment.fileName, as: UTF8.self))))
    #expect(!(try fixture.tombstonedSegments().contains(firstSegment)))
    try fixture.reopen()
    #expect(try fixture.segmentNames.isEmpty)
    #expect(try fixture.tombstonedSegments().isEmpty)
    try fixture.finish()
  }

  @Test("a file of more parts than one step takes goes as a whole", arguments: [4095, 4096, 4097, 9000])
  func manySteps(partCount: Int) throws {
    let fixture = try StoreFixture(directory)
    let small = try fixture.put([1, 2, 3], as: "small")
    var bytes = [UInt8](repeating: 0, count: partCount * 4096)
    for offset in stride(from: 0, to: bytes.count, by: 40_960) { bytes[offset] = 1 }
    let stored = try fixture.put(bytes, as: "big")
    #expect(stored.partCount == partCount)
    try fixture.store.delete(stored.id)
    #expect(try fixture.store.allFiles().map(\.id) == [small.id])
    #expect(try fixture.store.statistics().partCount == 1)
    try fixture.reopen()
    #expect(try fixture.get(small.id) == [1, 2, 3])
    try fixture.finish()
  }

  @Test("files that are left are whole after random deletes", arguments: WriteMode.allCases)
  func randomDeletes(mode: WriteMode) throws {
    let seed = TestSeed("random deletes", default: 31)
    var generator = seed.generator
    let fixture = try StoreFixture(directory, configuration: mode.configuration())
    var expected: [FileID: [UInt8]] = [:]
    for round in 0..<120 {
      if generator.below(5) < 3 || expected.isEmpty {
        let byteCount = [0, 100, 4096, 30_000, 300_000][generator.below(5)]
        let bytes = generator.below(2) == 0 ? noise(byteCount, seed: UInt64(round)) : Corpus(seed: 1).bytes(byteCount)
        expected[try fixture.put(bytes, as: "file \(generator.below(9))").id] = bytes
      } else {
        let id = expected.keys.sorted()[generator.below(expected.count)]
        try fixture.store.delete(id)
        expected[id] = nil
      }
      if generator.below(20) == 0 { try fixture.reopen() }
    }
    #expect(try fixture.store.allFiles().map(\.id) == expected.keys.sorted(), "\(seed)")
    for (id, bytes) in expected { #expect(try fixture.get(id) == bytes, "\(seed), file \(id)") }
    for id in expected.keys.sorted() { try fixture.store.delete(id) }
    try fixture.reopen()
    // Two segments may keep each other, when each holds a tombstone of a file whose manifest is in the other one.
    let pinned = Set(try fixture.journalLocations().map(\.segment))
    #expect(Set(try fixture.segmentEntries().keys) == pinned, "\(seed)")
    try fixture.finish()
  }

  // MARK: Beside a put that runs

  @Test("a segment is not taken from under a put whose records in it are not in the index yet")
  func besidePut() throws {
    let fixture = try StoreFixture(directory, configuration: WriteMode.mapped.configuration(workerCount: 1))
    let small = try fixture.put(noise(3000, seed: 1), as: "small")
    let bytes = noise(2_500_000, seed: 2)
    let running = try RunningPut(fixture.store, in: directory, fed: bytes)
    // The segment of `small` is full by now; with it gone nothing in the index refers to that segment.
    try fixture.store.delete(small.id)
    let stored = try running.finish()
    #expect(try fixture.get(stored.id) == bytes)
    try fixture.finish()
  }

  @Test("a segment that is emptied while a put runs goes when the put ends", arguments: [true, false])
  func emptiedBesidePut(isCancelled: Bool) throws {
    let fixture = try StoreFixture(directory, configuration: WriteMode.mapped.configuration(workerCount: 1))
    let running = try RunningPut(fixture.store, in: directory, fed: noise(65_536, seed: 1))
    let others = try (0..<4).map { try fixture.put(noise(900_000, seed: UInt64($0)), as: "file \($0)") }
    for other in others { try fixture.store.delete(other.id) }
    if isCancelled { try running.cancel() } else { _ = try running.finish() }
    // One holds the stream, or nothing; another is the open one with the tombstones.
    #expect(try fixture.segmentNames.count <= 2)
    try fixture.finish()
  }

  @Test("segments that only a cancelled put had filled go with it", arguments: WriteMode.allCases)
  func cancelledPut(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration(workerCount: 1))
    let kept = try fixture.put([1], as: "kept")
    for byteCount in [1_500_000, 6_000_000] {
      let running = try RunningPut(fixture.store, in: directory, fed: noise(byteCount / 65_536 * 65_536, seed: 1))
      try running.cancel()
      #expect(try fixture.segmentNames.count <= 2, "\(byteCount) bytes")
    }
    #expect(try fixture.store.allFiles().map(\.id) == [kept.id])
    try fixture.finish()
  }
}

/// A put from a pipe that has stored what it was fed and waits for more.
final class RunningPut {
  private let pipe: PipePair
  private let cancellation = Cancellation()
  private let work: BackgroundWork<StoredFile>

  /// Returns when the workers are done with all of `bytes` but what does not fill a batch of 64 KiB.
  init(_ store: Store, in directory: TemporaryDirectory, fed bytes: [UInt8], as name: String = "running") throws {
    let (pipe, stored) = (try PipePair(in: directory), Monitor(0))
    self.pipe = pipe
    let cancellation = cancellation
    work = BackgroundWork {
      try store.put(.stream(pipe.reading), as: fileName(name), cancellation: cancellation) { count in
        stored.withLock { $0 += count }
      }
    }
    try pipe.writing.write(contentsOf: Data(bytes))
    let wanted = bytes.count / 65_536 * 65_536
    guard stored.wait(seconds: 120, until: { $0 >= wanted ? true : nil }) != nil else {
      throw Watchdog.Timeout(description: "the put has not stored \(wanted) bytes")
    }
  }

  func finish() throws -> StoredFile {
    try pipe.writing.close()
    return try work.result()
  }

  func cancel() throws {
    cancellation.cancel()
    #expect(storeError { _ = try work.result() }?.code == .cancelled)
    try pipe.writing.close()
  }
}
