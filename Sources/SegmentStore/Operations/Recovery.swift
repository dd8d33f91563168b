import LMDB
import Mutants
import StorageIO

/// Puts a store right that a writer left in the middle of something: automatic, at every open.
///
/// A writer is dead when the index names it and nobody holds its lock byte. Each step may be repeated, by this process
/// after a crash or by another at the same time; the entry of the writer goes last.
struct Recovery: Sendable {
  let store: Store

  /// Nothing is written when no writer is dead.
  func run() throws(StoreError) {
    let index = try store.index
    try index.removeStaleReaders()
    // What an older page does not name would be cut off.
    try index.read { (transaction) throws(StoreError) in
      try index.checkSums(of: Index.tablesOfWriters, in: transaction)
    }
    let dead = try deadWriters()
    if dead.isEmpty { return }
    var freed: Set<SegmentID> = []
    for writer in dead { freed.formUnion(try freeSegments(of: writer)) }
    try finishFiles(of: dead)
    freed.formUnion(try removeOrphans())
    try Reclamation(store: store, perform: performDirectly).removeEmptySegments(freed)
    try index.write { (transaction) throws(StoreError) in
      for writer in dead { try transaction.remove(index.writers, writer.key) }
    }
  }

  private func deadWriters() throws(StoreError) -> Set<WriterID> {
    let index = try store.index
    var known: [WriterID] = []
    try index.read { (transaction) throws(StoreError) in
      try transaction.forEach(index.writers, as: WriterEntry.self) { (key, _) throws(StoreError) in
        WriterID(key: key).map { known.append($0) }
        return true
      }
    }
    var dead: Set<WriterID> = []
    for writer in known where !(try store.locks.isHeld(.writer(writer))) || Mutant.takeLivingForDead.isActive {
      dead.insert(writer)
    }
    return dead
  }

  /// Cuts the segments of a dead writer off behind the last record that the index knows, and lets others go on with
  /// them. What lay behind was never acknowledged: torn records, and commit records whose group did not come through.
  /// - Returns: The segments.
  private func freeSegments(of writer: WriterID) throws(StoreError) -> Set<SegmentID> {
    let index = try store.index
    return try index.write { (transaction) throws(StoreError) in
      var freed: Set<SegmentID> = []
      try store.highWater.raise(to: try index.counters(in: transaction))
      for (id, entry) in try index.segments.listedSegments(in: transaction)
      where entry.owner == writer || (entry.owner.rawValue == 0 && entry.usedByteCount == 0) {
        var entry = entry
        if entry.usedByteCount == 0 {
          // Its writer died before the first record counted, or between letting go of it and removing it.
          try index.segments.remove(id, in: transaction)
          try translating { () throws(SystemCallFailure) in
            try store.segmentDirectory.removeFile(id.fileName)
            try store.segmentDirectory.sync()
          }
          continue
        }
        if entry.state == .open {
          if Mutant.trustTail.isActive { entry.usedByteCount = try end(of: id, from: entry.usedByteCount) }
          try cut(id, at: entry.usedByteCount)
        }
        entry.owner = WriterID(rawValue: 0)
        try index.segments.set(id, entry, in: transaction)
        freed.insert(id)
      }
      return freed
    }
  }

  /// For a seeded defect: the end of the last intact record behind `start`.
  private func end(of id: SegmentID, from start: Int) throws(StoreError) -> Int {
    let bytes = try SegmentBytes(id, of: store)
    var end = start
    while let header = try bytes.nextRecord(from: end, upTo: bytes.byteCount) { end = header.location.end }
    return end
  }

  /// Inside the transaction, because the segment must not find a new owner before it is cut.
  private func cut(_ id: SegmentID, at byteCount: Int) throws(StoreError) {
    do throws(SystemCallFailure) {
      let file = try store.segmentDirectory.open(id.fileName, [.write, .noFollow])
      if try file.status().byteCount > byteCount { try file.truncate(to: byteCount) }
      // Even if it was cut before: perhaps by one who died before the sync.
      try file.sync()
    } catch  where error.isNotFound {
      // Lost: what it held is reported by those who read it.
    } catch {
      throw StoreError(error)
    }
  }

