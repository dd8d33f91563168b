import Codecs
import LMDB
import Mutants
import StorageIO

/// Makes all changes of this process to the index, on one thread, those that wait together in one group: one sync of
/// each segment they touched, and one durable commit.
///
/// LMDB ties a write transaction to its thread; and one commit costs the same for one change as for a hundred.
final class IndexWriter: Sendable {
  private struct State {
    var waiting: [IndexJob] = []
    var isClosed = false
  }

  /// More in one group would only make the first of them wait longer.
  private static let maximumGroupCount = 512
  /// The files that several jobs may publish together: one commit record names them. A single job may have more.
  private static let maximumPublishedCount = 4096

  /// The files that several jobs may bury together: their tombstones must fit into the smallest segment. A job of many
  /// files sees to that by itself.
  private static let maximumBuriedCount = 128

  /// What has been changed so far, to tell whether others change the index beside a compaction.
  struct Activity: Sendable {
    /// Of this process, those of compactions not counted.
    fileprivate var jobCount = 0
    fileprivate var commitCount = 0
    /// Of all processes, as of the last commit of this one.
    fileprivate var transactionNumber: UInt64 = 0

    /// How often others have changed the index since `before`, in this process or another.
    func othersCount(since before: Activity) -> Int {
      let jobCount = jobCount - before.jobCount
      if before.commitCount == 0 { return jobCount }
      let transactionCount = Int(transactionNumber &- before.transactionNumber)
      return jobCount + max(0, transactionCount - (commitCount - before.commitCount))
    }
  }

  private let state = Monitor(State())
  private let done = Monitor(Activity())
  private let index: Index
  private let journal: Monitor<Journal?>
  private let thread: Monitor<SystemThread?>
  /// The first failed sync; nothing is written after it.
  private let poison: Monitor<StoreError?>

  init(index: Index) throws(StoreError) {
    self.index = index
    journal = Monitor(nil)
    thread = Monitor(nil)
    poison = Monitor(nil)
    let started = try translating { () throws(SystemCallFailure) in
      // The thread keeps the writer alive until `close` ends it.
      try SystemThread { self.run() }
    }
    thread.withLock { $0 = started }
  }

  /// Where commit records and tombstones go; set once, before the first job that needs it.
  func setJournal(_ newJournal: Journal) {
    journal.withLock { $0 = newJournal }
  }

  /// Runs `job` and returns when its change is durable, or throws and nothing is changed.
  ///
  /// Not to be called from a job.
  func perform(_ job: IndexJob) throws(StoreError) {
    try syncAhead(job)
    let isAccepted = state.withLock { state in
      if state.isClosed { return false }
      state.waiting.append(job)
      return true
    }
    guard isAccepted else { throw StoreError(.invalidArgument, "the store is closed") }
    try job.wait()
  }

  /// The thread of the index works for all: what takes long to sync is synced by the one who waits for it.
  private func syncAhead(_ job: IndexJob) throws(StoreError) {
    guard !job.syncedSegments.isEmpty, !Mutant.syncAfterCommit.isActive, let journal = journal.withLock({ $0 }) else {
      return
    }
    try checkUsable()
    do throws(StoreError) {
      if job.isSyncedAhead {
        try journal.pool.sync(job.syncedSegments)
      } else {
        try journal.pool.syncAhead(job.syncedSegments)
      }
    } catch {
      stopWriting(because: error)
      throw error
    }
  }

  var activity: Activity { done.withQuietLock { $0 } }

  /// Throws the error that made this process stop writing, if there was one.
  func checkUsable() throws(StoreError) {
    if let error = poison.withLock({ $0 }) { throw error }
  }

  /// Makes every later job fail with `error`, or with the first of such errors.
  func stopWriting(because error: StoreError) { poison.withLock { $0 = $0 ?? error } }

  /// Waits for the jobs that were given so far and ends the thread.
  func close() {
    state.withLock { $0.isClosed = true }
    thread.withLock { thread in
      defer { thread = nil }
      return thread
    }?.join()
  }

  // MARK: On the thread of the index

  private func run() {
    while let group = nextGroup() { process(group) }
  }

  private func nextGroup() -> [IndexJob]? {
    state.wait { state in
      if state.waiting.isEmpty { return state.isClosed ? .some(nil) : nil }
      var (publishedCount, buriedCount) = (0, 0)
      let group = Array(
        state.waiting.prefix(IndexWriter.maximumGroupCount).enumerated().prefix { number, job in
          publishedCount += job.publishedFiles.count
          buriedCount += job.buriedFiles.count
          if number == 0 { return true }
          // A manifest may take half a segment.
          let isAlone = job.manifest != nil || state.waiting[0].manifest != nil
          return !isAlone && publishedCount <= IndexWriter.maximumPublishedCount
            && (buriedCount <= IndexWriter.maximumBuriedCount || job.buriedFiles.isEmpty)
        }.map(\.element))
      state.waiting.removeFirst(group.count)
      return group
    }
  }

