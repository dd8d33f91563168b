import Codecs
import StorageIO

/// How a put divides its source.
struct PutPlan: Sendable {
  let partByteCount: Int
  /// The most parts of a batch.
  let batchPartCount: Int
  /// Nil for a stream.
  let byteCount: Int?
  private let scratchByteCount: Int

  init(_ source: OpenPutSource, _ options: PutOptions, _ store: Store) throws(StoreError) {
    let partByteCount = options.partByteCount ?? store.superblock.partByteCount
    let largest = Format.maximumPartByteCount(segmentByteCount: store.superblock.segmentByteCount)
    guard (Format.minimumPartByteCount...largest).contains(partByteCount) else {
      throw StoreError(
        .invalidArgument,
        "a part size of \(describe(partByteCount)): this store takes \(describe(Format.minimumPartByteCount)) to "
          + describe(largest))
    }
    try options.checkLevel()
    byteCount = source.status?.byteCount
    let scratchByteCount =
      store.writeScratchByteCount(partByteCount: partByteCount)
      + options.workspaceByteCount(partByteCount: partByteCount)
    let most = try store.batchPartCount(partByteCount: partByteCount, scratchByteCount: scratchByteCount)
    self.partByteCount = partByteCount
    self.scratchByteCount = scratchByteCount
    if let byteCount {
      let partCount = PutPlan.partCount(byteCount, partByteCount)
      guard partCount <= Format.maximumPartCount else {
        throw StoreError(
          .invalidArgument, "\(byteCount) bytes in parts of \(partByteCount) are more parts than a file can have",
          advice: "choose a larger --part-size")
      }
      // A short file is shared out among the workers rather than given to one of them.
      let share = (partCount + store.workers.workerCount - 1) / store.workers.workerCount
      batchPartCount = max(1, min(most, share))
    } else {
      batchPartCount = most
    }
  }

  /// The parts of so many bytes; written so that the largest file does not overflow.
  static func partCount(_ byteCount: Int, _ partByteCount: Int) -> Int {
    byteCount == 0 ? 0 : (byteCount - 1) / partByteCount + 1
  }

  var needsSeveralBatches: Bool {
    guard let byteCount else { return true }
    return byteCount > batchPartCount * partByteCount
  }

  /// The memory for the batch that starts with part `number`.
  func leaseByteCount(from number: Int) -> Int {
    let whole = batchPartCount * partByteCount
    guard let byteCount else { return whole + scratchByteCount }
    let needed = min(whole, max(1, byteCount - number * partByteCount))
    return MemoryPlan.leaseByteCount(needed: needed, whole: whole) + scratchByteCount
  }
}

/// Consecutive parts of one file that one worker stores.
struct PutBatch: Sendable {
  let file: FileID
  let firstPartNumber: Int
  let partByteCount: Int
  let byteCount: Int
  let firstPart: PartID
  let firstSequence: Sequence
  /// Whether the bytes are in the lease already.
  let isRead: Bool
  let isLast: Bool

  var partCount: Int { PutPlan.partCount(byteCount, partByteCount) }

  func byteRange(ofPart index: Int) -> Range<Int> {
    index * partByteCount..<min(byteCount, (index + 1) * partByteCount)
  }
}

/// A part as it lies in a segment, not yet in the index.
struct StoredPart: Sendable {
  let id: PartID
  let entry: PartEntry
  let record: AppendedRecord
}

/// What a worker does with a batch: read -> hash -> encode -> append.
struct PutBatchWork: Sendable {
  let batch: PutBatch
  let file: File
  let session: WriterSession
  let options: PutOptions
  let progress: @Sendable (Int) -> Void

  func run(_ lease: MemoryLease) throws(StoreError) -> [StoredPart] {
    if !batch.isRead { try read(into: lease) }
    let encoder = PayloadEncoder(options, partByteCount: batch.partByteCount, lease, behind: batch.byteCount)
    return try lease.region.withBytes(0..<batch.byteCount) { (raw) throws(StoreError) in
      let ranges = (0..<batch.partCount).map(batch.byteRange(ofPart:))
      let digests = MD5.digests(of: ranges, in: raw)
      var stored: [StoredPart] = []
      stored.reserveCapacity(ranges.count)
      for (index, range) in ranges.enumerated() {
        stored.append(try append(raw.extracting(range), index, digests[index], encoder))
        progress(range.count)
      }
      return stored
    }
  }

  private func read(into lease: MemoryLease) throws(StoreError) {
    let offset = batch.firstPartNumber * batch.partByteCount
    let count = try lease.region.withMutableBytes(0..<batch.byteCount) { (bytes) throws(StoreError) in
      do throws(SystemCallFailure) { return try file.read(into: &bytes, at: offset) } catch {
        throw StoreError(user: error)
      }
    }
    if count < batch.byteCount { throw OpenPutSource.changed(file) }
  }

  /// Encodes one part straight into a segment, the one this worker used last as a rule.
  private func append(
    _ raw: RawSpan, _ index: Int, _ digest: MD5Digest, _ encoder: PayloadEncoder
  ) throws(StoreError) -> StoredPart {
    let id = PartID(rawValue: batch.firstPart.rawValue + UInt64(index))
    let draft = RecordDraft(
      kind: .part, rawByteCount: raw.byteCount,
      sequence: Sequence(rawValue: batch.firstSequence.rawValue + UInt64(index)), part: id, file: batch.file,
      partNumber: batch.firstPartNumber + index, digest: digest)
    let appender = try session.segments.lend(forPayload: raw.byteCount, through: session.perform)
    defer { session.segments.giveBack(appender) }
    var payload = EncodedPayload(codec: .stored, byteCount: 0)
    let record = try appender.append(draft, capacity: raw.byteCount) { (destination) throws(StoreError) in
      payload = try encoder.encode(raw, into: &destination)
      return payload
    }
    let entry = PartEntry(
      segment: record.location.segment, offset: record.location.offset, storedByteCount: payload.byteCount,
      rawByteCount: raw.byteCount, codec: payload.codec, digest: digest)
    return StoredPart(id: id, entry: entry, record: record)
  }
}
