import Foundation
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Full disk", .enabled(if: SmallFileSystem.isAvailable, "needs root to mount"))
struct FullDiskTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// A store on a small file system of its own.
  private func fixture(_ options: String, _ mode: WriteMode) throws -> (StoreFixture, SmallFileSystem) {
    let mountPoint = directory.path(of: "mount")
    try FileManager.default.createDirectory(atPath: mountPoint, withIntermediateDirectories: false)
    let small = try SmallFileSystem(options, on: mountPoint)
    return (try StoreFixture(directory, at: "mount/store", configuration: mode.configuration()), small)
  }

  @Test("puts fail with no space, what was stored stays, and deletes make room again", arguments: WriteMode.allCases)
  func fillsUp(mode: WriteMode) throws {
    let (fixture, small) = try fixture("size=24m", mode)
    defer { withExtendedLifetime(small) {} }
    var stored: [FileID: UInt64] = [:]
    var refusedCount = 0
    // Large files first, then ever smaller ones, until not even one part of one byte finds room.
    for byteCount in [2_000_000, 500_000, 100_000, 10_000, 1] {
      for number in 0..<400 {
        let seed = UInt64(byteCount + number)
        do {
          stored[try fixture.put(noise(byteCount, seed: seed), as: "\(byteCount)").id] = seed
        } catch let error as StoreError {
          #expect(error.code == .noSpace, "\(error)")
          #expect(error.advice != nil)
          refusedCount += 1
          break
        }
      }
    }
    #expect(refusedCount >= 4)
    try expectStored(stored, fixture)
    // Every delete works, with nothing free, and in the end all is as before.
    for id in stored.keys.sorted() {
      try fixture.store.delete(id)
      stored[id] = nil
      if stored.count % 40 == 0 { try expectStored(stored, fixture) }
    }
    let last = try fixture.put(noise(2_000_000, seed: 5), as: "last")
    #expect(try fixture.get(last.id) == noise(2_000_000, seed: 5))
    try fixture.reopen()
    #expect(try fixture.store.allFiles().map(\.id) == [last.id])
    try fixture.finish()
  }

  private func expectStored(_ stored: [FileID: UInt64], _ fixture: StoreFixture) throws {
    #expect(try fixture.store.allFiles().map(\.id) == stored.keys.sorted())
    for id in stored.keys.sorted().prefix(5) {
      let file = try #require(try fixture.store.file(id))
      #expect(try fixture.get(id) == noise(file.byteCount, seed: stored[id] ?? 0))
    }
  }

  /// Takes all that is free.
  private func fill(_ small: SmallFileSystem) throws {
    let filler = try File.open(FilePath("\(small.path)/filler"), [.write, .createNew])
    for step in [1 << 20, 1 << 16, 4096] {
      do { while true { try filler.allocate(0..<(filler.status().byteCount + step)) } } catch {}
    }
  }

  @Test("a store whose lock file is gone opens on a full disk by what was set aside, and then deletes")
  func noLockFile() throws {
    let (fixture, small) = try fixture("size=14m", .mapped)
    defer { withExtendedLifetime(small) {} }
    let kept = try fixture.put(noise(100_000, seed: 1), as: "kept")
    let image = try fixture.crashImage("mount/image")
    try fill(small)
    let store = try Store(at: FilePath(image))
    try store.delete(kept.id)
    try store.close()
    #expect(try fixture.get(kept.id) == noise(100_000, seed: 1))
    try fixture.finish()
  }

  @Test("deletes work with nothing free when the index was made anew and has no free page")
  func deleteAfterRebuild() throws {
    let (fixture, small) = try fixture("size=24m", .mapped)
    defer { withExtendedLifetime(small) {} }
    let files = try (0..<5).map { try fixture.put(noise(500_000, seed: $0), as: "file \($0)") }
    try fixture.store.close()
    _ = try Store.rebuild(at: fixture.path, fixture.configuration)
    try fill(small)
    try fixture.open()
    for file in files { try fixture.store.delete(file.id) }
    try fixture.reopen()
    #expect(try fixture.store.allFiles().isEmpty)
    try fixture.finish()
  }

  @Test("a store on a full disk opens, reads, and recovers what a crash left", arguments: WriteMode.allCases)
  func recovers(mode: WriteMode) throws {
    let (fixture, small) = try fixture("size=24m", mode)
    defer { withExtendedLifetime(small) {} }
    let kept = try fixture.put(noise(100_000, seed: 1), as: "kept")
    let running = try RunningPut(fixture.store, in: directory, fed: noise(65_536 * 20, seed: 2))
    let image = try fixture.crashImage("mount/image", keepsLockFile: true)
    try running.cancel()
    try fill(small)
    let full = try StoreFixture(opening: image, in: directory, mode.configuration())
    #expect(try full.get(kept.id) == noise(100_000, seed: 1))
    let error = storeError { _ = try full.put(noise(5_000_000, seed: 3), as: "later") }
    #expect(error?.code == .noSpace)
    try full.store.delete(kept.id)
    #expect(try full.store.allFiles().isEmpty)
    try full.finish()
    try fixture.finish()
  }

  @Test("a file of many parts can be deleted when nothing is free", arguments: WriteMode.allCases)
  func manyParts(mode: WriteMode) throws {
    let (fixture, small) = try fixture("size=16m", mode)
    defer { withExtendedLifetime(small) {} }
    var bytes = [UInt8](repeating: 0, count: 10_000 * 4096)
    for offset in stride(from: 0, to: bytes.count, by: 40_960) { bytes[offset] = 1 }
    let stored = try fixture.put(bytes, as: "many parts")
    try fill(small)
    try fixture.store.delete(stored.id)
    #expect(try fixture.store.allFiles().isEmpty)
    #expect(try fixture.store.statistics().partCount == 0)
    try fixture.finish()
  }

  @Test("a get that finds no room for its output leaves nothing behind")
  func output() throws {
    let fixture = try StoreFixture(directory)
    let stored = try fixture.put(noise(3_000_000, seed: 1), as: "file")
    let mountPoint = directory.path(of: "small")
    try FileManager.default.createDirectory(atPath: mountPoint, withIntermediateDirectories: false)
    let small = try SmallFileSystem("size=1m", on: mountPoint)
    let error = storeError {
      try fixture.store.get(stored.id, to: .file(FilePath("\(small.path)/target"), replacing: true))
    }
    #expect(error?.code == .noSpace)
    #expect(try FileManager.default.contentsOfDirectory(atPath: small.path).isEmpty)
    // A worker lets go of the output just after its result is known.
    let deadline = Date(timeIntervalSinceNow: 60)
    while try FileSystem.freeByteCount(at: FilePath(small.path)) < 1 << 20 {
      try #require(Date() < deadline, "the output is still there, without a name")
      sched_yield()
    }
    try fixture.finish()
  }
}
