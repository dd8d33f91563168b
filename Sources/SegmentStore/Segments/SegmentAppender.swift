import Codecs
import Mutants
import StorageIO
import Synchronization

/// What is known of a record before its payload is encoded.
struct RecordDraft: Sendable {
  var kind: RecordKind
  var rawByteCount: Int
  var sequence: Sequence
  var part = PartID(rawValue: 0)
  var file = FileID(rawValue: 0)
  var partNumber = 0
  var digest: MD5Digest
}

/// A payload as it was encoded into the segment.
struct EncodedPayload: Sendable {
  let codec: Codec
  let byteCount: Int
}

/// The writing end of one segment file: appends records one after another.
///
/// One thread at a time appends. What is appended can be read at once and is durable after ``sync()``; it counts only
/// when the index names it. A record that fails to be appended leaves the segment as it was.
final class SegmentAppender: @unchecked Sendable {
  // Unchecked: the SegmentPool lends an appender to one thread at a time; only `sync` is called beside it, and that
  // touches nothing but the file and a counter.
  let segment: SegmentID
  let segmentByteCount: Int
  private(set) var tail: Int
  private(set) var recordCount: Int

  private let file: File
  private let storePrefix: UInt64
  /// Nil where reserved space does not protect a mapping: records are then written with pwrite.
  private let mapping: MappedFile?
  private var allocatedEnd: Int
  private var populatedEnd: Int
  private var writebackEnd: Int
  /// What was handed to the device last by ``paceWriteback()``.
  private var lastStride = 0..<0
  private let unsynced = Atomic(0)

  /// Space is reserved this far ahead, so that few calls are made and a short store stays short.
  private static let allocationStepByteCount = 4 << 20
  /// No more than this share of what is free.
  private static let freeShare = 32
  private static let zeroPieceByteCount = 64 << 10
  private static let populationStepByteCount = 1 << 20
  /// Writeback starts when this much is dirty, so that the last sync finds little to do.
  private static let writebackStrideByteCount = 8 << 20
  private static let pacedStrideByteCount = 1 << 20

  /// Goes on at `tail` of an open segment: the end of what the index knows.
  init(
    file: File, segment: SegmentID, segmentByteCount: Int, storePrefix: UInt64, tail: Int, recordCount: Int,
    isMapped: Bool
  ) throws(SystemCallFailure) {
    self.file = file
    self.segment = segment
    self.segmentByteCount = segmentByteCount
    self.storePrefix = storePrefix
    self.tail = tail
    self.recordCount = recordCount
    mapping = isMapped ? try MappedFile(file, byteCount: segmentByteCount, isWritable: true) : nil
    allocatedEnd = tail
    populatedEnd = tail
    writebackEnd = tail
  }

  /// The memory that one append takes where there is no mapping to encode into.
  static func scratchByteCount(capacity: Int) -> Int { Format.aligned(RecordHeader.byteCount + capacity) }

  /// Whether a page of the mapping was lost: what is written to it now would never reach the file.
  var isFaulted: Bool { mapping?.isFaulted ?? false }

  /// Whether a payload of up to `capacity` bytes fits before the room that the footer needs.
  func hasRoom(forPayload capacity: Int) -> Bool {
    let end = tail + Format.aligned(RecordHeader.byteCount + capacity)
    return end + SegmentFooter.byteCount(recordCount: recordCount + 1) <= segmentByteCount
  }

  /// Appends a record whose payload `encode` writes straight into the segment.
  /// - Parameter capacity: the most that `encode` may need; the caller has asked ``hasRoom(forPayload:)``.
  /// - Throws: `.noSpace`, and nothing counts; `.io` when a page of the mapping was lost.
  func append(
    _ draft: RecordDraft, capacity: Int,
    encode: (inout MutableRawSpan) throws(StoreError) -> EncodedPayload
  ) throws(StoreError) -> AppendedRecord {
    precondition(hasRoom(forPayload: capacity), "\(capacity) bytes at \(tail) of segment \(segment)")
    let recordEnd = tail + Format.aligned(RecordHeader.byteCount + capacity)
    try reserve(upTo: recordEnd)
    let header: RecordHeader
    if let mapping {
      header = try mapping.withMutableBytes(tail..<recordEnd, failure: lost) { (record) throws(StoreError) in
        try fill(&record, draft, capacity: capacity, encode)
      }
    } else {
      let scratch = try translating { () throws(SystemCallFailure) in
        try MemoryRegion(byteCount: recordEnd - tail)
      }
      header = try scratch.withMutableBytes(0..<(recordEnd - tail)) { (record) throws(StoreError) in
        try fill(&record, draft, capacity: capacity, encode)
      }
      try translating { () throws(SystemCallFailure) in
        try scratch.withBytes(0..<header.recordByteCount) { (bytes) throws(SystemCallFailure) in
          try file.write(bytes, at: tail)
        }
      }
    }
    return added(header)
  }

