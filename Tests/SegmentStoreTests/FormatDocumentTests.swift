import Codecs
import Foundation
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Format document") struct FormatDocumentTests {
  /// Every structure of the format, by the heading of its byte map.
  private static let structures: [(heading: String, fields: [FormatField])] = [
    ("Superblock", Superblock.Offset.fields),
    ("Segment header", SegmentHeader.Offset.fields),
    ("Counters", Counters.Offset.fields),
    ("Record header", RecordHeader.Offset.fields),
    ("Manifest", Manifest.Offset.fields),
    ("Part extent", PartExtent.Offset.fields),
    ("Footer trailer", SegmentFooter.Offset.fields),
    ("High-water slot", HighWater.Offset.fields),
    ("Sums", IndexSums.Offset.fields),
    ("File entry", FileEntry.Offset.fields),
    ("Record location", RecordLocation.Offset.fields),
    ("Part entry", PartEntry.Offset.fields),
    ("Segment entry", SegmentEntry.Offset.fields),
    ("Commit entry", CommitEntry.Offset.fields),
    ("Tombstone entry", TombstoneEntry.Offset.fields),
    ("Writer entry", WriterEntry.Offset.fields),
  ]

  private let document: FormatDocument
  private let directory: TemporaryDirectory

  init() throws {
    document = try FormatDocument()
    directory = try TemporaryDirectory()
  }

  @Test("has the fields of the code, name by name, in each byte map", arguments: structures.indices)
  func byteMap(index: Int) throws {
    let (heading, fields) = FormatDocumentTests.structures[index]
    let documented = document.fields(under: heading)
    #expect(documented == fields, "\(heading)")
    #expect(documented.first?.offset == 0)
    for (field, next) in zip(documented, documented.dropFirst()) {
      #expect(field.offset + field.byteCount == next.offset, "\(heading): a gap before \(next.name)")
    }
  }

  @Test func `has a byte map of nothing that this suite does not know`() {
    #expect(Set(document.byteMapHeadings) == Set(FormatDocumentTests.structures.map(\.heading)))
    #expect(document.byteMapHeadings.count == FormatDocumentTests.structures.count)
  }

  @Test func `names the limits of the code`() {
    let limits: [String: Int] = [
      "format version": Int(Format.version),
      "alignment": Format.alignment,
      "superblock bytes": Superblock.byteCount,
      "segment header bytes": SegmentHeader.byteCount,
      "record header bytes": RecordHeader.byteCount,
      "footer trailer bytes": SegmentFooter.trailerByteCount,
      "least segment bytes": Format.segmentByteCounts.lowerBound,
      "most segment bytes": Format.segmentByteCounts.upperBound,
      "default segment bytes": Format.defaultSegmentByteCount,
      "least part bytes": Format.minimumPartByteCount,
      "most part bytes": Format.maximumPartByteCount(segmentByteCount: Format.segmentByteCounts.upperBound),
      "default part bytes": Format.defaultPartByteCount,
      "most parts of a file": Format.maximumPartCount,
      "least name bytes": Format.nameByteCounts.lowerBound,
      "most name bytes": Format.nameByteCounts.upperBound,
      "reserve bytes": Reserve.byteCount,
      "lock byte of the store": Int(LockBytes.Subject.store.byte),
      "lock byte of writer 0": Int(LockBytes.Subject.writer(WriterID(rawValue: 0)).byte),
      "lock byte of file 0": Int(LockBytes.Subject.file(FileID(rawValue: 0)).byte),
    ]
    let rows = document.rows(under: "Limits").compactMap { row in Int(row[1]).map { (row[0], $0) } }
    #expect(Dictionary(rows) { first, _ in first } == limits)
  }

  @Test func `numbers kinds, codecs and states as the code does`() {
    #expect(document.numbers(under: "Kinds") == (UInt8(1)...4).map { "\($0) \(RecordKind(rawValue: $0))" })
    #expect(!RecordKind(rawValue: 0).isKnown && !RecordKind(rawValue: 5).isKnown)
    #expect(document.numbers(under: "Codecs") == (UInt8(0)...4).map { "\($0) \(Codec(rawValue: $0))" })
    let files = (UInt8.min ... .max).compactMap { value in FileEntry.State(rawValue: value).map { "\(value) \($0)" } }
    let segments = (UInt8.min ... .max).compactMap { value in
      SegmentEntry.State(rawValue: value).map { "\(value) \($0)" }
    }
    #expect(document.numbers(under: "States") == files + segments)
  }

  @Test func `shows the example as the code writes it`() throws {
    let example = try ExampleSegment()
    let bytes = example.bytes
    let table = example.tableOffset..<(bytes.count - SegmentFooter.trailerByteCount)
    var expected: [String] = []
    for start in stride(from: 0, to: bytes.count, by: 16) where !table.contains(start) {
      let row = bytes[start..<(start + 16)]
      if row.allSatisfy({ $0 == 0 }) { continue }
      expected.append("\(start) " + row.map { String(format: "%02x", $0) }.joined(separator: " "))
    }
    #expect(document.exampleRows == expected, "\(expected.joined(separator: "\n"))")
  }

  @Test func `lays the example out as a store does`() throws {
    let example = try ExampleSegment()
    let fixture = try StoreFixture(directory)
    _ = try fixture.put(ExampleSegment.payload, as: ExampleSegment.name)
    try fixture.finish()
    let path = fixture.path.appending("segments").appending(example.header.segment.fileName)
    let bytes = try Array(Data(contentsOf: URL(fileURLWithPath: path.description)))
    #expect(bytes.count == example.tableOffset)
    let header = try SegmentHeader(decoding: Array(bytes.prefix(SegmentHeader.byteCount)))
    #expect(header.segment == example.header.segment && header.counters == example.header.counters)
    for expected in example.headers {
      let found = try RecordHeader(
        decoding: Array(bytes[expected.offset..<(expected.offset + RecordHeader.byteCount)]),
        segment: header.segment, offset: expected.offset, storePrefix: header.uuid.prefix)
      #expect(found.kind == expected.kind && found.codec == expected.codec && found.part == expected.part)
      #expect(found.storedByteCount == expected.storedByteCount && found.sequence == expected.sequence)
    }
  }
}

