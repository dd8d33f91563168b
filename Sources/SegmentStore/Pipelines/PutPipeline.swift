import Codecs
import StorageIO

/// How a file is stored.
public struct PutOptions: Hashable, Sendable {
  public enum Encoding: Hashable, Sendable {
    /// What is best for each part.
    case auto
    /// Compressed where that saves space, by this codec.
    case zlib, zstd, lz4
    case stored
  }

  public var encoding = Encoding.auto
  /// From 1 (fast) to 12 (small), for zstd to 19.
  public var level = 1
  /// Nil: the store's own.
  public var partByteCount: Int?
  /// Whether each part is read back from its segment, decoded and compared before it counts.
  public var verifies = false
  /// Whether the put goes on where one of the same name was interrupted, and can be gone on with itself. Of files only.
  public var resumes = false

  public init() {}
}

/// Stores one file: plan -> read -> hash -> encode -> append -> sync -> commit.
///
/// Runs on the caller's thread, which plans, leases memory and collects; batches of parts are worked on by the pool.
struct PutPipeline {
  let store: Store
  let session: WriterSession
  let name: FileName
  let options: PutOptions
  /// The files that this one becomes visible with; nil when it does so alone.
  var group: PutGroup?
  let cancellation: Cancellation
  let progress: @Sendable (Int) -> Void

  /// Parts that wait for the index at most: beyond that they are entered under a file that is `writing`.
  private static let unindexedPartCount = 1024
  /// The same where a crash is to cost little.
  private static let unindexedPartCountWhenResumable = 64

  private var unindexedPartCount: Int {
    options.resumes ? PutPipeline.unindexedPartCountWhenResumable : PutPipeline.unindexedPartCount
  }

  /// - Parameter givenID: An id that was taken for this file; nil: one is taken.
  func run(_ source: PutSource, as givenID: FileID? = nil) throws(StoreError) -> StoredFile {
    let source = try OpenPutSource(source)
    try session.checkUsable()
    let plan = try PutPlan(source, options, store)
    var interrupted: InterruptedPut?
    if options.resumes {
      switch try resumption(source, plan).find() {
      case .stored(let file): return file
      case .interrupted(let found): interrupted = found
      case .nothing: break
      }
    }
    let id = if let id = interrupted?.id ?? givenID { id } else { try takeID() }
    let lock = options.resumes && interrupted == nil ? try store.lock(id, .exclusive, cancellation) : interrupted?.lock
    defer { withExtendedLifetime(lock) {} }
    try group?.begin()
    var put = PutState(
      id: id, plan: plan, name: name, source: source, session: session, isResumable: options.resumes)
    if let interrupted { try put.goOn(from: interrupted.manifest, store.index) }
    put.number = session.segments.beginPut()
    do throws(StoreError) {
      // A file of one batch goes from nothing to ready in one commit; a longer one is seen as `writing` meanwhile.
      if plan.needsSeveralBatches || put.isEntered { try enter(&put) }
      try storeParts(source, plan, &put)
      try source.checkWhole()
      // The index appends the manifest of a file that it knows already.
      if !put.isEntered { try appendManifest(&put) }
      try cancellation.check()
      return StoredFile(id, try complete(&put))
    } catch {
      if options.resumes && error.code == .cancelled && put.isEntered { try suspend(&put) }
      try rollBack(put, because: error)
    }
  }

  private func takeID() throws(StoreError) -> FileID {
    FileID(rawValue: try session.identifiers.takeFiles(1, through: session.perform).lowerBound)
  }

  private func resumption(_ source: OpenPutSource, _ plan: PutPlan) throws(StoreError) -> PutResumption {
    guard plan.byteCount != nil, group == nil else {
      throw StoreError(.invalidArgument, "'\(name)': only a file that is stored by itself can be gone on with")
    }
    return PutResumption(
      store: store, session: session, name: name, source: source, plan: plan, cancellation: cancellation,
      progress: progress)
  }

