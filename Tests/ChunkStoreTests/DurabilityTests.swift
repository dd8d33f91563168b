import Foundation
import StorageIO
import TestSupport
import Testing

@testable import ChunkStore

@Suite("Durability of typed objects") struct DurabilityTests {
  let fixture: TypedStoreFixture

  init() throws { fixture = try TypedStoreFixture() }

  @Test("a process that is killed leaves what it had synced, and of what it had staged nothing is half")
  func killed() async throws {
    try fixture.store.close()
    for round in 0..<3 {
      await #expect(processExitsWith: .signal(SIGKILL)) {
        [path = fixture.path.description as String, round = round as Int] in
        let store = try TypedStore(at: FilePath(path))
        for number in 0..<40 {
          try store.put("synced \(number)", Reading(1000 * round + number), durability: .staged)
        }
        let array = try store.newArray("array \(round)", of: Int.self, count: 100_000, durability: .staged)
        try array.set(99_999, to: round + 1)
        try store.delete("array \(round - 1)", durability: .staged)
        try store.flush()
        for number in 0..<40 { try store.put("staged \(number)", Reading(number), durability: .staged) }
        try store.put("synced 0", Reading(-1), durability: .staged)
        kill(getpid(), SIGKILL)
      }
      let store = try TypedStore(at: fixture.path)
      for number in 0..<40 { #expect(try store.get("synced \(number)") == Reading(1000 * round + number)) }
      #expect(try store.array("array \(round)", of: Int.self)[99_999] == round + 1)
      #expect(try store.keys(prefix: "array").count == 1)
      #expect(try store.keys(prefix: "staged") == [])
      #expect(try store.verify().damages == [:])
      try store.close()
    }
  }

