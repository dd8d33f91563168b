import LMDB
import Mutants
import StorageIO

/// Empties segments in which much is dead, and removes them: what is alive moves, others go on meanwhile.
///
/// A segment is claimed, so that nobody else removes or compacts it; its records are moved by batches; then its file is
/// removed. A crash in between loses nothing: at any moment the index names one whole copy of each record, and what it does
/// not name counts for nobody.
///
/// As long as nobody else changes the index a second thread empties segments too: what waits for the device or for the
/// index then does not keep the processor from work.
final class Compaction: Sendable {
  private struct State {
    /// Claimed, and not begun with.
    var waiting: [SegmentID] = []
    /// Done with, and not told of.
    var done: [SegmentID] = []
    var movedByteCount = 0
    var removedSegmentCount = 0
    /// In which not all was found that is alive, or with records that are needed and cannot be read.
    var damagedSegments: Set<SegmentID> = []
  }

  private let store: Store
  private let session: WriterSession
  private let jobs: CompactionJobs
  private let bytesPerSecond: Int?
  private let cancellation: Cancellation
  private let state = Monitor(State())

  private static let pageRecordCount = 1024

  init(_ store: Store, _ session: WriterSession, bytesPerSecond: Int?, _ cancellation: Cancellation) {
    self.store = store
    self.session = session
    self.bytesPerSecond = bytesPerSecond
    self.cancellation = cancellation
    jobs = CompactionJobs(session)
  }

  var movedByteCount: Int { state.withLock { $0.movedByteCount } }
  var removedSegmentCount: Int { state.withLock { $0.removedSegmentCount } }
  var damagedSegments: Set<SegmentID> { state.withLock { $0.damagedSegments } }

  /// Makes those of `wanted` this writer's that are nobody's, all at once: an open one would else be appended to.
  func claim(_ wanted: [SegmentID]) throws(StoreError) {
    let (index, highWater, writer) = (try store.index, store.highWater, session.writer)
    let claimed = Monitor<[SegmentID]>([])
    try jobs.perform(
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
    let waiting = claimed.withLock { $0 }
    state.withLock { $0.waiting = waiting }
  }

  /// Empties the claimed segments while `isWanted`, and lets go of all of them whatever happens.
  func run(while isWanted: () -> Bool, onDone: (SegmentID) -> Void) throws(StoreError) {
    let helping = Cancellation()
    var helper = startHelper(helping)
    defer {
      helping.cancel()
      helper?.join()
      letGo(of: takeWaiting())
    }
    var move = RecordMove(store, session, jobs, bytesPerSecond: bytesPerSecond, cancellation, helping: helping)
    while true {
      while isWanted(), let victim = next() {
        defer { finish(victim, &move) }
        try empty(victim, by: &move)
        for segment in takeDone() { onDone(segment) }
      }
      guard let running = helper else { break }
      if !isWanted() { helping.cancel() }
      running.join()
      helper = nil
      // Once more: it may have given one back.
    }
    for segment in takeDone() { onDone(segment) }
  }

  // MARK: Threads

  /// Nil where one thread is enough: it is not to be fast, there is nothing to share, or every page counts.
  private func startHelper(_ helping: Cancellation) -> SystemThread? {
    let isShared = state.withLock { $0.waiting.count > 1 }
    guard isShared, store.workers.workerCount > 1, bytesPerSecond == nil, !store.hasLittleRoom else { return nil }
    // Without a thread to be had, one does it all.
    do throws(SystemCallFailure) { return try SystemThread { self.help(helping) } } catch { return nil }
  }

  /// Until nothing is left, or `helping` is cancelled. What fails here is given back: the other thread goes on with it, and
  /// tells of what fails there too.
  private func help(_ helping: Cancellation) {
    var move = RecordMove(store, session, jobs, bytesPerSecond: nil, helping, helping: helping)
    while !helping.isCancelled, let victim = next() {
      do throws(StoreError) { try empty(victim, by: &move) } catch {
        state.withLock { $0.waiting.insert(victim, at: 0) }
        return punchLeft(by: &move)
      }
      finish(victim, &move)
    }
  }

  private func next() -> SegmentID? { state.withLock { $0.waiting.isEmpty ? nil : $0.waiting.removeFirst() } }

  private func takeWaiting() -> [SegmentID] {
    state.withLock { state in
      defer { state.waiting = [] }
      return state.waiting
    }
  }

  private func takeDone() -> [SegmentID] {
    state.withLock { state in
      defer { state.done = [] }
      return state.done
    }
  }

  // MARK: One segment

  private func empty(_ victim: SegmentID, by move: inout RecordMove) throws(StoreError) {
    let before = move.movedByteCount
    defer {
      let movedByteCount = move.movedByteCount - before
      let isDamaged = move.damaged.contains { $0.segment == victim }
      state.withLock { state in
        state.movedByteCount += movedByteCount
        if isDamaged { state.damagedSegments.insert(victim) }
      }
    }
    do throws(StoreError) {
      try moveRecords(of: victim, by: &move)
      if try hasMore(victim) { noteDamage(of: victim) }
    } catch  where error.code == .corrupt {
      noteDamage(of: victim)
    }
    state.withLock { $0.done.append(victim) }
  }

  private func noteDamage(of victim: SegmentID) { state.withLock { _ = $0.damagedSegments.insert(victim) } }

  private func finish(_ victim: SegmentID, _ move: inout RecordMove) {
    letGo(of: [victim])
    releaseFullSegments()
    punchLeft(by: &move)
  }

  /// Best effort, of what was not removed: what fails here the next compaction does.
  private func punchLeft(by move: inout RecordMove) {
    do throws(StoreError) { try move.punchLeft() } catch {}
  }

  private func moveRecords(of victim: SegmentID, by move: inout RecordMove) throws(StoreError) {
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
  private func letGo(of segments: [SegmentID]) {
    if segments.isEmpty { return }
    let writer = session.writer
    do throws(StoreError) {
      let index = try store.index
      try store.reserve.lend { () throws(StoreError) in
        try jobs.perform(
          IndexJob { (transaction, _) throws(StoreError) in
            try index.segments.disown(Set(segments), by: writer, in: transaction)
          })
        try Reclamation(store: store, perform: jobs.perform).removeEmptySegments(Set(segments))
      }
      let removedCount = try index.read { (transaction) throws(StoreError) in
        var count = 0
        for id in segments where try index.segments.segment(id, in: transaction) == nil { count += 1 }
        return count
      }
      state.withLock { $0.removedSegmentCount += removedCount }
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