  /// Reads, hashes, encodes and appends all parts; enters them in the index now and then.
  private func storeParts(_ source: OpenPutSource, _ plan: PutPlan, _ put: inout PutState) throws(StoreError) {
    let window = BatchWindow<[StoredPart]>(workers: store.workers, budget: store.budget)
    do throws(StoreError) { try storeParts(source, plan, through: window, &put) } catch {
      for parts in window.drain() { put.abandon(parts) }
      throw error
    }
  }

  private func storeParts(
    _ source: OpenPutSource, _ plan: PutPlan, through window: BatchWindow<[StoredPart]>, _ put: inout PutState
  ) throws(StoreError) {
    var layout = SourceLayout(source.bytes.file, byteCount: plan.byteCount ?? 0, partByteCount: plan.partByteCount)
    var wantsMore = true
    while true {
      try cancellation.check()
      // Nobody should wait for memory that waits for somebody's pipe.
      if wantsMore && window.isEmpty {
        try source.waitReadable(partByteCount: plan.partByteCount, cancellation)
      }
      let takesMore = wantsMore && window.hasRoom && source.isReadable(partByteCount: plan.partByteCount)
      if takesMore, let batch = try holeBatch(plan, &layout, &put) {
        let work = work(on: batch, source)
        try window.submit(isLast: batch.isLast) { (tools) throws(StoreError) in try work.run(nil, tools) }
        wantsMore = !batch.isLast
      } else if takesMore,
        let lease = try window.lease(plan.leaseByteCount(from: put.nextPartNumber), cancellation)
      {
        if let batch = try readBatch(source, plan, &layout, lease, &put) {
          let work = work(on: batch, source)
          try window.submit(isLast: batch.isLast) { (tools) throws(StoreError) in try work.run(lease, tools) }
          wantsMore = !batch.isLast
        } else {
          wantsMore = false
        }
      } else if !window.isEmpty {
        put.add(try window.collect())
        try store.quota.checkAhead(put.unindexedByteCount, store.index)
        if put.unindexed.count >= unindexedPartCount { try enter(&put) }
      } else {
        return
      }
    }
  }

  private func work(on batch: PutBatch, _ source: OpenPutSource) -> PutBatchWork {
    PutBatchWork(
      batch: batch, source: SourceReading(source.bytes), session: session, options: options,
      zeroDigests: store.zeroDigests,
      reader: store.reader, progress: progress)
  }

  /// The parts that come next, if they are a hole of at least a batch, or up to the end.
  private func holeBatch(
    _ plan: PutPlan, _ layout: inout SourceLayout, _ put: inout PutState
  ) throws(StoreError) -> PutBatch? {
    guard let byteCount = plan.byteCount else { return nil }
    let start = put.nextPartNumber * plan.partByteCount
    let count = min(try layout.holePartCount(from: put.nextPartNumber), PutPlan.holeBatchPartCount)
    let end = min(byteCount, start + count * plan.partByteCount)
    guard start < end, count >= plan.batchPartCount || end == byteCount else { return nil }
    return try put.nextBatch(byteCount: end - start, dataParts: [], isLast: end == byteCount)
  }

  /// The next batch; nil at the end of the source. A stream is read here, in order; a file by the workers.
  private func readBatch(
    _ source: OpenPutSource, _ plan: PutPlan, _ layout: inout SourceLayout, _ lease: MemoryLease,
    _ put: inout PutState
  ) throws(StoreError) -> PutBatch? {
    let capacity = plan.batchPartCount * plan.partByteCount
    if let byteCount = plan.byteCount {
      let first = put.nextPartNumber
      let start = first * plan.partByteCount
      let end = min(byteCount, start + capacity)
      guard start < end else { return nil }
      let numbers = first..<(first + PutPlan.partCount(end - start, plan.partByteCount))
      let dataParts = try layout.dataParts(in: numbers).map { $0 - first }
      return try put.nextBatch(byteCount: end - start, dataParts: dataParts, isLast: end == byteCount)
    }
    if case .feed(let feed) = source.bytes { return try readFeed(feed, plan, lease, &put) }
    guard let stream = source.bytes.file else { return nil }
    let byteCount = try readStream(stream, lease, capacity)
    guard byteCount > 0 else { return nil }
    return try put.nextBatch(byteCount: byteCount, dataParts: nil, isLast: byteCount < capacity)
  }