  /// Writes payload and header into `record`, the payload first: a header is there only above a whole payload.
  private func fill(
    _ record: inout MutableRawSpan, _ draft: RecordDraft, capacity: Int,
    _ encode: (inout MutableRawSpan) throws(StoreError) -> EncodedPayload
  ) throws(StoreError) -> RecordHeader {
    let payloadStart = RecordHeader.byteCount
    var payload = record._mutatingExtracting(payloadStart..<(payloadStart + capacity))
    let encoded = try encode(&payload)
    precondition(encoded.byteCount <= capacity, "\(encoded.byteCount) bytes encoded into \(capacity)")
    let end = payloadStart + encoded.byteCount
    let checksum = CRC32C.checksum(of: record.bytes.extracting(payloadStart..<end))
    let header = RecordHeader(
      kind: draft.kind, codec: encoded.codec, rawByteCount: draft.rawByteCount, storedByteCount: encoded.byteCount,
      storedChecksum: checksum, segment: segment, offset: tail, storePrefix: storePrefix, sequence: draft.sequence,
      part: draft.part, file: draft.file, partNumber: draft.partNumber, digest: draft.digest)
    // Bytes between records are zero; an encoder may have used more of its room than it kept.
    record.copy([UInt8](repeating: 0, count: header.recordByteCount - end), to: end)
    record.copy(header.encoded(), to: 0)
    return header
  }

  /// Appends a record that lies elsewhere, as it is stored there. Written with pwrite also where there is a mapping: that
  /// takes half the time where nothing is encoded.
  /// - Parameter payload: found to be what the header says.
  /// - Throws: As ``append(_:capacity:encode:)``.
  func append(copyOf record: RecordHeader, payload: RawSpan) throws(StoreError) -> AppendedRecord {
    precondition(hasRoom(forPayload: payload.byteCount), "\(payload.byteCount) bytes at \(tail) of segment \(segment)")
    // With the checksum that it had: what is copied wrongly is found.
    let header = RecordHeader(
      kind: record.kind, codec: record.codec, rawByteCount: record.rawByteCount,
      storedByteCount: record.storedByteCount, storedChecksum: record.storedChecksum, segment: segment, offset: tail,
      storePrefix: storePrefix, sequence: record.sequence, part: record.part, file: record.file,
      partNumber: record.partNumber, digest: record.digest)
    try allocate(upTo: tail + header.recordByteCount)
    try translating { () throws(SystemCallFailure) in
      // The payload first, as in `fill`, and zeros behind it.
      let payloadStart = tail + RecordHeader.byteCount
      try file.write(payload, at: payloadStart)
      let paddingByteCount = header.recordByteCount - RecordHeader.byteCount - payload.byteCount
      try file.write([UInt8](repeating: 0, count: paddingByteCount), at: payloadStart + payload.byteCount)
      try file.write(header.encoded(), at: tail)
    }
    defer { populatedEnd = max(populatedEnd, tail) }
    return added(header)
  }

  private func added(_ header: RecordHeader) -> AppendedRecord {
    let location = RecordLocation(segment: segment, offset: tail, recordByteCount: header.recordByteCount)
    tail = location.end
    recordCount += 1
    unsynced.add(header.recordByteCount, ordering: .relaxed)
    startWritebackInStrides()
    return AppendedRecord(location: location, recordCount: recordCount)
  }

  /// Where a segment ends, and what it has reserved.
  struct Mark {
    let tail: Int
    fileprivate let recordCount: Int
    fileprivate let allocatedEnd: Int
  }

  var mark: Mark { Mark(tail: tail, recordCount: recordCount, allocatedEnd: allocatedEnd) }

  /// Takes back the records behind `mark`, which nobody has been told of: they are zeroed or cut off, so that no scan finds
  /// them, and the next record goes there. What was reserved for them goes back: others perhaps need it to make room.
  func rewind(to mark: Mark) throws(StoreError) {
    let end = min(tail, mark.allocatedEnd)
    for start in stride(from: mark.tail, to: end, by: SegmentAppender.zeroPieceByteCount) {
      let byteCount = min(SegmentAppender.zeroPieceByteCount, end - start)
      try overwrite([UInt8](repeating: 0, count: byteCount), at: start)
    }
    if allocatedEnd > mark.allocatedEnd { try cut(at: mark.allocatedEnd) }
    (tail, recordCount) = (mark.tail, mark.recordCount)
    writebackEnd = min(writebackEnd, tail)
    lastStride = lastStride.clamped(to: 0..<tail)
  }

  /// What was appended since a sync began last: what the next one has to do.
  var unsyncedByteCount: Int { unsynced.load(ordering: .relaxed) }

  /// Makes everything appended durable. After a failure nothing that was appended since may be relied on.
  func sync() throws(SystemCallFailure) {
    if Mutant.noSegmentSync.isActive { return }
    unsynced.store(0, ordering: .relaxed)
    try file.syncData()
  }

  /// Has the device write what was appended, and waits for what it was given before: no more than two strides are on their way
  /// to it at any time, behind which the syncs of others would wait.
  /// - Throws: As ``sync()``.
  func paceWriteback() throws(SystemCallFailure) {
    guard tail - writebackEnd >= SegmentAppender.pacedStrideByteCount else { return }
    let before = lastStride
    lastStride = writebackEnd..<tail
    startWriteback()
    if !before.isEmpty { try file.finishWriteback(before) }
  }

