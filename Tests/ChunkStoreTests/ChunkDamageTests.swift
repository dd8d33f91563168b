import Foundation
import StorageIO
import TestSupport
import Testing

@testable import ChunkStore

@Suite("Damaged chunks") struct ChunkDamageTests {
  let fixture: TypedStoreFixture

  init() throws { fixture = try TypedStoreFixture() }

  @Test("a sealed object can be read and deleted, not changed; its sum is checked once, when it is first read")
  func sealed() throws {
    let array = try fixture.store.newArray("a", of: Int.self, count: 50_000)
    try array.set(49_000, to: 3)
    try fixture.store.seal("a")
    #expect(array.isSealed)
    #expect(code { try array.set(0, to: 1) } == .sealed)
    #expect(code { try array.clear(0) } == .sealed)
    try fixture.reopen()
    #expect(try fixture.store.array("a", of: Int.self)[49_000] == 3)
    #expect(try fixture.store.verify().sealedCount == 1)
    try fixture.store.put("a", 1)
    #expect(try fixture.store.get("a") == 1)
  }

  @Test("a bit that flips in a sealed object is an error that says where; in one that is not sealed nothing can tell")
  func flippedPayload() throws {
    try fixture.store.put("sealed", Reading(1))
    try fixture.store.put("open", Reading(1))
    try fixture.store.seal("sealed")
    let sealed = try #require(try fixture.store.object("sealed"))
    let open = try #require(try fixture.store.object("open"))
    #expect(sealed.isSealed && !open.isSealed)
    try fixture.reopen(after: {
      for object in [sealed, open] { try flip(object.offset + 3) }
    })
    let message = #expect(throws: ChunkStoreError.self) { _ = try fixture.store.get("sealed", as: Reading.self) }
    #expect(message?.code == .corrupt)
    #expect(message?.message.contains("chunk 1 offset \(sealed.offset)") == true)
    #expect(try fixture.store.get("open", as: Reading.self) != nil)
    #expect(Array(try fixture.store.verify().damages.keys) == ["sealed"])
  }

  @Test("a bit that flips anywhere in a header is an error, or changes nothing; a rebuild loses that object alone")
  func flippedHeader() throws {
    try fixture.store.put("a", Reading(1))
    try fixture.store.put("b", Reading(2))
    try fixture.store.put("c", Reading(3))
    try fixture.store.seal("b")
    let object = try #require(try fixture.store.object("b"))
    let start = object.offset - ObjectHeader.byteCount(key: "b", layoutText: Array(Reading.layout.description.utf8))
    try fixture.store.close()
    let seed = TestSeed("flipped headers", default: 85)
    var generator = seed.generator
    for _ in 0..<60 {
      let bit = generator.below((object.offset - start) * 8)
      try flip(start + bit / 8, bit: bit % 8)
      let store = try TypedStore(at: fixture.path)
      var reading: Reading? = Reading(2)
      let found = code { reading = try store.get("b") }
      #expect(reading == Reading(2), "\(seed)")
      #expect(found == nil || found == .corrupt, "bit \(bit), \(seed)")
      #expect(try store.get("a") == Reading(1))
      try store.close()
      if found == .corrupt && bit % 5 == 0 {
        let summary = try TypedStore.rebuild(at: fixture.path)
        let rebuilt = try TypedStore(at: fixture.path)
        #expect(try rebuilt.get("a") == Reading(1))
        #expect(try rebuilt.get("c") == Reading(3))
        // What was sealed is never taken for another object.
        var sealed: Reading? = Reading(2)
        let refused = code { sealed = try rebuilt.get("b") }
        #expect(sealed == Reading(2) || sealed == nil, "bit \(bit), \(seed)")
        #expect(refused == nil || refused == .corrupt, "bit \(bit), \(seed)")
        #expect(summary.objectCount >= 2)
        try rebuilt.close()
      }
      try flip(start + bit / 8, bit: bit % 8)
      if found == .corrupt && bit % 5 == 0 { try TypedStore.rebuild(at: fixture.path) }
    }
  }

