import Codecs
import Foundation
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Rebuild") struct RebuildTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test("makes the same index from the segments, whatever was stored and deleted", arguments: WriteMode.allCases)
  func same(mode: WriteMode) throws {
    let seed = TestSeed("rebuilt index", default: 301)
    let history = try StoreHistory(directory, seed.value, mode)
    let fixture = history.fixture
    for round in 0..<2 {
      try history.go(stepCount: 14)
      // A clean close: nothing is owned, and every open segment ends behind its last record.
      try fixture.reopen()
      let before = try IndexDump(fixture.store)
      let (summary, findings) = try fixture.rebuild()
      let place = "\(seed), round \(round)"
      #expect(findings.allSatisfy { $0.kind == .uncommittedFile }, "\(place): \(findings)")
      #expect(summary.fileCount == history.files.count, "\(place)")
      let after = try IndexDump(fixture.store)
      before.expectSame(after, place)
      try history.expectExact(place)
      try fixture.store.checkInvariants()
      try fixture.rebuild()
      #expect(try IndexDump(fixture.store).counters.isAtLeast(after.counters), "\(place)")
      before.expectSame(try IndexDump(fixture.store), "\(place), again")
    }
    try history.go(stepCount: 4)
    try history.expectExact("\(seed), at last")
    try fixture.finish()
  }

  /// A full segment that nobody has sealed yet has room for the footer of its records, though not of one more.
  @Test("leaves open what has room for its footer, and nothing else")
  func fullSegment() throws {
    var configuration = Store.Configuration()
    // So that all records are in one segment.
    configuration.workerCount = 1
    var fullCount = 0
    for step in 10..<18 {
      let fixture = try StoreFixture(directory, at: "full-\(step)", configuration: configuration) { options in
        (options.segmentByteCount, options.partByteCount) = (64 << 10, 16 << 10)
      }
      _ = try fixture.put(noise(3 * (16 << 10) + 9_600 + 64 * step, seed: 1), as: "file")
      try fixture.reopen()
      if let segment = try fixture.segmentEntry(SegmentID(rawValue: 1)) {
        let end = segment.usedByteCount + SegmentFooter.byteCount(recordCount: segment.recordCount)
        if segment.state == .open && (64 << 10) - end < RecordHeader.byteCount { fullCount += 1 }
      }
      let (_, findings) = try fixture.rebuild()
      #expect(findings.isEmpty, "step \(step)")
      try fixture.store.checkInvariants()
      _ = try fixture.put(noise(100, seed: 2), as: "next")
      try fixture.finish()
    }
    #expect(fullCount > 0, "none of them was full")
  }

  @Test("without footers searches every segment and finds the same files")
  func withoutFooters() throws {
    let seed = TestSeed("rebuilt without footers", default: 302)
    let history = try StoreHistory(directory, seed.value, .mapped)
    let fixture = history.fixture
    try history.go(stepCount: 16)
    try fixture.reopen()
    let before = try IndexDump(fixture.store)
    try fixture.destroyFooters()
    let (summary, _) = try fixture.rebuild()
    #expect(summary.searchedSegmentCount == summary.segmentCount)
    let after = try IndexDump(fixture.store)
    #expect(after.files == before.files, "\(seed)")
    #expect(after.parts == before.parts, "\(seed)")
    #expect(after.tombstones == before.tombstones, "\(seed)")
    try history.expectExact("\(seed)")
    // Those with room for another footer are open again, and what is stored in them now must not hurt.
    try history.go(stepCount: 8)
    try fixture.rebuild()
    try history.expectExact("\(seed), later")
    try fixture.finish()
  }

  @Test("takes what is left of deleted files for no damage, wherever their headers lie")
  func punched() throws {
    let fixture = try StoreFixture(directory, configuration: WriteMode.buffered.configuration(workerCount: 1))
    var options = PutOptions()
    // Records of 4288 bytes: 64 of them begin at each place of a page, half of a header before its end too.
    options.partByteCount = 4160
    let deleted = try fixture.put(noise(80 * 4160, seed: 1), as: "deleted", options)
    let kept = try fixture.put(noise(5000, seed: 2), as: "kept", options)
    let alternating = try (0..<40).map { try fixture.put(noise(9000, seed: UInt64($0)), as: "file", options) }
    try fixture.store.delete(deleted.id)
    for file in alternating where file.id.rawValue % 2 == 0 { try fixture.store.delete(file.id) }
    try fixture.reopen()
    let (summary, findings) = try fixture.rebuild()
    #expect(summary.searchedSegmentCount == 1)
    #expect(findings.isEmpty, "\(findings)")
    #expect(try fixture.get(kept.id) == noise(5000, seed: 2))
    try fixture.finish()
  }

  @Test("takes half a header between two holes for no damage")
  func halfHeader() throws {
    let (segment, prefix) = (SegmentID(rawValue: 7), UInt64(99))
    func header(at offset: Int, storedByteCount: Int) -> RecordHeader {
      RecordHeader(
        kind: .part, codec: .stored, rawByteCount: storedByteCount, storedByteCount: storedByteCount,
        storedChecksum: 0, segment: segment, offset: offset, storePrefix: prefix, sequence: Sequence(rawValue: 1),
        part: PartID(rawValue: 1), file: FileID(rawValue: 1), partNumber: 0,
        digest: MD5Digest(bytes: [UInt8](repeating: 0, count: 16)))
    }
    let first = header(at: 4096, storedByteCount: 8000)
    // Its header lies on both sides of the end of a page.
    let second = header(at: 4096 + first.recordByteCount, storedByteCount: 9000)
    #expect(second.offset % 4096 == 4096 - 64)
    let third = header(at: second.offset + second.recordByteCount, storedByteCount: 100)
    var bytes = noise(third.offset + third.recordByteCount, seed: 5)
    for record in [first, second, third] {
      bytes.replaceSubrange(record.offset..<(record.offset + RecordHeader.byteCount), with: record.encoded())
    }
    // Deleted one after the other.
    for hole in [4096..<8192, 12_288..<20_480] {
      bytes.replaceSubrange(hole, with: [UInt8](repeating: 0, count: hole.count))
    }
    let path = directory.path(of: "segment")
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    var window = RecordWindow(file: try File.open(FilePath(path)))
    var (found, damaged): ([RecordHeader], [Int]) = ([], [])
    try RecordScan(segment: segment, storePrefix: prefix, range: 4096..<bytes.count)
      .forEachHeader(in: &window, onDamage: { damaged.append($0) }) { (header) throws(StoreError) in
        found.append(header)
      }
    #expect(found == [third])
    #expect(damaged.isEmpty)
  }

  @Test("takes what is left of files that were deleted one by one for no damage", arguments: [1, 2, 3, 4] as [UInt64])
  func punchedOneByOne(number: UInt64) throws {
    let seed = TestSeed("order of deletes", default: 90 + number)
    var generator = seed.generator
    // Each whole page is given back at once in so small a segment: holes with remains of records between them.
    let fixture = try StoreFixture(directory, configuration: WriteMode.buffered.configuration(workerCount: 1)) {
      $0.segmentByteCount = 64 << 10
      $0.partByteCount = 8192
    }
    var files: [FileID] = []
    for number in 0..<60 {
      files.append(try fixture.put(noise(3000 + generator.below(5000), seed: UInt64(number)), as: "file").id)
    }
    try fixture.reopen()
    for id in files.shuffled(using: &generator).prefix(40) {
      try fixture.store.delete(id)
      if generator.below(4) == 0 { try fixture.reopen() }
    }
    try fixture.reopen()
    let before = try IndexDump(fixture.store)
    // As if power had failed before they were written: the records are looked for.
    for file in try fixture.segmentFiles() {
      if let footer = try file.footer() { try File.open(FilePath(file.path), .write).truncate(to: footer.tableOffset) }
    }
    let (_, findings) = try fixture.rebuild()
    #expect(findings.isEmpty, "\(seed): \(findings)")
    #expect(try IndexDump(fixture.store).files == before.files)
    try fixture.finish()
  }

  @Test("takes what is left of a segment that was stored as a file, and deleted, for no damage")
  func punchedSegment() throws {
    let fixture = try StoreFixture(directory, configuration: WriteMode.buffered.configuration(workerCount: 1))
    for number in 0..<200 { _ = try fixture.put(noise(100, seed: UInt64(number)), as: "small") }
    try fixture.reopen()
    // Headers of records wherever a punched page may end.
    let bytes = try #require(try fixture.segmentFiles().first).bytes
    var options = PutOptions()
    options.encoding = .stored
    options.partByteCount = bytes.count
    let deleted = try (0..<6).map { number in
      let stored = try fixture.put(bytes, as: "segment", options)
      _ = try fixture.put(noise(50 + 300 * number, seed: UInt64(number)), as: "between")
      return stored.id
    }
    for id in deleted { try fixture.store.delete(id) }
    try fixture.reopen()
    let before = try IndexDump(fixture.store)
    let punched = try #require(try fixture.segmentFiles().first)
    #expect(try allocatedByteCount(punched.path) < punched.bytes.count - 4 * bytes.count)
    let (summary, findings) = try fixture.rebuild()
    #expect(summary.searchedSegmentCount == 1)
    #expect(findings.isEmpty, "\(findings)")
    #expect(try IndexDump(fixture.store).files == before.files)
    try fixture.finish()
  }

  @Test("names a damaged header behind the hole that a deleted file left")
  func damageBehindHole() throws {
    let fixture = try StoreFixture(directory, configuration: WriteMode.buffered.configuration(workerCount: 1))
    let deleted = try fixture.put(noise(200_000, seed: 1), as: "deleted")
    let kept = try fixture.put(noise(3000, seed: 2), as: "kept")
    try fixture.store.delete(deleted.id)
    try fixture.reopen()
    let segment = try #require(try fixture.segmentFiles().first)
    #expect(segment.bytes[8192..<(8192 + 4096)].allSatisfy { $0 == 0 })
    let record = try #require(try segment.records().first { $0.file == kept.id && $0.kind == .part })
    // In any number of it but the magic, in which it would look like what is left of the deleted file.
    for place in stride(from: 4, to: RecordHeader.byteCount, by: 4) {
      let handle = try File.open(FilePath(segment.path), .write)
      try handle.write([segment.bytes[record.offset + place] ^ 1], at: record.offset + place)
      let (_, findings) = try fixture.rebuild()
      #expect(findings.contains { $0.kind == .segment && $0.offset == record.offset }, "byte \(place): \(findings)")
      try handle.write([segment.bytes[record.offset + place]], at: record.offset + place)
    }
    _ = try fixture.rebuild()
    #expect(try fixture.get(kept.id) == noise(3000, seed: 2))
    try fixture.finish()
  }

  @Test("leaves deleted and failed files gone, and gives no id out again")
  func identifiers() throws {
    let fixture = try StoreFixture(directory)
    var stored: [StoredFile] = []
    for number in 0..<12 { stored.append(try fixture.put(noise(300_000, seed: UInt64(number)), as: "file")) }
    let highestFile = try #require(stored.map(\.id).max())
    let highestPart = try #require(try fixture.store.parts(of: highestFile, 0..<1000).map(\.id).max())
    let highestSegment = try #require(try fixture.segmentEntries().keys.max())
    // The newest first, then all: their segments go with them, and with these every record of the ids.
    for file in stored.reversed() { try fixture.store.delete(file.id) }
    try fixture.reopen()
    let (summary, findings) = try fixture.rebuild()
    #expect(summary.fileCount == 0)
    #expect(findings.isEmpty)
    #expect(try fixture.store.allFiles().isEmpty)
    let next = try fixture.put(noise(9000, seed: 50), as: "next")
    #expect(next.id > highestFile)
    let parts = try fixture.store.parts(of: next.id, 0..<10)
    #expect(parts.allSatisfy { $0.id > highestPart && $0.segment > highestSegment })
    try fixture.finish()
  }

  @Test("of a store that a crash left in the middle of a delete and a put has whole files and no half ones")
  func crashed() throws {
    let fixture = try StoreFixture(directory)
    _ = try fixture.put(noise(5000, seed: 1), as: "kept")
    let big = try fixture.put(noise(900 * 4096, seed: 2), as: "deleted")
    let running = try RunningPut(fixture.store, in: directory, fed: noise(100 * 65_536, seed: 3))
    // The first step is durable, the second never begins.
    let session = try fixture.store.writerSession()
    try Burial(store: fixture.store, writer: session.writer, perform: session.perform).bury([big.id])
    let image = try fixture.crashImage()
    try running.cancel()
    session.leaveToRecovery()
    try fixture.store.close()
    FilesOnDisk.removeTree("\(image)/index")
    let summary = try Store.rebuild(at: FilePath(image))
    #expect(summary.deletedFileCount == 1)
    let opened = try StoreFixture(opening: image, in: directory)
    #expect(try opened.store.allFiles().map(\.name.description) == ["kept"])
    #expect(try opened.get(opened.store.allFiles()[0].id) == noise(5000, seed: 1))
    let next = try opened.put(noise(5000, seed: 4), as: "next")
    #expect(next.id.rawValue > 3)
    try opened.finish()
  }
}

