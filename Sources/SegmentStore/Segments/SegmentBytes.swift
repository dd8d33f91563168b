import Codecs
import StorageIO

/// A segment file as its bytes say, for those who look at every record; read by pieces and never mapped, so that holes
/// stay holes. One thread at a time uses it.
final class SegmentBytes {
  let segment: SegmentID
  let byteCount: Int
  /// The first place that a search could not read, and why.
  private(set) var unreadable: (offset: Int, reason: String)?
  private let file: File
  private let storePrefix: UInt64

  private static let pieceByteCount = 64 << 10

  /// - Throws: `.corrupt` when there is no such file, `.io` when it cannot be opened.
  init(_ segment: SegmentID, of store: Store) throws(StoreError) {
    self.segment = segment
    storePrefix = store.superblock.uuid.prefix
    do throws(SystemCallFailure) {
      file = try store.segmentDirectory.open(segment.fileName, [.noFollow, .nonBlocking])
      let status = try file.status()
      byteCount = status.byteCount
      guard status.kind == .file else { throw SystemCallFailure(call: "open", subject: "", errorNumber: 21) }
    } catch  where error.isNotFound || error.isEscape || error.errorNumber == 21 {
      throw StoreError(.corrupt, "the file is missing, or is not a regular file")
    } catch {
      throw StoreError(error)
    }
  }

  func bytes(at offset: Int, byteCount: Int) throws(StoreError) -> [UInt8] {
    try translating { () throws(SystemCallFailure) in try file.bytes(at: offset, byteCount: byteCount) }
  }

  /// What is not on disk of a record; nil when all of it is.
  func hole(in location: RecordLocation) throws(StoreError) -> Range<Int>? {
    try translating { () throws(SystemCallFailure) in try file.nextHole(in: location.offset..<location.end) }
  }

  /// The header of the record at `offset`; nil when none is intact there.
  func header(at offset: Int) throws(StoreError) -> RecordHeader? {
    decoded(try bytes(at: offset, byteCount: RecordHeader.byteCount), at: offset)
  }

  /// The first intact record from `offset` on that ends by `end`. Pages that cannot be read are passed over, and noted in
  /// ``unreadable``.
  func nextRecord(from offset: Int, upTo end: Int) throws(StoreError) -> RecordHeader? {
    if let header = decoded(try readable(at: offset, RecordHeader.byteCount), at: offset),
      offset + header.recordByteCount <= end
    {
      return header
    }
    var start = offset + Format.alignment
    while start + RecordHeader.byteCount <= end {
      // Past the hole, if there is one: it may be as long as the segment.
      let data = try translating { () throws(SystemCallFailure) in try file.nextData(from: start) }
      guard let data else { return nil }
      start = max(start, data & ~(Format.alignment - 1))
      guard start + RecordHeader.byteCount <= end else { return nil }
      let wantedByteCount = min(SegmentBytes.pieceByteCount, end - start)
      let piece = try readable(at: start, wantedByteCount)
      for place in stride(from: 0, to: piece.count - RecordHeader.byteCount + 1, by: Format.alignment)
      where piece[place] == RecordHeader.magicBytes[0] {
        let found = decoded(Array(piece[place..<(place + RecordHeader.byteCount)]), at: start + place)
        if let found, start + place + found.recordByteCount <= end { return found }
      }
      if piece.count < wantedByteCount, start + piece.count < byteCount {
        // Behind the page that could not be read.
        start = (start + piece.count) & ~(pageByteCount - 1) + pageByteCount
      } else if piece.count < SegmentBytes.pieceByteCount {
        return nil
      } else {
        // The last header of a piece may end behind it.
        start += piece.count - Format.aligned(RecordHeader.byteCount)
      }
    }
    return nil
  }

  /// The bytes at `offset`, up to the first page that cannot be read or the end of the file.
  private func readable(at offset: Int, _ byteCount: Int) throws(StoreError) -> [UInt8] {
    do throws(StoreError) { return try bytes(at: offset, byteCount: byteCount) } catch  where error.code == .io {
      var found: [UInt8] = []
      while found.count < byteCount {
        let start = offset + found.count
        let pageEnd = start & ~(pageByteCount - 1) + pageByteCount
        do throws(StoreError) {
          let piece = try bytes(at: start, byteCount: min(pageEnd, offset + byteCount) - start)
          if piece.isEmpty { break }
          found += piece
        } catch  where error.code == .io {
          if unreadable == nil { unreadable = (start, error.message) }
          break
        }
      }
      return found
    }
  }

  /// The payload of a record, or what is wrong with it.
  func payload(of header: RecordHeader) throws(StoreError) -> [UInt8] {
    let bytes = try bytes(at: header.offset + RecordHeader.byteCount, byteCount: header.storedByteCount)
    let checksum = bytes.withRawSpan { CRC32C.checksum(of: $0) }
    guard bytes.count == header.storedByteCount, checksum == header.storedChecksum else {
      throw StoreError(.corrupt, "stored CRC32C \(hex(header.storedChecksum)), bytes give \(hex(checksum))")
    }
    return bytes
  }

  private func decoded(_ bytes: [UInt8], at offset: Int) -> RecordHeader? {
    guard bytes.count == RecordHeader.byteCount, bytes.starts(with: RecordHeader.magicBytes) else { return nil }
    do throws(FormatFailure) {
      return try RecordHeader(decoding: bytes, segment: segment, offset: offset, storePrefix: storePrefix)
    } catch {
      return nil
    }
  }
}

extension Store {
  /// The header of the record in a place, as the segment has it; nil when none is intact there.
  func record(at location: RecordLocation) -> RecordHeader? {
    do throws(StoreError) {
      return try SegmentBytes(location.segment, of: self).header(at: location.offset)
    } catch {
      return nil
    }
  }
}

extension RecordHeader {
  var location: RecordLocation {
    RecordLocation(segment: segment, offset: offset, recordByteCount: recordByteCount)
  }
}
