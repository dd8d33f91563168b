import LMDB
import Mutants
import StorageIO

/// Copies records as they are stored into a segment of this process, and has the index name the copies in their place.
///
/// Copies are in the index or gone, as journal records are: a copy of a manifest that no index names would bring its file
/// back in a rebuild once the tombstone has gone with the segment that the index does name.
struct RecordMove {
  let store: Store
  let session: WriterSession
  let cancellation: Cancellation
  var pace: Pace
  /// The copies of one batch, which a full disk makes small: what is moved gives its old place back at once.
  private var batchByteCount = fewByteCount
  private(set) var movedByteCount = 0
  /// Records that are needed and cannot be read; they stay where they are.
  private(set) var damaged: Set<RecordLocation> = []

  /// Naming a record takes some 10 us in which nobody else changes the index. Fewer where files are deleted all the time: a
  /// batch with a record that died meanwhile begins anew.
  private var batchRecordCount = fewRecordCount
  private static let largestBatchRecordCount = 1024
  /// Beside others who change the index, and on a disk that is nearly full, where each may change pages of its own.
  private static let fewRecordCount = 32
  private static let largestBatchByteCount = 16 << 20
  private static let smallestBatchByteCount = 64 << 10
  /// What others wait for the sync of, where there are any.
  private static let fewByteCount = 1 << 20

  private let jobs: CompactionJobs
  /// What ends a second thread; cancelled when others change the index too.
  private let helping: Cancellation?
  /// Whether this is that second thread.
  private let isHelper: Bool
  /// As of the end of the last batch.
  private var mark: IndexWriter.Activity
  /// Batches that are small yet: at the beginning, and after one beside others.
  private var smallBatchCount = smallBatchCountAtBeginning
  private static let smallBatchCountAtBeginning = 3
  private static let smallBatchCountBesideOthers = 8

  /// The places that records have left, gathered so that few pieces are made.
  private var left = DeadSpace()
  private var leftByteCount = 0
  private static let punchedByteCount = 16 << 20

  init(
    _ store: Store, _ session: WriterSession, _ jobs: CompactionJobs, bytesPerSecond: Int?,
    _ cancellation: Cancellation, helping: Cancellation? = nil, isHelper: Bool = false
  ) {
    self.store = store
    self.helping = helping
    self.isHelper = isHelper
    self.session = session
    self.jobs = jobs
    self.cancellation = cancellation
    pace = Pace(bytesPerSecond: bytesPerSecond)
    mark = jobs.mark
  }

  /// Whether nobody else changes the index meanwhile.
  var isAlone: Bool { smallBatchCount == 0 }

  private struct Copy {
    let record: RecordHeader
    let appended: AppendedRecord
  }

  /// Moves those of `records`, all of one segment, that are needed; in order. On return the index names their copies,
  /// durably.
  mutating func move(_ records: [RecordHeader]) throws(StoreError) {
    var rest = records[...]
    while !rest.isEmpty {
      try cancellation.check()
      if isHelper { try helping?.check() }
      do throws(StoreError) {
        rest = rest.dropFirst(try moveBatch(rest))
      } catch  where error.code == .noSpace {
        if leftByteCount > 0 {
          try punchLeft()
          continue
        }
        if batchByteCount == RecordMove.smallestBatchByteCount {
          guard try store.reserve.releaseStep() else { throw error }
        }
        batchByteCount = max(RecordMove.smallestBatchByteCount, batchByteCount / 16)
      }
    }
  }

  /// Gives back the places that were left, in segments that still exist: one whose records were all moved goes as a whole.
  mutating func punchLeft() throws(StoreError) {
    leftByteCount = 0
    try DeadStretches(store: store, session: session).punch(left.takeAll())
  }

  private func movable(_ records: ArraySlice<RecordHeader>) throws(StoreError) -> [RecordHeader] {
    let index = try store.index
    return try index.read { (transaction) throws(StoreError) in
      var movable: [RecordHeader] = []
      for record in records where try index.isMovable(record, in: transaction) { movable.append(record) }
      return movable
    }
  }

