import Codecs
import StorageIO

/// The segments by themselves, where there is no index to ask: every record that is intact enough to be found.
///
/// What nothing needs any more may be punched out and is no damage. So damage waits until the segments have been
/// searched for what they say of its file: it counts if a commit names the file and no tombstone does.
final class SegmentScanVerification {
  private let run: VerificationRun
  private let store: Store
  private let parts: PartCheck
  private var uncertain: [Finding] = []

  private static let uncertainLimit = 4096

  init(_ run: VerificationRun) throws(StoreError) {
    self.run = run
    store = run.store
    parts = try PartCheck(run, nil)
  }

  func verify() throws(StoreError) {
    defer { parts.abandon() }
    parts.uncertain = { [unowned self] (finding) throws(StoreError) in try add(finding) }
    let start = run.options.start
    for id in try store.segmentFiles() where id >= start.segment {
      let begin = id == start.segment ? max(start.offset, SegmentHeader.byteCount) : SegmentHeader.byteCount
      if let stop = try verify(id, from: begin) {
        run.summary.stoppedAt = stop
        try parts.mark(stop)
        break
      }
    }
    try parts.finish()
    try settle()
    if run.summary.stoppedAt == nil { run.reached(.start) }
  }

  private func verify(_ id: SegmentID, from begin: Int) throws(StoreError) -> VerificationPosition? {
    let bytes: SegmentBytes
    do throws(StoreError) { bytes = try SegmentBytes(id, of: store) } catch {
      run.report(Finding(.segment, error.message, segment: id))
      return nil
    }
    defer { store.reader.forget(id) }
    run.summary.segmentCount += 1
    if begin == SegmentHeader.byteCount { checkHeader(bytes) }
    var offset = begin
    while true {
      try run.cancellation.check()
      if run.pace.isOver { return VerificationPosition(segment: id, offset: offset) }
      let next: RecordHeader?
      do throws(StoreError) { next = try bytes.nextRecord(from: offset, upTo: bytes.byteCount) } catch {
        run.report(Finding(.segment, error.message, segment: id, offset: offset))
        next = nil
      }
      guard let header = next else { break }
      try check(header, bytes)
      offset = header.offset + header.recordByteCount
    }
    try parts.mark(VerificationPosition(segment: SegmentID(rawValue: id.rawValue + 1), offset: 0))
    return nil
  }

  private func checkHeader(_ bytes: SegmentBytes) {
    do throws(FormatFailure) {
      var found: [UInt8] = []
      do throws(StoreError) { found = try bytes.bytes(at: 0, byteCount: SegmentHeader.byteCount) } catch {}
      let header = try SegmentHeader(decoding: found)
      if header.uuid != store.superblock.uuid || header.segment != bytes.segment {
        throw FormatFailure(.damaged, "segment header: of segment \(header.segment) of store \(header.uuid)")
      }
    } catch {
      run.report(Finding(.segment, error.description, segment: bytes.segment, offset: 0))
    }
  }

  private func check(_ header: RecordHeader, _ bytes: SegmentBytes) throws(StoreError) {
    if header.kind == .part {
      run.summary.partCount += 1
      let entry = PartEntry(
        segment: header.segment, offset: header.offset, storedByteCount: header.storedByteCount,
        rawByteCount: header.rawByteCount, codec: header.codec, digest: header.digest)
      return try parts.add(
        CheckedPart(id: header.part, entry: entry, file: header.file, number: header.partNumber))
    }
    try run.pace.wait(for: header.recordByteCount, run.cancellation)
    run.advance(header.recordByteCount)
    do throws(StoreError) { _ = try bytes.payload(of: header) } catch {
      if header.kind == .commit {
        run.report(Finding(.commit, error.message, at: header.location))
      } else if header.kind == .manifest {
        try add(Finding(.manifest, error.message, at: header.location, file: header.file))
      }
    }
  }

  // MARK: What counts

  private func add(_ finding: Finding) throws(StoreError) {
    uncertain.append(finding)
    if uncertain.count >= SegmentScanVerification.uncertainLimit { try settle() }
  }

  private func settle() throws(StoreError) {
    if uncertain.isEmpty { return }
    let files = Set(uncertain.compactMap(\.file))
    var committed: Set<FileID> = []
    var buried: Set<FileID> = []
    var names: [FileID: FileName] = [:]
    try SegmentJournal(run: run, index: nil).forEachRecord { (header, bytes) throws(StoreError) in
      switch header.kind {
      case .tombstone: if files.contains(header.file) { buried.insert(header.file) }
      case .commit:
        do throws(StoreError) {
          committed.formUnion(files.intersection(CommitPayload.files(try bytes.payload(of: header))))
        } catch {}
      case .manifest: if files.contains(header.file) { names[header.file] = name(header, bytes) }
      default: break
      }
    }
    for var finding in uncertain {
      guard let file = finding.file, committed.contains(file), !buried.contains(file) else { continue }
      finding.name = names[file]
      run.report(finding)
    }
    uncertain = []
  }

  private func name(_ header: RecordHeader, _ bytes: SegmentBytes) -> FileName? {
    do throws(StoreError) {
      let payload = try bytes.payload(of: header)
      do throws(FormatFailure) { return try Manifest(decoding: payload).name } catch { return nil }
    } catch {
      return nil
    }
  }
}
