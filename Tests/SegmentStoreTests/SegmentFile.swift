import StorageIO
import TestSupport

@testable import SegmentStore

/// A segment file as its bytes say, without the index.
struct SegmentFile {
  let path: String
  let bytes: [UInt8]
  let header: SegmentHeader

  init(_ path: String) throws {
    self.path = path
    bytes = try fileBytes(path)
    header = try SegmentHeader(decoding: Array(bytes.prefix(SegmentHeader.byteCount)))
  }

  /// Every record that a scan finds.
  func records() throws -> [RecordHeader] {
    var found: [RecordHeader] = []
    let scan = RecordScan(
      segment: header.segment, storePrefix: header.uuid.prefix, range: SegmentHeader.byteCount..<bytes.count)
    var window = RecordWindow(file: try File.open(FilePath(path)))
    try scan.forEachHeader(in: &window) { (header) throws(StoreError) in found.append(header) }
    return found
  }

  /// The footer; nil when there is none.
  func footer() throws -> SegmentFooter? {
    let trailer = Array(bytes.suffix(SegmentFooter.trailerByteCount))
    guard trailer.starts(with: SegmentFooter.magic) else { return nil }
    return try SegmentFooter(decodingTrailer: trailer, fileByteCount: bytes.count)
  }

  /// The bytes of the table that the footer closes.
  func table(_ footer: SegmentFooter) -> [UInt8] {
    Array(bytes[footer.tableOffset..<(footer.tableOffset + footer.recordCount * RecordHeader.byteCount)])
  }

  func payload(_ record: RecordHeader) -> [UInt8] {
    let start = record.offset + RecordHeader.byteCount
    return Array(bytes[start..<(start + record.storedByteCount)])
  }
}

extension StoreFixture {
  func segmentFiles() throws -> [SegmentFile] {
    try segmentNames.map { try SegmentFile("\(segmentsPath)/\($0)") }
  }

  /// The entries of all segments in the index.
  func segmentEntries() throws -> [SegmentID: SegmentEntry] {
    let index = try store.index
    var entries: [SegmentID: SegmentEntry] = [:]
    try index.read { (transaction) throws(StoreError) in
      try index.segments.forEach(in: transaction) { (id, entry) throws(StoreError) in entries[id] = entry }
    }
    return entries
  }

  /// Where the commit records lie that some file needs, and the tombstones that are needed.
  func journalLocations() throws -> Set<RecordLocation> {
    let index = try store.index
    var locations: Set<RecordLocation> = []
    try index.read { (transaction) throws(StoreError) in
      try index.files.forEachJournalRecord(in: transaction) { locations.insert($0) }
    }
    return locations
  }

  func tombstonedSegments() throws -> Set<SegmentID> {
    let index = try store.index
    return try index.read { (transaction) throws(StoreError) in
      try index.files.tombstonedSegments(in: transaction)
    }
  }
}

/// Bytes that no codec makes smaller.
func noise(_ byteCount: Int, seed: UInt64) -> [UInt8] {
  var generator = SeededGenerator(seed: seed)
  return generator.bytes(byteCount)
}
