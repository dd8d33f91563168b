import Foundation
import StorageIO
import Synchronization
import TestSupport
import Testing

@testable import ChunkStore

@Suite("Objects that come to nothing") struct AbandonedObjectTests {
  @Test("the space of one that is replaced or deleted before it was flushed comes back", arguments: [false, true])
  func beforeFlush(isReplaced: Bool) throws {
    let fixture = try TypedStoreFixture()
    let store = fixture.store
    for _ in 0..<3 {
      let array = try store.newArray("a", of: Int.self, count: 1 << 18, durability: .staged)
      try array.withMutableElements(in: array.indices) { $0[0] = 1 }
      if isReplaced { try store.put("a", 1, durability: .staged) }
      try store.delete("a")
    }
    #expect(try fixture.allocatedByteCount() <= 64 << 10)
    #expect(try store.chunks().count <= 1)
  }

  @Test("the space of a migration that fails on the way comes back")
  func failedMigration() throws {
    let fixture = try TypedStoreFixture()
    let store = fixture.store
    let array = try store.newArray("a", of: Reading.self, count: 1 << 14)
    try array.withMutableElements(in: array.indices) { readings in
      for index in 0..<readings.count { readings[index] = Reading(index) }
    }
    try store.flush()
    let before = try fixture.allocatedByteCount()
    for _ in 0..<2 {
      let failure = code {
        try store.migrate("a", from: Reading.self, to: NewReading.self) { (old) throws(ChunkStoreError) in
          if old.time == 16_000 { _ = try store.value("none", as: Int.self) }
          return NewReading(time: old.time, sensor: 0, site: 0, value: 0, quality: 0)
        }
      }
      #expect(failure == .notFound)
      try store.flush()
      #expect(try fixture.allocatedByteCount() <= before + (16 << 10))
      #expect(try store.chunks().count == 1)
    }
    #expect(try array[16_000] == Reading(16_000))
  }

  @Test(
    "one whose flush failed behind its header, and that was then deleted, is not there after a rebuild",
    .enabled(if: LoopFileSystem.isAvailable, Comment(rawValue: LoopFileSystem.requirement)))
  func deletedAfterFailedFlush() throws {
    let directory = try TemporaryDirectory()
    let disk = try LoopFileSystem(in: BytePath(directory.path), byteCount: 24 << 20)
    let path = FilePath(disk.root.text).appending("store")
    try TypedStore.create(at: path, chunkByteCount: 1 << 20)
    let store = try TypedStore(at: path)
    let keys = (0..<1000).map { ChunkKey(String(repeating: "k", count: 240) + "\($0)") }
    for key in keys { try store.put(key, 1, durability: .staged) }
    try File.open(path.appending("reserve"), .write).truncate(to: 0)
    let filler = try disk.fillUp()
    #expect(code { try store.flush() } == .noSpace)
    // What could not be flushed is there for this process.
    #expect(try store.get(keys[0], as: Int.self) == 1)
    for key in keys { try store.delete(key, durability: .staged) }
    try FileManager.default.removeItem(atPath: filler.text)
    try store.flush()
    #expect(try store.keys() == [])
    try store.close()
    #expect(try TypedStore.rebuild(at: path).objectCount == 0)
  }

  @Test(
    "what an object that does not fit on the disk has taken of it is given back",
    .enabled(if: LoopFileSystem.isAvailable, Comment(rawValue: LoopFileSystem.requirement)))
  func tooLarge() throws {
    let directory = try TemporaryDirectory()
    let disk = try LoopFileSystem(in: BytePath(directory.path), byteCount: 64 << 20)
    let path = FilePath(disk.root.text).appending("store")
    try TypedStore.create(at: path, chunkByteCount: 1 << 20)
    let store = try TypedStore(at: path)
    let array = try store.newArray("a", of: Int.self, count: 1 << 24)
    for index in stride(from: 0, to: 1 << 20, by: 1 << 12) { try array.set(index, to: index + 1) }
    let free = try disk.freeByteCount()
    #expect(code { try array.withMutableElements(in: array.indices) { $0[0] = 1 } } == .noSpace)
    #expect(try disk.freeByteCount() >= free - (2 << 20))
    for index in stride(from: 0, to: 1 << 20, by: 1 << 12) { #expect(try array[index] == index + 1) }
    try store.put("b", Matrix(repeating: InlineArray(repeating: 1)))
    try store.close()
  }

  @Test(
    "what a crash left behind the last object is no space that a writer could count on",
    .enabled(if: LoopFileSystem.isAvailable, Comment(rawValue: LoopFileSystem.requirement)))
  func spaceAfterCrash() throws {
    let directory = try TemporaryDirectory()
    let disk = try LoopFileSystem(in: BytePath(directory.path), byteCount: 24 << 20)
    let path = FilePath(disk.root.text).appending("store")
    try TypedStore.create(at: path, chunkByteCount: 8 << 20)
    var store = try TypedStore(at: path)
    try store.put("a", 1)
    try store.close()
    let file = try File.open(path.appending("chunks").appending(ChunkID(rawValue: 1).fileName), .write)
    try file.write([UInt8](repeating: 5, count: 4 << 20), at: 8192)
    store = try TypedStore(at: path)
    let array = try store.newArray("b", of: UInt8.self, count: 4 << 20)
    _ = try disk.fillUp()
    let failure = code {
      try array.withMutableElements(in: array.indices) { elements in
        for index in stride(from: 0, to: elements.count, by: 4096) { elements[index] = 1 }
      }
    }
    #expect(failure == .noSpace)
    #expect(try array[4096] == 0)
    try store.close()
  }

  @Test("a key that has a value has one at every moment while it is put again and again")
  func getWhilePut() throws {
    let fixture = try TypedStoreFixture(chunkByteCount: 64 << 10)
    let store = fixture.store
    try store.put("k", 0)
    let isDone = Atomic(false)
    let failures = Mutex<[String]>([])
    let writer = Thread {
      for number in 1...2000 {
        if let failure = code({ try store.put("k", number, durability: .staged) }) {
          failures.withLock { $0.append("put: \(failure)") }
        }
      }
      isDone.store(true, ordering: .releasing)
    }
    writer.start()
    while !isDone.load(ordering: .acquiring) {
      var value: Int?
      let failure = code { value = try store.get("k") }
      if failure != nil || value == nil { failures.withLock { $0.append("get: \(failure?.description ?? "none")") } }
      #expect(try store.verify().damages == [:])
    }
    #expect(failures.withLock { $0 } == [])
    #expect(try store.get("k") == 2000)
  }
}