  /// - Returns: How many of the first records are done with; none where a file was deleted meanwhile.
  private mutating func moveBatch(_ records: ArraySlice<RecordHeader>) throws(StoreError) -> Int {
    if store.hasLittleRoom { batchRecordCount = min(batchRecordCount, RecordMove.fewRecordCount) }
    // Asked anew for each batch: files are deleted meanwhile.
    let wanted = try movable(records.prefix(batchRecordCount)).filter { !damaged.contains($0.location) }
    guard let first = wanted.first else { return min(records.count, batchRecordCount) }
    let pending = PendingRecords(
      in: try session.segments.lend(forPayload: first.storedByteCount, through: jobs.perform), of: session.segments)
    var copies: [Copy] = []
    var doneCount = min(records.count, batchRecordCount)
    do throws(StoreError) {
      for record in wanted {
        guard copies.isEmpty || pending.byteCount + record.recordByteCount <= batchByteCount,
          pending.appender.hasRoom(forPayload: record.storedByteCount)
        else {
          doneCount = (records.firstIndex { $0.offset == record.offset } ?? records.startIndex) - records.startIndex
          break
        }
        try pace.wait(for: record.recordByteCount, cancellation)
        if let copy = try copy(record, to: pending.appender) { copies.append(copy) }
        try keepUp(with: pending.appender)
      }
      if Mutant.removeBeforeMove.isActive {
        try Reclamation(store: store, perform: jobs.perform).unlink([first.segment])
      }
      try swap(copies, in: pending.appender.segment)
    } catch {
      // What is not known to be out of the index stays as it is, and this process writes no more.
      try session.checkUsable()
      if Mutant.keepUnnamedCopies.isActive { pending.keep() } else { try takeBack(pending) }
      guard error.code == .busy else { throw error }
      batchRecordCount = max(1, copies.count / 2)
      return 0
    }
    pending.keep()
    for copy in copies { movedByteCount += copy.record.recordByteCount }
    try leave(copies.map(\.record))
    chooseBatch()
    return doneCount
  }

  /// Small ones beside others, who wait for each; else large ones, which take fewer commits.
  private mutating func chooseBatch() {
    let now = jobs.mark
    if now.othersCount(since: mark) > 0 {
      smallBatchCount = RecordMove.smallBatchCountBesideOthers
      helping?.cancel()
    } else {
      smallBatchCount = max(0, smallBatchCount - 1)
    }
    mark = now
    let (recordCount, byteCount) =
      isAlone
      ? (RecordMove.largestBatchRecordCount, RecordMove.largestBatchByteCount)
      : (RecordMove.fewRecordCount, RecordMove.fewByteCount)
    batchRecordCount = min(recordCount, 2 * batchRecordCount)
    batchByteCount = min(byteCount, 2 * batchByteCount)
  }

  /// Notes the places that were left, and gives them back now and then: on a full disk at once.
  private mutating func leave(_ records: [RecordHeader]) throws(StoreError) {
    left.add(records.map(\.location))
    for record in records { leftByteCount += record.recordByteCount }
    if leftByteCount >= RecordMove.punchedByteCount || !store.reserve.isWhole { try punchLeft() }
  }

  /// Has the device keep up, so that the syncs of others do not wait behind much.
  private func keepUp(with appender: SegmentAppender) throws(StoreError) {
    if isAlone { return }
    do throws(StoreError) { try session.segments.paceWriteback(of: appender) } catch {
      session.stopWriting(because: error)
      throw error
    }
  }

  /// A sync that failed is reported once, to whoever asks first, and others have bytes in that segment too.
  private func takeBack(_ pending: PendingRecords) throws(StoreError) {
    do throws(StoreError) { try pending.takeBack() } catch {
      session.stopWriting(because: error)
      throw error
    }
  }

  /// - Returns: Nil when the record is needed and cannot be read, or was punched out with its file just now.
  private mutating func copy(
    _ record: RecordHeader, to appender: SegmentAppender
  ) throws(StoreError) -> Copy? {
    let store = store
    var hasRead = false
    do throws(StoreError) {
      return try store.reader.withPayload(of: record) { (payload) throws(StoreError) in
        hasRead = true
        return Copy(record: record, appended: try appender.append(copyOf: record, payload: payload))
      }
    } catch  where !hasRead && (error.code == .corrupt || error.code == .io) {
      if try !movable([record]).isEmpty { damaged.insert(record.location) }
      return nil
    }
  }

  /// One durable commit: every copy whose record is still needed takes its place.
  private func swap(_ copies: [Copy], in segment: SegmentID) throws(StoreError) {
    if copies.isEmpty { return }
    let index = try store.index
    try jobs.perform(
      IndexJob(syncing: [segment], ahead: true) { (transaction, _) throws(StoreError) in
        var accounts = AppendedRecords()
        var left: [RecordLocation] = []
        var hasManifest = false
        for copy in copies {
          let isMoved =
            try index.isMovable(copy.record, in: transaction) || Mutant.nameDeletedCopies.isActive
          if isMoved {
            try index.relocate(copy.record, to: copy.appended.location, in: transaction)
            left.append(copy.record.location)
            hasManifest = hasManifest || copy.record.kind == .manifest
          } else if copy.record.kind != .part {
            throw StoreError(.busy, "a file was deleted while its records were moved")
          }
          accounts.add(copy.appended, isAlive: isMoved)
        }
        try index.segments.add(accounts, in: transaction)
        _ = try index.segments.release(left, in: transaction)
        if hasManifest, let first = left.first {
          try index.segments.noteMovedManifests(in: first.segment, in: transaction)
        }
      })
  }
}
