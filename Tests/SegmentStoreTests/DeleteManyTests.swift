import Foundation
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Delete of many files") struct DeleteManyTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func deleteAll(_ files: [StoredFile], in store: Store) throws -> (deleted: [FileID], failed: [FileID]) {
    var (deleted, failed): ([FileID], [FileID]) = ([], [])
    let result = try store.delete(
      produce: { (handOver: (StoredFile) throws(StoreError) -> Void) throws(StoreError) in
        for file in files { try handOver(file) }
      }, onDeleted: { deleted.append($0.id) }, onFailed: { file, _ in failed.append(file.id) })
    #expect(result == TreeResult(doneCount: deleted.count, failedCount: failed.count))
    return (deleted, failed)
  }

  @Test("goes on where one is gone already, is named twice, or was never finished", arguments: WriteMode.allCases)
  func others(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration(workerCount: 1)) {
      $0.segmentByteCount = 65_536
    }
    let files = try (0..<90).map { try fixture.put(noise($0 * 150, seed: UInt64($0)), as: "file \($0 % 7)") }
    let kept = try fixture.put(noise(9000, seed: 99), as: "kept")
    try fixture.store.delete(files[40].id)
    let (deleted, failed) = try deleteAll(files + [files[3]], in: fixture.store)
    #expect(deleted.sorted() == files.map(\.id).filter { $0 != files[40].id })
    // The second one of the same group is the same file.
    #expect(Set(failed).isSubset(of: [files[40].id, files[3].id]))
    #expect(failed.contains(files[40].id))
    #expect(try fixture.store.allFiles().map(\.id) == [kept.id])
    try fixture.store.checkInvariants()
    try fixture.reopen()
    #expect(try fixture.get(kept.id) == noise(9000, seed: 99))
    try fixture.finish()
  }

  @Test("waits for the one that is read, deletes the others meanwhile, and its reader gets all bytes")
  func reader() throws {
    let fixture = try StoreFixture(directory)
    let bytes = noise(3_000_000, seed: 7)
    let read = try fixture.put(bytes, as: "read")
    let others = try (0..<20).map { try fixture.put(noise(5000, seed: UInt64($0)), as: "other \($0)") }
    let pipe = try PipePair(in: directory)
    let store = fixture.store
    let target = try File.open(FilePath(pipe.path), .write)
    let getting = BackgroundWork { try store.get(read.id, to: .stream(target)) }
    // Full, so that the get stands in the middle of the file.
    let reader = try #require(FileHandle(forReadingAtPath: pipe.path))
    var received = try #require(try reader.read(upToCount: 1))
    let gone = Monitor<Set<FileID>>([])
    let deleting = BackgroundWork {
      try store.delete(
        produce: { (handOver: (StoredFile) throws(StoreError) -> Void) throws(StoreError) in
          for file in [read] + others { try handOver(file) }
        }, onDeleted: { file in _ = gone.withLock { $0.insert(file.id) } }, onFailed: { _, _ in })
    }
    let areGone: Void? = gone.wait(seconds: 60) { $0.count == others.count ? () : nil }
    #expect(areGone != nil)
    #expect(gone.withLock { !$0.contains(read.id) })
    while received.count < bytes.count {
      received.append(try #require(try reader.read(upToCount: bytes.count - received.count)))
    }
    _ = try getting.result()
    try pipe.writing.close()
    #expect(Array(received) == bytes)
    #expect(try deleting.result() == TreeResult(doneCount: 21, failedCount: 0))
    #expect(try fixture.store.allFiles().isEmpty)
    try fixture.finish()
  }

  @Test("that does not wait for the space gives it back behind the call, and a close waits for it")
  func behind() throws {
    let fixture = try StoreFixture(directory)
    let kept = try fixture.put(noise(50_000, seed: 1), as: "kept")
    var options = DeleteOptions()
    options.waitsForSpace = false
    let first = try fixture.put(noise(4_000_000, seed: 2), as: "first")
    try fixture.store.delete(first.id, options)
    #expect(try fixture.store.file(first.id)?.status != .ready)
    fixture.store.waitForSpace()
    #expect(try fixture.store.file(first.id) == nil)
    let second = try fixture.put(noise(4_000_000, seed: 3), as: "second")
    try fixture.store.delete(second.id, options)
    try fixture.reopen()
    #expect(
      try fixture.segmentNames.reduce(0) { $0 + (try allocatedByteCount("\(fixture.segmentsPath)/\($1)")) } < 200_000)
    #expect(try fixture.get(kept.id) == noise(50_000, seed: 1))
    try fixture.finish()
  }

  @Test("of small ones gives space back when their neighbours have died, whichever dies first")
  func neighbours() throws {
    let seed = TestSeed("dead neighbours", default: 41)
    var generator = seed.generator
    let fixture = try StoreFixture(directory, configuration: WriteMode.mapped.configuration(workerCount: 1)) {
      $0.segmentByteCount = 4 << 20
    }
    let first = try fixture.put(noise(20_000, seed: 1), as: "first")
    var between = try (0..<40).map { try fixture.put(noise(10_000, seed: UInt64($0)), as: "between \($0)") }
    let last = try fixture.put(noise(20_000, seed: 2), as: "last")
    try fixture.reopen()
    let path = fixture.segmentPath(try #require(try fixture.segments(of: first).first))
    let full = try allocatedByteCount(path)
    while !between.isEmpty {
      try fixture.store.delete(between.remove(at: generator.below(between.count)).id)
      if between.count % 10 == 0 { try fixture.reopen() }
    }
    try fixture.reopen()
    #expect(full - (try allocatedByteCount(path)) > 400_000 * 9 / 10, "\(seed)")
    #expect(try fixture.get(first.id) == noise(20_000, seed: 1))
    #expect(try fixture.get(last.id) == noise(20_000, seed: 2))
    // What was punched out is no damage, and comes back for nobody.
    let (_, findings) = try fixture.rebuild()
    #expect(findings.isEmpty, "\(seed): \(findings)")
    #expect(try fixture.store.allFiles().map(\.id) == [first.id, last.id])
    try fixture.finish()
  }

  @Test("leaves a full segment that a rebuild reads by its footer without complaint", arguments: [1, 2, 3] as [UInt64])
  func sealed(number: UInt64) throws {
    let seed = TestSeed("punched manifests", default: 50 + number)
    var generator = seed.generator
    let fixture = try StoreFixture(directory, configuration: WriteMode.mapped.configuration(workerCount: 1))
    let files = try (0..<400).map { try fixture.put(noise(4000 + $0, seed: UInt64($0)), as: "file \($0)") }
    // Long stretches die, and some of their files live.
    let kept = files.filter { _ in generator.below(40) == 0 }
    let doomed = files.filter { !kept.contains($0) }
    _ = try deleteAll(doomed, in: fixture.store)
    for _ in 0..<2 {
      let (summary, findings) = try fixture.rebuild()
      #expect(findings.isEmpty, "\(seed): \(findings)")
      #expect(summary.fileCount == kept.count, "\(seed)")
      #expect(try fixture.store.allFiles().map(\.id) == kept.map(\.id), "\(seed)")
      try fixture.store.checkInvariants()
    }
    for file in kept { #expect(try fixture.get(file.id).count == file.byteCount, "\(seed)") }
    try fixture.finish()
  }

  @Test("leaves what a running put has beside them alone")
  func besidePut() throws {
    let fixture = try StoreFixture(directory, configuration: WriteMode.mapped.configuration(workerCount: 1)) {
      $0.segmentByteCount = 8 << 20
    }
    var small = try (0..<10).map { try fixture.put(noise(10_000, seed: UInt64($0)), as: "before \($0)") }
    let bytes = noise(65_536 * 4, seed: 2)
    let running = try RunningPut(fixture.store, in: directory, fed: bytes)
    small += try (0..<10).map { try fixture.put(noise(10_000, seed: UInt64($0)), as: "after \($0)") }
    _ = try deleteAll(small, in: fixture.store)
    let stored = try running.finish()
    #expect(try fixture.get(stored.id) == bytes)
    try fixture.finish()
  }
}
