import Foundation
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

/// One test for each way in which something half done was once left behind.
@Suite("Leftover") struct LeftoverTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test("a segment in which nothing counts is never written to")
  func unmadeSegment() throws {
    let fixture = try StoreFixture(directory)
    let index = try fixture.store.index
    // What a put that failed, and then a crash between two commits of close, once left.
    let unmade = SegmentID(rawValue: 1)
    try index.write { (transaction) throws(StoreError) in
      var counters = try index.counters(in: transaction)
      _ = try counters.take(\.nextSegment)
      try index.setCounters(counters, in: transaction)
      let entry = SegmentEntry(
        state: .open, owner: WriterID(rawValue: 0), usedByteCount: 0, liveByteCount: 0, recordCount: 0)
      try index.segments.set(unmade, entry, in: transaction)
    }
    let bytes = Corpus(seed: 1).bytes(100_000)
    let file = try fixture.put(bytes, as: "file")
    #expect(try fixture.get(file.id) == bytes)
    let parts = try fixture.store.parts(of: file.id, 0..<1)
    #expect(parts.first?.segment != unmade)
  }

  @Test("a put that fails before its first record leaves no segment")
  func failedFirstPut() throws {
    let fixture = try StoreFixture(directory)
    let cancellation = Cancellation()
    cancellation.cancel()
    let source = directory.path(of: "source")
    try Data(Corpus(seed: 2).bytes(5 << 20)).write(to: URL(fileURLWithPath: source))
    let name = try FileName(Array("file".utf8))
    #expect(throws: StoreError.self) {
      try fixture.store.put(.file(FilePath(source)), as: name, cancellation: cancellation)
    }
    try fixture.reopen()
    #expect(try fixture.store.statistics().segmentCount == 0)
    try fixture.finish()
  }

  @Test("ids that nothing in the segments remembers are remembered by the high-water file")
  func highWater() throws {
    let fixture = try StoreFixture(directory)
    for round in 1...5 {
      let file = try fixture.put(Corpus(seed: UInt64(round)).bytes(10_000), as: "file")
      try fixture.store.delete(file.id)
    }
    try fixture.reopen()
    #expect(try fixture.store.statistics().segmentCount == 0)
    let index = try fixture.store.index
    let counters = try index.read { (transaction) throws(StoreError) in try index.counters(in: transaction) }
    let remembered = try fixture.store.highWater.read()
    #expect(remembered.nextFile == counters.nextFile)
    #expect(remembered.nextPart == counters.nextPart)
    #expect(remembered.nextSegment == counters.nextSegment)
    try fixture.finish()
  }

  @Test("a torn write of the high-water file costs one generation, not the file", arguments: [0, 1])
  func tornHighWater(slot: Int) throws {
    let fixture = try StoreFixture(directory)
    var counters = Counters()
    for generation in 1...4 {
      counters.nextFile = UInt64(generation * 10)
      try fixture.store.highWater.raise(to: counters)
    }
    let file = try File.open(fixture.store.highWater.path, .write)
    try file.write([0xFF], at: slot * HighWater.slotByteCount + 20)
    #expect(try fixture.store.highWater.read().nextFile == (slot == 0 ? 30 : 40))
    // The next ones write both slots again.
    for _ in 0..<2 {
      counters.nextFile += 10
      try fixture.store.highWater.raise(to: counters)
    }
    try fixture.finish()
  }

  @Test("the newest version of a name is the one stored last, whichever process stored it")
  func newestVersion() throws {
    let fixture = try StoreFixture(directory)
    // A writer that stays: once it took ids ahead of its puts.
    for _ in 0..<3 { _ = try fixture.put([1], as: "other") }
    let index = try fixture.store.index
    let second = try WriterSession(
      index: index, superblock: fixture.store.superblock, segmentDirectory: fixture.store.segmentDirectory,
      locks: fixture.store.locks, isMapped: true)
    let source = directory.path(of: "source")
    try Data([2]).write(to: URL(fileURLWithPath: source))
    let name = try FileName(Array("file".utf8))
    let older = try PutPipeline(
      store: fixture.store, session: second, name: name, options: PutOptions(), cancellation: Cancellation(),
      progress: { _ in }
    ).run(.file(FilePath(source)))
    let newer = try fixture.put([3], as: "file")
    #expect(try fixture.store.files(named: name).map(\.id) == [older.id, newer.id])
    try second.close(of: fixture.store)
    try fixture.finish()
  }

  @Test("a delete that was cut short before its space was given back gives it back at the next open")
  func deleteBeforePunch() throws {
    let fixture = try StoreFixture(directory)
    // Neighbours keep the segment: only punching can give the space between them back.
    _ = try fixture.put(noise(10_000, seed: 1), as: "before")
    let big = try fixture.put(noise(4 << 20, seed: 2), as: "big")
    _ = try fixture.put(noise(10_000, seed: 3), as: "after")
    do {
      let session = try fixture.store.writerSession()
      try Burial(store: fixture.store, writer: session.writer, perform: session.perform).bury([big.id])
      #expect(try fixture.store.statistics().segmentDiskByteCount > 4 << 20)
      session.leaveToRecovery()
    }
    try fixture.reopen()
    #expect(try fixture.store.statistics().segmentDiskByteCount < 1 << 20)
    try fixture.finish()
  }

  @Test("the directory of a store that somebody died making is removed by who makes it next, one in the making is not")
  func initLeftover() throws {
    let dead = directory.path(of: ".store.pfs-init-dead")
    let alive = directory.path(of: ".store.pfs-init-alive")
    for path in [dead, alive] {
      try FileManager.default.createDirectory(atPath: "\(path)/index", withIntermediateDirectories: true)
      try Data().write(to: URL(fileURLWithPath: "\(path)/locks"))
      try FileManager.default.setAttributes(
        [.modificationDate: Date(timeIntervalSinceNow: -120)], ofItemAtPath: "\(path)/locks")
    }
    let lock = try ByteLock.acquire(FilePath("\(alive)/locks"), byte: 0, .exclusive, timeoutSeconds: 0)
    #expect(lock != nil)
    let fixture = try StoreFixture(directory)
    #expect(!FileManager.default.fileExists(atPath: dead))
    #expect(FileManager.default.fileExists(atPath: alive))
    withExtendedLifetime(lock) {}
    try fixture.finish()
  }
}
