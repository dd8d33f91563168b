import LMDB
import StorageIO

/// Takes files out of the index, a bounded number of parts at a time, and gives their space back.
///
/// First the file is `deleting`, durably: gone for every reader, and from a rebuild by its tombstone. Then, step by step,
/// the pages of its last parts are punched and those parts leave the index. A crash in between leaves a `deleting` file
/// of a dead writer, with which whoever opens the store next goes on: punching what is punched already does no harm.
struct Reclamation: Sendable {
  let store: Store
  let perform: @Sendable (IndexJob) throws(StoreError) -> Void

  /// Parts taken out in one transaction: bounds its memory and how long it keeps others waiting.
  static let stepPartCount = 4096

  /// Takes a file that never became ready out again, unless it belongs to somebody else than `owner` by now. Its commit
  /// record does not exist, so it needs no tombstone.
  func rollBack(_ id: FileID, of owner: WriterID, by writer: WriterID) throws(StoreError) {
    try rollBack([id], of: owner, by: writer)
  }

  /// The same with many files: small ones share their transactions.
  func rollBack(_ ids: [FileID], of owner: WriterID, by writer: WriterID) throws(StoreError) {
    for start in stride(from: 0, to: ids.count, by: Reclamation.stepFileCount) {
      let step = Array(ids[start..<min(start + Reclamation.stepFileCount, ids.count)])
      try beginRollBack(step, of: owner, by: writer)
      let small = try smallFiles(among: step)
      try finish(small)
      for id in Set(step).subtracting(small) { try finish(id) }
    }
  }

  /// Files of so few parts that a step takes many of them.
  static let stepFileCount = 64

  private func beginRollBack(_ ids: [FileID], of owner: WriterID, by writer: WriterID) throws(StoreError) {
    let (index, highWater) = (try store.index, store.highWater)
    try perform(
      IndexJob { (transaction, _) throws(StoreError) in
        for id in ids {
          // Two who recover at the same time may both come here: the second goes on with what the first began.
          guard let entry = try index.files.file(id, in: transaction), entry.state == .writing, entry.writer == owner
          else { continue }
          try Reclamation.mark(id, entry, writer, index, in: transaction)
        }
        try highWater.raise(to: try index.counters(in: transaction))
      })
  }

  private func smallFiles(among ids: [FileID]) throws(StoreError) -> [FileID] {
    let index = try store.index
    return try index.read { (transaction) throws(StoreError) in
      var small: [FileID] = []
      for id in ids {
        guard let entry = try index.files.file(id, in: transaction), entry.state == .deleting else { continue }
        if entry.remainingPartCount <= Reclamation.stepPartCount / Reclamation.stepFileCount { small.append(id) }
      }
      return small
    }
  }

  /// Takes out files that are `deleting`, of so few parts that one step is enough for all.
  private func finish(_ ids: [FileID]) throws(StoreError) {
    let index = try store.index
    if ids.isEmpty { return }
    var locations: [RecordLocation] = []
    for id in ids { locations += try lastParts(of: id) ?? [] }
    try punch(locations)
    let emptied = Monitor<Set<SegmentID>>([])
    try perform(
      IndexJob { (transaction, _) throws(StoreError) in
        var empty: Set<SegmentID> = []
        for id in ids { empty.formUnion(try Reclamation.takeOut(id, index, in: transaction)) }
        let result = empty
        emptied.withLock { $0 = result }
      })
    try removeEmptySegments(emptied.withLock { $0 })
  }

  /// Goes on with a file that is `deleting`, until it is gone.
  func finish(_ id: FileID) throws(StoreError) {
    try finish(id) { (_, emptied) throws(StoreError) in try removeEmptySegments(emptied) }
  }

  /// The same, telling `body` after each step what died and was not worth a punch by itself, and in which segments nothing
  /// is alive now.
  func finish(
    _ id: FileID, _ body: (DeadSpace.Extents, Set<SegmentID>) throws(StoreError) -> Void
  ) throws(StoreError) {
    let index = try store.index
    while let locations = try lastParts(of: id) {
      let islands = try punch(locations)
      let emptied = Monitor<Set<SegmentID>>([])
      try perform(
        IndexJob { (transaction, _) throws(StoreError) in
          let empty = try Reclamation.takeOut(id, index, in: transaction)
          emptied.withLock { $0 = empty }
        })
      try body(islands, emptied.withLock { $0 })
    }
  }

