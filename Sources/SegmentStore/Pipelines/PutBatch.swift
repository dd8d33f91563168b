import Codecs
import StorageIO

/// Consecutive parts of one file that one worker stores.
struct PutBatch: Sendable {
  let file: FileID
  let firstPartNumber: Int
  let partByteCount: Int
  let byteCount: Int
  /// The parts, counted within the batch, that are to be read; the others are holes. All of them for a stream.
  let dataParts: [Int]
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

/// What a worker does with a batch: read -> hash -> encode -> append, and where that is asked for, verify.
struct PutBatchWork: Sendable {
  let batch: PutBatch
  let source: SourceReading
  let session: WriterSession
  let options: PutOptions
  let zeroDigests: ZeroDigests
  let reader: SegmentReader
  let progress: @Sendable (Int) -> Void

  /// - Parameter lease: Memory for all bytes of the batch, behind them for the encoder, and behind that for one part
  ///   when it is to be verified; nil for a batch of holes, which needs none.
  func run(_ lease: MemoryLease?, _ tools: WorkerPool.Tools) throws(StoreError) -> [StoredPart] {
    guard let lease else { return try appendHoles(0..<batch.partCount) }
    if !batch.isRead { try source.read(batch, into: lease.region) }
    let encoder = PayloadEncoder(options, partByteCount: batch.partByteCount, lease, behind: batch.byteCount)
    let stored = try lease.region.withBytes(0..<batch.byteCount) { (raw) throws(StoreError) in
      let digests = MD5.digests(of: batch.dataParts.map(batch.byteRange(ofPart:)), in: raw)
      var stored: [StoredPart] = []
      stored.reserveCapacity(batch.partCount)
      do throws(StoreError) {
        for (index, digest) in zip(batch.dataParts, digests) {
          stored += try appendHoles(stored.count..<index)
          let range = batch.byteRange(ofPart: index)
          stored.append(try append(raw.extracting(range), index, digest, encoder))
          progress(range.count)
        }
        return try stored + appendHoles(stored.count..<batch.partCount)
      } catch {
        session.segments.abandon(stored)
        throw error
      }
    }
    if options.verifies {
      try PartVerification(batch: batch, reader: reader).check(stored, lease.region, tools.decoder)
    }
    return stored
  }

  /// Encodes one part straight into a segment, the one this worker used last as a rule.
  private func append(
    _ raw: RawSpan, _ index: Int, _ digest: MD5Digest, _ encoder: PayloadEncoder
  ) throws(StoreError) -> StoredPart {
    try append(index, digest, capacity: raw.byteCount) { (destination) throws(StoreError) in
      try encoder.encode(raw, into: &destination)
    }
  }

  private func appendHoles(_ indices: Range<Int>) throws(StoreError) -> [StoredPart] {
    var stored: [StoredPart] = []
    stored.reserveCapacity(indices.count)
    for index in indices {
      let byteCount = batch.byteRange(ofPart: index).count
      stored.append(
        try append(index, zeroDigests.digest(of: byteCount), capacity: 0) { (_) in
          EncodedPayload(codec: .zeros, byteCount: 0)
        })
      progress(byteCount)
    }
    return stored
  }

  private func append(
    _ index: Int, _ digest: MD5Digest, capacity: Int,
    _ encode: (inout MutableRawSpan) throws(StoreError) -> EncodedPayload
  ) throws(StoreError) -> StoredPart {
    let id = PartID(rawValue: batch.firstPart.rawValue + UInt64(index))
    let rawByteCount = batch.byteRange(ofPart: index).count
    let draft = RecordDraft(
      kind: .part, rawByteCount: rawByteCount,
      sequence: Sequence(rawValue: batch.firstSequence.rawValue + UInt64(index)), part: id, file: batch.file,
      partNumber: batch.firstPartNumber + index, digest: digest)
    let appender = try session.segments.lend(forPayload: capacity, through: session.perform)
    defer { session.segments.giveBack(appender) }
    var payload = EncodedPayload(codec: .stored, byteCount: 0)
    let record = try appender.append(draft, capacity: capacity) { (destination) throws(StoreError) in
      payload = try encode(&destination)
      return payload
    }
    let entry = PartEntry(
      segment: record.location.segment, offset: record.location.offset, storedByteCount: payload.byteCount,
      rawByteCount: rawByteCount, codec: payload.codec, digest: digest)
    return StoredPart(id: id, entry: entry, record: record)
  }
}

/// Reads parts of a source that must not change meanwhile.
struct SourceReading: Sendable {
  private let bytes: SourceBytes

  init(_ bytes: SourceBytes) { self.bytes = bytes }

  /// Reads the data of a batch, each part to its place; neighbours in one call.
  func read(_ batch: PutBatch, into region: MemoryRegion) throws(StoreError) {
    let start = batch.firstPartNumber * batch.partByteCount
    try read(
      runs(of: batch.dataParts).map { run in
        batch.byteRange(ofPart: run.lowerBound).lowerBound..<batch.byteRange(ofPart: run.upperBound - 1).upperBound
      }, of: start, into: region)
  }

  /// Reads `ranges`, which count from `start`, to the same places of the region.
  func read(_ ranges: [Range<Int>], of start: Int, into region: MemoryRegion) throws(StoreError) {
    for range in ranges {
      switch bytes {
      case .file(let file):
        let count = try region.withMutableBytes(range) { (bytes) throws(StoreError) in
          do throws(SystemCallFailure) { return try file.read(into: &bytes, at: start + range.lowerBound) } catch {
            throw StoreError(user: error)
          }
        }
        if count < range.count { throw OpenPutSource.changed(file) }
      case .memory(let source):
        let wanted = (start + range.lowerBound)..<(start + range.upperBound)
        try region.withMutableBytes(range) { (bytes) throws(StoreError) in try source.read(wanted, &bytes) }
      case .feed:
        preconditionFailure("bytes that are read in order are in the lease already")
      }
    }
  }

  private func runs(of indices: [Int]) -> [Range<Int>] {
    var runs: [Range<Int>] = []
    for index in indices {
      if let last = runs.last, last.upperBound == index {
        runs[runs.count - 1] = last.lowerBound..<(index + 1)
      } else {
        runs.append(index..<(index + 1))
      }
    }
    return runs
  }
}
