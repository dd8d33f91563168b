import Codecs
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
  private var batchByteCount = largestBatchByteCount
  private(set) var movedByteCount = 0
  /// Records that are needed and cannot be read; they stay where they are.
  private(set) var damaged: Set<RecordLocation> = []

  /// Naming so many copies keeps the thread of the index for some 2 ms. Fewer where files are deleted all the time: a batch with
  /// a record that died meanwhile begins anew.
  private var batchRecordCount = largestBatchRecordCount
  private static let largestBatchRecordCount = 256
  /// On a disk that is nearly full, where each may change pages of its own.
  private static let fewRecordCount = 32
  private static let largestBatchByteCount = 16 << 20
  private static let smallestBatchByteCount = 64 << 10

  init(_ store: Store, _ session: WriterSession, bytesPerSecond: Int?, _ cancellation: Cancellation) {
    self.store = store
    self.session = session
    self.cancellation = cancellation
    pace = Pace(bytesPerSecond: bytesPerSecond)
  }

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
      // Asked anew for each batch: files are deleted meanwhile.
      rest = try movable(rest).filter { !damaged.contains($0.location) }[...]
      if rest.isEmpty { return }
      do throws(StoreError) {
        rest = rest.dropFirst(try moveBatch(rest))
      } catch  where error.code == .noSpace {
        if batchByteCount == RecordMove.smallestBatchByteCount {
          guard try store.reserve.releaseStep() else { throw error }
        }
        batchByteCount = max(RecordMove.smallestBatchByteCount, batchByteCount / 16)
      }
    }
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
    guard let first = records.first else { return 0 }
    let lease = try scratchLease(for: records)
    defer { withExtendedLifetime(lease) {} }
    let pending = PendingRecords(
      in: try session.segments.lend(forPayload: first.storedByteCount, through: session.perform), of: session.segments)
    if store.hasLittleRoom { batchRecordCount = min(batchRecordCount, RecordMove.fewRecordCount) }
    var copies: [Copy] = []
    var doneCount = 0
    do throws(StoreError) {
      for record in records.prefix(batchRecordCount) {
        guard copies.isEmpty || pending.byteCount + record.recordByteCount <= batchByteCount,
          pending.appender.hasRoom(forPayload: record.storedByteCount)
        else { break }
        try pace.wait(for: record.recordByteCount, cancellation)
        if let copy = try copy(record, to: pending.appender) { copies.append(copy) }
        doneCount += 1
        try keepUp(with: pending.appender)
      }
      if Mutant.removeBeforeMove.isActive {
        try Reclamation(store: store, perform: session.perform).unlink([first.segment])
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
    batchRecordCount = min(RecordMove.largestBatchRecordCount, 2 * batchRecordCount)
    batchByteCount = min(RecordMove.largestBatchByteCount, 2 * batchByteCount)
    for copy in copies { movedByteCount += copy.record.recordByteCount }
    try punch(copies.map(\.record))
    return doneCount
  }

  /// Gives the old places back: of parts, for the segment will go as a whole; on a full disk all whole pages.
  private func punch(_ records: [RecordHeader]) throws(StoreError) {
    if store.reserve.isWhole {
      // A manifest that is half gone would look damaged to a rebuild.
      return DeadPages.punch(records.filter { $0.kind == .part }.map(\.location), in: store.segmentDirectory)
    }
    var dead = DeadSpace()
    dead.add(records.map(\.location))
    try DeadStretches(store: store, session: session).punch(dead.takeAll())
  }

  private func keepUp(with appender: SegmentAppender) throws(StoreError) {
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
    let draft = RecordDraft(
      kind: record.kind, rawByteCount: record.rawByteCount, sequence: record.sequence, part: record.part,
      file: record.file, partNumber: record.partNumber, digest: record.digest)
    let store = store
    var hasRead = false
    do throws(StoreError) {
      return try store.reader.withPayload(of: record) { (payload) throws(StoreError) in
        hasRead = true
        return Copy(
          record: record,
          appended: try appender.append(draft, capacity: payload.byteCount) { (destination) throws(StoreError) in
            destination.copy(payload, to: 0)
            // What is copied wrongly would have a checksum of its own, and the original goes.
            let checksum = CRC32C.checksum(of: destination.bytes.extracting(0..<payload.byteCount))
            guard checksum == record.storedChecksum else {
              throw StoreError(.io, "\(record.location.place): its bytes changed while they were copied")
            }
            return EncodedPayload(codec: record.codec, byteCount: payload.byteCount)
          })
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
    try session.perform(
      IndexJob(syncing: [segment]) { (transaction, _) throws(StoreError) in
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

  /// Where there is no mapping to copy into, each record goes through memory.
  private func scratchLease(for records: ArraySlice<RecordHeader>) throws(StoreError) -> MemoryLease? {
    let largest = records.prefix(batchRecordCount).reduce(0) { max($0, $1.storedByteCount) }
    let byteCount = store.writeScratchByteCount(partByteCount: largest)
    return byteCount == 0 ? nil : try store.budget.lease(byteCount, cancellation)
  }
}
