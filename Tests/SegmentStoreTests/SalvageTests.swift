import Codecs
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Salvage") struct SalvageTests {
  private static let partByteCount = 4096
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test("of an intact file is the file, and nothing is reported")
  func intact() throws {
    let fixture = try StoreFixture(directory)
    for bytes in [[], noise(1, seed: 1), noise(20_000, seed: 2), [UInt8](repeating: 0, count: 9000)] {
      let stored = try fixture.put(bytes, as: "file")
      let (found, report) = try salvage(stored, fixture)
      #expect(found == bytes)
      #expect(report.isEmpty && report.lostByteCount == 0 && report.unverifiedByteCount == 0)
    }
    try fixture.finish()
  }

  @Test("leaves exactly the damaged part out, whatever the damage", arguments: WriteMode.allCases)
  func kinds(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration(workerCount: 2))
    let bytes = noise(5 * 4096 + 7, seed: 3)
    let stored = try fixture.put(bytes, as: "file")
    let part = try fixture.store.parts(of: stored.id, 2..<3)[0]
    let path = fixture.segmentPath(part.segment)
    let record = try FilesOnDisk.bytes(path, at: part.offsetInSegment, byteCount: 128 + 4096)
    let other = try fixture.store.parts(of: stored.id, 4..<5)[0]
    let foreign = try FilesOnDisk.bytes(
      fixture.segmentPath(other.segment), at: other.offsetInSegment, byteCount: 128 + 4096)
    let range = 8192..<12_288
    let damages: [(String, [UInt8], PartLoss.Kind?)] = [
      ("zeros", [UInt8](repeating: 0, count: record.count), .lost), ("noise", noise(record.count, seed: 4), .lost),
      ("another record", foreign, .lost),
      ("another payload", Array(record.prefix(128)) + foreign.suffix(4096), .unverified),
      ("a flipped bit", record.dropLast() + [record[record.count - 1] ^ 1], .unverified),
      ("no header over the right bytes", [UInt8](repeating: 0, count: 128) + record.suffix(4096), nil),
      ("another's header over the right bytes", foreign.prefix(128) + record.suffix(4096), nil),
    ]
    for (what, damaged, kind) in damages {
      try FilesOnDisk.overwrite(path, at: part.offsetInSegment, with: damaged)
      var expected = bytes
      if kind == .lost { expected.replaceSubrange(range, with: [UInt8](repeating: 0, count: 4096)) }
      if kind == .unverified { expected.replaceSubrange(range, with: damaged.suffix(4096)) }
      let (found, report) = try salvage(stored, fixture)
      #expect(found == expected, "\(what)")
      #expect(report.losses.map(\.byteRange) == (kind == nil ? [] : [range]), "\(what)")
      #expect(report.losses.first?.kind == kind, "\(what)")
      #expect(report.lostByteCount == (kind == .lost ? 4096 : 0), "\(what)")
      #expect(report.unverifiedByteCount == (kind == .unverified ? 4096 : 0), "\(what)")
      if let loss = report.losses.first {
        #expect(loss.partNumber == 2 && loss.segment == part.segment, "\(what)")
        #expect(loss.offsetInSegment == part.offsetInSegment && loss.reason.contains("offset"), "\(what)")
      }
      // What is no loss is an error all the same of a get that wants no less than everything in order.
      #expect(storeError { _ = try fixture.get(stored.id) }?.code == .corrupt, "\(what)")
    }
    try FilesOnDisk.overwrite(path, at: part.offsetInSegment, with: record)
    try fixture.finish()
  }

  @Test("of a part whose stored bytes are right and whose MD5 is not keeps them unverified")
  func wrongDigest() throws {
    let fixture = try StoreFixture(directory)
    let bytes = noise(3 * 4096, seed: 5)
    let stored = try fixture.put(bytes, as: "file")
    let part = try fixture.store.parts(of: stored.id, 1..<2)[0]
    let path = fixture.segmentPath(part.segment)
    // The bytes were damaged before they were hashed: header, index and CRC32C agree, and the MD5 is of other bytes.
    let header = try RecordHeader(
      decoding: FilesOnDisk.bytes(path, at: part.offsetInSegment, byteCount: 128), segment: part.segment,
      offset: part.offsetInSegment, storePrefix: fixture.store.superblock.uuid.prefix)
    var damaged = header
    let payload = noise(4096, seed: 6)
    damaged.storedChecksum = payload.withRawSpan { CRC32C.checksum(of: $0) }
    try FilesOnDisk.overwrite(path, at: part.offsetInSegment, with: damaged.encoded() + payload)
    let (found, report) = try salvage(stored, fixture)
    #expect(found == Array(bytes[..<4096]) + payload + bytes[8192...])
    #expect(report.losses.map(\.kind) == [.unverified])
    #expect(report.losses.first?.reason.contains("MD5") == true)
    try fixture.store.close()
  }

  @Test("of a segment that was cut gives what inflates before the cut", arguments: [true, false])
  func cut(isCompressed: Bool) throws {
    let fixture = try StoreFixture(directory, configuration: WriteMode.mapped.configuration(workerCount: 1)) {
      $0.partByteCount = 64 << 10
    }
    let bytes = isCompressed ? Corpus(seed: 7).bytes(300_000) : noise(300_000, seed: 7)
    let stored = try fixture.put(bytes, as: "file")
    let parts = try fixture.store.parts(of: stored.id, 0..<stored.partCount)
    let path = fixture.segmentPath(parts[0].segment)
    let whole = try fileBytes(path)
    let victim = parts[2]
    let start = victim.offsetInSegment + 128
    for kept in [
      victim.storedByteCount - 1, victim.storedByteCount - 5, victim.storedByteCount / 2, 100, 1, 0, -64, -128,
    ] {
      try FilesOnDisk.truncate(path, to: start + kept)
      let (found, report) = try salvage(stored, fixture)
      let unverified = report.losses.filter { $0.kind == .unverified }
      #expect(unverified.allSatisfy { $0.partNumber == 2 && $0.byteRange.lowerBound == 2 << 16 }, "\(kept)")
      // A stream that lacks its own checksum only is whole, as the MD5 tells.
      let isWhole = !report.losses.contains { $0.partNumber == 2 }
      #expect(!isWhole || isCompressed && kept + 8 >= victim.storedByteCount, "\(kept)")
      let count = isWhole ? 1 << 16 : unverified.first?.byteRange.count ?? 0
      // What was before the cut is as it was, though nothing proves it.
      let end = (2 << 16) + count
      #expect(found == Array(bytes[..<end]) + [UInt8](repeating: 0, count: bytes.count - end), "\(kept)")
      if !isCompressed || kept <= 0 { #expect(count == max(0, kept)) }
      if isCompressed && kept > 1000 { #expect(count > kept) }
      #expect(report.lostByteCount == bytes.count - end && report.unverifiedByteCount == (isWhole ? 0 : count))
    }
    try FilesOnDisk.write(whole, to: path)
    try fixture.store.close()
  }

  @Test("of a file whose segments are gone, or whose parts are lost, is a hole of its size")
  func gone() throws {
    let fixture = try StoreFixture(directory)
    let stored = try fixture.put(noise(30_000, seed: 8), as: "file")
    let kept = try fixture.put(noise(5000, seed: 9), as: "kept")
    let parts = try fixture.store.parts(of: stored.id, 0..<8)
    // Not kept: an index closes with its last user.
    do {
      let index = try fixture.store.index
      try fixture.store.writerSession().perform(
        IndexJob { (transaction, _) throws(StoreError) in
          try index.parts.set(parts[3].id, .lost(rawByteCount: 4096), in: transaction)
        })
    }
    var (found, report) = try salvage(stored, fixture)
    #expect(report.losses.map(\.byteRange) == [12_288..<16_384])
    #expect(report.losses[0].segment == nil && report.losses[0].offsetInSegment == nil)
    #expect(found[12_288..<16_384].allSatisfy { $0 == 0 })
    try fixture.store.close()
    for segment in Set(parts.map(\.segment)) { FilesOnDisk.remove(fixture.segmentPath(segment)) }
    try fixture.open()
    let target = directory.path(of: "hole")
    var options = GetOptions()
    options.salvages = true
    report = try fixture.store.get(stored.id, to: .file(FilePath(target), replacing: false), options)
    #expect(report.lostByteCount == 30_000 && report.losses.count == 8)
    found = try fileBytes(target)
    #expect(found == [UInt8](repeating: 0, count: 30_000))
    #expect(try allocatedByteCount(target) == 0)
    _ = kept
    try fixture.store.close()
  }

  @Test("of randomly damaged files gives the right bytes wherever it does not say otherwise")
  func sweep() throws {
    let seed = TestSeed("salvage of random damage", default: 71)
    var generator = seed.generator
    let store = try DamagedStore(directory)
    var (lossCount, intactCount) = (0, 0)
    for round in 0..<40 {
      let (path, byteCount, segment) = store.segments[generator.below(store.segments.count)]
      let whole = try fileBytes(path)
      let place = "\(seed), round \(round): segment \(segment)"
      for _ in 0...generator.below(6) {
        let offset = generator.below(byteCount)
        let damage = generator.bytes(min(1 + generator.below(3000), byteCount - offset))
        try FilesOnDisk.overwrite(path, at: offset, with: damage)
      }
      if round % 5 == 0 { try FilesOnDisk.truncate(path, to: generator.below(byteCount)) }
      for (file, bytes) in store.files {
        let (found, report) = try salvage(file, store.fixture)
        #expect(found.count == bytes.count, "\(place)")
        var expected = bytes
        for loss in report.losses {
          lossCount += 1
          let zeros = [UInt8](repeating: 0, count: loss.byteRange.count)
          expected.replaceSubrange(loss.byteRange, with: loss.kind == .lost ? zeros : Array(found[loss.byteRange]))
        }
        #expect(found == expected, "\(place)")
        if report.isEmpty { intactCount += 1 }
        var error: StoreError?
        do { _ = try store.fixture.get(file.id) } catch let failure as StoreError { error = failure }
        // Every part with a loss is listed by a plain get, too.
        let listed = Set(error?.losses?.losses.map(\.partNumber) ?? [])
        #expect(listed.isSuperset(of: report.losses.map(\.partNumber)), "\(place)")
      }
      try FilesOnDisk.write(whole, to: path)
    }
    #expect(lossCount > 40 && intactCount > 40)
    try store.expectExact(except: nil, "all mended")
    try store.fixture.finish()
  }

  @Test("a get that is not to salvage lists every damaged part and leaves nothing", arguments: WriteMode.allCases)
  func list(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration(workerCount: 2))
    let bytes = noise(300 * 4096, seed: 10)
    let stored = try fixture.put(bytes, as: "file")
    let damaged = [0, 17, 18, 100, 299]
    for number in damaged {
      let part = try fixture.store.parts(of: stored.id, number..<number + 1)[0]
      try FilesOnDisk.overwrite(fixture.segmentPath(part.segment), at: part.offsetInSegment + 128, with: [1, 2, 3])
    }
    let target = directory.path(of: "target")
    let error = storeError { try fixture.store.get(stored.id, to: .file(FilePath(target), replacing: false)) }
    #expect(error?.code == .corrupt)
    #expect(error?.losses?.losses.map(\.partNumber) == damaged)
    #expect(error?.losses?.losses.map(\.byteRange) == damaged.map { $0 * 4096..<($0 + 1) * 4096 })
    #expect(error?.message.contains("5 damaged parts") == true)
    #expect(storeError { _ = try fixture.store.streamedBytes(of: stored.id, in: directory) }?.losses == error?.losses)
    #expect(throws: SystemCallFailure.self) { try FileSystem.status(of: FilePath(target)) }
    try fixture.store.delete(stored.id)
    try fixture.finish()
  }

  @Test("the report keeps so many losses and counts all")
  func bounded() {
    var report = LossReport()
    let entry = PartEntry.lost(rawByteCount: 10)
    for number in 0..<LossReport.listedCount + 5 {
      report.add(PartLoss(.lost, number * 10..<number * 10 + 10, ofPart: number, entry, StoreError(.corrupt, "")))
    }
    #expect(report.losses.count == LossReport.listedCount && report.omittedCount == 5)
    #expect(report.lostByteCount == (LossReport.listedCount + 5) * 10)
  }

  @Test("a part that has moved since the index was read is read where it is now")
  func moved() throws {
    let fixture = try StoreFixture(directory, configuration: WriteMode.mapped.configuration(workerCount: 1))
    let bytes = noise(3 * 4096, seed: 11)
    let stored = try fixture.put(bytes, as: "file")
    let store = fixture.store
    let index = try store.index
    let (plan, parts) = try index.read { (transaction) throws(StoreError) in
      guard let entry = try index.files.file(stored.id, in: transaction) else { throw StoreError(.notFound, "") }
      return (
        try GetPlan(stored.id, entry.manifest, GetOptions(), store),
        try index.parts.parts(0..<3, of: entry.manifest, in: transaction)
      )
    }
    func elsewhere(_ entry: PartEntry, _ segment: UInt64, _ offset: Int) -> PartEntry {
      PartEntry(
        segment: SegmentID(rawValue: segment), offset: offset, storedByteCount: entry.storedByteCount,
        rawByteCount: entry.rawByteCount, codec: entry.codec, digest: entry.digest)
    }
    let lease = try store.budget.lease(3 * 4096)
    for (segment, offset) in [
      (UInt64(999), 4096), (parts[0].entry.segment.rawValue, parts[0].entry.offset), (1, 1 << 19),
    ] {
      var stale = parts
      stale[1].entry = elsewhere(parts[1].entry, segment, offset)
      let batch = GetBatch(plan: plan, numbers: 0..<3, parts: stale, index: index, reader: store.reader)
      #expect(try batch.decode(into: lease, WorkerPool.Tools()).losses.isEmpty, "segment \(segment) offset \(offset)")
      #expect(lease.region.withBytes(0..<3 * 4096) { $0.copied(0..<3 * 4096) } == bytes)
    }
    try fixture.finish()
  }

  private func salvage(_ file: StoredFile, _ fixture: StoreFixture) throws -> ([UInt8], LossReport) {
    let target = directory.path(of: "salvaged")
    defer { FilesOnDisk.remove(target) }
    var options = GetOptions()
    options.salvages = true
    let report = try fixture.store.get(file.id, to: .file(FilePath(target), replacing: false), options)
    return (try fileBytes(target), report)
  }
}
