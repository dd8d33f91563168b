import Codecs
import LMDB
import StorageIO

/// What came out of a rebuild.
public struct RebuildSummary: Hashable, Sendable {
  public internal(set) var fileCount = 0
  public internal(set) var partCount = 0
  /// The sizes of the files.
  public internal(set) var byteCount = 0
  public internal(set) var segmentCount = 0
  /// Those that had no footer to read, and were searched for records.
  public internal(set) var searchedSegmentCount = 0
  /// Files that a tombstone says are deleted.
  public internal(set) var deletedFileCount = 0
  public internal(set) var findingCount = 0
  /// What is named like a segment and is none: it is kept, under another name.
  var strangeSegments: [SegmentID] = []
  /// Those to which nothing was ever written.
  var unusedSegments: [SegmentID] = []
}

/// Makes an index from STORE and the segments, into an empty directory: collect -> resolve -> account.
///
/// The rules are those of docs/FORMAT.md, "Rebuild". Besides that directory only `high-water` is written. Belongs to one
/// thread.
struct Rebuild {
  let superblock: Superblock
  let segments: Directory
  /// Nil where nothing is to be written but the index.
  let highWater: HighWater?
  /// The memory that changes of LMDB may take.
  let limitByteCount: Int
  /// Whether files that no commit record names are entered too, as ready: for those who want all that can be had.
  var entersUncommitted = false
  let cancellation: Cancellation
  let onFinding: (Finding) -> Void

  /// LMDB copies the pages that a transaction changes: two for an entry at the most, as a rule far fewer.
  private static let entryByteCount = 8 << 10
  /// Parts come many at a time with ids that follow one another: so many of them share what one other entry may take.
  static let partsPerEntry = 8

  private static let smallestLimitByteCount = 4 << 20

  static func checkMemoryLimit(_ byteCount: Int) throws(StoreError) {
    if byteCount < smallestLimitByteCount { throw MemoryPlan.tooSmall(byteCount, smallestLimitByteCount) }
  }

  /// Entries that are entered in one transaction; ``partsPerEntry`` parts count as one.
  var batchCount: Int { max(64, limitByteCount / 2 / Rebuild.entryByteCount) }

  /// - Parameters:
  ///   - directory: an empty one for the index.
  ///   - scratch: an empty one; what is found on the way is in it afterwards.
  /// - Complexity: O(records log records); reads every byte of segments without a footer.
  func run(into directory: FilePath, _ scratch: RebuildScratch) throws(StoreError) -> RebuildSummary {
    var state = RebuildState(onFinding: onFinding)
    try collect(into: scratch, &state)
    let index = try Index(directory: directory, creates: true)
    try index.initialize(for: superblock.uuid)
    try resolve(scratch, into: index, &state)
    try account(state, in: index)
    return state.summary
  }

  // MARK: Collect

  /// Looks at every record of every segment.
  private func collect(into scratch: RebuildScratch, _ state: inout RebuildState) throws(StoreError) {
    if let highWater {
      if case .damaged(let message) = highWater.condition() {
        state.report(.storeFile, "high-water: \(message)") { _ in }
      }
      state.raise(to: try highWater.read())
    }
    let names = try translating { () throws(SystemCallFailure) in try segments.entries() }
    for id in names.compactMap(SegmentID.init(fileName:)).sorted() {
      state.raise(to: Counters(above: id))
      let contents: SegmentContents
      do throws(StoreError) {
        contents = try SegmentContents(id, in: segments, storePrefix: superblock.uuid.prefix)
      } catch  where error.code == .corrupt {
        state.setAside(id, error.message)
        continue
      }
      try collect(contents, into: scratch, &state)
    }
    try scratch.flush()
  }

  private func collect(
    _ contents: SegmentContents, into scratch: RebuildScratch, _ state: inout RebuildState
  ) throws(StoreError) {
    if let header = contents.header {
      state.raise(to: header.counters.raised(to: Counters(above: header.writer)))
    }
    var recordCount = 0
    var end = 0
    try contents.forEachRecord { (record) throws(StoreError) in
      try cancellation.check()
      recordCount += 1
      end = record.offset + record.recordByteCount
      state.raise(to: Counters(above: record))
      try collect(record, contents, into: scratch, &state)
    }
    try account(contents, recordCount: recordCount, end: end, &state)
  }

