import Codecs
import Mutants
import StorageIO

/// The reading end of all segments: lends the bytes of a record, checked against what the index says of it.
///
/// Keeps the segments read last mapped. Any thread may use it.
final class SegmentReader: Sendable {
  private struct State {
    var mappings: [SegmentID: MappedFile] = [:]
    /// In the order in which they were mapped.
    var order: [SegmentID] = []
  }

  /// Address space is plenty, but a process has some 65,000 mappings.
  private static let mappingCount = 128

  private let directory: Directory
  private let segmentByteCount: Int
  private let storePrefix: UInt64
  private let state = Monitor(State())

  init(directory: Directory, segmentByteCount: Int, storePrefix: UInt64) {
    self.directory = directory
    self.segmentByteCount = segmentByteCount
    self.storePrefix = storePrefix
  }

  /// Calls `body` with the stored payload of a part whose header and checksum were found right.
  /// - Throws: `.corrupt` when header or payload are not what the index and the header say, `.io` when they cannot
  ///   be read, both with segment and offset; what `body` throws.
  func withPayload<R>(
    of part: PartID, _ entry: PartEntry, _ body: (RawSpan) throws(StoreError) -> R
  ) throws(StoreError) -> R {
    guard entry.state == .live else {
      throw StoreError(.corrupt, "part \(part) is lost: its record was not found when the index was made anew")
    }
    return try withRecord(entry.location, byteCount: entry.recordByteCount) { (record) throws(StoreError) in
      let header = try header(record, of: part, entry)
      let start = RecordHeader.byteCount
      let payload = record.extracting(start..<(start + header.storedByteCount))
      let checksum = CRC32C.checksum(of: payload)
      let isBelieved = Mutant.noDigestOnGet.isActive || Mutant.noDigestOnVerify.isActive
      guard checksum == header.storedChecksum || isBelieved else {
        throw StoreError(
          .corrupt, "\(entry.place): stored CRC32C \(hex(header.storedChecksum)), bytes give \(hex(checksum))")
      }
      return try body(payload)
    }
  }

  /// Calls `body` with the stored payload of a record that was found in its segment, after the same checks.
  /// - Throws: As ``withPayload(of:_:_:)``.
  func withPayload<R>(
    of record: RecordHeader, _ body: (RawSpan) throws(StoreError) -> R
  ) throws(StoreError) -> R {
    let location = record.location
    return try withRecord(location, byteCount: location.recordByteCount) { (bytes) throws(StoreError) in
      let start = RecordHeader.byteCount
      guard bytes.copied(0..<start) == record.encoded() else {
        throw StoreError(.corrupt, "\(location.place): the header is not the one that was found there before")
      }
      let payload = bytes.extracting(start..<(start + record.storedByteCount))
      let checksum = CRC32C.checksum(of: payload)
      guard checksum == record.storedChecksum else {
        throw StoreError(
          .corrupt, "\(location.place): stored CRC32C \(hex(record.storedChecksum)), bytes give \(hex(checksum))")
      }
      return try body(payload)
    }
  }

  /// Calls `body` with what there is of the payload of a part that ``withPayload(of:_:_:)`` refused: all of it, or what
  /// lies before the end of the segment file. Nothing of it is checked.
  /// - Parameter body: told whether the header above the payload is that of this part.
  /// - Returns: Nil when there is nothing: the part is lost, its segment missing, or cut off before its payload.
  /// - Throws: As ``withPayload(of:_:_:)``.
  func withRemains<R>(
    of part: PartID, _ entry: PartEntry, _ body: (RawSpan, Bool) throws(StoreError) -> R
  ) throws(StoreError) -> R? {
    guard entry.state == .live, let fileByteCount = fileByteCount(of: entry.segment) else { return nil }
    let start = RecordHeader.byteCount
    let byteCount = min(start + entry.storedByteCount, fileByteCount - entry.offset)
    guard byteCount > start || byteCount == start && entry.storedByteCount == 0 else { return nil }
    return try withRecord(entry.location, byteCount: byteCount) { (record) throws(StoreError) in
      var isOfPart = true
      do throws(StoreError) { _ = try header(record, of: part, entry) } catch { isOfPart = false }
      return try body(record.extracting(start..<byteCount), isOfPart)
    }
  }

