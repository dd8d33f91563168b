import Foundation
import LMDB
import TestSupport
import Testing

@Suite("Damage") struct DamageTests {
  let directory: TemporaryDirectory
  var dataPath: String { directory.path(of: "data.mdb") }

  init() throws { directory = try TemporaryDirectory() }

  @Test("a data file of random bytes is reported", arguments: [1, 100, 4_095, 4_096, 8_191, 8_192, 1 << 16])
  func garbage(byteCount: Int) throws {
    var generator = SplitMix64(seed: UInt64(byteCount))
    let bytes = (0..<byteCount).map { _ in UInt8.random(in: 0...255, using: &generator) }
    try Data(bytes).write(to: URL(fileURLWithPath: dataPath))
    try expectDamage()
  }

  @Test("a data file of zeros is reported", arguments: [1, 4_096, 8_192, 1 << 16])
  func zeros(byteCount: Int) throws {
    try Data(count: byteCount).write(to: URL(fileURLWithPath: dataPath))
    try expectDamage()
  }

  @Test("an empty data file is a new environment, but only where one may be created")
  func empty() throws {
    try Data().write(to: URL(fileURLWithPath: dataPath))
    let found = failure { () throws(LMDBError) in _ = try openEnvironment(in: directory, creates: false) }
    #expect(found?.isDamaged == true)
    _ = try openTable(in: openEnvironment(in: directory))
  }

