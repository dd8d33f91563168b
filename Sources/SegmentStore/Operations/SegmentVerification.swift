import Codecs
import LMDB
import Mutants
import StorageIO

/// The segments, one after another, against the index both ways.
///
/// Records lead to the index: one whose place the index names is alive, and is checked. The other way needs no walk as
/// long as the records that were found alive add up to the account of their segment; only where they do not, the index
/// is asked what should be there.
///
/// Memory: a few numbers for each segment, and a batch for each worker.
final class SegmentVerification {
  private let run: VerificationRun
  private let store: Store
  private let index: Index
  private let parts: PartCheck
  /// The segments in which not all was found that their accounts count.
  private var suspects: Set<SegmentID> = []
  /// Manifests of files that the index does not know: rolled back, as a rule.
  private var unknownFiles: [FileID: RecordLocation] = [:]

  /// Records that are looked up in one transaction.
  private static let pageRecordCount = 64
  private static let unknownFileLimit = 65_536

  init(_ run: VerificationRun, _ index: Index) throws(StoreError) {
    self.run = run
    store = run.store
    self.index = index
    parts = try PartCheck(run, index)
  }

  func verify() throws(StoreError) {
    defer { parts.abandon() }
    let start = run.options.start
    for id in try segments() where id >= start.segment {
      try run.cancellation.check()
      if index.hasFailed { break }
      let begin = id == start.segment ? max(start.offset, SegmentHeader.byteCount) : SegmentHeader.byteCount
      if let stop = try verify(id, from: begin) {
        run.summary.stoppedAt = stop
        try parts.mark(stop)
        break
      }
    }
    try parts.finish()
    if index.hasFailed { return reportFailure() }
    try MissingRecords(run: run, index: index).look(in: suspects)
    try LostFiles(run: run, index: index).look(for: unknownFiles)
    run.holdBack(at: nil)
    if let stop = run.summary.stoppedAt {
      run.reached(stop)
    } else {
      try UnknownSegments(run: run, index: index).check()
      run.reached(.start)
    }
  }

  private func segments() throws(StoreError) -> [SegmentID] {
    let index = index
    let run = run
    var ids: [SegmentID] = []
    let walk = IndexWalk(index: index, cancellation: run.cancellation, report: run.report, advance: { run.advance() })
    try walk.forEachPage(of: "segments") { (_, key, _, _) throws(StoreError) in
      if let id = SegmentID(key: key) { ids.append(id) }
    }
    return ids
  }

  // MARK: One segment

  /// - Returns: Where it stopped because the time is over; nil at the end.
  private func verify(_ id: SegmentID, from begin: Int) throws(StoreError) -> VerificationPosition? {
    guard let entry = try entry(of: id), entry.usedByteCount > 0, entry.state != .retired else { return nil }
    let bytes: SegmentBytes
    do throws(StoreError) { bytes = try SegmentBytes(id, of: store) } catch  where error.code != .systemLimit {
      try report(id, error.message)
      suspect(id)
      return nil
    }
    // Unmapped when it has been read: address space that holds the pages of the cache back is of no use to anybody.
    defer { store.reader.forget(id) }
    run.summary.segmentCount += 1
    if begin == SegmentHeader.byteCount { try checkHeader(bytes) }
    if bytes.byteCount < entry.usedByteCount {
      try report(id, "the file has \(bytes.byteCount) bytes, the index knows of \(entry.usedByteCount)")
    }
    let end = try recordEnd(bytes, entry)
    var offset = SegmentHeader.byteCount
    var liveByteCount = 0
    while offset < end {
      if run.pace.isOver { return VerificationPosition(segment: id, offset: max(begin, offset)) }
      var page: [RecordHeader] = []
      while page.count < SegmentVerification.pageRecordCount, offset < end {
        let next = try bytes.nextRecord(from: offset, upTo: end)
        if let next { page.append(next) }
        offset = next.map { $0.offset + $0.recordByteCount } ?? end
      }
      try run.cancellation.check()
      if index.hasFailed { return nil }
      // What an earlier run has checked is only counted.
      liveByteCount += try check(page, bytes, from: begin)
    }
    if let unreadable = bytes.unreadable { try report(id, unreadable.reason, offset: unreadable.offset) }
    // One that others wrote to meanwhile is looked at as well.
    let isUnchanged = try self.entry(of: id) == entry
    if liveByteCount != entry.liveByteCount || !isUnchanged { suspect(id) }
    try parts.mark(VerificationPosition(after: id))
    return nil
  }

