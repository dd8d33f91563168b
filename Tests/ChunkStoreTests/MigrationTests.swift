import StorageIO
import TestSupport
import Testing

@testable import ChunkStore

@Suite("Migration and dump") struct MigrationTests {
  let fixture: TypedStoreFixture
  var store: TypedStore { fixture.store }

  init() throws { fixture = try TypedStoreFixture() }

  private static func newer(_ old: Reading) -> NewReading {
    NewReading(time: old.time, sensor: old.sensor, site: 9, value: old.value, quality: old.quality)
  }

  @Test("makes objects of a new version of the old ones, of every kind, under their keys")
  func migrated() throws {
    try store.put("value", Reading(5))
    let array = try store.newArray("array", of: Reading.self, count: 100_000)
    for index in [3, 50_000, 99_999] { try array.set(index, to: Reading(index)) }
    let ring = try store.newRing("ring", of: Reading.self, capacity: 4)
    for number in 0..<7 { try ring.append(Reading(number)) }
    for key: ChunkKey in ["value", "array", "ring"] {
      #expect(try store.migrate(key, from: Reading.self, to: NewReading.self, MigrationTests.newer))
      #expect(try !store.migrate(key, from: Reading.self, to: NewReading.self, MigrationTests.newer))
    }
    #expect(code { _ = try array[3] } == .notFound)
    #expect(code { try store.migrate("value", from: Reading.self, to: Int.self) { Int($0.time) } } == .wrongType)
    #expect(try !store.migrate("none", from: Reading.self, to: NewReading.self, MigrationTests.newer))
    try fixture.reopen()
    #expect(try store.get("value") == MigrationTests.newer(Reading(5)))
    let found = try store.array("array", of: NewReading.self)
    for index in [3, 50_000, 99_999] { #expect(try found[index] == MigrationTests.newer(Reading(index))) }
    #expect(try found[20_000].site == 0)
    var times: [Int64] = []
    try store.ring("ring", of: NewReading.self).forEach { times.append($0.time) }
    #expect(times == [3, 4, 5, 6])
  }

  @Test("that fails on the way leaves the old object")
  func failedMigration() throws {
    try store.put("value", Reading(5))
    let refusal = ChunkStoreError(.invalidArgument, "no")
    #expect(
      code {
        try store.migrate("value", from: Reading.self, to: NewReading.self) {
          (_) throws(ChunkStoreError) -> NewReading in throw refusal
        }
      } == .invalidArgument)
    #expect(try store.get("value") == Reading(5))
    try fixture.reopen()
    #expect(try store.get("value") == Reading(5))
  }

  @Test("of a sealed object that is damaged is an error, and the object stays")
  func damaged() throws {
    let fixture = try TypedStoreFixture()
    let array = try fixture.store.newArray("a", of: Reading.self, count: 100)
    for index in array.indices { try array.set(index, to: Reading(index)) }
    try fixture.store.seal("a")
    let object = try #require(try fixture.store.object("a"))
    try fixture.reopen(after: { try fixture.chunkFile(1).write([99], at: object.offset + 8) })
    let failure = code {
      try fixture.store.migrate("a", from: Reading.self, to: NewReading.self) { old in
        NewReading(time: old.time, sensor: old.sensor, site: 0, value: old.value, quality: 0)
      }
    }
    #expect(failure == .corrupt)
    #expect(try fixture.store.object("a")?.isSealed == true)
  }

  @Test("an object is dumped by the layout that is stored with it")
  func dumped() throws {
    let track = Track(
      start: Reading(2), flag: 7, points: [1, 2.5, -3], grid: [[1, 2], [3, -4]])
    try store.put("track", track)
    let ring = try store.newRing("ring", of: Int16.self, capacity: 3)
    for number in 1...5 { try ring.append(Int16(number)) }
    try store.put("matrix", Matrix(repeating: InlineArray(repeating: 2)))
    try fixture.reopen()
    #expect(
      try store.dump("track") == [
        "[0] {start={time=2 sensor=14 value=0.5 quality=2} flag=7 points=[1.0, 2.5, -3.0] grid=[[1, 2], [3, -4]]}"
      ])
    #expect(try store.dump("ring") == ["[0] 3", "[1] 4", "[2] 5"])
    #expect(try store.dump("ring", from: 1, limit: 1) == ["[1] 4"])
    #expect(try store.dump("ring", from: 3) == [])
    #expect(try store.dump("matrix")[0].contains("2.0, and 240 more], "))
    #expect(code { _ = try store.dump("none") } == .notFound)
  }
}