  /// Removes the segments among `candidates` in which nothing is alive, and then those that this leaves empty.
  ///
  /// A segment is `retired` first, so that nobody takes it over and a crash leaves a trace, and its entry goes last: as
  /// long as its file may be there, so may what is in it.
  func removeEmptySegments(_ candidates: Set<SegmentID>) throws(StoreError) {
    let (index, highWater) = (try store.index, store.highWater)
    var candidates = candidates
    while !candidates.isEmpty {
      let retired = Monitor<Set<SegmentID>>([])
      let wanted = candidates
      try perform(
        IndexJob { (transaction, _) throws(StoreError) in
          var empty: Set<SegmentID> = []
          try highWater.raise(to: try index.counters(in: transaction))
          for id in wanted {
            guard var entry = try index.segments.segment(id, in: transaction), entry.liveByteCount == 0,
              entry.owner.rawValue == 0
            else { continue }
            entry.state = .retired
            try index.segments.set(id, entry, in: transaction)
            empty.insert(id)
          }
          let result = empty
          retired.withLock { $0 = result }
        })
      let gone = retired.withLock { $0 }
      if gone.isEmpty { return }
      try unlink(gone.sorted())
      candidates = try forget(gone)
    }
  }

  /// Forgets segments whose files are durably gone, and the tombstones of manifests that were in them: no more can come, as
  /// nothing was alive there.
  /// - Returns: Segments that may be empty now.
  func forget(_ gone: Set<SegmentID>) throws(StoreError) -> Set<SegmentID> {
    let index = try store.index
    var emptied: Set<SegmentID> = []
    var first: FileID? = FileID(rawValue: 0)
    while let start = first {
      // Looked for beside those who change the index: there may be many.
      let found = try index.read { (transaction) throws(StoreError) in
        try index.files.tombstonedFiles(
          ofManifestsIn: gone, from: start, limit: Reclamation.stepPartCount, in: transaction)
      }
      first = found.next
      var rest = found.files[...]
      repeat {
        let step = rest.prefix(Reclamation.stepTombstoneCount)
        rest = rest.dropFirst(step.count)
        // With the last of the tombstones: until then somebody can come back to them.
        emptied.formUnion(try forget(Array(step), of: gone, dropping: rest.isEmpty && first == nil ? gone : []))
      } while !rest.isEmpty
    }
    return emptied.subtracting(gone)
  }

  /// Tombstones forgotten in one transaction.
  private static let stepTombstoneCount = 256

  private func forget(
    _ files: [FileID], of gone: Set<SegmentID>, dropping dropped: Set<SegmentID>
  ) throws(StoreError) -> Set<SegmentID> {
    let index = try store.index
    let emptied = Monitor<Set<SegmentID>>([])
    try perform(
      IndexJob { (transaction, _) throws(StoreError) in
        let doubtful = try index.segments.listedSegments(in: transaction).first {
          $0.entry.holdsMovedManifests && !gone.contains($0.id)
        }
        let locations = try index.files.releaseTombstones(
          of: files, ofManifestsIn: gone, unless: doubtful?.id, in: transaction)
        for id in dropped { try index.segments.remove(id, in: transaction) }
        let result = try index.segments.release(locations, in: transaction)
        emptied.withLock { $0 = result }
      })
    return emptied.withLock { $0 }
  }

  /// Removes the files of segments that nothing needs. Their names are durably gone on return.
  func unlink(_ segments: [SegmentID]) throws(StoreError) {
    for start in stride(from: 0, to: segments.count, by: Reclamation.stepSegmentCount) {
      var removed: [File] = []
      for id in segments[start..<min(start + Reclamation.stepSegmentCount, segments.count)] {
        store.reader.forget(id)
        do throws(SystemCallFailure) {
          let file = try store.segmentDirectory.open(id.fileName, [.write, .noFollow])
          try store.segmentDirectory.removeFile(id.fileName)
          removed.append(file)
        } catch  where error.isNotFound {
        } catch {
          throw StoreError(error)
        }
      }
      try translating { () throws(SystemCallFailure) in
        try store.segmentDirectory.sync()
        // Another process may have it mapped and would keep its blocks. Only now: a segment that still has its name is
        // never an empty file, for which a rebuild would have to take it.
        try RemovedFiles(removed).giveBack(with: store.workers)
      }
    }
  }

