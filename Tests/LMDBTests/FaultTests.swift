import Foundation
import LMDB
import TestSupport
import Testing

/// Faults while an environment is open: nothing can be checked before.
@Suite("Faults") struct FaultTests {
  let directory: TemporaryDirectory
  var dataPath: String { directory.path(of: "data.mdb") }

  init() throws { directory = try TemporaryDirectory() }

  @Test("a data file that is cut while it is open is an error for readers", arguments: [0, 1, 4_096, 8_192, 12_289])
  func cutUnderReader(byteCount: Int) throws {
    let (environment, table) = try filled()
    let transaction = try environment.beginRead()
    try FilesOnDisk.truncate(dataPath, to: byteCount)
    let first = failure { () throws(LMDBError) in _ = try transaction.entries(table, limit: 10_000) }
    #expect(first?.isDamaged == true, "\(first?.description ?? "nothing was thrown")")
    // Nothing is used after a fault, so each later call says the same.
    let second = failure { () throws(LMDBError) in _ = try transaction.value(table, key(1)) }
    #expect(second?.isDamaged == true)
    transaction.abort()
    #expect(failure { () throws(LMDBError) in _ = try environment.beginRead() }?.isDamaged == true)
  }

  @Test(
    "a data file that is cut before a write is an error that leaves no lock", arguments: [0, 1, 4_096, 8_192, 12_289])
  func cutUnderWriter(byteCount: Int) async throws {
    let (environment, table) = try filled()
    let whole = try Data(contentsOf: URL(fileURLWithPath: dataPath))
    try FilesOnDisk.truncate(dataPath, to: byteCount)
    let found = failure { () throws(LMDBError) in
      try write(to: environment) { (transaction) throws(LMDBError) in try transaction.put(table, key(500), [1]) }
    }
    #expect(found?.isDamaged == true, "\(found?.description ?? "nothing was thrown")")
    try await expectOthersWrite(whole)
    withExtendedLifetime(environment) {}
  }

  @Test(
    "a data file that is cut in a write transaction is an error that leaves no lock", arguments: [0, 4_096, 12_288])
  func cutInTransaction(byteCount: Int) async throws {
    let (environment, table) = try filled()
    let whole = try Data(contentsOf: URL(fileURLWithPath: dataPath))
    let transaction = try environment.beginWrite()
    try transaction.put(table, key(500), [1])
    try FilesOnDisk.truncate(dataPath, to: byteCount)
    // The way to this key is in memory in part: it was changed.
    let found = failure { () throws(LMDBError) in _ = try transaction.value(table, key(1_900)) }
    #expect(found?.isDamaged == true, "\(found?.description ?? "nothing was thrown")")
    #expect(failure { () throws(LMDBError) in try transaction.put(table, key(1), [1]) }?.isDamaged == true)
    transaction.abort()
    try await expectOthersWrite(whole)
    withExtendedLifetime(environment) {}
  }

  @Test("a fault outside a call of LMDB ends the process as ever", arguments: [SIGSEGV, SIGBUS])
  func otherFault(signal: Int32) async throws {
    let condition = ExitTest.Condition.signal(signal)
    await #expect(processExitsWith: condition) { [signal = signal as Int32, path = directory.path as String] in
      let environment = try openEnvironment(at: path)
      raise(signal)
      withExtendedLifetime(environment) {}
    }
  }

  @Test("keys that do not rise, and values that are too long, are damage and no endless loop")
  func order() throws {
    let (environment, table) = try filled()
    let page = 4_096
    let transaction = try environment.beginRead()
    var bytes = try Array(Data(contentsOf: URL(fileURLWithPath: dataPath)))
    // The leaf that has key 100 gets it twice, and one of its values four gibibytes.
    let wanted = key(100)
    let position = try #require(
      (0..<bytes.count - 8).last { Array(bytes[$0..<$0 + 8]) == wanted && $0 / page >= 2 })
    bytes[position + 7] = 102
    try FilesOnDisk.overwrite(dataPath, at: position, with: Array(bytes[position..<position + 8]))
    #expect(failure { () throws(LMDBError) in _ = try transaction.entries(table, limit: 10_000) }?.isDamaged == true)
    #expect(failure { () throws(LMDBError) in _ = try transaction.neighbours(table, key(100)) }?.isDamaged == true)
    bytes[position + 7] = 100
    try FilesOnDisk.overwrite(dataPath, at: position, with: wanted)
    #expect(try transaction.value(table, wanted)?.count == 40)
    try FilesOnDisk.overwrite(dataPath, at: position - 5, with: [0xFF])
    #expect(failure { () throws(LMDBError) in _ = try transaction.value(table, wanted) }?.isDamaged == true)
  }

  /// An environment with 2,000 entries in some 30 pages.
  private func filled() throws -> (Environment, Table) {
    let environment = try openEnvironment(in: directory)
    let table = try openTable(in: environment)
    try write(to: environment) { (transaction) throws(LMDBError) in
      for number in 0..<2_000 { try transaction.put(table, key(number), [UInt8](repeating: 7, count: 40)) }
    }
    return (environment, table)
  }

  /// Puts the file back, and demands that another process can write while this one has the environment open.
  private func expectOthersWrite(_ whole: Data) async throws {
    let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: dataPath))
    try handle.write(contentsOf: whole)
    try handle.close()
    await #expect(processExitsWith: .success) { [path = directory.path as String] in
      try Watchdog.run { _ in
        let environment = try openEnvironment(at: path)
        let table = try openTable(in: environment)
        try write(to: environment) { (transaction) throws(LMDBError) in try transaction.put(table, key(9_999), [1]) }
      }
    }
  }
}
