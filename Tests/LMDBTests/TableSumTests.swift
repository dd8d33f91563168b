import LMDB
import TestSupport
import Testing

@Suite("Sum of a table") struct TableSumTests {
  let directory: TemporaryDirectory
  let environment: Environment
  let table: Table

  init() throws {
    directory = try TemporaryDirectory()
    environment = try openEnvironment(in: directory)
    table = try openTable(in: environment)
  }

  /// Worked out from docs/FORMAT.md, section Sums, by another program.
  @Test(
    "has the digests of the format",
    arguments: [
      ([1], [], 0x0516_60C3_4800_8025), ([0, 0, 0, 0, 0, 0, 0, 1], Array(0..<20), 0xBACE_C162_06AF_2073),
      (Array("name\0".utf8), [UInt8](repeating: 255, count: 16), 0x273A_993A_BDA5_61C1),
    ] as [([UInt8], [UInt8], UInt64)])
  func digest(key: [UInt8], value: [UInt8], digest: UInt64) throws {
    try write(to: environment) { (transaction) throws(LMDBError) in try transaction.put(table, key, value) }
    #expect(try sum() == TableSum(entryCount: 1, digest: digest))
  }

  @Test("is what transactions say they have changed, whatever they put, replace and delete")
  func changes() throws {
    let seed = TestSeed("changed sums", default: 61)
    var generator = seed.generator
    var expected = TableSum()
    for round in 0..<40 {
      let transaction = try environment.beginWrite()
      for _ in 0..<generator.below(60) {
        let key = key(generator.below(200))
        switch generator.below(4) {
        case 0: _ = try transaction.delete(table, key)
        // Some have pages of their own.
        case 1: try transaction.put(table, key, generator.bytes(generator.below(9_000)))
        default:
          try transaction.put(table, key, generator.bytes(generator.below(90)), appending: generator.below(2) == 0)
        }
      }
      let changes = transaction.tableChanges[table.name] ?? TableSum()
      if generator.below(4) == 0 {
        transaction.abort()
      } else {
        try transaction.commit()
        expected.add(changes)
      }
      #expect(try sum() == expected, "\(seed), round \(round)")
    }
    #expect(expected.entryCount > 20)
    let count = try environment.beginRead().entryCount(table)
    #expect(count == Int(expected.entryCount))
  }

  @Test("is another after any bit of an entry has changed")
  func bits() throws {
    let value: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    var sums: Set<TableSum> = []
    for bit in -1..<(8 * value.count) {
      var changed = value
      if bit >= 0 { changed[bit / 8] ^= 1 << UInt8(bit % 8) }
      let entry = changed
      try write(to: environment) { (transaction) throws(LMDBError) in try transaction.put(table, [7], entry) }
      sums.insert(try sum())
    }
    #expect(sums.count == 8 * value.count + 1)
  }

  private func sum() throws -> TableSum {
    let transaction = try environment.beginRead()
    return try transaction.sum(of: table)
  }
}
