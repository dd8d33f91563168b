import Foundation
import LMDB
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Verification of the index") struct IndexVerificationTests {
  private let fixture: StoreFixture
  private let stored: StoredFile
  private let index: Index

  init() throws {
    let directory = try TemporaryDirectory()
    fixture = try StoreFixture(directory, configuration: WriteMode.mapped.configuration(workerCount: 1))
    let dead = try fixture.put(noise(5000, seed: 9), as: "dead")
    stored = try fixture.put(noise(20_000, seed: 1), as: "file")
    _ = try fixture.put(noise(1_200_000, seed: 2), as: "other")
    try fixture.store.delete(dead.id)
    try fixture.reopen()
    index = try fixture.store.index
    #expect(try findings(in: fixture.store).isEmpty)
  }

  @Test(
    "finds every flipped bit of a value",
    arguments: ["meta", "files", "names", "commits", "tombstones", "parts", "segments", "open_segments"])
  func values(table name: String) throws {
    let seed = TestSeed("flipped values of \(name)", default: 91)
    var generator = seed.generator
    let table = index.table(named: name)
    let entries = try index.read { (transaction) throws(StoreError) in
      try translatingIndex { () throws(LMDBError) in try transaction.entries(table, limit: 1000) }
    }.filter { $0.key != Index.sumsKey }
    try #require(!entries.isEmpty)
    for round in 0..<8 {
      let (key, value) = entries[generator.below(entries.count)]
      var wrong = value
      wrong[generator.below(wrong.count)] ^= 1 << UInt8(generator.below(8))
      let flipped = wrong
      try set(name, key, flipped)
      let found = try findings(in: fixture.store)
      #expect(found.contains { $0.kind == .index }, "\(seed), round \(round): \(found)")
      try set(name, key, value)
    }
    try fixture.finish()
  }

  @Test(
    "finds an entry that is gone",
    arguments: ["files", "names", "commits", "tombstones", "parts", "segments", "open_segments"])
  func missing(table name: String) throws {
    let table = index.table(named: name)
    let entry = try index.read { (transaction) throws(StoreError) in
      try translatingIndex { () throws(LMDBError) in try transaction.entries(table, limit: 1) }
    }[0]
    try set(name, entry.key, nil)
    let found = try findings(in: fixture.store)
    #expect(!found.isEmpty)
    if name == "parts" { #expect(found.contains { $0.file == stored.id && $0.partNumber == 0 }, "\(found)") }
    if name == "files" { #expect(found.contains { $0.kind == .lostFile && $0.name == stored.name }, "\(found)") }
    try set(name, entry.key, entry.value)
    try fixture.finish()
  }

  @Test("finds a table that has lost an entry or has an older one", arguments: IndexSums.tableNames)
  func sums(table name: String) throws {
    let key: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
    try index.setBytes([1, 2, 3, 4], under: key, in: name)
    for changed in [nil, [1, 2, 3, 5]] as [[UInt8]?] {
      let kept = try sums()
      try index.setBytes(changed, under: key, in: name)
      // The sums of before, as if a page of before had come back.
      var older = kept
      older.transactionNumber = try sums().transactionNumber + 1
      let wrong = older
      try index.write { (transaction) throws(StoreError) in try transaction.put(index.meta, Index.sumsKey, wrong) }
      // What this process has written by itself it knows to be there; another one looks.
      let error = #expect(throws: StoreError.self) {
        try index.read { (transaction) throws(StoreError) in
          try index.checkSums(of: [name], in: transaction, isRemembered: false)
        }
      }
      #expect(
        error?.code == .indexDamaged && error?.message.contains("table \(name): ") == true,
        "\(String(describing: error))")
      let found = try findings(in: fixture.store)
      #expect(found.contains { $0.kind == .index && $0.message.contains("table \(name): ") }, "\(found)")
      try index.setBytes([1, 2, 3, 4], under: key, in: name)
      older = kept
      older.transactionNumber = try sums().transactionNumber + 1
      let right = older
      try index.write { (transaction) throws(StoreError) in try transaction.put(index.meta, Index.sumsKey, right) }
    }
    try index.setBytes(nil, under: key, in: name)
    try fixture.finish()
  }

  private func sums() throws -> IndexSums {
    let found: IndexSums? = try index.read { (transaction) throws(StoreError) in
      try transaction.entry(index.meta, Index.sumsKey)
    }
    return try #require(found)
  }

  @Test("finds a wrong account, a part of no file, a commit that counts wrong, and an id that would be given out again")
  func disagreements() throws {
    let segment = try #require(try fixture.segments(of: stored).first)
    var account = try #require(try fixture.segmentEntry(segment))
    let right = account
    account.liveByteCount -= 64
    let wrong = account
    try change { (transaction) throws(StoreError) in try index.segments.set(segment, wrong, in: transaction) }
    #expect(try findings(in: fixture.store).map(\.segment) == [segment])
    try change { (transaction) throws(StoreError) in try index.segments.set(segment, right, in: transaction) }

    let part = try #require(try fixture.store.parts(of: stored.id, 0..<1).first)
    let entry = try #require(
      try index.read { (transaction) throws(StoreError) in try index.parts.part(part.id, in: transaction) })
    let orphan = PartID(rawValue: 3000)
    try change { (transaction) throws(StoreError) in try index.parts.set(orphan, entry, in: transaction) }
    #expect(try findings(in: fixture.store).map(\.part) == [orphan])
    try change { (transaction) throws(StoreError) in try index.parts.remove(orphan, in: transaction) }

    // A part that a rebuild did not find is a hole in its file.
    let lost = PartEntry.lost(rawByteCount: 4096)
    try set("parts", part.id.key, lost.sealed(under: part.id.key, in: "parts"))
    let holes = try findings(in: fixture.store).filter { $0.kind == .part }
    #expect(holes.map(\.partNumber) == [0] && holes.first?.name == stored.name)
    try set("parts", part.id.key, entry.sealed(under: part.id.key, in: "parts"))

    let table = index.table(named: "commits")
    let commit = try index.read { (transaction) throws(StoreError) in
      try translatingIndex { () throws(LMDBError) in try transaction.entries(table, limit: 1) }
    }[0]
    var counted = try CommitEntry(sealed: commit.value, under: commit.key, in: "commits")
    counted.liveFileCount += 1
    try set("commits", commit.key, counted.sealed(under: commit.key, in: "commits"))
    #expect(try findings(in: fixture.store).map(\.kind) == [.commit])
    try set("commits", commit.key, commit.value)

    let counters = try index.read { (transaction) throws(StoreError) in try index.counters(in: transaction) }
    var low = counters
    low.nextFile = stored.id.rawValue
    let lowered = low
    try change { (transaction) throws(StoreError) in try index.setCounters(lowered, in: transaction) }
    #expect(try findings(in: fixture.store).map(\.kind) == [.index])
    try change { (transaction) throws(StoreError) in try index.setCounters(counters, in: transaction) }
    try fixture.finish()
  }

  @Test("finds a segment file that the index never made")
  func unknownSegments() throws {
    let counters = try index.read { (transaction) throws(StoreError) in try index.counters(in: transaction) }
    let newer = fixture.segmentPath(SegmentID(rawValue: counters.nextSegment + 5))
    try FilesOnDisk.write([1, 2, 3], to: newer)
    #expect(try findings(in: fixture.store).map(\.kind) == [.index])
    FilesOnDisk.remove(newer)
    try fixture.finish()
  }

  @Test("finds a high-water file that is missing, cut or wrong", arguments: [0, 1, 2])
  func highWater(damage: Int) throws {
    let path = fixture.store.highWater.path.description
    let whole = try fileBytes(path)
    switch damage {
    case 0: FilesOnDisk.remove(path)
    case 1: try FilesOnDisk.truncate(path, to: 700)
    default: try FilesOnDisk.write(noise(1024, seed: 5), to: path)
    }
    let found = try findings(in: fixture.store)
    #expect(found.map(\.kind) == [.storeFile])
    try FilesOnDisk.write(whole, to: path)
    try fixture.finish()
  }

  @Test("ends, with few words, where the index fails under it", arguments: 1...8)
  func failure(progressCount: Int) throws {
    for number in 0..<4 { _ = try fixture.put(noise(5000, seed: UInt64(number)), as: "more \(number)") }
    let path = "\(fixture.path)/index/data.mdb"
    let whole = try fileBytes(path)
    let cancellation = Cancellation()
    var left = progressCount
    var found: [Finding] = []
    _ = try fixture.store.verify(cancellation: cancellation) { event in
      if case .progress = event {
        left -= 1
        // Two meta pages stay: transactions can begin, and nothing can be read.
        if left == 0 { FileHandle(forWritingAtPath: path)?.truncateFile(atOffset: 8192) }
      }
      if case .finding(let finding) = event { found.append(finding) }
      // Without end; the test is to fail, not to hang.
      if found.count > 1000 { cancellation.cancel() }
    }
    #expect((1...40).contains(found.count), "\(found.count) findings")
    #expect(found.contains { $0.kind == .index }, "\(found)")
    try FilesOnDisk.overwrite(path, at: 0, with: whole)
    // What failed stays so until it is opened again.
    let image = try fixture.crashImage()
    try StoreFixture(opening: image, in: fixture.directory).finish()
  }

  @Test("a file that the index lost is not passed over before it is told")
  func lostFilePosition() throws {
    let manifest = try #require(try fixture.manifestLocation(stored.id))
    let table = index.table(named: "files")
    let entries = try index.read { (transaction) throws(StoreError) in
      try translatingIndex { () throws(LMDBError) in try transaction.entries(table, limit: 10) }
    }
    let entry = try #require(entries.first { FileID(key: $0.key) == stored.id })
    try set("files", entry.key, nil)
    var options = VerificationOptions()
    options.scope = .segments
    var isTold = false
    _ = try fixture.store.verify(options) { event in
      if case .finding(let finding) = event, finding.kind == .lostFile { isTold = true }
      if case .reached(let position) = event {
        #expect(isTold || position.segment <= manifest.segment, "reached \(position)")
      }
    }
    #expect(isTold)
    try set("files", entry.key, entry.value)
    try fixture.finish()
  }

  private func change(_ body: (borrowing WriteTransaction) throws(StoreError) -> Void) throws {
    try index.write { (transaction) throws(StoreError) in try body(transaction) }
  }

  /// Sets the bytes under a key behind the store's back; nil removes them.
  private func set(_ name: String, _ key: [UInt8], _ value: [UInt8]?) throws {
    try index.setBytes(value, under: key, in: name)
  }
}
