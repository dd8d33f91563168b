import LMDB
import Mutants
import StorageIO

/// Empties segments in which much is dead, and removes them: what is alive moves, others go on meanwhile.
///
/// A segment is claimed, so that nobody else removes or compacts it; its records are moved by batches; then its file is
/// removed. A crash in between loses nothing: at any moment the index names one whole copy of each record, and what it does
/// not name counts for nobody.
struct Compaction {
  let store: Store
  let session: WriterSession
  let cancellation: Cancellation
  private var move: RecordMove
  private(set) var removedSegmentCount = 0

  private static let pageRecordCount = 1024

  init(_ store: Store, _ session: WriterSession, bytesPerSecond: Int?, _ cancellation: Cancellation) {
    self.store = store
    self.session = session
    self.cancellation = cancellation
    move = RecordMove(store, session, bytesPerSecond: bytesPerSecond, cancellation)
  }

  var movedByteCount: Int { move.movedByteCount }
  var damagedSegments: Set<SegmentID> { Set(move.damaged.map(\.segment)) }

  /// Empties one segment, unless somebody else has it by now.
  mutating func compact(_ victim: SegmentID) throws(StoreError) {
    guard try claim(victim) else { return }
    defer {
      letGo(of: victim)
      releaseFullSegments()
    }
    try moveRecords(of: victim)
  }

  private mutating func moveRecords(of victim: SegmentID) throws(StoreError) {
    let contents = try SegmentContents(victim, in: store.segmentDirectory, storePrefix: store.superblock.uuid.prefix)
    var page: [RecordHeader] = []
    try contents.forEachRecord { (record) throws(StoreError) in
      page.append(record)
      if page.count == Compaction.pageRecordCount {
        try move.move(page)
        page = []
      }
    }
    try move.move(page)
  }

  /// Makes the segment this writer's, if it is full and nobody's.
  private func claim(_ victim: SegmentID) throws(StoreError) -> Bool {
    let (index, highWater, writer) = (try store.index, store.highWater, session.writer)
    let isClaimed = Monitor(false)
    try session.perform(
      IndexJob { (transaction, _) throws(StoreError) in
        guard var entry = try index.segments.segment(victim, in: transaction), entry.state == .sealed,
          entry.owner.rawValue == 0 || Mutant.compactOwnedSegments.isActive
        else { return isClaimed.withLock { $0 = false } }
        // What is moved away is punched.
        try highWater.raise(to: try index.counters(in: transaction))
        entry.owner = writer
        try index.segments.set(victim, entry, in: transaction)
        isClaimed.withLock { $0 = true }
      })
    return isClaimed.withLock { $0 }
  }

  /// Leaves the segment to itself, and removes it if nothing in it is alive. What fails here the next open does.
  private mutating func letGo(of victim: SegmentID) {
    let writer = session.writer
    do throws(StoreError) {
      let index = try store.index
      try session.perform(
        IndexJob { (transaction, _) throws(StoreError) in
          try index.segments.disown([victim], by: writer, in: transaction)
        })
      try Reclamation(store: store, perform: session.perform).removeEmptySegments([victim])
      let isGone = try index.read { (transaction) throws(StoreError) in
        try index.segments.segment(victim, in: transaction) == nil
      }
      if isGone { removedSegmentCount += 1 }
    } catch {
      session.leaveToRecovery()
    }
  }

  /// Lets go of the full segments that copies went to, as the end of a put does.
  private func releaseFullSegments() {
    let number = session.segments.beginPut()
    let (full, writer) = (session.segments.releasableSegments(finishing: number), session.writer)
    do throws(StoreError) {
      let index = try store.index
      if !full.isEmpty {
        try session.perform(
          IndexJob { (transaction, _) throws(StoreError) in
            try index.segments.disown(full, by: writer, in: transaction)
          })
      }
      session.segments.endPut(number, disowned: full)
      try Reclamation(store: store, perform: session.perform).removeEmptySegments(full)
    } catch {
      session.segments.endPut(number, disowned: [])
      session.leaveToRecovery()
    }
  }
}
