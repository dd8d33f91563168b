import Codecs
import Mutants
import StorageIO

/// What lies in one segment file, by its own bytes: for those who have no index, or do not trust it.
///
/// With an intact footer the records are read from its table, else they are looked for. Belongs to one thread.
final class SegmentContents {
  let segment: SegmentID
  /// Of the file, as far as a segment goes.
  let byteCount: Int
  /// Nil when it is damaged, or of another store or segment.
  let header: SegmentHeader?
  /// Nil when there is none that can be believed.
  private(set) var footer: SegmentFooter?
  /// What a search for records could not read.
  private(set) var unreadableByteCount = 0
  /// Where a search for records found one whose header is damaged: the first places.
  private(set) var damagedOffsets: [Int] = []
  private static let maximumDamagedOffsetCount = 16

  private let file: File
  private let storePrefix: UInt64

  /// Memory for one piece of a payload or table.
  private static let pieceByteCount = 1 << 20
  /// The device reads this far ahead of a search, so that neither waits for the other.
  private static let prefetchByteCount = 32 << 20
  private var prefetchedEnd = 0
  /// For pieces of payloads; made with the first.
  private var buffer: MemoryRegion?

  /// - Throws: `.corrupt` when it is not a regular file, `.io` when it cannot be opened.
  init(_ segment: SegmentID, in directory: Directory, storePrefix: UInt64) throws(StoreError) {
    self.segment = segment
    self.storePrefix = storePrefix
    do throws(SystemCallFailure) {
      // Not blocking: somebody may have put a pipe in its place.
      file = try directory.open(segment.fileName, [.noFollow, .nonBlocking])
      let status = try file.status()
      byteCount = min(status.byteCount, Format.segmentByteCounts.upperBound)
      guard status.kind == .file else {
        throw SystemCallFailure(call: "open", subject: file.path.description, errorNumber: notARegularFile)
      }
    } catch  where error.isNotFound || error.isEscape || error.errorNumber == notARegularFile {
      throw StoreError(.corrupt, "\(error.subject) is missing, or is not a regular file")
    } catch {
      // Perhaps it can be opened later: an index without it would make it rubbish.
      throw StoreError(
        .io, "segment \(segment): \(error)", advice: "if it cannot be mended, move it out of the store and try again")
    }
    header = SegmentContents.header(of: file, segment, storePrefix)
    footer = SegmentContents.footer(of: file, byteCount, segment, storePrefix)
  }

  /// Calls `body` with the header of each record, in order of offsets. That it is intact says nothing of the payload.
  func forEachRecord(_ body: (RecordHeader) throws(StoreError) -> Void) throws(StoreError) {
    var start = SegmentHeader.byteCount
    if let footer {
      if try forEachRecord(in: footer, upTo: &start, body) { return }
      // It was readable a moment ago; the records behind those that it gave are looked for.
      self.footer = nil
    }
    var window = RecordWindow(file: file, skipsUnreadable: true)
    let onDamage = { [self] (offset: Int) in
      if damagedOffsets.count < SegmentContents.maximumDamagedOffsetCount { damagedOffsets.append(offset) }
    }
    try scan(from: start).forEachHeader(in: &window, onDamage: onDamage, body)
    unreadableByteCount = window.unreadableByteCount
  }

  /// Whether the payload of a record that was found here is what its header says.
  func hasIntactPayload(_ record: RecordHeader) -> Bool {
    let start = record.offset + RecordHeader.byteCount
    prefetch(from: start)
    do throws(SystemCallFailure) {
      return try checksum(of: start..<(start + record.storedByteCount)) == record.storedChecksum
    } catch {
      return false
    }
  }

  /// The checksum of bytes of the file; nil where it ends before them.
  private func checksum(of range: Range<Int>) throws(SystemCallFailure) -> UInt32? {
    let buffer =
      if let buffer { buffer } else { try MemoryRegion(byteCount: SegmentContents.pieceByteCount) }
    self.buffer = buffer
    var checksum: UInt32 = 0
    for offset in stride(from: range.lowerBound, to: range.upperBound, by: buffer.byteCount) {
      let piece = 0..<min(buffer.byteCount, range.upperBound - offset)
      let count = try buffer.withMutableBytes(piece) { (bytes) throws(SystemCallFailure) in
        try file.read(into: &bytes, at: offset)
      }
      guard count == piece.count else { return nil }
      checksum = buffer.withBytes(piece) { CRC32C.checksum(of: $0, continuing: checksum) }
    }
    return checksum
  }

  private func prefetch(from offset: Int) {
    guard offset + SegmentContents.prefetchByteCount / 2 > prefetchedEnd, prefetchedEnd < byteCount else { return }
    let end = min(byteCount, offset + SegmentContents.prefetchByteCount)
    if end > prefetchedEnd { file.prefetch(max(offset, prefetchedEnd)..<end) }
    prefetchedEnd = max(prefetchedEnd, end)
  }

  /// The payload of a record that was found here; nil when it is damaged.
  func payload(of record: RecordHeader) -> [UInt8]? {
    guard let payload = bytes(at: record.offset + RecordHeader.byteCount, record.storedByteCount),
      payload.withRawSpan({ CRC32C.checksum(of: $0) }) == record.storedChecksum
    else { return nil }
    return payload
  }

  /// Whether a record that the table of the footer names was punched out since: nothing is left of its header, or no more
  /// than the half in a page that was not.
  func isPunched(_ record: RecordHeader) -> Bool {
    guard let header = bytes(at: record.offset, RecordHeader.byteCount) else { return false }
    let halves = [header.prefix(Format.alignment), header.suffix(Format.alignment)]
    return halves.contains { half in half.allSatisfy { $0 == 0 } }
  }

