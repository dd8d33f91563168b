import Foundation
import LMDB
import TestSupport
import Testing

@Suite("Environment") struct EnvironmentTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test("keeps what was committed when it is closed and opened again")
  func reopen() throws {
    do {
      let environment = try openEnvironment(in: directory)
      let table = try openTable(in: environment)
      try write(to: environment) { (transaction) throws(LMDBError) in try transaction.put(table, [1], [10]) }
    }
    let environment = try openEnvironment(in: directory, creates: false)
    let table = try environment.openTables(["entries"], creates: false)[0]
    #expect(table.name == "entries")
    #expect(try committedValue(environment, table, [1]) == [10])
  }

  @Test("is open once in a process, by whatever path")
  func openOnce() throws {
    let link = directory.path(of: "link")
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: directory.path)
    var environment: Environment? = try openEnvironment(in: directory)
    for path in [directory.path, directory.path + "/.", link] {
      let again = failure { () throws(LMDBError) in _ = try openEnvironment(at: path) }
      #expect(again?.isAlreadyOpen == true)
      #expect(
        again?.description
          == "mdb_env_open: the environment is open in this process already (-31000): directory \(path)")
    }
    // What was refused did not disturb what is open.
    _ = try openTable(in: #require(environment))
    environment = nil
    _ = try openEnvironment(at: link)
  }

  @Test("stays open as long as a transaction runs")
  func transactionKeepsOpen() throws {
    func begin() throws(LMDBError) -> ReadTransaction { try openEnvironment(in: directory).beginRead() }
    let transaction = try begin()
    #expect(failure { () throws(LMDBError) in _ = try openEnvironment(in: directory) }?.isAlreadyOpen == true)
    transaction.abort()
    _ = try openEnvironment(in: directory)
  }

  @Test("is not found where the directory is missing, or holds none and may not be created")
  func missing() throws {
    let path = directory.path(of: "missing")
    let missing = failure { () throws(LMDBError) in _ = try openEnvironment(at: path) }
    #expect(missing?.isNotFound == true)
    #expect(missing?.description == "stat: No such file or directory (2): directory \(path)")
    let empty = failure { () throws(LMDBError) in _ = try openEnvironment(in: directory, creates: false) }
    #expect(empty?.isNotFound == true)
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path).isEmpty)
  }

  @Test("refuses a path that is empty, a file, or has a NUL byte", arguments: ["", "file", "a\0b"])
  func refusedPaths(name: String) throws {
    try Data().write(to: URL(fileURLWithPath: directory.path(of: "file")))
    let path = name.isEmpty ? "" : directory.path(of: name)
    #expect(failure { () throws(LMDBError) in _ = try openEnvironment(at: path) } != nil)
  }

  @Test("gives its files the mode that was asked for, and no descriptor to child processes")
  func files() throws {
    let environment = try openEnvironment(in: directory)
    for name in ["data.mdb", "lock.mdb"] {
      let attributes = try FileManager.default.attributesOfItem(atPath: directory.path(of: name))
      #expect(attributes[.posixPermissions] as? Int == 0o600)
    }
    var descriptorCount = 0
    for number in try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
      let target: String
      do {
        target = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(number)")
      } catch {
        // The descriptor of this very listing is gone already, and other tests close theirs meanwhile.
        continue
      }
      guard target.hasPrefix(directory.path) else { continue }
      descriptorCount += 1
      let flags = fcntl(try #require(Int32(number)), F_GETFD)
      #expect(flags & FD_CLOEXEC != 0, "\(target)")
    }
    #expect(descriptorCount == 3, "data.mdb twice, lock.mdb once")
    withExtendedLifetime(environment) {}
  }

  @Test("says which table is missing, and opens all tables or none")
  func missingTable() throws {
    let environment = try openEnvironment(in: directory)
    _ = try environment.openTables(["first"], creates: true)
    let missing = failure { () throws(LMDBError) in
      _ = try environment.openTables(["first", "second"], creates: false)
    }
    #expect(missing?.isNotFound == true)
    #expect(missing?.detail == "table second")
    let tables = try environment.openTables(["first", "second"], creates: true)
    #expect(tables.map(\.name) == ["first", "second"])
  }

  @Test("opens as many tables as it was told to, and no more")
  func tooManyTables() throws {
    let environment = try openEnvironment(in: directory, maximumTableCount: 2)
    let names = ["first", "second", "third"]
    let full = failure { () throws(LMDBError) in _ = try environment.openTables(names, creates: true) }
    #expect(full?.detail == "table third")
    let tables = try environment.openTables(["first", "second"], creates: true)
    try write(to: environment) { (transaction) throws(LMDBError) in try transaction.put(tables[1], [1], [10]) }
    #expect(try committedValue(environment, tables[1], [1]) == [10])
  }

  @Test("has as many readers at a time as it was told, and takes the next when one ends")
  func readersFull() throws {
    let environment = try openEnvironment(in: directory, maximumReaderCount: 2)
    let table = try openTable(in: environment)
    let first = try environment.beginRead()
    let second = try environment.beginRead()
    let third = failure { () throws(LMDBError) in _ = try environment.beginRead() }
    #expect(third?.isReadersFull == true)
    first.abort()
    #expect(try committedValue(environment, table, [1]) == nil)
    second.abort()
    #expect(try environment.statistics().maximumReaderCount == 2)
  }

  @Test("counts pages, transactions and readers")
  func statistics() throws {
    let environment = try openEnvironment(in: directory, mapByteCount: 32 << 20)
    let table = try openTable(in: environment)
    let empty = try environment.statistics()
    #expect(empty.mapByteCount == 32 << 20)
    #expect(empty.maximumReaderCount == 16)
    #expect(empty.highestReaderCount >= 1)

    let value = [UInt8](repeating: 1, count: 1 << 20)
    try write(to: environment) { (transaction) throws(LMDBError) in try transaction.put(table, [1], value) }
    let full = try environment.statistics()
    let valuePageCount = value.count / full.pageByteCount
    #expect(full.usedPageCount >= empty.usedPageCount + valuePageCount)
    #expect(full.lastTransactionNumber == empty.lastTransactionNumber + 1)

    try write(to: environment) { (transaction) throws(LMDBError) in _ = try transaction.delete(table, [1]) }
    let deleted = try environment.statistics()
    #expect(deleted.freePageCount >= valuePageCount)
    #expect(deleted.usedPageCount <= empty.usedPageCount + 4)
    #expect(deleted.lastPageNumber >= full.lastPageNumber, "the file never shrinks")
  }

  @Test("says what failed, where and with which code")
  func descriptions() throws {
    let environment = try openEnvironment(in: directory, mapByteCount: 1 << 16)
    let table = try openTable(in: environment)
    let transaction = try environment.beginWrite()
    let full = failure { () throws(LMDBError) in
      try transaction.put(table, [1], [UInt8](repeating: 0, count: 1 << 17))
    }
    #expect(
      full?.description == "mdb_put: MDB_MAP_FULL: Environment mapsize limit reached (-30792): table entries")
  }
}
