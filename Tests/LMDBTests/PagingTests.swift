import LMDB
import TestSupport
import Testing

@Suite("Paging") struct PagingTests {
  let directory: TemporaryDirectory
  let environment: Environment
  let table: Table

  init() throws {
    directory = try TemporaryDirectory()
    environment = try openEnvironment(in: directory)
    table = try openTable(in: environment)
  }

  @Test("finds nothing in an empty table")
  func emptyTable() throws {
    let transaction = try environment.beginRead()
    let pages = try [
      transaction.entries(table, limit: 1), transaction.entries(table, from: [0], limit: 1),
      transaction.entries(table, after: [0], limit: 1),
    ]
    #expect(pages.map(\.count) == [0, 0, 0])
    let last = try (transaction.lastEntry(table)?.key, transaction.lastEntry(table, before: [0xFF])?.key)
    #expect(last == (nil, nil))
    #expect(try transaction.entryCount(table) == 0)
  }

  @Test("visits each entry once, in order", arguments: [1, 2, 3, 99, 100, 101, 10_000])
  func pages(limit: Int) throws {
    let numbers = Array(0..<100)
    try write(to: environment) { (transaction) throws(LMDBError) in
      for number in numbers.reversed() { try transaction.put(table, key(number), key(number + 1)) }
    }
    let transaction = try environment.beginRead()
    var found: [ReadTransaction.Entry] = []
    var page = try transaction.entries(table, limit: limit)
    while let last = page.last, found.count < 2 * numbers.count {
      #expect(page.count == min(limit, numbers.count - found.count))
      found += page
      page = try transaction.entries(table, after: last.key, limit: limit)
    }
    #expect(found.map(\.key) == numbers.map(key))
    #expect(found.map(\.value) == numbers.map { key($0 + 1) })
  }

  @Test("orders keys by bytes, a prefix before what it begins")
  func byteOrder() throws {
    let ordered: [[UInt8]] = [
      [0], [0, 0], [0, 1], [0x7F], [0x7F, 0xFF], [0x80], [0xFF], [0xFF, 0], Array(repeating: 0xFF, count: 511),
    ]
    try write(to: environment) { (transaction) throws(LMDBError) in
      for key in ordered.shuffled() { try transaction.put(table, key, []) }
    }
    let transaction = try environment.beginRead()
    let found = try transaction.entries(table, limit: 100).map(\.key)
    #expect(found == ordered)
  }

  @Test(
    "starts and ends at the right entry for keys that exist and keys that do not",
    arguments: [
      // The table holds 10, 20 and 30: the number asked for, then the first from it, after it, before it.
      (5, 10, 10, nil), (10, 10, 20, nil), (15, 20, 20, 10), (20, 20, 30, 10), (25, 30, 30, 20),
      (30, 30, nil, 20), (35, nil, nil, 30),
    ] as [(Int, Int?, Int?, Int?)])
  func boundaries(asked: Int, from: Int?, after: Int?, before: Int?) throws {
    try write(to: environment) { (transaction) throws(LMDBError) in
      for number in [10, 20, 30] { try transaction.put(table, key(number), []) }
    }
    let transaction = try environment.beginRead()
    let first = try transaction.entries(table, from: key(asked), limit: 1).first?.key
    let next = try transaction.entries(table, after: key(asked), limit: 1).first?.key
    let previous = try transaction.lastEntry(table, before: key(asked))?.key
    #expect(first == from.map(key))
    #expect(next == after.map(key))
    #expect(previous == before.map(key))
    #expect(try transaction.lastEntry(table)?.key == key(30))
  }

  @Test("agrees with a dictionary after random changes", arguments: [1, 2, 3] as [UInt64])
  func model(seed: UInt64) throws {
    print("Paging model: seed \(seed)")
    var generator = SplitMix64(seed: seed)
    var model: [[UInt8]: [UInt8]] = [:]
    for _ in 0..<40 {
      let commits = Int.random(in: 0..<4, using: &generator) > 0
      var changed = model
      let transaction = try environment.beginWrite()
      for _ in 0..<Int.random(in: 1...60, using: &generator) {
        let key = key(Int.random(in: 0..<200, using: &generator))
        if Int.random(in: 0..<3, using: &generator) == 0 {
          #expect(try transaction.delete(table, key) == (changed.removeValue(forKey: key) != nil))
        } else {
          let value = [UInt8](repeating: key[7], count: Int.random(in: 0...6_000, using: &generator))
          try transaction.put(table, key, value, appending: Bool.random(using: &generator))
          changed[key] = value
        }
      }
      if commits {
        try transaction.commit()
        model = changed
      } else {
        transaction.abort()
      }
      try expectEqual(model, probe: key(Int.random(in: 0..<200, using: &generator)))
    }
  }

  private func expectEqual(_ model: [[UInt8]: [UInt8]], probe: [UInt8]) throws {
    let sorted = model.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    let transaction = try environment.beginRead()
    let entries = try transaction.entries(table, limit: 1_000)
    #expect(entries.map(\.key) == sorted.map(\.key))
    #expect(entries.map(\.value) == sorted.map(\.value))
    #expect(try transaction.entryCount(table) == model.count)
    #expect(try transaction.value(table, probe) == model[probe])
    let after = try transaction.entries(table, after: probe, limit: 1).first?.key
    #expect(after == sorted.first { probe.lexicographicallyPrecedes($0.key) }?.key)
    let before = try transaction.lastEntry(table, before: probe)?.key
    #expect(before == sorted.last { $0.key.lexicographicallyPrecedes(probe) }?.key)
  }
}