  /// Ends without having reached anything: the position stays where the index could still be asked.
  private func reportFailure() {
    run.report(Finding(.index, "the index can no longer be read: the segments were not all compared with it"))
  }

  private func suspect(_ id: SegmentID) {
    suspects.insert(id)
    run.holdBack(at: id)
  }

  private func entry(of id: SegmentID) throws(StoreError) -> SegmentEntry? {
    let index = index
    do throws(StoreError) {
      return try index.read { (transaction) throws(StoreError) in try index.segments.segment(id, in: transaction) }
    } catch {
      run.report(Finding(.index, error.message, segment: id))
      return nil
    }
  }

  /// Reports something about the file of a segment, unless the segment is being removed meanwhile.
  private func report(_ id: SegmentID, _ message: String, offset: Int? = nil) throws(StoreError) {
    guard let entry = try entry(of: id), entry.state != .retired else { return }
    run.report(Finding(.segment, message, segment: id, offset: offset))
  }

  private func checkHeader(_ bytes: SegmentBytes) throws(StoreError) {
    do throws(FormatFailure) {
      let header = try SegmentHeader(decoding: try read(bytes, at: 0, SegmentHeader.byteCount))
      guard header.uuid == store.superblock.uuid, header.segment == bytes.segment,
        header.segmentByteCount == store.superblock.segmentByteCount
      else {
        throw FormatFailure(.damaged, "segment header: of segment \(header.segment) of store \(header.uuid)")
      }
    } catch {
      try report(bytes.segment, error.description, offset: 0)
    }
  }

  /// Where the records end; checks the footer of a sealed segment.
  private func recordEnd(_ bytes: SegmentBytes, _ entry: SegmentEntry) throws(StoreError) -> Int {
    let end = min(entry.usedByteCount, bytes.byteCount)
    guard entry.state != .open, bytes.byteCount >= entry.usedByteCount else { return end }
    let trailerOffset = entry.usedByteCount - SegmentFooter.trailerByteCount
    do throws(FormatFailure) {
      guard trailerOffset >= SegmentHeader.byteCount else { throw FormatFailure(.damaged, "no room for a footer") }
      let footer = try footer(bytes, at: trailerOffset)
      guard footer.segment == bytes.segment, footer.storePrefix == store.superblock.uuid.prefix,
        footer.recordCount <= entry.recordCount
      else {
        throw FormatFailure(.damaged, "segment footer: \(footer.recordCount) records of segment \(footer.segment)")
      }
      return footer.tableOffset
    } catch {
      try report(bytes.segment, error.description, offset: trailerOffset)
      return end
    }
  }

  private func footer(_ bytes: SegmentBytes, at trailerOffset: Int) throws(FormatFailure) -> SegmentFooter {
    let footer = try SegmentFooter(
      decodingTrailer: try read(bytes, at: trailerOffset, SegmentFooter.trailerByteCount),
      fileByteCount: trailerOffset + SegmentFooter.trailerByteCount)
    var checksum: UInt32 = 0
    for offset in stride(from: footer.tableOffset, to: trailerOffset, by: 1 << 20) {
      let piece = try read(bytes, at: offset, min(1 << 20, trailerOffset - offset))
      checksum = piece.withRawSpan { CRC32C.checksum(of: $0, continuing: checksum) }
    }
    guard checksum == footer.tableChecksum || Mutant.noFooterChecksum.isActive else {
      throw FormatFailure(
        .damaged, "segment footer: stored CRC32C \(hex(footer.tableChecksum)), its table gives \(hex(checksum))")
    }
    return footer
  }

