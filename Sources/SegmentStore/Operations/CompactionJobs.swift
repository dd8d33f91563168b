/// Makes the changes of the index that a compaction needs, and tells them from those that others make beside it.
struct CompactionJobs: Sendable {
  let session: WriterSession

  init(_ session: WriterSession) { self.session = session }

  /// As ``WriterSession/perform(_:)``.
  @Sendable func perform(_ job: IndexJob) throws(StoreError) {
    job.isOfCompaction.store(true, ordering: .relaxed)
    try session.perform(job)
  }

  /// A moment, to tell what others changed since.
  var mark: IndexWriter.Activity { session.activity }
}