  /// - Parameter end: of the last intact record.
  private func account(
    _ contents: SegmentContents, recordCount: Int, end: Int, _ state: inout RebuildState
  ) throws(StoreError) {
    let id = contents.segment
    if contents.unreadableByteCount > 0 {
      state.report(.segment, "\(contents.unreadableByteCount) bytes cannot be read") { $0.segment = id }
    }
    if contents.footer != nil {
      reportHeader(contents, &state)
      return state.add(id, .sealed, usedByteCount: contents.byteCount, recordCount: recordCount)
    }
    state.summary.searchedSegmentCount += 1
    // What lies behind the last intact record, and is not zero, was perhaps one: nothing is written over it.
    let used = min(superblock.segmentByteCount, max(end, contents.dataEnd()))
    if recordCount == 0 && contents.header == nil && !contents.isBlank {
      return state.setAside(id, "it holds no record of segment \(id) of this store")
    }
    if recordCount == 0 && used <= SegmentHeader.byteCount && contents.damagedOffsets.isEmpty {
      if contents.byteCount == 0 { state.report(.segment, "the file is empty") { $0.segment = id } }
      return state.summary.unusedSegments.append(id)
    }
    reportHeader(contents, &state)
    for offset in contents.damagedOffsets {
      state.report(.segment, "here begins something that is no intact record") {
        ($0.segment, $0.offset) = (id, offset)
      }
    }
    let hasRoom = used + SegmentFooter.byteCount(recordCount: recordCount) <= superblock.segmentByteCount
    state.add(id, hasRoom ? .open : .sealed, usedByteCount: used, recordCount: recordCount)
  }

  private func reportHeader(_ contents: SegmentContents, _ state: inout RebuildState) {
    guard contents.header == nil else { return }
    state.report(.segment, "its header is damaged; its records were used") { $0.segment = contents.segment }
  }

  private func collect(
    _ record: RecordHeader, _ contents: SegmentContents, into scratch: RebuildScratch, _ state: inout RebuildState
  ) throws(StoreError) {
    let location = RecordLocation(
      segment: record.segment, offset: record.offset, recordByteCount: record.recordByteCount)
    switch record.kind {
    case .part:
      // A footer says that its records were durable; without one the payload may not have been written.
      let isDamaged = contents.footer == nil && !contents.hasIntactPayload(record)
      let found = RebuildScratch.FoundPart(
        entry: PartEntry(record), file: record.file, partNumber: record.partNumber, isDamaged: isDamaged)
      try scratch.add(record.part, found) { hasIntactPayload(record.part, $0) }
    case .manifest:
      // One that has lost its header and no more is better than none.
      if contents.isPunched(record) {
        let isKnown = try scratch.hasManifest(of: record.file)
        if isKnown || contents.payload(of: record) == nil {
          return try scratch.add(record.file, punchedManifest: location)
        }
      }
      guard let manifest = try manifest(record, contents, &state) else { return }
      for extent in manifest.extents { state.raise(to: Counters(above: extent)) }
      let earlier = try scratch.add(
        record.file,
        manifest: FileEntry(
          state: .ready, writer: WriterID(rawValue: 0), manifestLocation: location,
          commit: Sequence(rawValue: 0), remainingPartCount: 0, manifest: manifest))
      if let earlier { state.noteMovedManifest(in: earlier) }
    case .commit:
      guard let files = commitFiles(record, contents, &state) else { return }
      for id in files { state.raise(to: Counters(above: id)) }
      try scratch.add(
        files, commit: .init(sequence: record.sequence, location: location), yields: contents.isPunched(record))
    case .tombstone:
      try scratch.add(record.file, tombstone: .init(location: location))
    default:
      // Of a later version.
      break
    }
  }

  private func manifest(
    _ record: RecordHeader, _ contents: SegmentContents, _ state: inout RebuildState
  ) throws(StoreError) -> Manifest? {
    var reason = "its manifest does not match its checksum"
    if let payload = contents.payload(of: record) {
      do throws(FormatFailure) {
        let manifest = try Manifest(decoding: payload)
        if manifest.holdsExactlyItsParts { return manifest }
        reason = "its manifest names more parts than it has"
      } catch {
        reason = error.description
      }
    }
    state.report(.manifest, reason) { finding in
      (finding.file, finding.segment, finding.offset) = (record.file, record.segment, record.offset)
    }
    return nil
  }