  /// Writes the footer behind the last record and cuts the file off behind it. Not yet durable; may be repeated, and
  /// an append would overwrite it.
  /// - Returns: The bytes of the file.
  func seal() throws(StoreError) -> Int {
    let tableOffset = tail
    let scan = RecordScan(segment: segment, storePrefix: storePrefix, range: SegmentHeader.byteCount..<tableOffset)
    var tableChecksum: UInt32 = 0
    var offset = tableOffset
    var count = 0
    var window = RecordWindow(file: file)
    try scan.forEachHeader(in: &window) { (header) throws(StoreError) in
      let bytes = header.encoded()
      tableChecksum = bytes.withRawSpan { CRC32C.checksum(of: $0, continuing: tableChecksum) }
      try reserve(upTo: offset + bytes.count)
      try overwrite(bytes, at: offset)
      offset += bytes.count
      count += 1
    }
    let footer = SegmentFooter(
      segment: segment, storePrefix: storePrefix, recordCount: count, tableOffset: tableOffset,
      tableChecksum: tableChecksum)
    try reserve(upTo: offset + SegmentFooter.trailerByteCount)
    try overwrite(footer.encodedTrailer(), at: offset)
    let end = offset + SegmentFooter.trailerByteCount
    try cut(at: end)
    return end
  }

  /// Cuts the file off at `end`: what was reserved ahead goes back to the file system.
  func cut(at end: Int) throws(StoreError) {
    try translating { () throws(SystemCallFailure) in try file.truncate(to: end) }
    allocatedEnd = end
    populatedEnd = min(populatedEnd, end)
  }

  // MARK: -

  private func reserve(upTo end: Int) throws(StoreError) {
    try allocate(upTo: end)
    guard let mapping, end > populatedEnd else { return }
    let ahead = min(allocatedEnd, max(end, populatedEnd + SegmentAppender.populationStepByteCount))
    try translating { () throws(SystemCallFailure) in try mapping.populateForWriting(populatedEnd..<ahead) }
    populatedEnd = ahead
  }

  private func allocate(upTo end: Int) throws(StoreError) {
    guard end > allocatedEnd else { return }
    let ahead = min(segmentByteCount, max(end, allocatedEnd + aheadByteCount()))
    do throws(SystemCallFailure) {
      do throws(SystemCallFailure) {
        try allocate(allocatedEnd..<ahead)
        allocatedEnd = ahead
      } catch  where error.isNoSpace && end < ahead {
        // The last free blocks are as good as any.
        try allocate(allocatedEnd..<end)
        allocatedEnd = end
      }
    } catch  where error.isNotSupported && mapping == nil {
      // Not to be had here; without a mapping a full disk is an error of the write.
      allocatedEnd = ahead
    } catch  where error.isNoSpace {
      throw StoreError(
        .noSpace, "\(error.reason) (segment \(segment), \(describe(segmentByteCount)))",
        advice: "free some space on this file system, or delete files from the store")
    } catch {
      throw StoreError(error)
    }
  }

  /// How far to reserve ahead. On a disk that is nearly full others need the rest, the index first of all.
  private func aheadByteCount() -> Int {
    do throws(SystemCallFailure) {
      let freeByteCount = try FileSystem.freeByteCount(at: file.path)
      return min(SegmentAppender.allocationStepByteCount, freeByteCount / SegmentAppender.freeShare)
    } catch {
      return SegmentAppender.allocationStepByteCount
    }
  }

  private func allocate(_ range: Range<Int>) throws(SystemCallFailure) {
    if Mutant.sparseInsteadOfReserved.isActive { return try file.truncate(to: range.upperBound) }
    try file.allocate(range)
  }

  private func overwrite(_ bytes: [UInt8], at offset: Int) throws(StoreError) {
    guard !bytes.isEmpty else { return }
    if let mapping {
      try mapping.withMutableBytes(offset..<(offset + bytes.count), failure: lost) { (span) throws(StoreError) in
        span.copy(bytes, to: 0)
      }
    } else {
      try translating { () throws(SystemCallFailure) in try file.write(bytes, at: offset) }
    }
  }

  private func startWritebackInStrides() {
    if tail - writebackEnd >= SegmentAppender.writebackStrideByteCount { startWriteback() }
  }

  private func startWriteback() {
    mapping?.detachPages(writebackEnd..<tail)
    file.startWriteback(writebackEnd..<tail)
    writebackEnd = tail
  }

  private func lost(_ failure: SystemCallFailure) -> StoreError {
    StoreError(.io, "segment \(segment): \(failure)")
  }
}

/// A size as messages show it: exact, in the largest binary unit that divides it.
func describe(_ byteCount: Int) -> String {
  for (unit, name) in [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
  where byteCount >= unit && byteCount % unit == 0 {
    return "\(byteCount / unit) \(name)"
  }
  return "\(byteCount) bytes"
}
