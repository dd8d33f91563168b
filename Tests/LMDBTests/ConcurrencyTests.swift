import Foundation
import LMDB
import Synchronization
import TestSupport
import Testing

@Suite("Concurrency") struct ConcurrencyTests {
  let directory: TemporaryDirectory
  let environment: Environment
  let table: Table

  init() throws {
    directory = try TemporaryDirectory()
    environment = try openEnvironment(in: directory)
    table = try openTable(in: environment)
  }

  @Test("readers on many threads all see whole transactions while one thread writes")
  func readers() throws {
    let keys = (0..<20).map(key)
    let isDone = Atomic(false)
    let tornCount = Atomic(0)
    let readCount = Atomic(0)
    try write(to: environment) { (transaction) throws(LMDBError) in
      for key in keys { try transaction.put(table, key, [0]) }
    }
    let firstReads = DispatchSemaphore(value: 0)
    let threads = (0..<4).map { _ in
      TestThread {
        repeat {
          let transaction = try environment.beginRead()
          let values = try transaction.entries(table, limit: 100).map(\.value)
          if values.count != keys.count || Set(values).count != 1 { tornCount.add(1, ordering: .relaxed) }
          if readCount.add(1, ordering: .relaxed).newValue <= 4 { firstReads.signal() }
        } while !isDone.load(ordering: .relaxed)
      }
    }
    for round in 1...100 {
      if round == 50 { firstReads.wait() }
      try write(to: environment) { (transaction) throws(LMDBError) in
        for key in keys { try transaction.put(table, key, [UInt8(round)]) }
      }
    }
    isDone.store(true, ordering: .relaxed)
    for thread in threads { try thread.join() }
    #expect(tornCount.load(ordering: .relaxed) == 0)
    #expect(readCount.load(ordering: .relaxed) >= 4)
  }

  @Test("a second writer waits until the first has committed, and sees what it wrote")
  func writersWait() throws {
    let isAboutToBegin = DispatchSemaphore(value: 0)
    let events = Mutex<[String]>([])
    let first = try environment.beginWrite()
    let second = TestThread {
      isAboutToBegin.signal()
      let transaction = try environment.beginWrite()
      events.withLock { $0.append("second begins") }
      let seen = try transaction.value(table, [1])
      #expect(seen == [10])
      try transaction.put(table, [2], [20])
      try transaction.commit()
    }
    isAboutToBegin.wait()
    for number in 0..<1_000 { try first.put(table, key(number), [1]) }
    try first.put(table, [1], [10])
    events.withLock { $0.append("first commits") }
    try first.commit()
    try second.join()
    #expect(events.withLock { $0 } == ["first commits", "second begins"])
    #expect(try committedValue(environment, table, [2]) == [20])
  }

  @Test("no increment of writers on several threads is lost")
  func counters() throws {
    let threads = (0..<4).map { _ in
      TestThread {
        for _ in 0..<25 {
          try write(to: environment) { (transaction) throws(LMDBError) in
            let count = try transaction.value(table, [1])?.first ?? 0
            try transaction.put(table, [1], [count + 1])
          }
        }
      }
    }
    for thread in threads { try thread.join() }
    #expect(try committedValue(environment, table, [1]) == [100])
  }

  @Test("one thread can have several readers, and a reader does not stop its own writer")
  func readersOfOneThread() throws {
    let first = try environment.beginRead()
    let second = try environment.beginRead()
    try write(to: environment) { (transaction) throws(LMDBError) in try transaction.put(table, [1], [10]) }
    let seen = try (first.value(table, [1]), second.value(table, [1]))
    #expect(seen == (nil, nil))
  }
}

/// A thread of its own, which the cooperative pool never is, and what became of it.
final class TestThread: Sendable {
  private let isFinished = DispatchSemaphore(value: 0)
  private let failure = Mutex<(any Error)?>(nil)

  init(_ body: @escaping @Sendable () throws -> Void) {
    Thread.detachNewThread { [self] in
      do { try body() } catch { failure.withLock { $0 = error } }
      isFinished.signal()
    }
  }

  /// Waits for the end of the thread, and throws what it threw.
  func join() throws {
    isFinished.wait()
    if let failure = failure.withLock({ $0 }) { throw failure }
  }
}
