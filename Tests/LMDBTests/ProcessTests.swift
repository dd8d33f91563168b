import Foundation
import LMDB
import TestSupport
import Testing

/// How a failed precondition ends a process.
#if arch(x86_64)
  private let trap = ExitTest.Condition.signal(SIGILL)
#else
  private let trap = ExitTest.Condition.signal(SIGTRAP)
#endif

@Suite("Processes") struct ProcessTests {
  let directory: TemporaryDirectory
  var path: String { directory.path }

  init() throws { directory = try TemporaryDirectory() }

  @Test("the reader slot of a killed process is given back")
  func staleReader() async throws {
    let environment = try openEnvironment(in: directory)
    await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
      let transaction = try openEnvironment(at: path).beginRead()
      kill(getpid(), SIGKILL)
      transaction.abort()
    }
    #expect(try environment.removeStaleReaders() == 1)
    #expect(try environment.removeStaleReaders() == 0)
  }

  @Test("a reader takes the slot of a killed process when all others are taken")
  func staleReaderInTheWay() async throws {
    let environment = try openEnvironment(in: directory, maximumReaderCount: 1)
    await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
      let transaction = try openEnvironment(at: path).beginRead()
      kill(getpid(), SIGKILL)
      transaction.abort()
    }
    let transaction = try environment.beginRead()
    #expect(failure { () throws(LMDBError) in _ = try environment.beginRead() }?.isReadersFull == true)
    transaction.abort()
  }

  @Test("a writer that was killed leaves nothing behind, and the next one goes on")
  func killedWriter() async throws {
    let environment = try openEnvironment(in: directory)
    let table = try openTable(in: environment)
    await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
      let environment = try openEnvironment(at: path)
      let table = try openTable(in: environment)
      let transaction = try environment.beginWrite()
      try transaction.put(table, [1], [10])
      kill(getpid(), SIGKILL)
      try transaction.commit()
    }
    try write(to: environment) { (transaction) throws(LMDBError) in
      let left = try transaction.value(table, [1])
      #expect(left == nil)
      try transaction.put(table, [2], [20])
    }
    #expect(try committedValue(environment, table, [2]) == [20])
  }

  @Test("a map that another process made larger is adopted, as soon as no transaction holds the old one")
  func grownMap() async throws {
    let environment = try openEnvironment(in: directory, mapByteCount: 1 << 20)
    let table = try openTable(in: environment)
    let running = try environment.beginRead()
    let value = [UInt8](repeating: 1, count: 4 << 20)
    await #expect(processExitsWith: .success) { [path = path as String, value = value as [UInt8]] in
      let environment = try openEnvironment(at: path, mapByteCount: 64 << 20)
      let table = try openTable(in: environment)
      try write(to: environment) { (transaction) throws(LMDBError) in try transaction.put(table, [1], value) }
    }
    #expect(failure { () throws(LMDBError) in _ = try environment.beginRead() }?.isMapResized == true)
    #expect(failure { () throws(LMDBError) in _ = try environment.beginWrite() }?.isMapResized == true)
    let seen = try running.value(table, [1])
    #expect(seen == nil)
    running.abort()
    #expect(try committedValue(environment, table, [1]) == value)
    #expect(try environment.statistics().mapByteCount == 64 << 20)
    try write(to: environment) { (transaction) throws(LMDBError) in try transaction.put(table, [2], value) }
  }

  @Test("a write transaction that is committed off its thread traps")
  func foreignThread() async {
    await #expect(processExitsWith: trap) { [path = path as String] in
      let environment = try openEnvironment(at: path)
      let transaction = try environment.beginWrite()
      // A transaction cannot be captured by an escaping closure; a box gets it across.
      let box = Box(transaction)
      try TestThread { try box.commit() }.join()
    }
  }

  @Test("a second write transaction on one thread traps, instead of waiting for itself")
  func secondWriter() async {
    await #expect(processExitsWith: trap) { [path = path as String] in
      let environment = try openEnvironment(at: path)
      let first = try environment.beginWrite()
      let second = try environment.beginWrite()
      second.abort()
      first.abort()
    }
  }

  @Test("a table of another environment traps")
  func foreignTable() async throws {
    let other = try TemporaryDirectory()
    await #expect(processExitsWith: trap) { [path = path as String, otherPath = other.path as String] in
      let table = try openTable(in: openEnvironment(at: otherPath))
      let environment = try openEnvironment(at: path)
      _ = try openTable(in: environment)
      _ = try committedValue(environment, table, [1])
    }
  }

  @Test("opening tables while a transaction runs traps")
  func lateTables() async {
    await #expect(processExitsWith: trap) { [path = path as String] in
      let environment = try openEnvironment(at: path)
      let transaction = try environment.beginRead()
      _ = try openTable(in: environment)
      transaction.abort()
    }
  }
}

/// Takes a transaction where the compiler would not let it go; for the test of the check at run time.
private final class Box: @unchecked Sendable {
  private var transaction: WriteTransaction?

  init(_ transaction: consuming WriteTransaction) { self.transaction = consume transaction }

  func commit() throws(LMDBError) { try transaction.take()?.commit() }
}
