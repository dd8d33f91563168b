import StorageIO
import TestSupport
import Testing

@testable import ChunkStore

@Suite("Typed objects") struct ObjectTests {
  let fixture: TypedStoreFixture
  var store: TypedStore { fixture.store }

  init() throws { fixture = try TypedStoreFixture() }

  @Test(
    "a value is what was put, in this process and the next one", arguments: [TypedStore.Durability.synced, .staged])
  func values(durability: TypedStore.Durability) throws {
    for number in 0..<50 { try store.put("reading \(number)", Reading(number), durability: durability) }
    try store.put("matrix", Matrix(repeating: InlineArray(repeating: 1.5)), durability: durability)
    try store.put("number", 42, durability: durability)
    for isReopened in [false, true] {
      if isReopened { try fixture.reopen() }
      for number in 0..<50 { #expect(try store.get("reading \(number)") == Reading(number)) }
      #expect(try store.value("matrix", as: Matrix.self).withValue { $0[255][255] } == 1.5)
      #expect(try store.get("number", default: 0) == 42)
      #expect(try store.get("nothing", default: 7) == 7)
      #expect(try store.get("nothing", as: Int.self) == nil)
    }
  }

  @Test("a value that is put again is the new one; one that is made again is not made")
  func replaced() throws {
    let first = try store.new("a", Reading(1))
    #expect(code { _ = try store.new("a", Reading(2)) } == .exists)
    #expect(try first.get() == Reading(1))
    try store.put("a", Reading(3))
    #expect(code { _ = try first.get() } == .notFound)
    #expect(code { try first.update { $0.time = 9 } } == .notFound)
    try store.put("a", 4)
    #expect(try store.get("a", default: 0) == 4)
    try fixture.reopen()
    #expect(try store.get("a", default: 0) == 4)
    #expect(try store.objectCount() == 1)
  }

  @Test("a value is changed in place, without a copy, and the change outlives the process")
  func updated() throws {
    let value = try store.new("a", Reading(1))
    try value.update { $0.value = 2.5 }
    #expect(try value.withValue { $0.value } == 2.5)
    #expect(try store.get("a", as: Reading.self)?.value == 2.5)
    try fixture.reopen()
    #expect(try store.get("a", as: Reading.self)?.value == 2.5)
  }

  @Test("what was deleted is gone, staged or not, and its key can be used again")
  func deleted() throws {
    for durability in [TypedStore.Durability.synced, .staged] {
      let value = try store.new("a", Reading(1), durability: durability)
      #expect(try store.delete("a", durability: durability))
      #expect(try !store.delete("a", durability: durability))
      #expect(try store.get("a", as: Reading.self) == nil)
      #expect(code { _ = try value.get() } == .notFound)
      #expect(try store.keys() == [])
      _ = try store.newArray("a", of: Int32.self, count: 5, durability: durability)
      #expect(try store.array("a", of: Int32.self)[4] == 0)
      #expect(try store.delete("a", durability: durability))
    }
    try fixture.reopen()
    #expect(try store.keys() == [])
  }

  @Test("an array reads zeros until its elements are set, and both ways")
  func arrays() throws {
    let array = try store.newArray("a", of: Reading.self, count: 3000)
    #expect(try array[2999].time == 0)
    for index in [0, 1, 1500, 2999] { try array.set(index, to: Reading(index + 1)) }
    try array.update(1500) { $0.value = -1 }
    try fixture.reopen()
    let found = try store.array("a", of: Reading.self)
    var (forth, back): ([Int], [Int]) = ([], [])
    try found.forEach { index, reading in if reading.time != 0 { forth.append(index) } }
    try found.forEachReversed { index, reading in if reading.time != 0 { back.append(index) } }
    #expect(forth == [0, 1, 1500, 2999])
    #expect(back == [2999, 1500, 1, 0])
    #expect(try found[1500].value == -1)
    #expect(try found[2999] == Reading(3000))
    #expect(try found.withElements(in: 1..<3) { $0[0].time + Int64($0.count) } == 4)
    try found.clear(1)
    #expect(try found[1].time == 0)
    #expect(try found[0] == Reading(1))
    try found.clear(0..<3000)
    try found.forEach { _, reading in #expect(reading.time == 0) }
  }

  @Test(
    "an array is read at any indices, in their order, and as often as they say", arguments: [0, 1, 511, 512, 513, 2000])
  func indices(indexCount: Int) throws {
    let array = try store.newArray("a", of: Reading.self, count: 700)
    for index in array.indices { try array.set(index, to: Reading(index)) }
    let indices = (0..<indexCount).map { $0 * 613 % 700 }
    var found: [Reading] = []
    try array.forEach(at: indices) { found.append($0) }
    #expect(found == indices.map { Reading($0) })
    #expect(throws: ChunkStoreError.self) {
      try array.forEach(at: indices + [0]) { (_) throws(ChunkStoreError) in throw ChunkStoreError(.busy, "enough") }
    }
  }

  @Test(
    "an index beyond the elements traps, wherever it stands", arguments: [0, 511, 512, 1000],
    [-1, 700, Int.min, Int.max])
  func wrongIndex(position: Int, index: Int) async {
    await #expect(processExitsWith: .failure) { [position = position as Int, index = index as Int] in
      let array = try TypedStoreFixture().store.newArray("a", of: Reading.self, count: 700)
      var indices = (0..<1001).map { $0 % 700 }
      indices[position] = index
      try array.forEach(at: indices) { _ in }
    }
  }