  @Test("a process that is killed while a thread flushes leaves each object old or new")
  func killedFlush() async throws {
    let seed = TestSeed("killed flushes", default: 84)
    var generator = seed.generator
    for number in 0..<20 { try fixture.store.put("\(number)", Reading(0), durability: .staged) }
    try fixture.store.close()
    var lowest = 0
    for round in 1...4 {
      let progress = fixture.directory.path(of: "progress \(round)")
      try FilesOnDisk.write([], to: progress)
      await #expect(processExitsWith: .signal(SIGKILL)) {
        [
          path = fixture.path.description as String, progress = progress as String, lowest = lowest as Int,
          micros = UInt32(generator.below(60_000)) as UInt32
        ] in
        let store = try TypedStore(at: FilePath(path))
        let log = try File.open(FilePath(progress), .write)
        let killer = BackgroundWork {
          usleep(micros)
          kill(getpid(), SIGKILL)
        }
        var version = lowest
        while true {
          version += 1
          for number in 0..<20 { try store.put("\(number)", Reading(version), durability: .staged) }
          try store.flush()
          try log.write([UInt8](String(version).utf8), at: 0)
        }
        try killer.result()
      }
      let acknowledged = Int(String(decoding: try fileBytes(progress), as: UTF8.self)) ?? lowest
      let store = try TypedStore(at: fixture.path)
      for number in 0..<20 {
        let reading = try #require(try store.get("\(number)", as: Reading.self))
        #expect(reading == Reading(Int(reading.time)), "\(seed)")
        #expect(Int(reading.time) >= acknowledged, "\(seed)")
        lowest = max(lowest, Int(reading.time))
      }
      #expect(try store.objectCount() == 20)
      try store.close()
    }
  }

  @Test("an index that is lost or spoilt is made anew from the chunks: same objects, and none that was deleted")
  func rebuilt() throws {
    let store = fixture.store
    for number in 0..<30 { try store.put("reading \(number)", Reading(number), durability: .staged) }
    for number in 0..<30 { try store.put("reading \(number)", Reading(2 * number), durability: .staged) }
    let array = try store.newArray("array", of: Double.self, count: 1 << 24)
    for index in [0, 5000, 1 << 23] { try array.set(index, to: Double(index) + 0.5) }
    let ring = try store.newRing("ring", of: Int32.self, capacity: 10)
    for number in 0..<25 { try ring.append(Int32(number)) }
    _ = try store.newArray("page", of: Int.self, count: 4000).set(3999, to: 1)
    try store.delete("page")
    try store.delete("reading 7")
    try store.seal("reading 8")
    let before = try contents()
    for isLost in [true, false] {
      try fixture.whileClosed {
        let data = fixture.path.appending("index/data.mdb")
        if isLost {
          try FileManager.default.removeItem(atPath: fixture.path.appending("index").description)
        } else {
          try File.open(data, .write).write([UInt8](repeating: 0xA5, count: 32 << 10), at: 0)
        }
        #expect(code { _ = try TypedStore(at: fixture.path) } == .indexDamaged)
        let summary = try TypedStore.rebuild(at: fixture.path)
        #expect(summary.findings == [])
        #expect(summary.objectCount == 31)
      }
      try fixture.reopen()
      #expect(try contents() == before)
      #expect(try fixture.store.object("reading 8")?.isSealed == true)
      // And it goes on as any store.
      try fixture.store.put("new \(isLost)", 1)
      #expect(try fixture.store.delete("new \(isLost)"))
    }
  }

  /// Every object by key, as a dump shows it.
  private func contents() throws -> [ChunkKey: [String]] {
    var contents: [ChunkKey: [String]] = [:]
    for key in try fixture.store.keys() {
      contents[key] = try fixture.store.dump(key, limit: 40) + fixture.store.dump(key, from: 1 << 23, limit: 1)
    }
    return contents
  }

  @Test("objects that the index does not know yet are taken in at open, and leave the rest of a chunk zeros")
  func adopted() throws {
    try fixture.store.put("a", Reading(1))
    let index = fixture.directory.path(of: "old index")
    try fixture.reopen(after: {
      try FileManager.default.copyItem(atPath: fixture.path.appending("index").description, toPath: index)
    })
    try fixture.store.put("b", Reading(2))
    try fixture.store.put("a", Reading(3))
    try fixture.reopen(after: {
      // As if the last commits had not come to the disk, and bytes of an object that never got its header had.
      let current = fixture.path.appending("index").description
      try FileManager.default.removeItem(atPath: current)
      try FileManager.default.copyItem(atPath: index, toPath: current)
      try fixture.chunkFile(1).write([UInt8](repeating: 7, count: 300), at: 100 << 10)
    })
    #expect(try fixture.store.get("a") == Reading(3))
    #expect(try fixture.store.get("b") == Reading(2))
    let array = try fixture.store.newArray("c", of: UInt8.self, count: 200 << 10)
    #expect(try array.withElements { elements in elements.indices.allSatisfy { elements[$0] == 0 } })
  }

  @Test("half of a header behind the end that the index knows is no finding, and no object; a rebuild names it")
  func tornHeader() throws {
    try fixture.store.put("a", Reading(1))
    let object = try #require(try fixture.store.object("a"))
    let end = try #require(try fixture.store.chunks().first).nextFreeOffset
    let header = ObjectHeader.byteCount(key: "a", layoutText: Array(Reading.layout.description.utf8))
    func tear() throws {
      let file = try fixture.chunkFile(1)
      try file.write(Array(try file.bytes(at: object.offset - header, byteCount: 100)), at: end)
    }
    try fixture.reopen(after: tear)
    #expect(fixture.store.openFindings == [])
    let array = try fixture.store.newArray("b", of: UInt8.self, count: 1000)
    #expect(try array.withElements { elements in elements.indices.allSatisfy { elements[$0] == 0 } })
    try fixture.store.delete("b")
    try fixture.whileClosed {
      let file = try fixture.chunkFile(1)
      try file.write(Array(try file.bytes(at: object.offset - header, byteCount: 100)), at: 128 << 10)
      let summary = try TypedStore.rebuild(at: fixture.path)
      #expect(summary.findings.map(\.offset) == [128 << 10])
      #expect(summary.objectCount == 1)
    }
    try fixture.reopen()
    #expect(try fixture.store.get("a") == Reading(1))
    try fixture.store.put("c", 3)
    #expect(try fixture.store.get("c") == 3)
  }

  @Test("an object that was deleted leaves no half of a header, wherever it lay, for a rebuild to stumble upon")
  func deletedHeaders() throws {
    for number in 0..<64 {
      _ = try fixture.store.newArray("\(number)", of: Reading.self, count: 300 + 2 * number, durability: .staged)
    }
    try fixture.store.flush()
    for number in 0..<64 { try fixture.store.delete("\(number)", durability: .staged) }
    try fixture.store.put("kept", 1)
    try fixture.whileClosed {
      let summary = try TypedStore.rebuild(at: fixture.path)
      #expect(summary.findings == [])
      #expect(summary.objectCount == 1)
    }
  }

  @Test("half of a header before a whole one is no finding either, and the whole one counts")
  func tornHeaderInGroup() throws {
    try fixture.store.put("a", Reading(1))
    let index = fixture.directory.path(of: "old index")
    try fixture.reopen(after: {
      try FileManager.default.copyItem(atPath: fixture.path.appending("index").description, toPath: index)
    })
    try fixture.store.put("b", Reading(2), durability: .staged)
    try fixture.store.put("c", Reading(3), durability: .staged)
    try fixture.store.flush()
    let torn = try #require(try fixture.store.object("b")).offset - 1
    try fixture.reopen(after: {
      let current = fixture.path.appending("index").description
      try FileManager.default.removeItem(atPath: current)
      try FileManager.default.copyItem(atPath: index, toPath: current)
      try fixture.chunkFile(1).write([0xFF], at: torn)
    })
    #expect(fixture.store.openFindings == [])
    #expect(try fixture.store.keys() == ["a", "c"])
    try fixture.whileClosed {
      let summary = try TypedStore.rebuild(at: fixture.path)
      #expect(summary.findings == [])
    }
    try fixture.reopen()
    #expect(try fixture.store.get("c") == Reading(3))
  }

  @Test("a chunk file of which only some pages came to the disk is a leftover, and goes")
  func leftoverChunk() throws {
    try fixture.store.put("a", Reading(1))
    try fixture.reopen(after: {
      for (number, size) in [(7, 0), (8, 100), (9, 256 << 10)] as [(UInt64, Int)] {
        let name = ChunkID(rawValue: number).fileName
        let file = try File.open(fixture.path.appending("chunks").appending(name), [.write, .createNew])
        try file.truncate(to: size)
        if number == 9 { try file.write([UInt8](repeating: 5, count: 5000), at: 100_000) }
      }
    })
    #expect(fixture.store.openFindings == [])
    #expect(try Directory.open(fixture.path.appending("chunks")).entries().count == 1)
    // Their numbers are not used again.
    _ = try fixture.store.newArray("own", of: Int.self, count: 100_000)
    #expect(try fixture.store.chunks().map(\.chunk.rawValue) == [1, 10])
  }

  @Test("a page of the index that is an older one is not taken for an object that is not there")
  func staleIndex() throws {
    for number in 0..<200 { try fixture.store.put("\(number)", number, durability: .staged) }
    try fixture.whileClosed {
      // A flipped bit in any of the keys makes another key of it.
      let path = fixture.path.appending("index/data.mdb")
      var bytes = try fileBytes(path.description)
      let key = Array("150".utf8) + [0]
      for offset in bytes.indices.dropLast(3) where Array(bytes[offset..<(offset + 3)]) == Array(key.prefix(3)) {
        bytes[offset + 2] ^= 1
      }
      try FilesOnDisk.write(bytes, to: path.description)
      #expect(
        code {
          let store = try TypedStore(at: fixture.path)
          _ = try store.get("150", as: Int.self)
        } == .indexDamaged)
      try TypedStore.rebuild(at: fixture.path)
    }
    try fixture.reopen()
    #expect(try fixture.store.get("150") == 150)
  }
}
