import StorageIO
import Synchronization
import TestSupport
import Testing

@testable import ChunkStore

@Suite("Borrows") struct BorrowTests {
  let fixture: TypedStoreFixture

  init() throws { fixture = try TypedStoreFixture() }

  /// The store, waiting no longer than `seconds`.
  private func impatientStore(_ seconds: Double) throws -> TypedStore {
    try fixture.store.close()
    var configuration = TypedStore.Configuration()
    configuration.lockTimeoutSeconds = seconds
    return try TypedStore(at: fixture.path, configuration)
  }

  @Test("readers see no half of a change, however many there are")
  func manyReaders() throws {
    let array = try fixture.store.newArray("a", of: Int.self, count: 512)
    let isDone = Atomic(false)
    let torn = Atomic(0)
    try Watchdog.run(threads: 5) { number in
      guard number == 0 else {
        while !isDone.load(ordering: .acquiring) {
          try array.withElements { elements in
            for index in 1..<elements.count where elements[index] != elements[0] {
              torn.add(1, ordering: .relaxed)
            }
          }
        }
        return
      }
      defer { isDone.store(true, ordering: .releasing) }
      for round in 1...300 {
        try array.withMutableElements(in: array.indices) { elements in
          for index in 0..<elements.count { elements[index] = round }
        }
      }
    }
    #expect(torn.load(ordering: .relaxed) == 0)
    #expect(try array[511] == 300)
  }

  @Test("writers of one object come one after the other: no change is lost")
  func manyWriters() throws {
    let value = try fixture.store.new("a", 0)
    try Watchdog.run(threads: 4) { _ in
      for _ in 0..<2000 { try value.update { $0 += 1 } }
    }
    #expect(try value.get() == 8000)
  }

  @Test("a writer that waits in vain for a reader gives up, and the other way round; both go on later")
  func timeouts() throws {
    let store = try impatientStore(0.05)
    let value = try store.new("a", 1)
    let other = try store.value("a", as: Int.self)
    try value.withValue { (_) throws(ChunkStoreError) in
      #expect(code { try other.update { $0 = 2 } } == .busy)
      #expect(code { try store.put("a", 2) } == .busy)
      #expect(code { try store.delete("a") } == .busy)
      #expect(try other.get() == 1)
    }
    try value.update { (number) throws(ChunkStoreError) in
      #expect(code { _ = try other.get() } == .busy)
      number = 3
    }
    #expect(try other.get() == 3)
    #expect(try store.delete("a"))
    try store.close()
  }

  @Test("a writer waits for a reader that comes to its end")
  func waiting() throws {
    let value = try fixture.store.new("a", 1)
    let isReading = Signal()
    let mayEnd = Signal()
    let reader = BackgroundWork {
      try value.withValue { (_) throws(ChunkStoreError) in
        isReading.raise()
        do { try mayEnd.wait() } catch { Issue.record("\(error)") }
      }
    }
    try isReading.wait()
    let writer = BackgroundWork { try value.update { $0 = 2 } }
    mayEnd.raise()
    try reader.result()
    try writer.result()
    #expect(try value.get() == 2)
  }

  @Test("threads that make, replace, read and delete the same few keys see whole objects or none")
  func churn() throws {
    let store = fixture.store
    let seed = TestSeed("churn of keys", default: 83)
    try Watchdog.run(threads: 4) { number in
      var generator = SeededGenerator(seed: seed.value + UInt64(number))
      for round in 0..<150 {
        let key: ChunkKey = "\(generator.below(3))"
        do {
          switch generator.below(4) {
          case 0: try store.put(key, Reading(round), durability: .staged)
          case 1: try store.delete(key, durability: .staged)
          case 2 where round % 10 == 0: try store.flush()
          default:
            if let reading = try store.get(key, as: Reading.self) {
              #expect(reading == Reading(Int(reading.time)), "\(seed)")
            }
          }
        } catch let error as ChunkStoreError where error.code == .notFound {
          // Replaced or deleted by another thread between look-up and borrow.
        }
      }
    }
    try fixture.reopen()
    for key in try fixture.store.keys() { _ = try #require(try fixture.store.get(key, as: Reading.self)) }
  }

  @Test("one process at a time writes; any number read, and change nothing")
  func readOnly() throws {
    try fixture.store.put("a", Reading(1))
    let array = try fixture.store.newArray("array", of: Int.self, count: 10)
    try array.set(3, to: 33)
    try fixture.reopen(isReadOnly: true)
    let store = fixture.store
    #expect(try store.get("a") == Reading(1))
    #expect(try store.array("array", of: Int.self)[3] == 33)
    #expect(try store.keys() == ["a", "array"])
    #expect(code { try store.put("a", Reading(2)) } == .readOnly)
    #expect(code { try store.delete("a") } == .readOnly)
    #expect(code { try store.array("array", of: Int.self).set(3, to: 1) } == .readOnly)
    #expect(code { try store.value("a", as: Reading.self).update { $0.time = 0 } } == .readOnly)
    #expect(code { try store.flush() } == .readOnly)
    #expect(try store.get("a") == Reading(1))
  }

  @Test("a store that is closed refuses, and so do its handles when they are to write")
  func closed() throws {
    let value = try fixture.store.new("a", 1)
    try fixture.store.close()
    #expect(code { _ = try fixture.store.get("b", as: Int.self) } == .invalidArgument)
    #expect(code { try value.update { $0 = 2 } } == .invalidArgument)
    #expect(code { _ = try value.get() } == .invalidArgument)
    #expect(code { _ = try fixture.store.keys() } == .invalidArgument)
  }
}