/// The segment that docs/FORMAT.md shows.
private struct ExampleSegment {
  static let name = "hello.txt"
  static let payload = Array("Hello, segment!\n".utf8)
  private static let date: Int64 = 1_700_000_000_000_000_000
  private static let uuid = StoreUUID(
    bytes: [0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x46, 0x77, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF])

  let header: SegmentHeader
  private(set) var headers: [RecordHeader] = []
  private var records: [UInt8] = []

  init() throws {
    var counters = Counters()
    counters.nextFile = 2
    counters.nextPart = 4097
    counters.nextSegment = 2
    counters.nextWriter = 2
    counters.nextSequence = 65_537
    header = SegmentHeader(
      uuid: ExampleSegment.uuid, segment: SegmentID(rawValue: 1), segmentByteCount: Format.defaultSegmentByteCount,
      createdNanoseconds: ExampleSegment.date, writer: WriterID(rawValue: 1), counters: counters)
    append(.part, ExampleSegment.payload, part: 1, file: 1)
    append(.manifest, try ExampleSegment.manifest().encoded(), part: 0, file: 1)
    append(.commit, [1, 0, 0, 0, 0, 0, 0, 0], part: 0, file: 0)
  }

  var tableOffset: Int { SegmentHeader.byteCount + records.count }

  /// Header, records and footer.
  var bytes: [UInt8] {
    let table = headers.flatMap { $0.encoded() }
    let footer = SegmentFooter(
      segment: header.segment, storePrefix: header.uuid.prefix, recordCount: headers.count, tableOffset: tableOffset,
      tableChecksum: CRC32C.checksum(of: table, upTo: table.count))
    return header.encoded() + records + table + footer.encodedTrailer()
  }

  private mutating func append(_ kind: RecordKind, _ payload: [UInt8], part: UInt64, file: UInt64) {
    let header = RecordHeader(
      kind: kind, codec: .stored, rawByteCount: payload.count, storedByteCount: payload.count,
      storedChecksum: CRC32C.checksum(of: payload, upTo: payload.count), segment: header.segment, offset: tableOffset,
      storePrefix: header.uuid.prefix, sequence: Sequence(rawValue: UInt64(headers.count + 1)),
      part: PartID(rawValue: part), file: FileID(rawValue: file), partNumber: 0, digest: ExampleSegment.md5(payload))
    headers.append(header)
    let record = header.encoded() + payload
    records += record + [UInt8](repeating: 0, count: header.recordByteCount - record.count)
  }

  private static func manifest() throws -> Manifest {
    Manifest(
      byteCount: payload.count, storedByteCount: payload.count, createdNanoseconds: date, modifiedNanoseconds: date,
      mode: 0o644, partByteCount: Format.defaultPartByteCount, partCount: 1, etagDigest: md5(md5(payload).bytes),
      name: try FileName(Array(name.utf8)), extents: [PartExtent(first: PartID(rawValue: 1), count: 1)])
  }

  private static func md5(_ bytes: [UInt8]) -> MD5Digest { bytes.withRawSpan { MD5.digest(of: $0) } }
}

/// docs/FORMAT.md, taken apart into headings, tables and the example.
private struct FormatDocument {
  private struct Section {
    let heading: String
    var lines: [String] = []
  }

  private let sections: [Section]

  init() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let text = try String(contentsOf: root.appendingPathComponent("docs/FORMAT.md"), encoding: .utf8)
    var sections: [Section] = []
    for line in text.components(separatedBy: "\n") {
      if line.hasPrefix("#") {
        sections.append(Section(heading: line.drop { $0 == "#" }.trimmingCharacters(in: .whitespaces)))
      } else if !sections.isEmpty {
        sections[sections.count - 1].lines.append(line)
      }
    }
    self.sections = sections
  }

  /// The headings with a byte map under them.
  var byteMapHeadings: [String] {
    sections.filter { $0.lines.contains("| offset | bytes | field | meaning |") }.map(\.heading)
  }

  /// The rows of the tables under a heading, cell by cell.
  func rows(under heading: String) -> [[String]] {
    sections.filter { $0.heading == heading }.flatMap(\.lines).filter { $0.hasPrefix("|") }.map { line in
      line.components(separatedBy: "|").dropFirst().dropLast().map { $0.trimmingCharacters(in: .whitespaces) }
    }
  }

  /// The fields of fixed size; those of others have no number for their bytes.
  func fields(under heading: String) -> [FormatField] {
    rows(under: heading).compactMap { row in
      guard row.count == 4, let offset = Int(row[0]), let byteCount = Int(row[1]) else { return nil }
      return FormatField(name: row[2], offset: offset, byteCount: byteCount)
    }
  }

  /// The first two cells of the rows that begin with a number.
  func numbers(under heading: String) -> [String] {
    rows(under: heading).filter { Int($0[0]) != nil }.map { "\($0[0]) \($0[1])" }
  }

  var exampleRows: [String] {
    let lines = sections.filter { $0.heading == "Example" }.flatMap(\.lines)
    return lines.drop { $0 != "```hex" }.dropFirst().prefix { $0 != "```" }.map { line in
      line.split(separator: " ").joined(separator: " ")
    }
  }
}
