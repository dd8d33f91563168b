import LMDB
import Mutants
import StorageIO

/// Files that are deleted in one transaction, whose exclusive locks the caller holds: one group of tombstones, one commit.
///
/// One of few parts leaves the index at once: a crash afterwards leaves dead records and nothing to be finished. One of many
/// is only marked, so that the transaction does not grow with its parts.
struct Burial: Sendable {
  /// What died, and what is to be done next.
  struct Outcome: Sendable {
    var dead: [RecordLocation] = []
    /// Files that are `deleting` now.
    var unfinished: [FileID] = []
    /// Segments in which nothing is alive any more.
    var emptied: Set<SegmentID> = []
  }

  /// The most parts of a file that goes at once.
  static let partCountOfSmall = Reclamation.stepPartCount / Reclamation.stepFileCount

  let store: Store
  let writer: WriterID
  let perform: @Sendable (IndexJob) throws(StoreError) -> Void

  /// Deletes `files`, which are ready: on return a crash can no longer bring them back.
  /// - Throws: `.notFound` when one is not there, and then none is deleted.
  @discardableResult func bury(_ files: [FileID]) throws(StoreError) -> Outcome {
    if Mutant.punchBeforeDelete.isActive { try punchBefore(files) }
    let (index, highWater, writer) = (try store.index, store.highWater, writer)
    let ids = files.sorted()
    let outcome = Monitor(Outcome())
    try perform(
      IndexJob(burying: ids) { (transaction, journal) throws(StoreError) in
        let result = try Burial.bury(ids, by: writer, index, journal, in: transaction)
        try highWater.raise(to: try index.counters(in: transaction))
        outcome.withLock { $0 = result }
      })
    return outcome.withLock { $0 }
  }

  // MARK: In the transaction
  // Static, so that a job holds the index and never the store, as in `Reclamation`.

  private static func bury(
    _ ids: [FileID], by writer: WriterID, _ index: Index, _ journal: JournalRecords,
    in transaction: borrowing WriteTransaction
  ) throws(StoreError) -> Outcome {
    var outcome = Outcome()
    var small: [(id: FileID, entry: FileEntry)] = []
    var counted: [RecordLocation] = []
    let hasMovedManifests = try index.segments.listedSegments(in: transaction)
      .contains { $0.entry.holdsMovedManifests }
    for id in ids {
      guard let entry = try index.files.file(id, in: transaction), entry.state == .ready else {
        throw StoreError(.notFound, "no file with id \(id)")
      }
      guard let tombstone = journal.tombstones[id] else { throw StoreError(.io, "no tombstone for file \(id)") }
      // One beside the only manifest that it buries is not counted: they go together.
      let manifestSegment = entry.manifestLocation.segment
      let isCounted = tombstone.segment != manifestSegment || hasMovedManifests
      try index.files.setTombstone(
        id, TombstoneEntry(location: tombstone, manifestSegment: manifestSegment, isCounted: isCounted),
        in: transaction)
      if isCounted { counted.append(tombstone) }
      if entry.manifest.partCount <= partCountOfSmall {
        small.append((id, entry))
      } else {
        try mark(id, entry, writer, index, in: transaction)
        outcome.unfinished.append(id)
      }
    }
    try index.segments.revive(counted, in: transaction)
    outcome.dead = try takeOut(small, index, in: transaction)
    outcome.emptied = try index.segments.release(outcome.dead, in: transaction)
    return outcome
  }

  private static func mark(
    _ id: FileID, _ entry: FileEntry, _ writer: WriterID, _ index: Index, in transaction: borrowing WriteTransaction
  ) throws(StoreError) {
    // Nothing is begun that a damaged index would not let come to an end.
    try index.files.checkCommit(entry.commit, in: transaction)
    let numbers = max(0, entry.manifest.partCount - Reclamation.stepPartCount)..<entry.manifest.partCount
    _ = try index.parts.parts(numbers, of: entry.manifest, in: transaction)
    try Reclamation.mark(id, entry, writer, index, in: transaction)
  }

  /// Takes whole files out, table by table and in order of keys.
  /// - Returns: Their records.
  private static func takeOut(
    _ files: [(id: FileID, entry: FileEntry)], _ index: Index, in transaction: borrowing WriteTransaction
  ) throws(StoreError) -> [RecordLocation] {
    var dead = files.map(\.entry.manifestLocation)
    var parts: [PartID] = []
    var fileCounts: [Sequence: Int] = [:]
    for (_, entry) in files {
      parts += entry.manifest.partIDs(0..<entry.manifest.partCount)
      fileCounts[entry.commit, default: 0] += 1
    }
    for part in parts.sorted() {
      guard let entry = try index.parts.part(part, in: transaction) else {
        throw StoreError(index: FormatFailure(.damaged, "part \(part) of a file is missing"))
      }
      try index.parts.remove(part, in: transaction)
      if entry.state == .live { dead.append(entry.location) }
    }
    for (commit, count) in fileCounts.sorted(by: { $0.key < $1.key }) {
      if let location = try index.files.releaseCommit(commit, fileCount: count, in: transaction) {
        dead.append(location)
      }
    }
    try index.files.removeReady(files, in: transaction)
    return dead
  }

  /// For a seeded defect.
  private func punchBefore(_ files: [FileID]) throws(StoreError) {
    let index = try store.index
    var dead = DeadSpace()
    for id in files {
      dead.add(
        try index.read { (transaction) throws(StoreError) in
          guard let manifest = try index.files.file(id, in: transaction)?.manifest else { return [] }
          return try index.parts.parts(0..<manifest.partCount, of: manifest, in: transaction).map(\.entry.location)
        })
    }
    for (segment, extents) in dead.takeAll() { DeadPages.punch(extents, of: segment, in: store.segmentDirectory) }
  }
}