  /// A field of both meta pages, and a value that LMDB 0.9.24 would crash on, hang on or refuse.
  struct Patch: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let offset: Int
    let bytes: [UInt8]
  }

  private static let ones = [UInt8](repeating: 0xFF, count: 8)
  static let patches = [
    Patch(testDescription: "page flags 0", offset: 10, bytes: [0, 0]),
    Patch(testDescription: "another magic", offset: 16, bytes: [1]),
    Patch(testDescription: "version 2", offset: 20, bytes: [2]),
    Patch(testDescription: "page size 0", offset: 40, bytes: [0, 0, 0, 0]),
    Patch(testDescription: "page size 256", offset: 40, bytes: [0, 1, 0, 0]),
    Patch(testDescription: "page size 4097", offset: 40, bytes: [1, 16, 0, 0]),
    Patch(testDescription: "page size 8192", offset: 40, bytes: [0, 32, 0, 0]),
    Patch(testDescription: "page size 128 KiB", offset: 40, bytes: [0, 0, 2, 0]),
    Patch(testDescription: "page size 2^32 - 1", offset: 40, bytes: [255, 255, 255, 255]),
    Patch(testDescription: "free page root behind the file", offset: 80, bytes: key(0x1_0000).reversed()),
    Patch(testDescription: "main root behind the file", offset: 128, bytes: key(0x1_0000).reversed()),
    Patch(testDescription: "main root a meta page", offset: 128, bytes: key(1).reversed()),
    Patch(testDescription: "last page behind the file", offset: 136, bytes: key(0x1000).reversed()),
    Patch(testDescription: "last page behind the map", offset: 136, bytes: key(1 << 40).reversed()),
    Patch(testDescription: "last page 2^64 - 1", offset: 136, bytes: ones),
  ]

  @Test("a meta page that LMDB would trip over is reported", arguments: patches)
  func metaPages(patch: Patch) throws {
    try fill(entryCount: 100)
    var bytes = try Data(contentsOf: URL(fileURLWithPath: dataPath))
    for page in [0, 1] {
      let offset = page * 4_096 + patch.offset
      bytes.replaceSubrange(offset..<offset + patch.bytes.count, with: patch.bytes)
    }
    try bytes.write(to: URL(fileURLWithPath: dataPath))
    try expectDamage()
  }

  @Test("a data file cut at any length is reported or still whole")
  func truncation() throws {
    let entryCount = 1_000
    try fill(entryCount: entryCount)
    let whole = try Data(contentsOf: URL(fileURLWithPath: dataPath))
    var reportedCount = 0
    for byteCount in stride(from: 512, to: whole.count, by: 512) {
      try whole.prefix(byteCount).write(to: URL(fileURLWithPath: dataPath))
      let found = failure { () throws(LMDBError) in
        let environment = try openEnvironment(in: directory, creates: false)
        let table = try environment.openTables(["entries"], creates: false)[0]
        let transaction = try environment.beginRead()
        let keys = try transaction.entries(table, limit: 2 * entryCount).map(\.key)
        #expect(keys == (0..<entryCount).map(key), "cut at \(byteCount)")
      }
      if let found {
        #expect(found.isDamaged, "cut at \(byteCount): \(found)")
        reportedCount += 1
      }
    }
    #expect(reportedCount > 0)
  }

  @Test("a key that separates two leaves and is another is reported by whoever reads on from one to the next")
  func separator() throws {
    try fill(entryCount: 1_000)
    var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: dataPath)))
    func number(_ offset: Int, _ byteCount: Int) -> Int {
      bytes[offset..<(offset + byteCount)].reversed().reduce(0) { $0 << 8 | Int($1) }
    }
    let branch = try #require(stride(from: 8_192, to: bytes.count, by: 4_096).first { number($0 + 10, 2) == 1 })
    // The last separator, so that the keys of the branch still rise.
    let node = branch + number(branch + number(branch + 12, 2) - 2, 2)
    let first = bytes[(node + 8)..<(node + 16)].reduce(0) { $0 << 8 | Int($1) }
    try #require((500..<1_000).contains(first))
    bytes[node + 8 + 2] ^= 0x80
    try Data(bytes).write(to: URL(fileURLWithPath: dataPath))

    let environment = try openEnvironment(in: directory, creates: false)
    let table = try environment.openTables(["entries"], creates: false)[0]
    let transaction = try environment.beginRead()
    for lost in [first, first + 3, 999] {
      #expect(try transaction.value(table, key(lost)) == nil, "the case that this test is about")
      let found = failure { () throws(LMDBError) in _ = try transaction.entries(table, from: key(first), limit: 1) }
      #expect(found?.isDamaged == true, "from \(lost): \(found?.description ?? "read")")
    }
  }

  @Test("a flag that changes the order of keys is reported", arguments: 0..<7)
  func tableFlags(bit: Int) throws {
    try fill(entryCount: 10)
    var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: dataPath)))
    let name = Array("entries".utf8)
    // Behind the name, the record of the table; its flags stand in its fifth byte.
    let places = bytes.indices.dropLast(64).filter { bytes[$0..<($0 + name.count)].elementsEqual(name) }
    try #require(!places.isEmpty)
    // In older pages, too.
    for place in places { bytes[place + name.count + 4] ^= 1 << UInt8(bit) }
    try Data(bytes).write(to: URL(fileURLWithPath: dataPath))
    let found = failure { () throws(LMDBError) in
      let environment = try openEnvironment(in: directory, creates: false)
      let table = try environment.openTables(["entries"], creates: false)[0]
      let transaction = try environment.beginRead()
      for number in 0..<10 where try transaction.value(table, key(number)) == nil {
        _ = try transaction.neighbours(table, key(number))
        Issue.record("key \(number) is not found, and nothing is said")
      }
    }
    #expect(found?.isDamaged == true, "bit \(bit): \(found?.description ?? "read")")
  }

  @Test("a sound file that is shorter than its last page number is not taken for a cut one")
  func unwrittenPages() throws {
    let pageByteCount: Int
    let lastPageNumber: Int
    do {
      let environment = try openEnvironment(in: directory)
      let table = try openTable(in: environment)
      try write(to: environment) { (transaction) throws(LMDBError) in
        try transaction.put(table, [1], [UInt8](repeating: 1, count: 100_000))
      }
      for _ in 0..<3 {
        try write(to: environment) { (transaction) throws(LMDBError) in
          _ = try transaction.delete(table, [1])
          try transaction.put(table, [2], [20])
        }
      }
      // Pages taken at the end of the file and given back in the same transaction are never written.
      try write(to: environment) { (transaction) throws(LMDBError) in
        try transaction.put(table, [2], [21])
        try transaction.put(table, [3], [UInt8](repeating: 1, count: 1_000_000))
        _ = try transaction.delete(table, [3])
      }
      let statistics = try environment.statistics()
      (pageByteCount, lastPageNumber) = (statistics.pageByteCount, statistics.lastPageNumber)
    }
    let attributes = try FileManager.default.attributesOfItem(atPath: dataPath)
    let fileByteCount = try #require(attributes[.size] as? Int)
    try #require(fileByteCount < (lastPageNumber + 1) * pageByteCount, "the case that this test is about")

    let environment = try openEnvironment(in: directory, creates: false)
    let table = try environment.openTables(["entries"], creates: false)[0]
    #expect(try committedValue(environment, table, [2]) == [21])
  }

  /// Makes an environment with one table of that many entries, and closes it.
  private func fill(entryCount: Int) throws(LMDBError) {
    let environment = try openEnvironment(in: directory)
    let table = try openTable(in: environment)
    try write(to: environment) { (transaction) throws(LMDBError) in
      for number in 0..<entryCount { try transaction.put(table, key(number), [UInt8](repeating: 7, count: 40)) }
    }
  }

  /// Expects that opening reports damage, twice, and works again once the file is gone.
  private func expectDamage() throws {
    for creates in [true, false] {
      let found = failure { () throws(LMDBError) in _ = try openEnvironment(in: directory, creates: creates) }
      #expect(found?.isDamaged == true, "\(found?.description ?? "opened")")
    }
    try FileManager.default.removeItem(atPath: dataPath)
    _ = try openTable(in: openEnvironment(in: directory))
  }
}