  /// Calls `body` with the first `byteCount` bytes of a record, as they are.
  private func withRecord<R>(
    _ location: RecordLocation, byteCount: Int, _ body: (RawSpan) throws(StoreError) -> R
  ) throws(StoreError) -> R {
    let range = location.offset..<(location.offset + byteCount)
    guard location.offset >= SegmentHeader.byteCount, range.upperBound <= segmentByteCount else {
      throw StoreError(
        index: FormatFailure(.damaged, "\(location.place): beyond a segment of \(segmentByteCount) bytes"))
    }
    let mapping = try mapping(of: location.segment)
    func unreadable(_ failure: SystemCallFailure) -> StoreError {
      if let fileByteCount = fileByteCount(of: location.segment), fileByteCount < range.upperBound {
        return StoreError(
          .corrupt, "\(location.place): the file has \(fileByteCount) bytes, the record ends at \(range.upperBound)")
      }
      return StoreError(.io, "\(location.place): \(failure.reason) while \(byteCount) bytes were read")
    }
    do throws(SystemCallFailure) { try mapping.populateForReading(range) } catch {
      forget(location.segment)
      throw unreadable(error)
    }
    defer { if mapping.isFaulted { forget(location.segment) } }
    return try mapping.withBytes(range, failure: unreadable, body)
  }

  /// The header of a record, compared with what the index says of it.
  private func header(_ record: RawSpan, of part: PartID, _ entry: PartEntry) throws(StoreError) -> RecordHeader {
    let header: RecordHeader
    do throws(FormatFailure) {
      header = try RecordHeader(
        decoding: record.copied(0..<RecordHeader.byteCount), segment: entry.segment, offset: entry.offset,
        storePrefix: storePrefix)
    } catch {
      throw StoreError(.corrupt, "\(entry.place): \(error)")
    }
    guard header.kind == .part, header.part == part, header.codec == entry.codec, header.digest == entry.digest,
      header.storedByteCount == entry.storedByteCount && header.rawByteCount == entry.rawByteCount
        || Mutant.believeLengths.isActive
    else {
      throw StoreError(
        .corrupt,
        "\(entry.place): the record is of \(header.kind) \(header.part), MD5 \(header.digest); the index expects "
          + "part \(part), MD5 \(entry.digest)")
    }
    return header
  }

  /// Drops the mapping of a segment that is gone or could not be read.
  func forget(_ segment: SegmentID) {
    state.withLock { state in
      state.mappings[segment] = nil
      state.order.removeAll { $0 == segment }
    }
  }

  private func fileByteCount(of segment: SegmentID) -> Int? {
    do throws(SystemCallFailure) { return try directory.status(of: segment.fileName).byteCount } catch { return nil }
  }

  private func mapping(of segment: SegmentID) throws(StoreError) -> MappedFile {
    if let mapping = state.withLock({ $0.mappings[segment] }) { return mapping }
    let mapping: MappedFile
    do throws(SystemCallFailure) {
      // Not blocking: somebody may have put a pipe in its place.
      let file = try directory.open(segment.fileName, [.noFollow, .nonBlocking])
      guard try file.status().kind == .file else {
        throw SystemCallFailure(call: "open", subject: file.path.description, errorNumber: notARegularFile)
      }
      mapping = try MappedFile(file, byteCount: segmentByteCount, isWritable: false)
    } catch  where error.isNotFound || error.isEscape || error.errorNumber == notARegularFile {
      throw StoreError(.corrupt, "segment \(segment): \(error.subject) is missing, or is not a regular file")
    } catch {
      throw error.isOutOfResources ? StoreError(.systemLimit, error.description) : StoreError(error)
    }
    return state.withLock { state in
      // Another thread may have been quicker: one mapping a segment is enough.
      if let existing = state.mappings[segment] { return existing }
      if state.order.count >= SegmentReader.mappingCount { state.mappings[state.order.removeFirst()] = nil }
      state.mappings[segment] = mapping
      state.order.append(segment)
      return mapping
    }
  }
}

extension PartEntry {
  /// For messages.
  var place: String { location.place }
}

extension RecordLocation {
  /// For messages.
  var place: String { "segment \(segment) offset \(offset)" }
}

/// EISDIR stands for everything that is not a regular file.
private let notARegularFile: Int32 = 21