  /// Bytes of which it is all the same why they are not there.
  private func read(_ bytes: SegmentBytes, at offset: Int, _ byteCount: Int) throws(FormatFailure) -> [UInt8] {
    do throws(StoreError) { return try bytes.bytes(at: offset, byteCount: byteCount) } catch {
      throw FormatFailure(.damaged, error.message)
    }
  }

  // MARK: Records

  /// What the index says of a record that was found.
  private enum Use {
    case dead
    /// Of a file that is being deleted: alive by the account, and punched out at any moment.
    case going
    case part(PartEntry)
    case manifest(FileEntry)
    case commit
    /// Beside the manifest it buries, it is not counted.
    case tombstone(isCounted: Bool)
    /// The manifest of a file that the index does not know.
    case unknownFile

    /// Whether the account of the segment counts it.
    var isCounted: Bool {
      switch self {
      case .dead, .unknownFile: false
      case .going, .part, .manifest, .commit: true
      case .tombstone(let isCounted): isCounted
      }
    }

    /// Whether nothing of it can have been given back.
    var isOnDisk: Bool {
      if case .going = self { return false }
      return isCounted
    }
  }

  /// Checks the records of a page that are alive and not before `begin`.
  /// - Returns: The bytes that the account counts for all of them.
  private func check(
    _ headers: [RecordHeader], _ bytes: SegmentBytes, from begin: Int
  ) throws(StoreError) -> Int {
    var liveByteCount = 0
    // Before the index is asked: what it says is alive then was not given back before.
    let holes = try headers.map { (header) throws(StoreError) in try bytes.hole(in: header.location) }
    for ((header, use), hole) in zip(zip(headers, try uses(of: headers)), holes) {
      if use.isCounted { liveByteCount += header.recordByteCount }
      guard header.offset >= begin else { continue }
      if let hole, use.isOnDisk { try reportHole(hole, header) }
      try check(header, use, bytes)
    }
    return liveByteCount
  }

  /// Live, dead, punched and free bytes are more than the segment has: some are counted twice. Not so where a copy of the store
  /// left zeros out that were stored: then nothing is missing.
  private func reportHole(_ hole: Range<Int>, _ header: RecordHeader) throws(StoreError) {
    do throws(StoreError) { return try store.reader.withPayload(of: header) { _ in } } catch {}
    try report(
      header.segment,
      "\(hole.count) bytes of a record that is needed, from \(hole.lowerBound) on, are not on disk: they were given back",
      offset: header.offset)
  }

  private func check(_ header: RecordHeader, _ use: Use, _ bytes: SegmentBytes) throws(StoreError) {
    switch use {
    case .dead, .going, .tombstone: break
    case .part(let entry):
      try parts.add(CheckedPart(id: header.part, entry: entry, file: header.file, number: header.partNumber))
    case .manifest(let entry): try checkManifest(header, entry, bytes)
    case .commit: try checkCommit(header, bytes)
    case .unknownFile:
      unknownFiles[header.file] = header.location
      run.holdBack(at: header.segment)
      if unknownFiles.count >= SegmentVerification.unknownFileLimit {
        try LostFiles(run: run, index: index).look(for: unknownFiles)
        unknownFiles = [:]
        run.holdBack(at: nil)
        if let first = suspects.min() { run.holdBack(at: first) }
      }
    }
  }

  private func uses(of headers: [RecordHeader]) throws(StoreError) -> [Use] {
    let index = index
    do throws(StoreError) {
      return try index.read { (transaction) throws(StoreError) in
        var files: [FileID: FileEntry?] = [:]
        var uses: [Use] = []
        for header in headers {
          // What cannot be read in the index is told by its own verification; the record is then missing here.
          do throws(StoreError) { uses.append(try use(of: header, &files, in: transaction)) } catch {
            uses.append(.dead)
          }
        }
        return uses
      }
    } catch {
      run.report(Finding(.index, error.message))
      return headers.map { _ in .dead }
    }
  }

