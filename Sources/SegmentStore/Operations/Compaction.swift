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
  /// Claimed, and not done with.
  private var victims: [SegmentID] = []
  private(set) var removedSegmentCount = 0
  /// Segments in which not all was found that is alive.
  private var unreadable: Set<SegmentID> = []

  private static let pageRecordCount = 1024

  init(_ store: Store, _ session: WriterSession, bytesPerSecond: Int?, _ cancellation: Cancellation) {
    self.store = store
    self.session = session
    self.cancellation = cancellation
    move = RecordMove(store, session, bytesPerSecond: bytesPerSecond, cancellation)
  }

  var movedByteCount: Int { move.movedByteCount }
  var damagedSegments: Set<SegmentID> { unreadable.union(move.damaged.map(\.segment)) }

  /// Makes those of `wanted` this writer's that are nobody's, all at once: an open one would else be appended to.
  mutating func claim(_ wanted: [SegmentID]) throws(StoreError) {
    let (index, highWater, writer) = (try store.index, store.highWater, session.writer)
    let claimed = Monitor<[SegmentID]>([])
    try session.perform(
      IndexJob { (transaction, _) throws(StoreError) in
        // What is moved away is punched.
        try highWater.raise(to: try index.counters(in: transaction))
        var free: [SegmentID] = []
        for id in wanted {
          guard var entry = try index.segments.segment(id, in: transaction), entry.state != .retired,
            entry.usedByteCount > 0, entry.owner.rawValue == 0 || Mutant.compactOwnedSegments.isActive
          else { continue }
          entry.owner = writer
          try index.segments.set(id, entry, in: transaction)
          free.append(id)
        }
        let result = free
        claimed.withLock { $0 = result }
      })
    victims = claimed.withLock { $0 }
  }

  /// Empties the claimed segments, one after another, while `isWanted`, and lets go of all of them whatever happens.
  mutating func run(while isWanted: () -> Bool, onDone: (SegmentID) -> Void) throws(StoreError) {
    defer { letGo(of: victims) }
    while let victim = victims.first, isWanted() {
      try cancellation.check()
      do throws(StoreError) {
        try moveRecords(of: victim)
        if try hasMore(victim) { unreadable.insert(victim) }
      } catch  where error.code == .corrupt {
        unreadable.insert(victim)
      }
      letGo(of: [victim])
      victims.removeFirst()
      releaseFullSegments()
      onDone(victim)
    }
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

  /// Whether something in the segment is alive that is not about to go or to be published.
  private func hasMore(_ victim: SegmentID) throws(StoreError) -> Bool {
    let index = try store.index
    return try index.read { (transaction) throws(StoreError) in
      guard let entry = try index.segments.segment(victim, in: transaction), entry.liveByteCount > 0 else {
        return false
      }
      return try index.files.unfinishedFiles(in: transaction).isEmpty
    }
  }

  /// Leaves segments to themselves, and removes those in which nothing is alive. What fails here the next open does.
  private mutating func letGo(of segments: [SegmentID]) {
    if segments.isEmpty { return }
    let writer = session.writer
    do throws(StoreError) {
      let index = try store.index
      try store.reserve.lend { () throws(StoreError) in
        try session.perform(
          IndexJob { (transaction, _) throws(StoreError) in
            try index.segments.disown(Set(segments), by: writer, in: transaction)
          })
        try Reclamation(store: store, perform: session.perform).removeEmptySegments(Set(segments))
      }
      removedSegmentCount += try index.read { (transaction) throws(StoreError) in
        var count = 0
        for id in segments where try index.segments.segment(id, in: transaction) == nil { count += 1 }
        return count
      }
    } catch {
      session.leaveToRecovery()
    }
  }

  /// Lets go of the full segments that copies went to, as the end of a put does.
  private func releaseFullSegments() {
    let number = session.segments.beginPut()
    do throws(StoreError) { try session.releaseFullSegments(finishing: number, of: store) } catch {
      session.segments.endPut(number, disowned: [])
      session.leaveToRecovery()
    }
  }
}
