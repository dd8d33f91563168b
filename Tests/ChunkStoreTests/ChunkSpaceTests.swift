import Foundation
import StorageIO
import TestSupport
import Testing

@testable import ChunkStore

@Suite("Space of chunks") struct ChunkSpaceTests {
  @Test(
    "a full disk is an error with nothing changed, never a signal; a delete makes room again",
    .enabled(if: LoopFileSystem.isAvailable, Comment(rawValue: LoopFileSystem.requirement)))
  func fullDisk() throws {
    let directory = try TemporaryDirectory()
    let disk = try LoopFileSystem(in: BytePath(directory.path), byteCount: 24 << 20)
    let path = FilePath(disk.root.text).appending("store")
    try TypedStore.create(at: path, chunkByteCount: 1 << 20)
    let store = try TypedStore(at: path)
    try store.put("kept", Reading(1))
    _ = try store.newArray("sparse", of: Int.self, count: 1 << 24)
    let array = try store.array("sparse", of: Int.self)
    // Element by element, a page each, until there is no page left.
    var setCount = 0
    let failure = code {
      for index in stride(from: 0, to: array.count, by: 512) {
        try array.set(index, to: index + 1)
        setCount += 1
      }
    }
    #expect(failure == .noSpace)
    #expect(setCount > 1000)
    for number in 0..<setCount { #expect(try array[number * 512] == number * 512 + 1) }
    #expect(try array[setCount * 512] == 0)
    #expect(code { try array.withMutableElements(in: 0..<array.count) { _ in } } == .noSpace)
    #expect(code { _ = try store.put("large", Matrix(repeating: InlineArray(repeating: 1))) } == .noSpace)
    #expect(try store.get("large", as: Matrix.self) == nil)
    // What has its space can be written to, and read.
    try array.set(0, to: -1)
    #expect(try array[0] == -1)
    #expect(try store.get("kept") == Reading(1))
    try array.clear(512..<(setCount * 512))
    try store.put("large", Matrix(repeating: InlineArray(repeating: 1)))
    #expect(try store.delete("sparse"))
    try store.close()
    let opened = try TypedStore(at: path)
    #expect(try opened.keys() == ["kept", "large"])
    #expect(try opened.verify().damages == [:])
    try opened.close()
  }

  @Test(
    "objects can be deleted with nothing free at all, and their space comes back",
    .enabled(if: LoopFileSystem.isAvailable, Comment(rawValue: LoopFileSystem.requirement)))
  func deleteOnFullDisk() throws {
    let directory = try TemporaryDirectory()
    let disk = try LoopFileSystem(in: BytePath(directory.path), byteCount: 24 << 20)
    let path = FilePath(disk.root.text).appending("store")
    try TypedStore.create(at: path, chunkByteCount: 1 << 20)
    var store = try TypedStore(at: path)
    for number in 0..<8 { try store.put("\(number)", Matrix(repeating: InlineArray(repeating: Double(number)))) }
    _ = try disk.fillUp()
    for number in 0..<8 {
      #expect(try store.delete("\(number)"))
      if number == 3 {
        try store.close()
        store = try TypedStore(at: path)
      }
    }
    #expect(try store.keys() == [])
    #expect(try disk.freeByteCount() > 2 << 20)
    try store.put("new", Matrix(repeating: InlineArray(repeating: 9)))
    #expect(try store.value("new", as: Matrix.self).withValue { $0[7][7] } == 9)
    try store.close()
  }

  @Test("a delete gives whole pages back, and a chunk in which nothing lives goes")
  func reclaimed() throws {
    let fixture = try TypedStoreFixture()
    let store = fixture.store
    try store.put("kept", 1)
    let array = try store.newArray("a", of: Int.self, count: 16 << 10)
    try array.withMutableElements(in: array.indices) { elements in
      for index in 0..<elements.count { elements[index] = index }
    }
    let own = try store.newArray("own", of: Int.self, count: 1 << 20)
    try own.withMutableElements(in: 0..<100_000) { $0[99_999] = 1 }
    let before = try fixture.allocatedByteCount()
    try store.delete("a")
    let after = try fixture.allocatedByteCount()
    #expect(after <= before - (100 << 10), "\(before) before")
    try store.delete("own")
    #expect(try fixture.allocatedByteCount() <= before - (100 << 10) - (700 << 10))
    #expect(try store.chunks().map { Int($0.chunk.rawValue) } == [1])
    #expect(try fixture.store.get("kept") == 1)
    let names = try Directory.open(fixture.path.appending("chunks")).entries()
    #expect(names == [ChunkID(rawValue: 1).fileName])
  }

  @Test("a compaction moves what lives out of thin chunks, with handles and seals, and removes them")
  func compacted() throws {
    let fixture = try TypedStoreFixture()
    let store = fixture.store
    for number in 0..<600 {
      let array = try store.newArray("\(number)", of: Int.self, count: 200, durability: .staged)
      try array.set(199, to: number)
    }
    try store.seal("100")
    let held = try store.array("200", of: Int.self)
    for number in 0..<600 where number % 100 != 0 { try store.delete("\(number)", durability: .staged) }
    try store.flush()
    let chunkCount = try store.chunks().count
    #expect(chunkCount >= 4)
    let summary = try store.compact()
    #expect(summary.removedChunkCount >= chunkCount - 2)
    #expect(summary.movedObjectCount >= 4)
    #expect(summary.busyObjectCount == 0)
    #expect(try held[199] == 200)
    try held.set(0, to: 5)
    for isRebuilt in [false, true] {
      if isRebuilt {
        try fixture.whileClosed {
          try FileManager.default.removeItem(atPath: fixture.path.appending("index").description)
          try TypedStore.rebuild(at: fixture.path)
        }
      }
      try fixture.reopen()
      for number in stride(from: 0, to: 600, by: 100) {
        #expect(try fixture.store.array("\(number)", of: Int.self)[199] == number)
      }
      #expect(try fixture.store.array("200", of: Int.self)[0] == 5)
      #expect(try fixture.store.object("100")?.isSealed == true)
      #expect(try fixture.store.objectCount() == 6)
      #expect(try fixture.store.verify().damages == [:])
      #expect(try fixture.store.compact().movedObjectCount == 0)
    }
  }

  @Test("objects that are in use are left where they are, and moved the next time")
  func busyCompaction() throws {
    let fixture = try TypedStoreFixture()
    try fixture.store.close()
    var configuration = TypedStore.Configuration()
    configuration.lockTimeoutSeconds = 0.01
    let store = try TypedStore(at: fixture.path, configuration)
    for number in 0..<300 {
      _ = try store.newArray("\(number)", of: Int.self, count: 200, durability: .staged)
    }
    for number in 1..<300 { try store.delete("\(number)", durability: .staged) }
    let array = try store.array("0", of: Int.self)
    try array.withElements { (elements) throws(ChunkStoreError) in
      let busyObjectCount = try store.compact().busyObjectCount
      #expect(busyObjectCount == 1)
      #expect(elements[0] == 0)
    }
    #expect(try store.compact().movedObjectCount == 1)
    #expect(try array[0] == 0)
    try store.close()
  }

  @Test("what was filled element by element takes no more than its elements, whatever is reserved ahead")
  func reservation() throws {
    let fixture = try TypedStoreFixture()
    let array = try fixture.store.newArray("a", of: Int.self, count: 10 << 20)
    let before = try fixture.allocatedByteCount()
    for index in 0..<(1 << 16) { try array.set(index, to: index) }
    let taken = try fixture.allocatedByteCount() - before
    #expect(taken >= 512 << 10)
    #expect(taken <= (512 << 10) + (1 << 20) + (64 << 10))
    try array.clear(0..<(1 << 16))
    try fixture.store.flush()
    #expect(try fixture.allocatedByteCount() - before <= (1 << 20) + (64 << 10))
  }
}