  /// Rolls back what was being written, save what is to be gone on with by a put, and goes on with what was being deleted.
  private func finishFiles(of dead: Set<WriterID>) throws(StoreError) {
    let index = try store.index
    let reclamation = Reclamation(store: store, perform: performDirectly)
    let unfinished = try index.read { (transaction) throws(StoreError) in
      var found: [(id: FileID, entry: FileEntry)] = []
      for id in try index.files.unfinishedFiles(in: transaction) {
        if let entry = try index.files.file(id, in: transaction), dead.contains(entry.writer) {
          found.append((id, entry))
        }
      }
      return found
    }
    var rolledBack: [WriterID: [FileID]] = [:]
    for (id, entry) in unfinished {
      switch entry.state {
      case .writing where canBeResumed(entry):
        try keep(id, of: entry.writer)
      case .writing where Mutant.keepUnfinishedFiles.isActive: break
      case .writing: rolledBack[entry.writer, default: []].append(id)
      case .deleting: try reclamation.finish(id)
      case .ready: break
      }
    }
    for (writer, ids) in rolledBack { try reclamation.rollBack(ids, of: writer, by: writer) }
  }

  /// One of a group, which has its manifest and waits for the others, is not gone on with by itself.
  private func canBeResumed(_ entry: FileEntry) -> Bool {
    guard entry.manifestLocation.segment.rawValue == 0 else { return false }
    return entry.isResumable || store.configuration.resumedNames.contains(entry.manifest.name)
  }

  /// Leaves a file that a dead writer was storing to whoever goes on with it.
  private func keep(_ id: FileID, of writer: WriterID) throws(StoreError) {
    let index = try store.index
    try index.write { (transaction) throws(StoreError) in
      guard var entry = try index.files.file(id, in: transaction), entry.state == .writing, entry.writer == writer
      else { return }
      entry.writer = WriterID(rawValue: 0)
      entry.isResumable = true
      try index.files.setWriting(id, entry, in: transaction)
    }
  }

  /// Removes segment files that the index does not name, and tombstones of files whose manifests are gone.
  /// - Returns: Segments in which nothing is alive.
  /// - Complexity: O(segments).
  private func removeOrphans() throws(StoreError) -> Set<SegmentID> {
    let index = try store.index
    let reclamation = Reclamation(store: store, perform: performDirectly)
    // The directory first: a segment is entered in the index before its file is made.
    let names = try translating { () throws(SystemCallFailure) in try store.segmentDirectory.entries() }
    let (orphans, gone, empty) = try index.read { (transaction) throws(StoreError) in
      var orphans: [SegmentID] = []
      let next = try index.counters(in: transaction).nextSegment
      for id in names.compactMap(SegmentID.init(fileName:))
      where try index.segments.segment(id, in: transaction) == nil {
        // An index that never made this segment is not the one it belongs to: an older copy, perhaps.
        guard id.rawValue < next else {
          throw StoreError(index: FormatFailure(.damaged, "it is older than segment \(id), which it does not know"))
        }
        orphans.append(id)
      }
      var gone: Set<SegmentID> = []
      for id in try index.files.tombstonedSegments(in: transaction)
      where try index.segments.segment(id, in: transaction) == nil { gone.insert(id) }
      var empty: Set<SegmentID> = []
      try index.segments.forEach(in: transaction) { (id, entry) in
        if entry.liveByteCount == 0 && entry.owner.rawValue == 0 { empty.insert(id) }
      }
      return (orphans, gone, empty)
    }
    // Also what somebody else unlinked must be durably gone before its tombstones are.
    try reclamation.unlink(orphans)
    return gone.isEmpty ? empty : empty.union(try reclamation.forget(gone))
  }

  /// Recovery runs before the thread of the index exists, and its jobs append nothing.
  private func performDirectly(_ job: IndexJob) throws(StoreError) {
    try store.index.write { (transaction) throws(StoreError) in
      try job.body(transaction, JournalRecords())
    }
  }
}