  private func use(
    of header: RecordHeader, _ files: inout [FileID: FileEntry?], in transaction: borrowing ReadTransaction
  ) throws(StoreError) -> Use {
    func file() throws(StoreError) -> FileEntry? {
      if let known = files[header.file] { return known }
      let entry = try index.files.file(header.file, in: transaction)
      files[header.file] = entry
      return entry
    }
    switch header.kind {
    case .part:
      guard let part = try index.parts.part(header.part, in: transaction), part.state == .live,
        part.segment == header.segment, part.offset == header.offset
      else { return .dead }
      guard let file = try file(), file.state != .deleting else { return .going }
      if file.manifest.partIDs(header.partNumber..<(header.partNumber + 1)).first != header.part {
        // The record says another place in the file than the index: missing where the index expects it.
        return .dead
      }
      return .part(part)
    case .manifest:
      if let file = try file() {
        guard file.manifestLocation == header.location else { return .dead }
        return file.state == .deleting ? .going : .manifest(file)
      }
      let tombstone: TombstoneEntry? = try transaction.entry(index.table(named: "tombstones"), header.file.key)
      return tombstone == nil ? .unknownFile : .dead
    case .commit:
      let commit: CommitEntry? = try transaction.entry(index.table(named: "commits"), header.sequence.key)
      guard let commit, commit.location == header.location else { return .dead }
      return .commit
    default:
      let tombstone: TombstoneEntry? = try transaction.entry(index.table(named: "tombstones"), header.file.key)
      guard let tombstone, tombstone.location == header.location else { return .dead }
      return .tombstone(isCounted: tombstone.isCounted)
    }
  }

  private func checkManifest(
    _ header: RecordHeader, _ entry: FileEntry, _ bytes: SegmentBytes
  ) throws(StoreError) {
    try run.pace.wait(for: header.recordByteCount, run.cancellation)
    run.advance(header.recordByteCount)
    let message: String
    do throws(StoreError) {
      let payload = try bytes.payload(of: header)
      if payload == entry.manifest.encoded() { return }
      message = "the manifest in the segment is not that of the index"
    } catch {
      message = error.message
    }
    let index = index
    let isThere = index.look(otherwise: true) { (transaction) throws(StoreError) in
      let now = try index.files.file(header.file, in: transaction)
      return now?.manifestLocation == header.location && now?.state == .ready
    }
    guard isThere else { return }
    run.report(
      Finding(.manifest, message, at: header.location, file: header.file, name: entry.manifest.name))
  }

  private func checkCommit(_ header: RecordHeader, _ bytes: SegmentBytes) throws(StoreError) {
    try run.pace.wait(for: header.recordByteCount, run.cancellation)
    run.advance(header.recordByteCount)
    let index = index
    var message: String?
    var files: [FileID] = []
    do throws(StoreError) { files = CommitPayload.files(try bytes.payload(of: header)) } catch {
      message = error.message
    }
    let named = files
    let finding = index.look(otherwise: nil) { (transaction) throws(StoreError) -> Finding? in
      let now: CommitEntry? = try transaction.entry(index.table(named: "commits"), header.sequence.key)
      guard let now, now.location == header.location else { return nil }
      if let message { return Finding(.commit, message, at: header.location) }
      var liveCount = 0
      for file in named where try index.files.file(file, in: transaction)?.commit == header.sequence { liveCount += 1 }
      if liveCount == now.liveFileCount { return nil }
      return Finding(
        .commit, "\(now.liveFileCount) of its files are there by the index, \(liveCount) were found",
        at: header.location)
    }
    if let finding { run.report(finding) }
  }
}

/// The payload of a commit record.
enum CommitPayload {
  /// The files that it names.
  static func files(_ payload: [UInt8]) -> [FileID] {
    let reader = ByteReader(payload)
    return stride(from: 0, through: payload.count - 8, by: 8).map { FileID(rawValue: reader.get($0)) }
  }
}
