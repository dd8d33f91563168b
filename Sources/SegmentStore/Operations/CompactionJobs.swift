import Synchronization

/// The changes of the index that a compaction makes, told from those that others make beside it.
final class CompactionJobs: Sendable {
  /// A moment, to tell what was changed since.
  struct Mark: Sendable {
    fileprivate let activity: IndexWriter.Activity
    fileprivate let ownJobCount: Int
  }

  private let session: WriterSession
  private let ownJobCount = Atomic(0)

  init(_ session: WriterSession) { self.session = session }

  /// As ``WriterSession/perform(_:)``.
  @Sendable func perform(_ job: IndexJob) throws(StoreError) {
    defer { ownJobCount.add(1, ordering: .relaxed) }
    try session.perform(job)
  }

  var mark: Mark { Mark(activity: session.activity, ownJobCount: ownJobCount.load(ordering: .relaxed)) }

  /// How often others have changed the index from `mark` to `now`, in this process or another. One too many now and then, where
  /// a second thread compacts: its job is done before it is counted as one of them.
  func othersCount(from mark: Mark, to now: Mark) -> Int {
    let ownCount = now.ownJobCount - mark.ownJobCount
    let (before, after) = (mark.activity, now.activity)
    return max(0, after.jobCount - before.jobCount - ownCount) + after.foreignTransactionCount(since: before)
  }
}
