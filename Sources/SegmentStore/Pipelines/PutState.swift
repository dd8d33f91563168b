import Codecs
import LMDB
import StorageIO

/// What a put has done so far.
struct PutState {
  let id: FileID
  private let plan: PutPlan
  private let name: FileName
  private let source: OpenPutSource
  private let session: WriterSession
  private let isResumable: Bool
  private var createdNanoseconds = Clock.wallNanoseconds()

  /// The part that the next batch begins with.
  private(set) var nextPartNumber = 0
  private var extents: [PartExtent] = []
  /// Ids taken ahead for a file whose size is known, from part `reservedFrom` to the last.
  private var reserved: PartExtent?
  private var reservedFrom = 0

  /// Parts that were collected: counted, and hashed into the etag in order.
  private var partCount = 0
  private var byteCount = 0
  private var storedByteCount = 0
  private var etag = MD5Stream()
  private(set) var unindexed: [StoredPart] = []
  /// What their records take.
  private(set) var unindexedByteCount = 0
  /// Parts that were stored while another one failed.
  private(set) var abandoned: [StoredPart] = []

  /// By which the segment pool knows this put.
  var number: UInt64 = 0
  var manifestRecord: AppendedRecord?
  /// Whether the index knows the file, as `writing`.
  var isEntered = false

  init(
    id: FileID, plan: PutPlan, name: FileName, source: OpenPutSource, session: WriterSession, isResumable: Bool
  ) {
    self.isResumable = isResumable
    self.id = id
    self.plan = plan
    self.name = name
    self.source = source
    self.session = session
  }

  /// Goes on behind the parts of an interrupted put, which are in the index.
  mutating func goOn(from interrupted: Manifest, _ index: Index) throws(StoreError) {
    createdNanoseconds = interrupted.createdNanoseconds
    for start in stride(from: 0, to: interrupted.partCount, by: PutState.pagePartCount) {
      let numbers = start..<min(start + PutState.pagePartCount, interrupted.partCount)
      let parts = try index.read { (transaction) throws(StoreError) in
        try index.parts.parts(numbers, of: interrupted, in: transaction)
      }
      for part in parts { etag.update(part.entry.digest) }
    }
    // Ids behind its last part were perhaps used for records that the index never named; they are not used again.
    extents = interrupted.extents(ofFirst: interrupted.partCount)
    nextPartNumber = interrupted.partCount
    partCount = interrupted.partCount
    byteCount = interrupted.byteCount
    storedByteCount = interrupted.storedByteCount
    isEntered = true
  }

  private static let pagePartCount = 1024

  /// Takes the ids for the next batch.
  /// - Parameter dataParts: those to be read; nil when all of them are read already.
  mutating func nextBatch(byteCount: Int, dataParts: [Int]?, isLast: Bool) throws(StoreError) -> PutBatch {
    let count = PutPlan.partCount(byteCount, plan.partByteCount)
    guard nextPartNumber + count <= Format.maximumPartCount else {
      throw StoreError(.invalidArgument, "'\(name)' has more parts than a file can have")
    }
    let extent = try takeParts(count)
    let sequences = try session.identifiers.takeSequences(count, through: session.perform)
    let batch = PutBatch(
      file: id, firstPartNumber: nextPartNumber, partByteCount: plan.partByteCount, byteCount: byteCount,
      dataParts: dataParts ?? Array(0..<count), firstPart: extent.first,
      firstSequence: Sequence(rawValue: sequences.lowerBound), isRead: dataParts == nil, isLast: isLast)
    nextPartNumber += count
    return batch
  }

  /// Takes over the oldest batch that is done.
  mutating func add(_ parts: [StoredPart]) {
    for part in parts {
      etag.update(part.entry.digest)
      byteCount += part.entry.rawByteCount
      storedByteCount += part.entry.storedByteCount
      unindexedByteCount += part.record.location.recordByteCount
    }
    partCount += parts.count
    unindexed += parts
  }

  /// Notes a batch whose parts no file will have.
  mutating func abandon(_ parts: [StoredPart]) { abandoned += parts }

  /// What has to be entered in the index since ``noteIndexed()``.
  var change: PutChange {
    var records = AppendedRecords()
    for part in unindexed { records.add(part.record) }
    if let manifestRecord { records.add(manifestRecord) }
    return PutChange(parts: unindexed.map { ($0.id, $0.entry) }, records: records)
  }

  /// All of ``change`` is in the index.
  mutating func noteIndexed() {
    unindexed = []
    unindexedByteCount = 0
  }

  func entry(_ state: FileEntry.State) -> FileEntry {
    FileEntry(
      state: state, writer: session.writer,
      manifestLocation: manifestRecord?.location
        ?? RecordLocation(segment: SegmentID(rawValue: 0), offset: 0, recordByteCount: 0),
      commit: Sequence(rawValue: 0), remainingPartCount: 0, manifest: manifest(),
      isResumable: isResumable && state == .writing)
  }

  /// The file as far as it was collected; whole when no batch is out.
  func manifest() -> Manifest {
    Manifest(
      byteCount: byteCount, storedByteCount: storedByteCount, createdNanoseconds: createdNanoseconds,
      modifiedNanoseconds: source.modifiedNanoseconds ?? createdNanoseconds,
      mode: source.mode, partByteCount: plan.partByteCount, partCount: partCount,
      etagDigest: etag.finish(), name: name, extents: extents)
  }

  private mutating func takeParts(_ count: Int) throws(StoreError) -> PartExtent {
    if reserved == nil, let byteCount = plan.byteCount {
      let total = PutPlan.partCount(byteCount, plan.partByteCount) - nextPartNumber
      reservedFrom = nextPartNumber
      reserved = try session.identifiers.takeParts(total, through: session.perform)
    }
    let extent: PartExtent
    if let all = reserved {
      let first = all.first.rawValue + UInt64(nextPartNumber - reservedFrom)
      extent = PartExtent(first: PartID(rawValue: first), count: count)
    } else {
      extent = try session.identifiers.takeParts(count, through: session.perform)
    }
    if let last = extents.last, last.first.rawValue + UInt64(last.count) == extent.first.rawValue {
      extents[extents.count - 1] = PartExtent(first: last.first, count: last.count + extent.count)
    } else {
      extents.append(extent)
    }
    return extent
  }
}

/// Parts and records to be entered in the index.
struct PutChange: Sendable {
  let parts: [(id: PartID, entry: PartEntry)]
  let records: AppendedRecords

  var segments: Set<SegmentID> { Set(records.segments.keys) }

  func apply(
    to index: Index, within quota: Quota, _ journal: JournalRecords, in transaction: borrowing WriteTransaction
  ) throws(StoreError) {
    for (id, entry) in parts { try index.parts.set(id, entry, in: transaction) }
    try index.segments.add(records, in: transaction)
    try quota.check(records.liveByteCount, journal, index.segments, in: transaction)
  }
}
