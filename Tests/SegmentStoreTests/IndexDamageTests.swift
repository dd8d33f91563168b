import Foundation
import LMDB
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Index damage") struct IndexDamageTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test(
    "a wrong value is found by whoever reads it, and nothing is taken from it",
    arguments: ["files", "names", "parts", "segments", "commits"])
  func values(table name: String) throws {
    let seed = TestSeed("wrong values of \(name)", default: 71)
    var generator = seed.generator
    let fixture = try StoreFixture(directory, configuration: WriteMode.mapped.configuration(workerCount: 1))
    let stored = try fixture.put(noise(20_000, seed: 1), as: "file")
    try fixture.reopen()
    let editor = try IndexEditor(fixture.store, name)
    let entries = try editor.entries()
    for round in 0..<40 {
      let (key, value) = entries[generator.below(entries.count)]
      var wrong = value
      switch round % 8 {
      case 0: wrong.removeLast(1 + generator.below(value.count))
      case 1: wrong.append(0)
      case 2: wrong = generator.bytes(value.count)
      default: wrong[generator.below(wrong.count)] ^= 1 << UInt8(generator.below(8))
      }
      // LMDB takes an empty value as well.
      try editor.set(key, wrong)
      let place = "\(seed), round \(round)"
      let error = storeError { try read(name, stored, fixture) }
      #expect(error?.code == .indexDamaged, "\(place): \(error?.message ?? "")")
      #expect(error?.advice != nil)
      try editor.set(key, value)
    }
    try read(name, stored, fixture)
    if name != "commits" { #expect(try fixture.get(stored.id) == noise(20_000, seed: 1)) }
    try fixture.store.close()
  }

  /// Does what has to read the table.
  private func read(_ table: String, _ stored: StoredFile, _ fixture: StoreFixture) throws {
    switch table {
    case "files", "parts": _ = try fixture.get(stored.id)
    case "names": _ = try fixture.store.files(named: stored.name)
    case "segments": _ = try fixture.store.statistics()
    default: try fixture.store.delete(stored.id)
    }
  }

  @Test("a value under the key of another is found", arguments: ["files", "parts"])
  func swapped(table name: String) throws {
    let fixture = try StoreFixture(directory)
    let first = try fixture.put(noise(4096, seed: 1), as: "first")
    let second = try fixture.put(noise(4096, seed: 2), as: "second")
    let editor = try IndexEditor(fixture.store, name)
    let entries = try editor.entries()
    try #require(entries.count == 2)
    try editor.set(entries[0].key, entries[1].value)
    try editor.set(entries[1].key, entries[0].value)
    for file in [first, second] { #expect(storeError { _ = try fixture.get(file.id) }?.code == .indexDamaged) }
    for entry in entries { try editor.set(entry.key, entry.value) }
    try fixture.finish()
  }

  @Test("a missing part or segment is found by those who need it, and by no others")
  func missing() throws {
    let fixture = try StoreFixture(directory)
    let hit = try fixture.put(noise(20_000, seed: 1), as: "hit")
    let other = try fixture.put(noise(20_000, seed: 2), as: "other")
    let editor = try IndexEditor(fixture.store, "parts")
    let part = try #require(try fixture.store.parts(of: hit.id, 2..<3).first)
    let value = try #require(try editor.entries().first { PartID(key: $0.key) == part.id }?.value)
    try editor.remove(part.id.key)
    let error = storeError { _ = try fixture.get(hit.id) }
    #expect(error?.code == .indexDamaged)
    #expect(error?.message.contains("part \(part.id)") == true)
    #expect(storeError { try fixture.store.delete(hit.id) }?.code == .indexDamaged)
    #expect(try fixture.get(other.id) == noise(20_000, seed: 2))
    try editor.set(part.id.key, value)
    #expect(try fixture.get(hit.id) == noise(20_000, seed: 1))
    try fixture.finish()
  }

  @Test("counters that are damaged stop writing, not reading")
  func counters() throws {
    let fixture = try StoreFixture(directory)
    let stored = try fixture.put([1, 2, 3], as: "file")
    try fixture.reopen()
    let editor = try IndexEditor(fixture.store, "meta")
    let entry = try #require(try editor.entries().first { $0.key == Array("counters".utf8) })
    try editor.set(entry.key, Array(entry.value.dropLast()) + [entry.value[entry.value.count - 1] ^ 1])
    #expect(storeError { _ = try fixture.put([1], as: "later") }?.code == .indexDamaged)
    #expect(try fixture.get(stored.id) == [1, 2, 3])
    try editor.set(entry.key, entry.value)
    #expect(try fixture.put([1], as: "later").id > stored.id)
    try fixture.finish()
  }

  @Test("a missing index is said to be missing, and nothing is made in its place")
  func noIndex() throws {
    let fixture = try StoreFixture(directory)
    _ = try fixture.put([1, 2, 3], as: "file")
    try fixture.store.close()
    FilesOnDisk.remove("\(fixture.path)/index/data.mdb")
    let error = storeError { try fixture.open() }
    #expect(error?.code == .indexDamaged)
    #expect(error?.message.contains("missing") == true)
    #expect(!FileManager.default.fileExists(atPath: "\(fixture.path)/index/data.mdb"))
    #expect(try fixture.segmentNames.count == 1)
  }

  @Test("the index of another store is refused, and its segments are left alone")
  func foreignIndex() throws {
    let fixture = try StoreFixture(directory)
    _ = try fixture.put([1, 2, 3], as: "file")
    try fixture.store.close()
    let other = try StoreFixture(directory, at: "other")
    try other.store.close()
    try FilesOnDisk.write(fileBytes("\(other.path)/index/data.mdb"), to: "\(fixture.path)/index/data.mdb")
    #expect(storeError { try fixture.open() }?.code == .indexDamaged)
    #expect(try fixture.segmentNames.count == 1)
  }

  @Test("an index that is cut short is refused or reads right, and never ends the process")
  func truncated() throws {
    let fixture = try StoreFixture(directory)
    let stored = try (0..<40).map { try fixture.put(noise(9000, seed: UInt64($0)), as: "file \($0)") }
    try fixture.store.close()
    let path = "\(fixture.path)/index/data.mdb"
    let whole = try fileBytes(path)
    for length in stride(from: 0, to: whole.count, by: whole.count / 23) {
      try FilesOnDisk.write(Array(whole.prefix(length)), to: path)
      do {
        try fixture.open()
        for (number, file) in stored.enumerated() {
          let found = try fixture.get(file.id)
          #expect(found == noise(9000, seed: UInt64(number)), "cut at \(length)")
        }
        try fixture.store.close()
      } catch let error as StoreError {
        #expect(error.code == .indexDamaged, "cut at \(length): \(error)")
        try fixture.store.close()
      }
    }
    try FilesOnDisk.write(whole, to: path)
    try fixture.open()
    try fixture.finish()
  }
}

/// Writes into the index behind the store's back.
private struct IndexEditor {
  private let index: Index
  private let name: String

  init(_ store: Store, _ name: String) throws {
    index = try store.index
    self.name = name
  }

  func entries() throws -> [(key: [UInt8], value: [UInt8])] {
    try index.read { (transaction) throws(StoreError) in
      try translatingIndex { () throws(LMDBError) in
        try transaction.entries(index.table(named: name), limit: 10_000)
      }
    }
  }

  func set(_ key: [UInt8], _ value: [UInt8]) throws { try index.setBytes(value, under: key, in: name) }

  func remove(_ key: [UInt8]) throws { try index.setBytes(nil, under: key, in: name) }
}