  private func commitFiles(
    _ record: RecordHeader, _ contents: SegmentContents, _ state: inout RebuildState
  ) -> [FileID]? {
    guard let payload = contents.payload(of: record), payload.count % 8 == 0 else {
      // If anybody needed it, his file is reported.
      if contents.isPunched(record) { return nil }
      state.report(.commit, "the files that became visible with it are not known") { finding in
        (finding.segment, finding.offset) = (record.segment, record.offset)
      }
      return nil
    }
    let reader = ByteReader(payload)
    return stride(from: 0, to: payload.count, by: 8).map { FileID(rawValue: reader.get($0)) }
  }

  /// Reads an earlier copy of a part: only one of two needs to be intact.
  private func hasIntactPayload(_ id: PartID, _ entry: PartEntry) -> Bool {
    do throws(StoreError) {
      let contents = try SegmentContents(entry.segment, in: segments, storePrefix: superblock.uuid.prefix)
      return contents.hasIntactPart(id, entry)
    } catch {
      return false
    }
  }

  // MARK: Resolve

  /// Decides which files there are, and enters them.
  private func resolve(
    _ scratch: RebuildScratch, into index: Index, _ state: inout RebuildState
  ) throws(StoreError) {
    let writer = RebuildWriter(index: index, batchCount: batchCount)
    try scratch.read { (found) throws(StoreError) in
      // Before any tombstone is entered: where the first copy of a manifest lies, punched or not, it must go on to.
      try scratch.forEachPunchedManifest(in: found) { (id, location) throws(StoreError) in
        guard let kept = try scratch.manifest(of: id, in: found) else { return }
        if kept.manifestLocation.segment != location.segment { state.noteMovedManifest(in: location.segment) }
      }
      try scratch.forEachManifest(in: found) { (id, entry) throws(StoreError) in
        try cancellation.check()
        if let tombstone = try scratch.tombstone(of: id, in: found) {
          try bury(id, manifestSegment: entry.manifestLocation.segment, tombstone, writer, &state)
        } else {
          try enter(id, entry, scratch, in: found, writer, &state)
        }
      }
    }
    try resolvePunchedManifests(scratch, writer, &state)
    try writer.flush()
    for (segment, byteCount) in writer.commitByteCounts { state.addLive(byteCount, in: segment) }
  }

  /// A manifest that only a footer knows was punched out when its file was deleted, if a tombstone says so: which stays as
  /// long as the footer.
  private func resolvePunchedManifests(
    _ scratch: RebuildScratch, _ writer: RebuildWriter, _ state: inout RebuildState
  ) throws(StoreError) {
    try scratch.read { (found) throws(StoreError) in
      try scratch.forEachPunchedManifest(in: found) { (id, location) throws(StoreError) in
        try cancellation.check()
        // Any intact copy serves.
        if try scratch.manifest(of: id, in: found) != nil { return }
        if let tombstone = try scratch.tombstone(of: id, in: found) {
          try bury(id, manifestSegment: location.segment, tombstone, writer, &state)
        } else {
          state.report(.manifest, "its manifest reads as zeros") { finding in
            (finding.file, finding.segment, finding.offset) = (id, location.segment, location.offset)
          }
        }
      }
    }
  }

  /// A tombstone is needed as long as a segment holds the manifest; one beside it goes with it.
  private func bury(
    _ id: FileID, manifestSegment: SegmentID, _ tombstone: RebuildScratch.FoundTombstone, _ writer: RebuildWriter,
    _ state: inout RebuildState
  ) throws(StoreError) {
    state.summary.deletedFileCount += 1
    // Where manifests were found twice, the other one of this file may be anywhere among them.
    let isCounted = tombstone.location.segment != manifestSegment || state.hasMovedManifests
    if isCounted { state.addLive(tombstone.location) }
    try writer.add(
      id, TombstoneEntry(location: tombstone.location, manifestSegment: manifestSegment, isCounted: isCounted))
  }