  /// Segments removed with one sync of their directory: as many are open at a time.
  private static let stepSegmentCount = 64

  // MARK: In a transaction
  // Static, so that a job holds the index and never the store: the last reference to a store closes it, and must not
  // go with a job on the thread of the index, for which a close waits.

  /// Makes a file `deleting`. What is punched after this carries its ids no more, so whoever calls this raises the
  /// high-water file in the same transaction.
  static func mark(
    _ id: FileID, _ entry: FileEntry, _ writer: WriterID, _ index: Index, in transaction: borrowing WriteTransaction
  ) throws(StoreError) {
    var entry = entry
    entry.state = .deleting
    entry.writer = writer
    entry.remainingPartCount = entry.manifest.partCount
    try index.files.setDeleting(id, entry, in: transaction)
  }

  /// Takes the last parts of a file out, and with the first of them the file itself.
  /// - Returns: Segments in which nothing is alive now.
  private static func takeOut(
    _ id: FileID, _ index: Index, in transaction: borrowing WriteTransaction
  ) throws(StoreError) -> Set<SegmentID> {
    guard var entry = try index.files.file(id, in: transaction), entry.state == .deleting else { return [] }
    let numbers = lastNumbers(of: entry)
    var locations: [RecordLocation] = []
    for (part, partEntry) in try index.parts.parts(numbers, of: entry.manifest, in: transaction) {
      try index.parts.remove(part, in: transaction)
      if partEntry.state == .live { locations.append(partEntry.location) }
    }
    if numbers.lowerBound == 0 {
      if entry.manifestLocation.segment.rawValue != 0 {
        locations.append(entry.manifestLocation)
        if let commit = try index.files.releaseCommit(entry.commit, in: transaction) { locations.append(commit) }
      }
      try index.files.remove(id, in: transaction)
    } else {
      entry.remainingPartCount = numbers.lowerBound
      try index.files.setDeleting(id, entry, in: transaction)
    }
    return try index.segments.release(locations, in: transaction)
  }

  private static func lastNumbers(of entry: FileEntry) -> Range<Int> {
    max(0, entry.remainingPartCount - stepPartCount)..<entry.remainingPartCount
  }

  // MARK: Outside of it

  /// Where the parts lie that leave the index next; nil when the file is gone.
  private func lastParts(of id: FileID) throws(StoreError) -> [RecordLocation]? {
    let index = try store.index
    return try index.read { (transaction) throws(StoreError) in
      guard let entry = try index.files.file(id, in: transaction), entry.state == .deleting else { return nil }
      let numbers = Reclamation.lastNumbers(of: entry)
      return try index.parts.parts(numbers, of: entry.manifest, in: transaction)
        .filter { $0.entry.state == .live }.map(\.entry.location)
    }
  }

  /// Punches the pages that hold nothing but these records, where that is worth a call. Not in segments that hold nothing
  /// else: those go as a whole.
  /// - Returns: What was not.
  @discardableResult private func punch(_ locations: [RecordLocation]) throws(StoreError) -> DeadSpace.Extents {
    let index = try store.index
    var dead = DeadSpace()
    dead.add(locations)
    let least = DeadPages.leastByteCount(in: store)
    var islands: DeadSpace.Extents = [:]
    for (segment, extents) in dead.takeAll() {
      let entry = try index.read { (transaction) throws(StoreError) in
        try index.segments.segment(segment, in: transaction)
      }
      let deadByteCount = extents.reduce(0) { $0 + $1.count }
      if entry?.state == .sealed, entry?.owner.rawValue == 0, entry?.liveByteCount == deadByteCount { continue }
      DeadPages.punch(extents.filter { $0.count >= least }, of: segment, in: store.segmentDirectory)
      islands[segment] = extents.filter { $0.count < least }
    }
    return islands
  }
}
