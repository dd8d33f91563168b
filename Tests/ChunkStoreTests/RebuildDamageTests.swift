import Foundation
import StorageIO
import TestSupport
import Testing

@testable import ChunkStore

@Suite("Rebuilds of damaged stores") struct RebuildDamageTests {
  private let fixture: TypedStoreFixture

  init() throws { fixture = try TypedStoreFixture() }

  @Test("a header whose first bytes, number, place or mark of deletion flip is a finding, and all else is there")
  func flippedHeader() throws {
    for number in 0..<3 { try fixture.store.put("\(number)", number) }
    let object = try #require(try fixture.store.object("1"))
    let start = object.offset - ObjectHeader.byteCount(key: "1", layoutText: Array(Int.layout.description.utf8))
    try fixture.whileClosed {
      let file = try fixture.chunkFile(1)
      for offset in [0, 3, 16, 24, 32, 40, 92, 112, 119, 127, 128] {
        let byte = try file.bytes(at: start + offset, byteCount: 1)[0]
        try file.write([byte ^ 4], at: start + offset)
        let summary = try TypedStore.rebuild(at: fixture.path)
        #expect(summary.findings.map(\.offset) == [start], "byte \(offset)")
        #expect(summary.objectCount == 2, "byte \(offset)")
        try file.write([byte], at: start + offset)
      }
      #expect(try TypedStore.rebuild(at: fixture.path).objectCount == 3)
    }
  }

  @Test("noise where objects were is a finding, and objects behind it are there")
  func noise() throws {
    for number in 0..<100 { try fixture.store.put("\(number)", number, durability: .staged) }
    try fixture.whileClosed {
      for page in 1...3 {
        let file = try fixture.chunkFile(1)
        let bytes = try file.bytes(at: page * 4096, byteCount: 4096)
        try file.write([UInt8](repeating: 0xFF, count: 4096), at: page * 4096)
        let summary = try TypedStore.rebuild(at: fixture.path)
        #expect(!summary.findings.isEmpty)
        #expect((60...90).contains(summary.objectCount))
        try file.write(bytes, at: page * 4096)
      }
      let summary = try TypedStore.rebuild(at: fixture.path)
      #expect(summary.findings == [])
      #expect(summary.objectCount == 100)
    }
  }

  @Test("a chunk that was cut in the middle of its object is a finding and stays where it is")
  func cutChunk() throws {
    let array = try fixture.store.newArray("a", of: Int.self, count: 1 << 20)
    try array.withMutableElements(in: array.indices) { elements in
      for index in 0..<elements.count { elements[index] = index }
    }
    try fixture.store.seal("a")
    try fixture.whileClosed {
      let file = try fixture.chunkFile(1)
      let byteCount = try file.status().byteCount
      try file.truncate(to: 4 << 20)
      let summary = try TypedStore.rebuild(at: fixture.path)
      #expect(summary.findings.map(\.chunk.rawValue) == [1])
      #expect(try fixture.chunkFile(1).status().byteCount == 4 << 20)
      // Whoever gives it its length back gets at what is left of it.
      try file.truncate(to: byteCount)
      #expect(try TypedStore.rebuild(at: fixture.path).objectCount == 1)
    }
    try fixture.reopen()
    #expect(code { _ = try fixture.store.array("a", of: Int.self)[0] } == .corrupt)
  }

  @Test("chunks of another store or number are findings and stay, at an open as at a rebuild")
  func misplacedChunks() throws {
    let other = try TypedStoreFixture()
    for store in [fixture.store, other.store] {
      for number in 0..<2 { try store.newArray("\(number)", of: Int.self, count: 1 << 16).set(5, to: number) }
    }
    try other.store.close()
    let manager = FileManager.default
    func path(_ fixture: TypedStoreFixture, _ number: UInt64) -> String {
      fixture.path.appending("chunks").appending(ChunkID(rawValue: number).fileName).description
    }
    try fixture.reopen(after: { try manager.copyItem(atPath: path(other, 1), toPath: path(fixture, 9)) })
    #expect(fixture.store.openFindings.map(\.chunk.rawValue) == [9])
    try fixture.whileClosed {
      #expect(try fileBytes(path(fixture, 9)) == fileBytes(path(other, 1)))
      func exchange() throws {
        try manager.moveItem(atPath: path(fixture, 1), toPath: path(fixture, 5))
        try manager.moveItem(atPath: path(fixture, 2), toPath: path(fixture, 1))
        try manager.moveItem(atPath: path(fixture, 5), toPath: path(fixture, 2))
      }
      try exchange()
      #expect(try TypedStore.rebuild(at: fixture.path).findings.map(\.chunk.rawValue) == [1, 2, 9])
      try exchange()
      #expect(try TypedStore.rebuild(at: fixture.path).objectCount == 2)
    }
    try fixture.reopen()
    for number in 0..<2 { #expect(try fixture.store.array("\(number)", of: Int.self)[5] == number) }
  }

  @Test("a rebuild that was cut short at any of its renames is made again", arguments: ["index.old", "index.new"])
  func cutShort(name: String) throws {
    try fixture.store.put("a", 1)
    try fixture.whileClosed {
      let index = fixture.path.appending("index").description
      let left = fixture.path.appending(name).description
      for isMoved in [false, true] {
        if isMoved {
          try FileManager.default.moveItem(atPath: index, toPath: left)
        } else {
          try FileManager.default.copyItem(atPath: index, toPath: left)
        }
        #expect(try TypedStore.rebuild(at: fixture.path).objectCount == 1)
        #expect(!FileManager.default.fileExists(atPath: left))
      }
    }
    try fixture.reopen()
    #expect(try fixture.store.get("a") == 1)
  }
}