extension StoreFixture {
  /// Makes the footer of every sealed segment unreadable.
  func destroyFooters() throws {
    for file in try segmentFiles() where try file.footer() != nil {
      try FilesOnDisk.overwrite(file.path, at: file.bytes.count - 64, with: [UInt8](repeating: 0xA5, count: 64))
    }
  }
}

/// A store to which random things happen, and what must be in it.
final class StoreHistory {
  let fixture: StoreFixture
  private(set) var files: [FileID: [UInt8]] = [:]
  private var generator: SeededGenerator
  private var number: UInt64 = 0

  init(_ directory: TemporaryDirectory, _ seed: UInt64, _ mode: WriteMode) throws {
    fixture = try StoreFixture(directory, configuration: mode.configuration())
    generator = SeededGenerator(seed: seed)
  }

  func go(stepCount: Int) throws {
    for _ in 0..<stepCount {
      switch generator.below(10) {
      case 0..<6: try put(as: try name())
      case 6..<8: if let id = files.keys.sorted().randomElement(using: &generator) { try delete(id) }
      case 8: try cancelPut()
      default: try putSeveral()
      }
    }
  }

  func expectExact(_ place: String) throws {
    #expect(try fixture.store.allFiles().map(\.id) == files.keys.sorted(), "\(place)")
    for (id, bytes) in files { #expect(try fixture.get(id) == bytes, "\(place), file \(id)") }
  }

  private func put(as name: FileName) throws {
    let bytes = content()
    let source = fixture.directory.path(of: "source")
    try FilesOnDisk.write(bytes, to: source)
    defer { FilesOnDisk.remove(source) }
    var options = PutOptions()
    options.encoding = generator.below(3) == 0 ? .stored : .zlib
    options.partByteCount = [4096, 5000, 65_536][generator.below(3)]
    files[try fixture.store.put(.file(FilePath(source)), as: name, options).id] = bytes
  }

  /// Several puts at once, which may share a commit record.
  private func putSeveral() throws {
    let contents = (0..<4).map { _ in content() }
    let (store, directory) = (fixture.store, fixture.directory)
    let stored = Monitor<[FileID: [UInt8]]>([:])
    try Watchdog.run(threads: contents.count) { thread in
      let id = try store.put(contents[thread], as: "at once", in: directory).id
      stored.withLock { $0[id] = contents[thread] }
    }
    files.merge(stored.withLock { $0 }) { _, new in new }
  }

  private func delete(_ id: FileID) throws {
    try fixture.store.delete(id)
    files[id] = nil
  }

  private func cancelPut() throws {
    number += 1
    let running = try RunningPut(fixture.store, in: fixture.directory, fed: noise(3 * 65_536, seed: number))
    try running.cancel()
  }

  private func name() throws -> FileName {
    switch generator.below(5) {
    case 0: return try fileName("version")
    case 1: return try FileName([UInt8](repeating: 0x6C, count: 464 + generator.below(3631)))
    case 2: return try FileName([0xFF, 0xFE, UInt8(1 + generator.below(255))])
    default: return try fileName("name \(generator.below(1000))")
    }
  }

  private func content() -> [UInt8] {
    number += 1
    let byteCount = [0, 1, 4095, 4096, 4097, 30_000, 200_000, 400_000][generator.below(8)]
    switch generator.below(4) {
    case 0: return noise(byteCount, seed: number)
    case 1: return [UInt8](repeating: 0, count: byteCount)
    case 2:
      var bytes = [UInt8](repeating: 0, count: byteCount)
      for offset in stride(from: 0, to: byteCount, by: 50_000) { bytes[offset] = 7 }
      return bytes
    default: return Corpus(seed: number).bytes(byteCount)
    }
  }
}