  @Test("a ring holds the newest at either end, and is read both ways")
  func rings() throws {
    let seed = TestSeed("rings", default: 82)
    var generator = seed.generator
    for capacity in [1, 2, 7, 100] {
      let key: ChunkKey = "ring \(capacity)"
      var ring = try store.newRing(key, of: Int.self, capacity: capacity)
      var model: [Int] = []
      for number in 0..<400 {
        if generator.below(3) > 0 {
          try ring.append(number)
          model.append(number)
          if model.count > capacity { model.removeFirst() }
        } else {
          try ring.prepend(number)
          model.insert(number, at: 0)
          if model.count > capacity { model.removeLast() }
        }
        if number == 250 {
          try fixture.reopen()
          ring = try store.ring(key)
        }
      }
      var (forth, back): ([Int], [Int]) = ([], [])
      try ring.forEach { forth.append($0) }
      try ring.forEachReversed { back.append($0) }
      #expect(forth == model, "\(seed)")
      #expect(back == model.reversed(), "\(seed)")
      #expect(try ring.count == model.count)
      #expect(try ring.element(at: 0) == model.first)
      #expect(try ring.element(at: model.count) == nil)
    }
  }

  @Test("an object asked for as another type is an error that names both layouts")
  func wrongType() throws {
    try store.put("a", Reading(1))
    let message = #expect(throws: ChunkStoreError.self) { _ = try store.get("a", as: NewReading.self) }?.message ?? ""
    #expect(message.contains(Reading.layout.description))
    #expect(message.contains(NewReading.layout.description))
    #expect(code { _ = try store.array("a", of: Reading.self) } == .wrongType)
    #expect(code { _ = try store.ring("a", of: Reading.self) } == .wrongType)
    #expect(code { _ = try store.get("a", as: Int.self) } == .wrongType)
  }

  @Test("10 GiB with three elements set take kilobytes, and an object larger than a chunk harms no other")
  func sparse() throws {
    let count = (10 << 30) / MemoryLayout<Double>.stride
    try store.put("before", 1)
    let array = try store.newArray("large", of: Double.self, count: count)
    let before = try fixture.allocatedByteCount()
    for index in [0, count / 2, count - 1] { try array.set(index, to: Double(index)) }
    try store.put("after", 2)
    try fixture.reopen()
    let found = try store.array("large", of: Double.self)
    #expect(try found[count / 2] == Double(count / 2))
    #expect(try found[count - 1] == Double(count - 1))
    #expect(try found[1] == 0)
    #expect(try store.get("before", default: 0) + store.get("after", default: 0) == 3)
    #expect(try fixture.allocatedByteCount() - before < 64 << 10)
    let chunks = try store.chunks()
    #expect(chunks.map(\.objectCount) == [2, 1])
    #expect(chunks[1].byteCount > 10 << 30)
    #expect(try chunks.map { Int($0.chunk.rawValue) } == Array(1...store.chunks().count))
  }

  @Test("prefixes and places in the list that no key can have are no keys, or an error of the caller")
  func strangeKeys() throws {
    try fixture.store.put("a", 1)
    let long = ChunkKey(bytes: [UInt8](repeating: 97, count: 3000))
    #expect(try fixture.store.keys(prefix: long) == [])
    #expect(try fixture.store.keys(after: "") == ["a"])
    #expect(code { _ = try fixture.store.keys(after: long) } == .invalidArgument)
  }

  @Test("keys are listed in order, by prefix, a page at a time")
  func keys() throws {
    let keys: [ChunkKey] = (0..<300).map { "\($0 % 3 == 0 ? "x" : "y")/\($0 + 1000)" }
    for key in keys { _ = try store.new(key, 1, durability: .staged) }
    #expect(try store.keys() == keys.sorted())
    let wanted = keys.filter { $0.bytes.starts(with: Array("x/".utf8)) }.sorted()
    #expect(try store.keys(prefix: "x/") == wanted)
    var paged: [ChunkKey] = []
    while true {
      let page = try store.keys(prefix: "x/", after: paged.last, limit: 7)
      if page.isEmpty { break }
      paged += page
    }
    #expect(paged == wanted)
    #expect(code { try store.put(ChunkKey(bytes: []), 1) } == .invalidArgument)
    #expect(code { try store.put(ChunkKey(bytes: [UInt8](repeating: 65, count: 256)), 1) } == .invalidArgument)
  }
}
