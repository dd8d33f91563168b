import LMDB
import StorageIO
import Synchronization

/// One change of the index that is all or nothing, and what must be durable before it.
final class IndexJob: Sendable {
  typealias Body = @Sendable (borrowing WriteTransaction, JournalRecords) throws(StoreError) -> Void

  /// The segments that hold the records the change refers to; synced before the index names them.
  let syncedSegments: Set<SegmentID>
  /// Whether they are synced by the thread that waits for the job, and nobody else waits for that.
  let isSyncedAhead: Bool
  /// The files that the change makes visible: a commit record that names them is appended first.
  let publishedFiles: [FileID]
  /// The files that the change deletes: a tombstone of each is appended first.
  let buriedFiles: [FileID]
  /// The manifest of a file that the index knows already: appended first. Such a job is a group by itself.
  let manifest: ManifestPayload?
  /// Makes the change. May run more than once, so it depends on nothing but its transaction, and changes nothing else
  /// that a second run would not set again.
  let body: Body

  /// Set by ``CompactionJobs``.
  let isOfCompaction = Atomic(false)

  private let outcome = Monitor<Result<Void, StoreError>?>(nil)

  init(
    syncing segments: Set<SegmentID> = [], ahead isSyncedAhead: Bool = false, publishing published: [FileID] = [],
    burying buried: [FileID] = [], appending manifest: ManifestPayload? = nil, _ body: @escaping Body
  ) {
    syncedSegments = segments
    self.isSyncedAhead = isSyncedAhead
    publishedFiles = published
    buriedFiles = buried
    self.manifest = manifest
    self.body = body
  }

  func finish(_ result: Result<Void, StoreError>) {
    outcome.withLock { $0 = result }
  }

  func wait() throws(StoreError) {
    try outcome.wait { $0 }.get()
  }
}

/// A manifest that is to be appended.
struct ManifestPayload: Sendable {
  let file: FileID
  let bytes: [UInt8]
}

/// The records that a group of jobs appended to say what becomes visible and what is gone.
struct JournalRecords: Sendable {
  /// The sequence of the commit record that names every published file of the group.
  var commit = Sequence(rawValue: 0)
  var commitLocation: RecordLocation?
  var publishedFileCount = 0
  var tombstones: [FileID: RecordLocation] = [:]
  var manifestLocation: RecordLocation?

  /// What the group adds to the live bytes of segments, tombstones not counted.
  var liveByteCount: Int { (commitLocation?.recordByteCount ?? 0) + (manifestLocation?.recordByteCount ?? 0) }
}