  @Test(
    "a chunk that is cut short under a reader is an error, and so is every later access; not the end of the process")
  func truncatedUnderReader() throws {
    let array = try fixture.store.newArray("a", of: Int.self, count: 20_000)
    let other = try fixture.store.newArray("large", of: Int.self, count: 200_000)
    for index in array.indices { try array.set(index, to: index) }
    try fixture.store.flush()
    let size = try fixture.chunkFile(1).status().byteCount
    let failure = code {
      try array.withElements { (elements) throws(ChunkStoreError) in
        #expect(elements[19_999] == 19_999)
        do { try fixture.chunkFile(1).truncate(to: 8192) } catch { Issue.record("\(error)") }
        // Zeros in the place of what was lost: the borrow fails as a whole.
        #expect(elements[19_999] == 0)
      }
    }
    #expect(failure == .io)
    #expect(code { _ = try array[19_999] } == .corrupt)
    #expect(code { try array.set(19_999, to: 1) } == .corrupt)
    #expect(code { _ = try fixture.store.put("b", 1) } != nil)
    // What is in other chunks is not affected.
    try other.set(7, to: 7)
    #expect(try other[7] == 7)
    // Whoever gives it its length back gets at what is left of it.
    try fixture.chunkFile(1).truncate(to: size)
    #expect(try array[0] == 0)
  }

  @Test("a chunk that is gone, of another store or too short is an error that says so, for its objects alone")
  func strangeChunks() throws {
    try fixture.store.put("a", 1)
    _ = try fixture.store.newArray("large", of: Int.self, count: 100_000)
    let file = fixture.path.appending("chunks").appending(ChunkID(rawValue: 2).fileName).description
    let bytes = try fileBytes(file)
    let other = try TypedStoreFixture()
    _ = try other.store.newArray("x", of: Int.self, count: 100_000)
    _ = try other.store.newArray("large", of: Int.self, count: 100_000)
    let strange = try fileBytes(other.path.appending("chunks").appending(ChunkID(rawValue: 2).fileName).description)
    var zeroed = bytes
    zeroed.replaceSubrange(0..<4096, with: [UInt8](repeating: 0, count: 4096))
    for replacement in [nil, Array(bytes.dropLast(4096)), strange, zeroed, []] {
      try fixture.reopen(after: {
        if let replacement {
          try FilesOnDisk.write(replacement, to: file)
        } else {
          try FileManager.default.removeItem(atPath: file)
        }
      })
      #expect(try fixture.store.get("a") == 1)
      let error = #expect(throws: ChunkStoreError.self) { _ = try fixture.store.array("large", of: Int.self) }
      #expect(error?.code == .corrupt)
      #expect(error?.message.contains("chunk 2") == true)
      #expect(try fixture.store.verify().damages.keys.map { $0 } == ["large"])
    }
  }

  @Test(
    "a directory that is no store, of a newer format or damaged is told from one that is", arguments: [0, 8, 30, 5000])
  func superblock(offset: Int) throws {
    #expect(code { _ = try TypedStore(at: FilePath(fixture.directory.path)) } == .notAStore)
    #expect(code { _ = try TypedStore(at: FilePath(fixture.directory.path(of: "none"))) } == .noStore)
    #expect(code { try TypedStore.create(at: fixture.path) } == .exists)
    try fixture.whileClosed {
      let path = fixture.path.appending("CHUNKS")
      let file = try File.open(path, .write)
      // Another byte than the one that is there, whatever that is; none is behind the end.
      try file.write([(try file.bytes(at: offset, byteCount: 1).first ?? 0) ^ 0x7F], at: offset)
      let wanted: [Int: ChunkStoreError.Code] = [0: .notAStore, 8: .newerFormat, 30: .corrupt, 5000: .corrupt]
      #expect(code { _ = try TypedStore(at: fixture.path) } == wanted[offset])
    }
  }

  private func flip(_ offset: Int, bit: Int = 0) throws {
    let file = try fixture.chunkFile(1)
    let byte = try file.bytes(at: offset, byteCount: 1)
    try file.write(byte.map { $0 ^ (1 << UInt8(bit)) }, at: offset)
  }
}
