import Codecs
import LMDB
import Mutants
import StorageIO

/// Appends the records that say which files are visible and which are gone, for the thread of the index. The manifest of a
/// file that has been `writing` is among them: whoever goes on with a put that was cut short appends another, and of one
/// file there may be only one.
///
/// They go to a segment that is lent for as long as the group takes, so that nothing is appended behind them until
/// the index has named them: after a crash in between they lie behind the end that the index knows, and are cut off.
struct Journal: Sendable {
  let pool: SegmentPool
  let identifiers: IdentifierSource

  func append(
    publishing published: [FileID], burying buried: [FileID], _ manifest: ManifestPayload?,
    through perform: (IndexJob) throws(StoreError) -> Void
  ) throws(StoreError) -> JournalEntry {
    let payload = published.flatMap { id in
      var writer = ByteWriter(byteCount: 8)
      writer.put(id.rawValue, at: 0)
      return writer.bytes
    }
    let sequences = try identifiers.takeSequences(2 + buried.count, through: perform)
    // With each record a header in the footer.
    var room = payload.count + buried.count * Format.aligned(RecordHeader.byteCount) * 2
    if let manifest { room += Format.aligned(RecordHeader.byteCount + manifest.bytes.count) + RecordHeader.byteCount }
    let entry = JournalEntry(PendingRecords(in: try pool.lend(forPayload: room, through: perform), of: pool))
    do throws(StoreError) {
      if let manifest { try entry.append(manifest, Sequence(rawValue: sequences.upperBound - 1)) }
      if !published.isEmpty {
        try entry.appendCommit(payload, published.count, Sequence(rawValue: sequences.lowerBound))
      }
      for (number, file) in buried.enumerated() {
        try entry.appendTombstone(file, Sequence(rawValue: sequences.lowerBound + 1 + UInt64(number)))
      }
      return entry
    } catch {
      do throws(StoreError) { try entry.takeBack() } catch let second {
        throw StoreError(.durabilityUnknown, "\(second); after \(error)")
      }
      throw error
    }
  }
}

/// The journal records of one group, until they are kept or taken back. Exactly one of both must happen.
final class JournalEntry {
  private(set) var records = JournalRecords()
  /// What the records add to the accounts of their segment.
  private(set) var appended = AppendedRecords()
  private let pending: PendingRecords

  init(_ pending: PendingRecords) { self.pending = pending }

  var segment: SegmentID { pending.appender.segment }

  func append(_ manifest: ManifestPayload, _ sequence: Sequence) throws(StoreError) {
    let record = try append(.manifest, manifest.bytes, manifest.file, sequence)
    appended.add(record)
    records.manifestLocation = record.location
  }

  func appendCommit(_ payload: [UInt8], _ fileCount: Int, _ sequence: Sequence) throws(StoreError) {
    let record = try append(.commit, payload, FileID(rawValue: 0), sequence)
    appended.add(record)
    records.commit = sequence
    records.commitLocation = record.location
    records.publishedFileCount = fileCount
  }

  func appendTombstone(_ file: FileID, _ sequence: Sequence) throws(StoreError) {
    let buried = Mutant.noTombstone.isActive ? FileID(rawValue: 0) : file
    let record = try append(.tombstone, [], buried, sequence)
    // Whether it is needed depends on where the manifest lies: the delete counts it.
    appended.add(record, isAlive: false)
    records.tombstones[file] = record.location
  }

  /// The index has named the records.
  func keep() { pending.keep() }

  /// The index has not named the records and never will.
  func takeBack() throws(StoreError) { try pending.takeBack() }

  private func append(
    _ kind: RecordKind, _ payload: [UInt8], _ file: FileID, _ sequence: Sequence
  ) throws(StoreError) -> AppendedRecord {
    let draft = RecordDraft(
      kind: kind, rawByteCount: payload.count, sequence: sequence, file: file,
      digest: payload.withRawSpan { MD5.digest(of: $0) })
    return try pending.appender.append(draft, capacity: payload.count) { (destination) throws(StoreError) in
      destination.copy(payload, to: 0)
      return EncodedPayload(codec: .stored, byteCount: payload.count)
    }
  }
}
