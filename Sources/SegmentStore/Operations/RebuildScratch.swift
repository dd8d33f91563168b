import Codecs
import LMDB
import StorageIO

/// What a rebuild has found in the segments, until all of them were looked at: kept on disk, so that memory does not
/// grow with the store.
///
/// Belongs to one thread. What a crash leaves of it is thrown away, so nothing depends on its durability.
final class RebuildScratch {
  private static let mapByteCount = 1 << 40
  private static let tableNames = ["parts", "manifests", "commits", "tombstones", "punched_manifests"]

  /// A part record: what the index will say of it, and whose it is.
  struct FoundPart: IndexEntry, Hashable {
    let entry: PartEntry
    let file: FileID
    let partNumber: Int
    /// Whether the payload was read and found damaged.
    let isDamaged: Bool
  }

  /// A commit record that names a file.
  struct FoundCommit: IndexEntry, Hashable {
    let sequence: Sequence
    let location: RecordLocation
  }

  /// A tombstone record, or a manifest that a footer names and that was punched out.
  struct FoundTombstone: IndexEntry, Hashable {
    let location: RecordLocation
  }

  private enum Addition {
    case part(PartID, FoundPart)
    case manifest(FileID, FileEntry)
    case commit([FileID], FoundCommit, yields: Bool)
    case tombstone(FileID, FoundTombstone)
    case punchedManifest(FileID, FoundTombstone)
  }

  private let directory: FilePath
  private let environment: Environment
  private let parts: Table
  private let manifests: Table
  private let commits: Table
  private let tombstones: Table
  private let punchedManifests: Table
  /// Additions that are made in one transaction.
  private let batchCount: Int
  private var waiting: [Addition] = []
  private var waitingParts: [PartID: FoundPart] = [:]
  private var waitingManifests: [FileID: SegmentID] = [:]
  private var waitingPartCount = 0

  init(in directory: FilePath, batchCount: Int) throws(StoreError) {
    let (environment, tables) = try translatingIndex { () throws(LMDBError) in
      let environment = try Environment(
        directory: directory.bytes, mapByteCount: RebuildScratch.mapByteCount,
        maximumTableCount: RebuildScratch.tableNames.count,
        maximumReaderCount: 4, creates: true, fileMode: 0o600)
      return (environment, try environment.openTables(RebuildScratch.tableNames, creates: true))
    }
    self.directory = directory
    self.environment = environment
    (parts, manifests, commits, tombstones, punchedManifests) = (tables[0], tables[1], tables[2], tables[3], tables[4])
    self.batchCount = batchCount
  }

  // MARK: Filling

  /// Adds a part. Of copies of one part an intact one is kept.
  /// - Parameter isIntact: reads a payload; asked only where there are two to choose from.
  func add(
    _ id: PartID, _ part: FoundPart, isIntact: (PartEntry) -> Bool
  ) throws(StoreError) {
    if let earlier = try found(id), !earlier.isDamaged, isIntact(earlier.entry) { return }
    waitingParts[id] = part
    try add(.part(id, part), partCount: 1)
  }

  /// Adds a manifest. Of copies of one, which a compaction leaves for a while, the last is kept.
  /// - Returns: The segment of an earlier copy.
  func add(_ id: FileID, manifest: FileEntry) throws(StoreError) -> SegmentID? {
    let earlier = try manifestSegment(of: id)
    waitingManifests[id] = manifest.manifestLocation.segment
    try add(.manifest(id, manifest), count: 1 + manifest.manifest.extents.count / 64)
    return earlier
  }

  /// - Parameter yields: whether a copy that was found before it is better.
  func add(_ ids: [FileID], commit: FoundCommit, yields: Bool) throws(StoreError) {
    for start in stride(from: 0, to: ids.count, by: batchCount) {
      let piece = Array(ids[start..<min(start + batchCount, ids.count)])
      try add(.commit(piece, commit, yields: yields), count: piece.count)
    }
  }

  func add(_ id: FileID, tombstone: FoundTombstone) throws(StoreError) {
    try add(.tombstone(id, tombstone), count: 1)
  }

  func add(_ id: FileID, punchedManifest location: RecordLocation) throws(StoreError) {
    try add(.punchedManifest(id, FoundTombstone(location: location)), count: 1)
  }

  /// Makes what was added visible to those who look.
  func flush() throws(StoreError) {
    if waiting.isEmpty { return }
    let transaction = try translatingIndex { () throws(LMDBError) in try environment.beginWrite() }
    for addition in waiting {
      switch addition {
      case .part(let id, let part): try transaction.put(parts, id.key, part, appending: true)
      case .manifest(let id, let manifest): try transaction.put(manifests, id.key, manifest)
      case .commit(let ids, let commit, let yields):
        for id in ids {
          let known: FoundCommit? = yields ? try transaction.entry(commits, id.key) : nil
          if known == nil { try transaction.put(commits, id.key, commit) }
        }
      case .tombstone(let id, let tombstone): try transaction.put(tombstones, id.key, tombstone)
      case .punchedManifest(let id, let place): try transaction.put(punchedManifests, id.key, place)
      }
    }
    do throws(LMDBError) { try transaction.commit() } catch {
      guard Index.isDiskFull(at: directory) else { throw StoreError(error) }
      throw StoreError(
        .noSpace, "there is no room for what was found in the segments: \(error)",
        advice: "free some space on this file system")
    }
    waiting = []
    waitingParts = [:]
    waitingManifests = [:]
    waitingPartCount = 0
  }