  /// Whole parts of what is there, or all at the end.
  private func readFeed(
    _ feed: any ByteFeed, _ plan: PutPlan, _ lease: MemoryLease, _ put: inout PutState
  ) throws(StoreError) -> PutBatch? {
    let ready = feed.ready
    let capacity = plan.batchPartCount * plan.partByteCount
    let byteCount =
      ready.isLast && ready.byteCount <= capacity
      ? ready.byteCount : min(capacity, ready.byteCount / plan.partByteCount * plan.partByteCount)
    guard byteCount > 0 else { return nil }
    try lease.region.withMutableBytes(0..<byteCount) { (bytes) throws(StoreError) in try feed.take(into: &bytes) }
    return try put.nextBatch(
      byteCount: byteCount, dataParts: nil, isLast: ready.isLast && byteCount == ready.byteCount)
  }

  private func readStream(_ file: File, _ lease: MemoryLease, _ capacity: Int) throws(StoreError) -> Int {
    try lease.region.withMutableBytes(0..<capacity) { (bytes) throws(StoreError) in
      var done = 0
      while done < capacity {
        do throws(SystemCallFailure) {
          guard try file.waitReadable(unless: { cancellation.isCancelled }) else { break }
          let count = try file.readNext(into: &bytes, from: done)
          if count == 0 { return done }
          done += count
        } catch {
          throw StoreError(user: error)
        }
      }
      try cancellation.check()
      return done
    }
  }

  /// Enters what has been stored so far in the index, as `writing`: durable, invisible, and rolled back by whoever
  /// finds this writer dead.
  private func enter(_ put: inout PutState) throws(StoreError) {
    let change = put.change
    let entry = put.entry(.writing)
    let (index, quota, id) = (try store.index, store.quota, put.id)
    try session.perform(
      IndexJob(syncing: change.segments) { (transaction, journal) throws(StoreError) in
        try change.apply(to: index, within: quota, journal, in: transaction)
        try index.files.setWriting(id, entry, in: transaction)
      })
    put.noteIndexed()
    put.isEntered = true
  }

  /// Appends the manifest, as a worker does: no more of them have segments than there are workers.
  private func appendManifest(_ put: inout PutState) throws(StoreError) {
    let payload = try manifestPayload(put)
    let sequence = try session.identifiers.takeSequences(1, through: session.perform)
    let draft = RecordDraft(
      kind: .manifest, rawByteCount: payload.count, sequence: Sequence(rawValue: sequence.lowerBound), file: put.id,
      digest: payload.withRawSpan { MD5.digest(of: $0) })
    let session = session
    let window = BatchWindow<AppendedRecord>(workers: store.workers, budget: store.budget)
    try window.submit(isLast: true) { (_) throws(StoreError) in
      let appender = try session.segments.lend(forPayload: payload.count, through: session.perform)
      defer { session.segments.giveBack(appender) }
      return try appender.append(draft, capacity: payload.count) { (destination) throws(StoreError) in
        destination.copy(payload, to: 0)
        return EncodedPayload(codec: .stored, byteCount: payload.count)
      }
    }
    put.manifestRecord = try window.collect()
  }

  private func manifestPayload(_ put: PutState) throws(StoreError) -> [UInt8] {
    let manifest = put.manifest()
    let payload = manifest.encoded()
    guard RecordHeader.byteCount + payload.count <= store.superblock.segmentByteCount / 2 else {
      throw StoreError(.invalidArgument, "a file in \(manifest.extents.count) pieces is too large for this store")
    }
    return payload
  }

