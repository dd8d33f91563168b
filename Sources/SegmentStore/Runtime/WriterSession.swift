import LMDB
import StorageIO

/// All that a process needs to write: a writer id whose lock byte it holds, the thread of the index, ids, segments and
/// the journal. Begun with the first write, ended when the store is closed.
final class WriterSession: Sendable {
  let writer: WriterID
  let identifiers: IdentifierSource
  let segments: SegmentPool
  private let index: Index
  private let indexWriter: IndexWriter
  private let aliveLock: ByteLock
  private let needsRecovery = Monitor(false)

  init(
    index: Index, superblock: Superblock, segmentDirectory: Directory, locks: LockBytes, isMapped: Bool
  ) throws(StoreError) {
    let indexWriter = try IndexWriter(index: index)
    do throws(StoreError) {
      let identifiers = IdentifierSource(index: index)
      let writer = try WriterSession.takeWriterID(index, identifiers, indexWriter)
      // Held before the index names the writer: an entry without a held byte always means a dead writer.
      guard let aliveLock = try locks.acquire(.writer(writer), .exclusive, timeoutSeconds: 0) else {
        throw StoreError(.busy, "writer \(writer) is somebody else's: the store was changed behind its back")
      }
      let entry = WriterEntry(startedNanoseconds: Clock.wallNanoseconds())
      try indexWriter.perform(
        IndexJob { (transaction, _) throws(StoreError) in try transaction.put(index.writers, writer.key, entry) })
      self.writer = writer
      self.identifiers = identifiers
      self.aliveLock = aliveLock
      self.index = index
      self.indexWriter = indexWriter
      segments = SegmentPool(
        index: index, superblock: superblock, directory: segmentDirectory, writer: writer, isMapped: isMapped)
      indexWriter.setJournal(Journal(pool: segments, identifiers: identifiers))
    } catch {
      indexWriter.close()
      throw error
    }
  }

  /// Runs a change of the index and returns when it is durable.
  func perform(_ job: IndexJob) throws(StoreError) { try indexWriter.perform(job) }

  /// What has been changed so far.
  var activity: IndexWriter.Activity { indexWriter.activity }

  /// Notes that something could not be cleaned up: this writer then ends as a dead one does, and the next open does it.
  func leaveToRecovery() { needsRecovery.withLock { $0 = true } }

  /// Notes that a put has ended, lets go of the full segments in which no other that runs can have records, and removes those
  /// of them in which nothing is alive: nothing else would look at them again.
  /// - Throws: What kept it from that; then the put may not be noted as ended.
  func releaseFullSegments(finishing put: UInt64, of store: Store) throws(StoreError) {
    let (registry, writer) = (index.segments, writer)
    // Asked only now: who ends meanwhile lets go of some of them, and somebody else may have them since.
    let full = segments.releasableSegments(finishing: put)
    if !full.isEmpty {
      try perform(
        IndexJob { (transaction, _) throws(StoreError) in
          try registry.disown(full, by: writer, in: transaction)
        })
    }
    segments.endPut(put, disowned: full)
    try Reclamation(store: store, perform: perform).removeEmptySegments(full)
  }

  /// Lets nothing be written by this process any more, because it is not known what is on the device.
  func stopWriting(because error: StoreError) { indexWriter.stopWriting(because: error) }

  /// Throws when an earlier failure made this process stop writing.
  func checkUsable() throws(StoreError) { try indexWriter.checkUsable() }

  /// Lets go of segments and unused ids, so that the next writer goes on where this one stopped. No operation may run.
  ///
  /// What fails here is left to the next open, as after a crash.
  func close(of store: Store) throws(StoreError) {
    defer { indexWriter.close() }
    try checkUsable()
    let released = try segments.close(perform)
    let reclamation = Reclamation(store: store, perform: perform)
    if !released.unmade.isEmpty { try reclamation.unlink(released.unmade) }
    try reclamation.removeEmptySegments(released.segments)
    if needsRecovery.withLock({ $0 }) { return }
    let index = index
    let writer = writer
    try perform(
      IndexJob { (transaction, _) throws(StoreError) in
        // A file that is still to be rolled back or reclaimed keeps its writer's entry too.
        for id in try index.files.unfinishedFiles(in: transaction)
        where try index.files.file(id, in: transaction)?.writer == writer { return }
        try transaction.remove(index.writers, writer.key)
      })
  }

  private static func takeWriterID(
    _ index: Index, _ identifiers: IdentifierSource, _ indexWriter: IndexWriter
  ) throws(StoreError) -> WriterID {
    let taken = Monitor(WriterID(rawValue: 0))
    try indexWriter.perform(
      IndexJob { (transaction, _) throws(StoreError) in
        var counters = try index.counters(in: transaction)
        let writer = WriterID(rawValue: try counters.take(\.nextWriter).lowerBound)
        try identifiers.takeFirstRanges(from: &counters)
        try index.setCounters(counters, in: transaction)
        taken.withLock { $0 = writer }
      })
    return taken.withLock { $0 }
  }
}

/// The bytes of the file `locks`, by what holding them means.
struct LockBytes: Sendable {
  static let fileName = Array("locks".utf8)

  enum Subject: Sendable {
    /// Shared by everyone who has the store open.
    case store
    /// Held by whoever compacts: one at a time.
    case compaction
    /// Held by a living writer.
    case writer(WriterID)
    /// Shared by readers of the file, exclusive for its delete.
    case file(FileID)

    var byte: Int64 {
      switch self {
      case .store: 0
      case .compaction: 1
      case .writer(let id): 1 << 32 + Int64(clamping: id.rawValue & LockBytes.idMask)
      case .file(let id): 1 << 62 + Int64(clamping: id.rawValue & LockBytes.idMask)
      }
    }
  }

  private static let idMask: UInt64 = 1 << 61 - 1

  let path: FilePath

  func acquire(
    _ subject: Subject, _ mode: ByteLock.Mode, timeoutSeconds: Double, cancellation: Cancellation? = nil
  ) throws(StoreError) -> ByteLock? {
    try translating { () throws(SystemCallFailure) in
      try ByteLock.acquire(
        path, byte: subject.byte, mode, timeoutSeconds: timeoutSeconds,
        isCancelled: { cancellation?.isCancelled ?? false })
    }
  }

  /// Locks of many files, to be taken one by one and let go together.
  func acquireSet() throws(StoreError) -> ByteLockSet {
    try translating { () throws(SystemCallFailure) in try ByteLockSet(path) }
  }

  func isHeld(_ subject: Subject) throws(StoreError) -> Bool {
    try translating { () throws(SystemCallFailure) in try ByteLock.isHeld(path, byte: subject.byte) }
  }
}