  /// Whether the record of a part is here and intact as the index has it.
  func hasIntactPart(_ id: PartID, _ entry: PartEntry) -> Bool {
    guard let bytes = bytes(at: entry.offset, RecordHeader.byteCount) else { return false }
    do throws(FormatFailure) {
      let record = try RecordHeader(
        decoding: bytes, segment: segment, offset: entry.offset, storePrefix: storePrefix)
      return record.part == id && PartEntry(record) == entry && hasIntactPayload(record)
    } catch {
      return false
    }
  }

  /// The end of everything that is not zero, as far as it can be a record: what lies before it may be damaged and of use
  /// all the same.
  func dataEnd() -> Int {
    var end = byteCount & ~(Format.alignment - 1)
    while end > SegmentHeader.byteCount {
      let start = max(SegmentHeader.byteCount, end - SegmentContents.pieceByteCount)
      // What cannot be read is not known to be zero.
      guard let piece = bytes(at: start, end - start) else { return end }
      if let last = piece.lastIndex(where: { $0 != 0 }) { return Format.aligned(start + last + 1) }
      end = start
    }
    return SegmentHeader.byteCount
  }

  /// Whether there is no header at all, not a damaged one: the segment was being made when its writer died.
  var isBlank: Bool {
    guard let start = bytes(at: 0, min(byteCount, SegmentHeader.byteCount)) else { return false }
    return start.allSatisfy { $0 == 0 }
  }

  /// Whether the header of a part stands where `entry` says, intact or not its payload.
  static func holds(_ id: PartID, _ entry: PartEntry, in directory: Directory, storePrefix: UInt64) -> Bool {
    do {
      let file = try directory.open(entry.segment.fileName, [.noFollow, .nonBlocking])
      let bytes = try file.bytes(at: entry.offset, byteCount: RecordHeader.byteCount)
      let record = try RecordHeader(
        decoding: bytes, segment: entry.segment, offset: entry.offset, storePrefix: storePrefix)
      return record.part == id
    } catch {
      return false
    }
  }

  // MARK: -

  private func scan(from start: Int) -> RecordScan {
    RecordScan(segment: segment, storePrefix: storePrefix, range: start..<max(start, byteCount))
  }

  /// - Parameter end: of the last record that `body` was called with.
  /// - Returns: False when the table can no longer be read.
  private func forEachRecord(
    in footer: SegmentFooter, upTo end: inout Int, _ body: (RecordHeader) throws(StoreError) -> Void
  ) throws(StoreError) -> Bool {
    for (offset, count) in SegmentContents.pieces(of: footer) {
      guard let table = bytes(at: offset, count) else { return false }
      for start in stride(from: 0, to: table.count, by: RecordHeader.byteCount) {
        let bytes = Array(table[start..<(start + RecordHeader.byteCount)])
        guard let header = header(inTable: bytes, footer) else { continue }
        try body(header)
        end = header.offset + header.recordByteCount
      }
    }
    return true
  }

  /// A copy in the table says where its record lies.
  private func header(inTable bytes: [UInt8], _ footer: SegmentFooter) -> RecordHeader? {
    let offset = Int(clamping: ByteReader(bytes).get(RecordHeader.Offset.offset, as: UInt64.self))
    guard offset >= SegmentHeader.byteCount, offset < footer.tableOffset, offset % Format.alignment == 0 else {
      return nil
    }
    do throws(FormatFailure) {
      let header = try RecordHeader(decoding: bytes, segment: segment, offset: offset, storePrefix: storePrefix)
      return header.recordByteCount <= footer.tableOffset - offset ? header : nil
    } catch {
      return nil
    }
  }

  /// The bytes, all of them; nil when they are not there or cannot be read.
  private func bytes(at offset: Int, _ count: Int) -> [UInt8]? {
    do throws(SystemCallFailure) {
      let bytes = try file.bytes(at: offset, byteCount: count)
      return bytes.count == count ? bytes : nil
    } catch {
      return nil
    }
  }

  private static func header(of file: File, _ segment: SegmentID, _ storePrefix: UInt64) -> SegmentHeader? {
    do {
      let header = try SegmentHeader(decoding: try file.bytes(at: 0, byteCount: SegmentHeader.byteCount))
      return header.segment == segment && header.uuid.prefix == storePrefix ? header : nil
    } catch {
      return nil
    }
  }

  private static func footer(
    of file: File, _ byteCount: Int, _ segment: SegmentID, _ storePrefix: UInt64
  ) -> SegmentFooter? {
    guard byteCount >= SegmentHeader.byteCount + SegmentFooter.trailerByteCount else { return nil }
    do {
      let trailer = try file.bytes(
        at: byteCount - SegmentFooter.trailerByteCount, byteCount: SegmentFooter.trailerByteCount)
      let footer = try SegmentFooter(decodingTrailer: trailer, fileByteCount: byteCount)
      guard footer.segment == segment, footer.storePrefix == storePrefix else { return nil }
      var checksum: UInt32 = 0
      for (offset, count) in pieces(of: footer) {
        let piece = try file.bytes(at: offset, byteCount: count)
        checksum = piece.withRawSpan { CRC32C.checksum(of: $0, continuing: checksum) }
      }
      return checksum == footer.tableChecksum || Mutant.noFooterChecksum.isActive ? footer : nil
    } catch {
      return nil
    }
  }

  /// The table in pieces of whole headers.
  private static func pieces(of footer: SegmentFooter) -> [(offset: Int, byteCount: Int)] {
    let end = footer.tableOffset + footer.recordCount * RecordHeader.byteCount
    return stride(from: footer.tableOffset, to: end, by: pieceByteCount).map { ($0, min(pieceByteCount, end - $0)) }
  }
}

/// EISDIR stands for everything that is not a regular file.
private let notARegularFile: Int32 = 21
