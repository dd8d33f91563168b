import LMDB
import TestSupport
import Testing

@Suite("Transaction") struct TransactionTests {
  let directory: TemporaryDirectory
  let environment: Environment
  let table: Table

  init() throws {
    directory = try TemporaryDirectory()
    environment = try openEnvironment(in: directory)
    table = try openTable(in: environment)
  }

  @Test("sees its own changes, and others see them once it has committed")
  func commit() throws {
    let transaction = try environment.beginWrite()
    try transaction.put(table, [1], [10])
    let own = try transaction.value(table, [1])
    #expect(own == [10])
    #expect(try committedValue(environment, table, [1]) == nil)
    try transaction.commit()
    #expect(try committedValue(environment, table, [1]) == [10])
  }

  @Test("leaves nothing behind when it is aborted")
  func abort() throws {
    let transaction = try environment.beginWrite()
    try transaction.put(table, [1], [10])
    transaction.abort()
    #expect(try committedValue(environment, table, [1]) == nil)
    try write(to: environment) { (next) throws(LMDBError) in try next.put(table, [2], [20]) }
    #expect(try committedValue(environment, table, [2]) == [20])
  }

  @Test("leaves nothing behind when its scope ends without a commit")
  func scopeEnd() throws {
    func putAndReturn() throws(LMDBError) {
      let transaction = try environment.beginWrite()
      try transaction.put(table, [1], [10])
    }
    try putAndReturn()
    #expect(try committedValue(environment, table, [1]) == nil)
    // A transaction left running would make this wait for ever, or trap.
    try environment.beginWrite().commit()
  }

  @Test("gives back values byte for byte", arguments: [0, 1, 2_000, 4_096, 10 << 20])
  func valueSizes(byteCount: Int) throws {
    let value = (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    try write(to: environment) { (transaction) throws(LMDBError) in try transaction.put(table, [1], value) }
    #expect(try committedValue(environment, table, [1]) == value)
    let transaction = try environment.beginRead()
    let entry = try transaction.lastEntry(table)
    #expect(entry?.key == [1])
    #expect(entry?.value == value)
  }

  @Test("takes keys of every size up to the limit", arguments: [1, 2, 510, 511])
  func keySizes(byteCount: Int) throws {
    let key = [UInt8](repeating: 0xFF, count: byteCount)
    try write(to: environment) { (transaction) throws(LMDBError) in try transaction.put(table, key, [7]) }
    #expect(try committedValue(environment, table, key) == [7])
    let transaction = try environment.beginWrite()
    #expect(try transaction.delete(table, key))
    try transaction.commit()
    #expect(try committedValue(environment, table, key) == nil)
  }

  @Test("refuses keys of other sizes and goes on", arguments: [0, 512, 4_096])
  func refusedKeySizes(byteCount: Int) throws {
    let key = [UInt8](repeating: 1, count: byteCount)
    let transaction = try environment.beginWrite()
    try transaction.put(table, [1], [10])
    let failures = [
      failure { () throws(LMDBError) in try transaction.put(table, key, [1]) },
      failure { () throws(LMDBError) in _ = try transaction.delete(table, key) },
      failure { () throws(LMDBError) in _ = try transaction.value(table, key) },
      failure { () throws(LMDBError) in _ = try transaction.entries(table, from: key, limit: 1) },
      failure { () throws(LMDBError) in _ = try transaction.entries(table, after: key, limit: 1) },
      failure { () throws(LMDBError) in _ = try transaction.lastEntry(table, before: key) },
    ]
    for failure in failures {
      #expect(failure?.detail == "a key has 1 to 511 bytes, this one \(byteCount)")
    }
    try transaction.commit()
    #expect(try committedValue(environment, table, [1]) == [10])
  }

  @Test("replaces a value by a shorter and by a longer one")
  func replace() throws {
    for byteCount in [100, 3, 9_000, 0] {
      let value = [UInt8](repeating: 5, count: byteCount)
      try write(to: environment) { (transaction) throws(LMDBError) in try transaction.put(table, [1], value) }
      #expect(try committedValue(environment, table, [1]) == value)
    }
    let transaction = try environment.beginRead()
    #expect(try transaction.entryCount(table) == 1)
  }

  @Test("says whether there was something to delete, and counts what is left")
  func delete() throws {
    let transaction = try environment.beginWrite()
    for number in 0..<3 { try transaction.put(table, key(number), []) }
    #expect(try transaction.entryCount(table) == 3)
    #expect(try transaction.delete(table, key(1)))
    #expect(try !transaction.delete(table, key(1)))
    #expect(try transaction.entryCount(table) == 2)
    try transaction.commit()
  }

  @Test("puts keys out of order too when told to append")
  func appending() throws {
    try write(to: environment) { (transaction) throws(LMDBError) in
      for number in [5, 6, 6, 3, 9] { try transaction.put(table, key(number), key(number * 2), appending: true) }
      try transaction.put(table, key(6), [66], appending: true)
    }
    let transaction = try environment.beginRead()
    let entries = try transaction.entries(table, limit: 10)
    #expect(entries.map(\.key) == [3, 5, 6, 9].map(key))
    #expect(entries.map(\.value) == [key(6), key(10), [66], key(18)])
  }

  @Test("reads the snapshot of its beginning while others commit")
  func snapshot() throws {
    try write(to: environment) { (transaction) throws(LMDBError) in try transaction.put(table, [1], [10]) }
    let before = try environment.beginRead()
    try write(to: environment) { (transaction) throws(LMDBError) in
      try transaction.put(table, [1], [11])
      try transaction.put(table, [2], [20])
    }
    let old = try (before.value(table, [1]), before.value(table, [2]), before.entryCount(table))
    #expect(old == ([10], nil, 1))
    let after = try environment.beginRead()
    let new = try (after.value(table, [1]), after.value(table, [2]), after.entryCount(table))
    #expect(new == ([11], [20], 2))
  }

  @Test("keeps tables apart")
  func tables() throws {
    let more = try environment.openTables(["first", "second"], creates: true)
    try write(to: environment) { (transaction) throws(LMDBError) in
      try transaction.put(more[0], [1], [10])
      try transaction.put(more[1], [1], [20])
    }
    #expect(try committedValue(environment, more[0], [1]) == [10])
    #expect(try committedValue(environment, more[1], [1]) == [20])
    #expect(try committedValue(environment, table, [1]) == nil)
  }
}

@Suite("Full map") struct FullMapTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test("is an error that leaves everything as it was, and smaller changes still fit")
  func fullMap() throws {
    let environment = try openEnvironment(in: directory, mapByteCount: 1 << 20)
    let table = try openTable(in: environment)
    let tooMuch = try environment.beginWrite()
    try tooMuch.put(table, [1], [10])
    let full = failure { () throws(LMDBError) in
      for number in 0..<1_000 { try tooMuch.put(table, key(number), [UInt8](repeating: 1, count: 4_000)) }
    }
    #expect(full?.isMapFull == true)
    #expect(full?.detail == "table entries")
    // The transaction cannot go on, not even to commit what came before.
    let next = failure { () throws(LMDBError) in try tooMuch.put(table, [2], [20]) }
    #expect(next != nil)
    do {
      try tooMuch.commit()
      Issue.record("half a transaction was committed")
    } catch {
      #expect(error.operation == "mdb_txn_commit")
    }
    #expect(try committedValue(environment, table, [1]) == nil)

    try write(to: environment) { (transaction) throws(LMDBError) in try transaction.put(table, [2], [20]) }
    #expect(try committedValue(environment, table, [2]) == [20])
  }
}