  private func enter(
    _ id: FileID, _ entry: FileEntry, _ scratch: RebuildScratch, in found: borrowing ReadTransaction,
    _ writer: RebuildWriter, _ state: inout RebuildState
  ) throws(StoreError) {
    let commit = try scratch.commit(of: id, in: found)
    if commit == nil {
      state.report(.uncommittedFile, "no intact commit record names it: it was perhaps never finished") {
        ($0.file, $0.name) = (id, entry.manifest.name)
      }
      guard entersUncommitted else { return }
    }
    guard try hasPart(entry.manifest, of: id, scratch, in: found, state) else {
      // Its tombstone was perhaps damaged: a deleted file has no parts either.
      return state.report(.lostFile, "none of its parts was found; not restored") {
        ($0.file, $0.name) = (id, entry.manifest.name)
      }
    }
    try enterParts(of: id, entry, scratch, in: found, writer, &state)
    var entry = entry
    entry.commit = commit?.sequence ?? Sequence(rawValue: 0)
    state.addLive(entry.manifestLocation)
    state.summary.fileCount += 1
    state.summary.byteCount += entry.manifest.byteCount
    try writer.add(id, entry, commit)
  }

  /// Whether anything is left of a file that had parts.
  ///
  /// The table of a footer names parts that were punched out since. Where nothing is damaged a tombstone says so; where
  /// something is, it was perhaps the tombstone, and the segment is looked at.
  private func hasPart(
    _ manifest: Manifest, of id: FileID, _ scratch: RebuildScratch, in found: borrowing ReadTransaction,
    _ state: RebuildState
  ) throws(StoreError) -> Bool {
    if manifest.partCount == 0 { return true }
    for extent in manifest.extents {
      for part in extent.first.rawValue..<(extent.first.rawValue + UInt64(extent.count)) {
        let part = PartID(rawValue: part)
        guard let candidate = try scratch.part(part, in: found), candidate.file == id else { continue }
        if state.summary.findingCount == 0
          || SegmentContents.holds(part, candidate.entry, in: segments, storePrefix: superblock.uuid.prefix)
        {
          return true
        }
      }
    }
    return false
  }

  private func enterParts(
    of id: FileID, _ entry: FileEntry, _ scratch: RebuildScratch, in found: borrowing ReadTransaction,
    _ writer: RebuildWriter, _ state: inout RebuildState
  ) throws(StoreError) {
    let manifest = entry.manifest
    var number = 0
    for extent in manifest.extents {
      for part in extent.first.rawValue..<(extent.first.rawValue + UInt64(extent.count)) {
        let part = PartID(rawValue: part)
        let byteCount = manifest.byteRange(ofPart: number).count
        func place(_ finding: inout Finding) {
          (finding.file, finding.name, finding.partNumber, finding.part) = (id, manifest.name, number, part)
        }
        if let candidate = try scratch.part(part, in: found), candidate.file == id,
          candidate.partNumber == number, candidate.entry.rawByteCount == byteCount
        {
          if candidate.isDamaged {
            state.report(.part, "its bytes do not match their checksum") { finding in
              place(&finding)
              (finding.segment, finding.offset) = (candidate.entry.segment, candidate.entry.offset)
            }
          }
          state.addLive(candidate.entry.location)
          try writer.add(part, candidate.entry)
        } else {
          state.report(.part, "no record of it was found", place)
          try writer.add(part, PartEntry.lost(rawByteCount: byteCount))
        }
        number += 1
      }
    }
    state.summary.partCount += number
  }

  // MARK: Account

  /// Enters the segments and the counters.
  private func account(_ state: RebuildState, in index: Index) throws(StoreError) {
    try index.write { (transaction) throws(StoreError) in
      for (id, entry) in state.segments { try index.segments.set(id, entry, in: transaction) }
      try index.setCounters(state.safeCounters, in: transaction)
    }
    try highWater?.raise(to: state.safeCounters)
  }
}

extension PartEntry {
  /// What the index says of a part record.
  init(_ record: RecordHeader) {
    self.init(
      segment: record.segment, offset: record.offset, storedByteCount: record.storedByteCount,
      rawByteCount: record.rawByteCount, codec: record.codec, digest: record.digest)
  }
}

extension Manifest {
  /// Whether its extents hold as many parts as it has, as they do in a manifest record.
  var holdsExactlyItsParts: Bool { extents.reduce(0) { $0 + $1.count } == partCount }
}