  /// Syncs the segments, appends the commit record and makes the file visible, in that order; one of a group is whole
  /// and durable, but stays `writing` until the group is published.
  private func complete(_ put: inout PutState) throws(StoreError) -> FileEntry {
    let change = put.change
    let isPublished = group == nil
    let entry = put.entry(isPublished ? .ready : .writing)
    let (index, quota, id, writer) = (try store.index, store.quota, put.id, session.writer)
    let full = session.segments.releasableSegments(finishing: put.number)
    let manifest = put.isEntered ? ManifestPayload(file: id, bytes: try manifestPayload(put)) : nil
    try session.perform(
      IndexJob(syncing: change.segments, publishing: isPublished ? [id] : [], appending: manifest) {
        (transaction, journal) throws(StoreError) in
        try change.apply(to: index, within: quota, journal, in: transaction)
        var entry = entry
        if let location = journal.manifestLocation { entry.manifestLocation = location }
        entry.commit = isPublished ? journal.commit : entry.commit
        if isPublished {
          try index.files.setReady(id, entry, in: transaction)
        } else {
          try index.files.setWriting(id, entry, in: transaction)
        }
        try index.segments.disown(full, by: writer, in: transaction)
      })
    put.noteIndexed()
    group?.add(id)
    session.segments.endPut(put.number, disowned: full)
    removeDeadSegments(among: full)
    return entry
  }

  /// Removes full segments whose last record died while they were owned: nothing else would look at them again. The
  /// file is stored already, so what fails here is left to compaction.
  private func removeDeadSegments(among full: Set<SegmentID>) {
    do throws(StoreError) {
      let index = try store.index
      let dead = try index.read { (transaction) throws(StoreError) in
        var dead: Set<SegmentID> = []
        for id in full where try index.segments.segment(id, in: transaction)?.liveByteCount == 0 { dead.insert(id) }
        return dead
      }
      try Reclamation(store: store, perform: session.perform).removeEmptySegments(dead)
    } catch {}
  }

  /// Leaves what was stored to whoever goes on with it: the index names it, and the file belongs to nobody. Returns only
  /// when that fails.
  private func suspend(_ put: inout PutState) throws(StoreError) {
    session.segments.abandon(put.abandoned)
    let change = put.change
    var entry = put.entry(.writing)
    entry.writer = WriterID(rawValue: 0)
    let (waiting, index, quota, id, writer) = (entry, try store.index, store.quota, put.id, session.writer)
    let full = session.segments.releasableSegments(finishing: put.number)
    do throws(StoreError) {
      try session.perform(
        IndexJob(syncing: change.segments) { (transaction, journal) throws(StoreError) in
          try change.apply(to: index, within: quota, journal, in: transaction)
          try index.files.setWriting(id, waiting, in: transaction)
          try index.segments.disown(full, by: writer, in: transaction)
        })
    } catch {
      return
    }
    session.segments.endPut(put.number, disowned: full)
    throw StoreError(
      .cancelled, "interrupted; \(put.entry(.writing).manifest.byteCount) bytes of it were kept",
      advice: "go on with 'pfs put --resume', or give their space back with 'pfs delete \(put.id)'")
  }

  /// Takes what was entered out of the index again, and removes segments that hold nothing else. Where that fails too,
  /// recovery does it when this writer has gone.
  private func rollBack(_ put: PutState, because error: StoreError) throws(StoreError) -> Never {
    group?.abandon()
    do throws(StoreError) {
      // The disk that was too full for the file may be too full for taking it out again.
      try store.reserve.lend { () throws(StoreError) in try takeOut(put) }
    } catch {
      session.leaveToRecovery()
    }
    session.segments.endPut(put.number, disowned: [])
    guard error.code == .noSpace else { throw error }
    throw StoreError(.noSpace, "\(error.message); nothing was stored", advice: error.advice)
  }

  private func takeOut(_ put: PutState) throws(StoreError) {
    // What the index names is not known where the last change of it may be durable.
    try session.checkUsable()
    session.segments.abandon(put.unindexed + put.abandoned)
    if put.isEntered {
      try Reclamation(store: store, perform: session.perform).rollBack(put.id, of: session.writer, by: session.writer)
    }
    try session.releaseFullSegments(finishing: put.number, of: store)
  }
}
