import LMDB
import StorageIO

/// Finds what the index says is in a segment and is not: in segments in which less was found than their accounts count.
/// Tombstones that no account counts are looked at wherever they are.
struct MissingRecords {
  let run: VerificationRun
  let index: Index

  /// - Complexity: O(files + parts) of the index; reads the headers of the records in `segments`.
  func look(in segments: Set<SegmentID>) throws(StoreError) {
    let run = run
    let walk = IndexWalk(
      index: index, cancellation: run.cancellation, report: { _ in }, advance: { run.advance() })
    var open: SegmentBytes?
    func look(_ records: [NeededRecord]) throws(StoreError) {
      for record in records
      where !record.isGoing && (!record.isCounted || segments.contains(record.location.segment)) {
        if open?.segment != record.location.segment {
          do throws(StoreError) { open = try SegmentBytes(record.location.segment, of: run.store) } catch { open = nil }
        }
        try check(record, open)
      }
    }
    if !segments.isEmpty { try walk.forEachFile(look) }
    try walk.forEachJournalRecord(look)
  }

  private func check(_ record: NeededRecord, _ opened: SegmentBytes?) throws(StoreError) {
    if isFound(record, header(of: record, opened), opened) { return }
    // The file was perhaps opened before somebody appended the record, or made the segment.
    var bytes: SegmentBytes?
    do throws(StoreError) { bytes = try SegmentBytes(record.location.segment, of: run.store) } catch {}
    let header = header(of: record, bytes)
    if isFound(record, header, bytes) { return }
    guard isStillNeeded(record) else { return }
    run.report(finding(record, header, bytes))
  }

  private func header(of record: NeededRecord, _ bytes: SegmentBytes?) -> RecordHeader? {
    do throws(StoreError) { return try bytes?.header(at: record.location.offset) } catch { return nil }
  }

  private func isFound(_ record: NeededRecord, _ header: RecordHeader?, _ bytes: SegmentBytes?) -> Bool {
    // One that was cut off behind its header was not found either.
    guard let header, record.location.end <= bytes?.byteCount ?? 0 else { return false }
    return header.recordByteCount == record.location.recordByteCount && matches(header, record)
  }

  private func matches(_ header: RecordHeader, _ record: NeededRecord) -> Bool {
    switch record.content {
    case .part(let id, _, let number):
      header.kind == .part && header.part == id && header.partNumber == number && header.file == record.file
    case .manifest: header.kind == .manifest && header.file == record.file
    case .commit(let sequence): header.kind == .commit && header.sequence == sequence
    case .tombstone: header.kind == .tombstone && header.file == record.file
    }
  }

  /// Whether the index, asked again, says the same; a file that is being deleted may be punched out already.
  private func isStillNeeded(_ record: NeededRecord) -> Bool {
    let index = index
    return index.look(otherwise: true) { (transaction) throws(StoreError) in
      switch record.content {
      case .part(let id, let part, _):
        guard try index.parts.part(id, in: transaction) == part, let file = record.file else { return false }
        return try index.files.file(file, in: transaction).map { $0.state != .deleting } ?? false
      case .manifest:
        guard let file = record.file, let entry = try index.files.file(file, in: transaction) else { return false }
        return entry.manifestLocation == record.location && entry.state != .deleting
      case .commit(let sequence):
        let entry: CommitEntry? = try transaction.entry(index.table(named: "commits"), sequence.key)
        return entry?.location == record.location
      case .tombstone:
        guard let file = record.file else { return false }
        let entry: TombstoneEntry? = try transaction.entry(index.table(named: "tombstones"), file.key)
        // One beside its manifest goes with its segment, whose file is removed first.
        guard let entry, entry.location == record.location,
          let segment = try index.segments.segment(record.location.segment, in: transaction)
        else { return false }
        return segment.state != .retired
      }
    }
  }

  private func finding(_ record: NeededRecord, _ header: RecordHeader?, _ bytes: SegmentBytes?) -> Finding {
    let message: String
    if let bytes, record.location.end > bytes.byteCount {
      message = "the file has \(bytes.byteCount) bytes, the record ends at \(record.location.end)"
    } else if let header {
      message = "the record is of \(header.kind) \(header.part) of file \(header.file), which the index does not expect"
    } else {
      message = bytes == nil ? "the file of the segment is missing" : "no intact record header"
    }
    let kind: Finding.Kind =
      switch record.content {
      case .part: .part
      case .manifest: .manifest
      case .commit: .commit
      case .tombstone: .tombstone
      }
    var finding = Finding(kind, message, at: record.location, file: record.file, name: record.name)
    if case .part(let id, _, let number) = record.content {
      finding.part = id
      finding.partNumber = number
    }
    return finding
  }
}