  private func add(_ addition: Addition, count: Int) throws(StoreError) {
    try add(addition, partCount: count * Rebuild.partsPerEntry)
  }

  /// - Parameter partCount: the parts that would take as much room in a transaction.
  private func add(_ addition: Addition, partCount: Int) throws(StoreError) {
    waiting.append(addition)
    waitingPartCount += partCount
    if waitingPartCount >= batchCount * Rebuild.partsPerEntry { try flush() }
  }

  private func found(_ id: PartID) throws(StoreError) -> FoundPart? {
    if let part = waitingParts[id] { return part }
    return try read { (transaction) throws(StoreError) in try transaction.entry(parts, id.key) }
  }

  func hasManifest(of id: FileID) throws(StoreError) -> Bool { try manifestSegment(of: id) != nil }

  private func manifestSegment(of id: FileID) throws(StoreError) -> SegmentID? {
    if let segment = waitingManifests[id] { return segment }
    return try read { (transaction) throws(StoreError) in
      let entry: FileEntry? = try transaction.entry(manifests, id.key)
      return entry?.manifestLocation.segment
    }
  }

  // MARK: Looking

  /// Looks at all that was flushed. Nothing may be added meanwhile.
  func read<R>(_ body: (borrowing ReadTransaction) throws(StoreError) -> R) throws(StoreError) -> R {
    let transaction = try translatingIndex { () throws(LMDBError) in try environment.beginRead() }
    return try body(transaction)
  }

  func forEachManifest(
    in transaction: borrowing ReadTransaction, _ body: (FileID, FileEntry) throws(StoreError) -> Void
  ) throws(StoreError) {
    try transaction.forEach(manifests) { (key, entry: FileEntry) throws(StoreError) in
      if let id = FileID(key: key) { try body(id, entry) }
      return true
    }
  }

  func manifest(of id: FileID, in transaction: borrowing ReadTransaction) throws(StoreError) -> FileEntry? {
    try transaction.entry(manifests, id.key)
  }

  func forEachPunchedManifest(
    in transaction: borrowing ReadTransaction, _ body: (FileID, RecordLocation) throws(StoreError) -> Void
  ) throws(StoreError) {
    try transaction.forEach(punchedManifests) { (key, found: FoundTombstone) throws(StoreError) in
      if let id = FileID(key: key) { try body(id, found.location) }
      return true
    }
  }

  func commit(of id: FileID, in transaction: borrowing ReadTransaction) throws(StoreError) -> FoundCommit? {
    try transaction.entry(commits, id.key)
  }

  func tombstone(of id: FileID, in transaction: borrowing ReadTransaction) throws(StoreError) -> FoundTombstone? {
    try transaction.entry(tombstones, id.key)
  }

  /// Calls `body` with the parts of files of which there is neither a manifest nor a tombstone, in order of ids: their
  /// records were damaged, or the file was never finished, or deleted so long ago that nothing else is left of it.
  func forEachPartOfUnknownFile(_ body: (PartID, FoundPart) throws(StoreError) -> Void) throws(StoreError) {
    try read { (transaction) throws(StoreError) in
      try transaction.forEach(parts) { (key, part: FoundPart) throws(StoreError) in
        let file = part.file.key
        let manifest: FileEntry? = try transaction.entry(manifests, file)
        let tombstone: FoundTombstone? = try transaction.entry(tombstones, file)
        if manifest == nil, tombstone == nil, let id = PartID(key: key) { try body(id, part) }
        return true
      }
    }
  }

  func part(_ id: PartID, in transaction: borrowing ReadTransaction) throws(StoreError) -> FoundPart? {
    try transaction.entry(parts, id.key)
  }
}

extension RebuildScratch.FoundPart {
  func fields() -> [UInt8] {
    var writer = ByteWriter(byteCount: 13)
    writer.put(file.rawValue, at: 0)
    writer.put(UInt32(partNumber), at: 8)
    writer.put(UInt8(isDamaged ? 1 : 0), at: 12)
    return writer.bytes + entry.fields()
  }

  init(decoding fields: [UInt8]) throws(FormatFailure) {
    let reader = try expect(fields, 13 + PartEntry.Offset.end, "found part")
    self.init(
      entry: try PartEntry(decoding: Array(fields[13...])), file: FileID(rawValue: reader.get(0)),
      partNumber: Int(reader.get(8, as: UInt32.self)), isDamaged: reader.get(12, as: UInt8.self) != 0)
  }
}

extension RebuildScratch.FoundCommit {
  func fields() -> [UInt8] {
    var writer = ByteWriter(byteCount: 8 + RecordLocation.byteCount)
    writer.put(sequence.rawValue, at: 0)
    location.put(into: &writer, at: 8)
    return writer.bytes
  }

  init(decoding fields: [UInt8]) throws(FormatFailure) {
    let reader = try expect(fields, 8 + RecordLocation.byteCount, "found commit")
    self.init(sequence: Sequence(rawValue: reader.get(0)), location: try RecordLocation(reader, at: 8))
  }
}

extension RebuildScratch.FoundTombstone {
  func fields() -> [UInt8] {
    var writer = ByteWriter(byteCount: RecordLocation.byteCount)
    location.put(into: &writer, at: 0)
    return writer.bytes
  }

  init(decoding fields: [UInt8]) throws(FormatFailure) {
    self.init(location: try RecordLocation(try expect(fields, RecordLocation.byteCount, "found tombstone"), at: 0))
  }
}
