/// Where the structures of a segment file lie, read by the words of docs/FORMAT.md and not by the engine's code.
struct SegmentMap {
  static let headerByteCount = 4096
  static let recordHeaderByteCount = 128
  static let trailerByteCount = 64
  static let alignment = 64

  struct Record {
    enum Kind: UInt8 { case part = 1, manifest, commit, tombstone }
    let kind: Kind
    let offset: Int
    let storedByteCount: Int
    let file: UInt64

    /// Header, payload and zeros.
    var range: Range<Int> {
      let byteCount = SegmentMap.recordHeaderByteCount + storedByteCount
      return offset..<(offset + (byteCount + SegmentMap.alignment - 1) / SegmentMap.alignment * SegmentMap.alignment)
    }
    var header: Range<Int> { offset..<(offset + SegmentMap.recordHeaderByteCount) }
    /// All that describes files rather than being their bytes, and the header of those.
    var description: Range<Int> {
      kind == .part ? header : offset..<(header.upperBound + storedByteCount)
    }
  }

  private(set) var records: [Record] = []
  /// The table and the trailer behind it; nil for a segment that is open.
  private(set) var footer: Range<Int>?

  init(_ bytes: [UInt8], segment: UInt64) {
    footer = SegmentMap.footer(bytes)
    let end = footer?.lowerBound ?? bytes.count
    var offset = SegmentMap.headerByteCount
    while offset + SegmentMap.recordHeaderByteCount <= end {
      if let record = SegmentMap.record(bytes, offset, segment: segment), record.range.upperBound <= end {
        records.append(record)
        offset = record.range.upperBound
      } else {
        offset += SegmentMap.alignment
      }
    }
  }

  /// The record that has the byte at `offset`.
  func record(at offset: Int) -> Record? { records.first { $0.range.contains(offset) } }

  /// The files of which a record has bytes in `range`; those that a commit record names are not among them.
  func files(in range: Range<Int>) -> Set<UInt64> {
    Set(records.filter { $0.range.overlaps(range) }.map(\.file))
  }

  /// Where structures begin and end.
  var boundaries: [Int] {
    var places: Set<Int> = [0, SegmentMap.headerByteCount]
    for record in records {
      places.formUnion([record.offset, record.header.upperBound, record.range.upperBound])
      places.insert(record.header.upperBound + record.storedByteCount)
    }
    if let footer { places.formUnion([footer.lowerBound, footer.upperBound - SegmentMap.trailerByteCount]) }
    return places.sorted()
  }

  private static func record(_ bytes: [UInt8], _ offset: Int, segment: UInt64) -> Record? {
    guard bytes[offset..<(offset + 4)].elementsEqual("PFR1".utf8), let kind = Record.Kind(rawValue: bytes[offset + 8]),
      bytes.number(at: offset + 24, byteCount: 8) == segment,
      bytes.number(at: offset + 32, byteCount: 8) == UInt64(offset)
    else { return nil }
    return Record(
      kind: kind, offset: offset, storedByteCount: Int(bytes.number(at: offset + 16, byteCount: 4)),
      file: bytes.number(at: offset + 64, byteCount: 8))
  }

  private static func footer(_ bytes: [UInt8]) -> Range<Int>? {
    let trailer = bytes.count - trailerByteCount
    guard trailer >= headerByteCount, bytes[trailer..<(trailer + 8)].elementsEqual("PFSFOOT\n".utf8) else { return nil }
    let table = Int(bytes.number(at: trailer + 16, byteCount: 8))
    return (headerByteCount...trailer).contains(table) ? table..<bytes.count : nil
  }
}

extension [UInt8] {
  /// The little-endian number of `byteCount` bytes at `offset`.
  func number(at offset: Int, byteCount: Int) -> UInt64 {
    self[offset..<(offset + byteCount)].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
}
