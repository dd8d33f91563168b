import Codecs
import Foundation
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Segments") struct SegmentTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test("a full segment ends with a footer that repeats every record header", arguments: WriteMode.allCases)
  func footers(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration(workerCount: 1))
    for number in 0..<6 { _ = try fixture.put(noise(600_000, seed: UInt64(number)), as: "file \(number)") }
    try fixture.reopen()
    let entries = try fixture.segmentEntries()
    var sealedCount = 0
    for file in try fixture.segmentFiles() {
      let entry = try #require(entries[file.header.segment])
      #expect(file.bytes.count == entry.usedByteCount)
      #expect(file.bytes.count <= 1 << 20)
      let records = try file.records()
      guard entry.state == .sealed else {
        #expect(try file.footer() == nil)
        continue
      }
      sealedCount += 1
      let footer = try #require(try file.footer())
      #expect(footer.segment == file.header.segment)
      #expect(footer.storePrefix == file.header.uuid.prefix)
      let table = file.table(footer)
      #expect(footer.tableChecksum == CRC32C.checksum(of: table, upTo: table.count))
      // Each header of the table is the one before its payload, none is left out, and the payload is as it says.
      let inTable = try (0..<footer.recordCount).map { number in
        let bytes = Array(table[(number * 128)..<(number * 128 + 128)])
        let offset = ByteReader(bytes).get(32, as: UInt64.self)
        return try RecordHeader(
          decoding: bytes, segment: footer.segment, offset: Int(offset), storePrefix: footer.storePrefix)
      }
      #expect(inTable == records.filter { $0.offset < footer.tableOffset })
      #expect(inTable.count == entry.recordCount)
      for record in inTable {
        let payload = file.payload(record)
        #expect(CRC32C.checksum(of: payload, upTo: payload.count) == record.storedChecksum)
      }
    }
    #expect(sealedCount >= 3)
    try fixture.finish()
  }

  @Test("sequences are all different, and segment headers carry counters above what came before")
  func sequences() throws {
    let fixture = try StoreFixture(directory)
    for number in 0..<8 { _ = try fixture.put(noise(400_000, seed: UInt64(number)), as: "file \(number)") }
    try fixture.store.close()
    var seen: Set<Sequence> = []
    for file in try fixture.segmentFiles() {
      #expect(file.header.counters.nextSegment > file.header.segment.rawValue)
      for record in try file.records() where file.bytes.count > record.offset {
        if try file.footer().map({ record.offset >= $0.tableOffset }) ?? false { continue }
        #expect(seen.insert(record.sequence).inserted, "sequence \(record.sequence) twice")
        #expect(record.sequence.rawValue < file.header.counters.nextSequence)
      }
    }
    #expect(seen.count > 8 * 98)
  }

  @Test("200 programs that store one file each fill one segment", arguments: WriteMode.allCases)
  func oneSegment(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration())
    for number in 0..<200 {
      let stored = try fixture.put(noise(500, seed: UInt64(number)), as: "file \(number)")
      #expect(stored.id.rawValue == UInt64(number + 1), "ids that nobody used are given back")
      try fixture.reopen()
    }
    #expect(try fixture.segmentNames.count == 1)
    let used = try fixture.segmentEntries().values.map(\.usedByteCount)
    #expect(try fixture.segmentFiles().map(\.bytes.count) == used)
    #expect(used[0] < 200 * 2048)
    try fixture.finish()
  }

  @Test("space that was reserved ahead is given back at close")
  func reservedSpace() throws {
    let fixture = try StoreFixture(directory) { $0.segmentByteCount = 64 << 20 }
    _ = try fixture.put([1, 2, 3], as: "file")
    let name = try #require(try fixture.segmentNames.first)
    let path = "\(fixture.segmentsPath)/\(name)"
    #expect(try allocatedByteCount(path) >= 1 << 20)
    try fixture.reopen()
    #expect(try fileBytes(path).count == fixture.segmentEntries().values.first?.usedByteCount)
    #expect(try allocatedByteCount(path) <= 64 << 10)
    try fixture.finish()
  }

  @Test("parts of half a segment go one to a segment and none is lost", arguments: WriteMode.allCases)
  func halfSegments(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration()) { $0.partByteCount = 1 << 19 }
    let bytes = noise(5 << 19, seed: 3)
    let stored = try fixture.put(bytes, as: "file")
    #expect(try fixture.get(stored.id) == bytes)
    for file in try fixture.segmentFiles() { #expect(file.bytes.count <= 1 << 20) }
    try fixture.finish()
  }

  @Test("a writer goes on in the segment that another left, behind its last record")
  func takeOver() throws {
    let fixture = try StoreFixture(directory, configuration: WriteMode.mapped.configuration(workerCount: 1))
    let first = try fixture.put(noise(5000, seed: 1), as: "first")
    let before = try fixture.segmentFiles()[0].records()
    try fixture.reopen()
    let used = try #require(try fixture.segmentEntries().values.first?.usedByteCount)
    let second = try fixture.put(noise(5000, seed: 2), as: "second")
    #expect(try fixture.segments(of: first) == fixture.segments(of: second))
    #expect(try fixture.store.parts(of: second.id, 0..<1).first?.offsetInSegment == used)
    try fixture.store.close()
    #expect(try fixture.segmentFiles()[0].records().prefix(before.count) == before[...])
    try fixture.reopen()
    try fixture.finish()
  }

  @Test("records of puts that failed leave the file at close, and are not appended into later")
  func failedPuts() throws {
    let fixture = try StoreFixture(directory, configuration: WriteMode.mapped.configuration(workerCount: 1))
    _ = try fixture.put(noise(5000, seed: 1), as: "kept")
    let used = try #require(try fixture.segmentEntries().values.first?.usedByteCount)
    let cancellation = Cancellation()
    let source = directory.path(of: "cancelled")
    try FilesOnDisk.write(noise(200_000, seed: 2), to: source)
    let error = storeError {
      _ = try fixture.store.put(.file(FilePath(source)), as: fileName("cancelled"), cancellation: cancellation) { _ in
        cancellation.cancel()
      }
    }
    #expect(error?.code == .cancelled)
    try fixture.store.close()
    #expect(try fixture.segmentFiles().map(\.bytes.count) == [used])
    try fixture.reopen()
    _ = try fixture.put(noise(100, seed: 3), as: "later")
    try fixture.finish()
  }

  @Test("a segment that was never used is not left behind at close")
  func unusedSegment() throws {
    let fixture = try StoreFixture(directory)
    try lendAndGiveBack(fixture)
    #expect(try fixture.segmentNames.count == 1)
    try fixture.reopen()
    #expect(try fixture.segmentNames.isEmpty)
    try fixture.finish()
  }

  @Test("a segment that was never used is not taken over, where its first record would replace its header")
  func unusedSegmentTakeOver() throws {
    let fixture = try StoreFixture(directory)
    try lendAndGiveBack(fixture)
    let image = try abandonSegments(fixture)
    for file in try fixture.segmentFiles() where try fixture.segmentEntry(file.header.segment) != nil {
      #expect(try file.records().count == (try fixture.segmentEntry(file.header.segment)?.recordCount))
    }
    // The same after a crash between the two: the next to open puts it away.
    let opened = try StoreFixture(opening: image, in: directory)
    #expect(try opened.segmentNames.isEmpty)
    try opened.finish()
    try fixture.store.close()
  }

  /// Makes a segment as a put does, and appends nothing.
  private func lendAndGiveBack(_ fixture: StoreFixture) throws {
    let session = try fixture.store.writerSession()
    session.segments.giveBack(try session.segments.lend(forPayload: 10, through: session.perform))
  }

  /// Lets go of all segments as a close does, before it removes the empty ones; then stores as another writer.
  private func abandonSegments(_ fixture: StoreFixture) throws -> String {
    let session = try fixture.store.writerSession()
    _ = try session.segments.close(session.perform)
    let image = try fixture.crashImage()
    let stored = try fixture.put(noise(5000, seed: 1), as: "file")
    #expect(try fixture.get(stored.id) == noise(5000, seed: 1))
    return image
  }

  @Test("an open segment whose file is gone does not keep others from storing")
  func lostOpenSegment() throws {
    let fixture = try StoreFixture(directory)
    let lost = try fixture.put(noise(5000, seed: 1), as: "lost")
    try fixture.store.close()
    for name in try fixture.segmentNames { FilesOnDisk.remove("\(fixture.segmentsPath)/\(name)") }
    try fixture.reopen()
    let stored = try fixture.put(noise(5000, seed: 2), as: "stored")
    #expect(try fixture.get(stored.id) == noise(5000, seed: 2))
    #expect(storeError { _ = try fixture.get(lost.id) }?.code == .corrupt)
    try fixture.reopen()
    let again = try fixture.put(noise(5000, seed: 3), as: "again")
    #expect(try fixture.get(again.id) == noise(5000, seed: 3))
    try fixture.store.close()
  }
}
