import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Look-up by name") struct NameLookUpTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// Every other page is the newest one, and the entry of the newer version is there: only the sum tells.
  @Test("with an older page of names does not take an older version for the newest")
  func olderNames() throws {
    let fixture = try StoreFixture(directory)
    let versions = try (0..<2).map { try fixture.put(noise(3000, seed: UInt64($0)), as: "name") }
    let name = try FileName(Array("name".utf8))
    #expect(try fixture.store.files(named: name).map(\.id) == versions.map(\.id))
    // In a process that changes nothing else, and in one that does before it looks.
    for putsBefore in [false, true] {
      try forget(versions[1].id, in: fixture.store.index)
      try fixture.reopen()
      if putsBefore { _ = try fixture.put(noise(100, seed: 7), as: "other") }
      let error = #expect(throws: StoreError.self) { try fixture.store.files(named: name) }
      #expect(error?.code == .indexDamaged, "\(String(describing: error))")
      try remember(versions[1].id, in: fixture.store.index)
      try fixture.reopen()
      #expect(try fixture.store.files(named: name).map(\.id) == versions.map(\.id))
    }
    try fixture.finish()
  }

  @Test("goes on without a new sum after each change of its own, and sees those of others")
  func ownChanges() throws {
    let fixture = try StoreFixture(directory)
    let name = try FileName(Array("name".utf8))
    for number in 0..<5 {
      let stored = try fixture.put(noise(100, seed: UInt64(number)), as: "name")
      #expect(try fixture.store.files(named: name).last?.id == stored.id)
      let index = try fixture.store.index
      let number = try index.read { (transaction) throws(StoreError) in
        let sums: IndexSums? = try transaction.entry(index.meta, Index.sumsKey)
        return sums?.transactionNumber
      }
      #expect(index.wholeTables.withLock { $0["names"] } == number)
    }
    try fixture.finish()
  }

  private func forget(_ id: FileID, in index: Index) throws { try change(id, in: index, isThere: false) }

  private func remember(_ id: FileID, in index: Index) throws { try change(id, in: index, isThere: true) }

  /// Changes the entry of a name behind the back of the sums.
  private func change(_ id: FileID, in index: Index, isThere: Bool) throws {
    let key = NameKey.key(of: try FileName(Array("name".utf8)), id)
    let kept = try sums(of: index)
    try index.write { (transaction) throws(StoreError) in
      if isThere {
        try transaction.put(index.table(named: "names"), key, Marker())
      } else {
        try transaction.remove(index.table(named: "names"), key)
      }
    }
    var older = kept
    older.transactionNumber = try sums(of: index).transactionNumber + 1
    let wrong = older
    try index.write { (transaction) throws(StoreError) in try transaction.put(index.meta, Index.sumsKey, wrong) }
  }

  private func sums(of index: Index) throws -> IndexSums {
    let sums = try index.read { (transaction) throws(StoreError) -> IndexSums? in
      try transaction.entry(index.meta, Index.sumsKey)
    }
    return try #require(sums)
  }
}