  /// Runs a group; where one member fails, the others run again without it.
  private func process(_ group: [IndexJob]) {
    if Mutant.acknowledgeBeforeCommit.isActive {
      for job in group where !job.publishedFiles.isEmpty { job.finish(.success(())) }
    }
    var remaining = group
    while !remaining.isEmpty {
      switch attempt(remaining) {
      case .done:
        for job in remaining { job.finish(.success(())) }
        return
      case .memberFailed(let position, let error):
        remaining.remove(at: position).finish(.failure(error))
      case .failed(let error):
        for job in remaining { job.finish(.failure(error)) }
        return
      }
    }
  }

  private enum Outcome {
    case done
    case memberFailed(Int, StoreError)
    case failed(StoreError)
  }

  /// bytes durable -> index commit durable -> acknowledged.
  private func attempt(_ group: [IndexJob]) -> Outcome {
    var position: Int?
    var isCommitting = false
    var entry: JournalEntry?
    do throws(StoreError) {
      try checkUsable()
      let published = group.flatMap(\.publishedFiles)
      let buried = group.flatMap(\.buriedFiles)
      let manifest = group.first?.manifest
      if !published.isEmpty || !buried.isEmpty || manifest != nil {
        guard let journal = journal.withLock({ $0 }) else {
          throw StoreError(.io, "a file cannot become visible before the journal is open")
        }
        entry = try journal.append(publishing: published, burying: buried, manifest) { (job) throws(StoreError) in
          try performHere(job)
        }
      }
      if !Mutant.syncAfterCommit.isActive { try sync(group, entry) }
      let transactionNumber = try index.write { (transaction) throws(StoreError) in
        for (number, job) in group.enumerated() {
          position = number
          try job.body(transaction, entry?.records ?? JournalRecords())
        }
        position = nil
        if let entry { try account(for: entry, in: transaction) }
        isCommitting = true
        return try index.number(of: transaction)
      }
      done.withQuietLock { done in
        done.jobCount += group.count { !$0.isOfCompaction.load(ordering: .relaxed) }
        done.commitCount += 1
        done.transactionNumber = transactionNumber
      }
      if Mutant.syncAfterCommit.isActive { try sync(group, entry) }
      entry?.keep()
      return .done
    } catch {
      if error.code == .durabilityUnknown || (isCommitting && error.code == .indexDamaged) {
        // The records may be named by the index on the device: they stay as they are.
        poison.withLock { $0 = $0 ?? error }
      } else {
        takeBack(entry)
      }
      // Also where there is no room: the quota that is too small for one may be enough for the others.
      if let position { return .memberFailed(position, error) }
      return .failed(error)
    }
  }

  /// Runs a job that the group itself needs, such as one that makes a segment for the journal.
  private func performHere(_ job: IndexJob) throws(StoreError) {
    process([job])
    try job.wait()
  }

  private func sync(_ group: [IndexJob], _ entry: JournalEntry?) throws(StoreError) {
    var segments = group.reduce(into: Set<SegmentID>()) { segments, job in
      if !job.isSyncedAhead || Mutant.syncAfterCommit.isActive { segments.formUnion(job.syncedSegments) }
    }
    if let entry { segments.insert(entry.segment) }
    guard !segments.isEmpty, let journal = journal.withLock({ $0 }) else { return }
    // The kernel reports a failed sync once and forgets the pages: a second sync would lie, so there is none.
    try journal.pool.sync(segments)
  }

  private func account(
    for entry: JournalEntry, in transaction: borrowing WriteTransaction
  ) throws(StoreError) {
    try index.segments.add(entry.appended, in: transaction)
    if let location = entry.records.commitLocation {
      try index.files.setCommit(
        entry.records.commit, CommitEntry(location: location, liveFileCount: entry.records.publishedFileCount),
        in: transaction)
    }
  }

  private func takeBack(_ entry: JournalEntry?) {
    guard let entry else { return }
    if Mutant.keepRecordsOfFailedCommit.isActive { return entry.keep() }
    do throws(StoreError) { try entry.takeBack() } catch {
      poison.withLock { $0 = $0 ?? error }
    }
  }
}
