import LMDB
import Mutants
import StorageIO

/// The segments that this process appends to: as many as threads append at the same time, each lent to one thread.
///
/// The one lent last is lent first, so that a process that does one thing after another fills one segment. Segments
/// left open by writers that have gone are taken over before new ones are made.
final class SegmentPool: Sendable {
  private struct State {
    var idle: [SegmentAppender] = []
    /// All that may hold bytes which are not durable, lent or idle.
    var open: [SegmentID: SegmentAppender] = [:]
    /// Those that are full but still owned, since a put that began before may have records in them that the index
    /// does not name yet; with the number that the next put had then.
    var sealed: [SegmentID: UInt64] = [:]
    var nextPut: UInt64 = 0
    var runningPuts: Set<UInt64> = []
  }

  /// A sync of less takes hardly longer than one of nothing.
  private static let muchByteCount = 1 << 20
  /// A footer takes at most this share of what is free: it is of use, and others need room more.
  private static let footerShare = 4

  private let index: Index
  private let superblock: Superblock
  private let directory: Directory
  private let writer: WriterID
  private let isMapped: Bool
  private let state = Monitor(State())

  init(index: Index, superblock: Superblock, directory: Directory, writer: WriterID, isMapped: Bool) {
    self.index = index
    self.superblock = superblock
    self.directory = directory
    self.writer = writer
    self.isMapped = isMapped
  }

  /// Lends a segment with room for `capacity` bytes of payload to the calling thread, until ``giveBack(_:)``.
  /// - Parameter perform: runs a job of the index and waits for it; blocks only when a segment is full or none is
  ///   open.
  func lend(
    forPayload capacity: Int, through perform: (IndexJob) throws(StoreError) -> Void
  ) throws(StoreError) -> SegmentAppender {
    while true {
      let idle = state.withLock { $0.idle.popLast() }
      let appender: SegmentAppender
      if let idle {
        appender = idle
      } else if let taken = try takeOver(perform) {
        appender = taken
      } else {
        appender = try make(perform)
      }
      if appender.hasRoom(forPayload: capacity) { return appender }
      do throws(StoreError) { try seal(appender, perform) } catch  where error.code == .noSpace {
        // The footer waits for the next who takes this one over.
        try appender.cut(at: appender.tail)
        putAside(appender)
      } catch {
        giveBack(appender)
        throw error
      }
    }
  }

  /// A segment whose mapping has lost a page is not lent again: whoever takes it over then maps it anew.
  func giveBack(_ appender: SegmentAppender) {
    if appender.isFaulted { return putAside(appender) }
    state.withLock { $0.idle.append(appender) }
  }

  /// It stays owned as a full one does, and open.
  private func putAside(_ appender: SegmentAppender) {
    state.withLock { $0.sealed[appender.segment] = $0.nextPut }
  }

  // MARK: Puts

  /// Gives the pages back of parts that the index does not name and never will. In an open segment others may have been
  /// appended behind them; a full one perhaps holds what is needed.
  func abandon(_ parts: [StoredPart]) { DeadPages.punch(parts.map(\.record.location), in: directory) }

  /// Notes that a put begins, whose records the index does not name for a while: the segments they are in stay owned.
  func beginPut() -> UInt64 {
    state.withLock { state in
      defer { state.nextPut += 1 }
      state.runningPuts.insert(state.nextPut)
      return state.nextPut
    }
  }

  /// Hands the full segments that hold no record of a running put, that of `finishing` not counted, to `body`, which disowns
  /// them or throws. To nobody else meanwhile, nor after: one that is nobody's may be this writer's again, and open.
  func withReleasable<R>(
    finishing put: UInt64, _ body: (Set<SegmentID>) throws(StoreError) -> R
  ) throws(StoreError) -> R {
    let taken = state.withLock { state in
      let oldest = state.runningPuts.filter { $0 != put }.min() ?? .max
      let taken = state.sealed.filter { $0.value <= oldest }
      for id in taken.keys { state.sealed[id] = nil }
      return taken
    }
    do throws(StoreError) { return try body(Set(taken.keys)) } catch {
      state.withLock { $0.sealed.merge(taken) { kept, _ in kept } }
      throw error
    }
  }

  /// Whether a put runs, whose records the index may not name.
  var hasRunningPuts: Bool { state.withLock { !$0.runningPuts.isEmpty } }

  /// Notes that a put has ended.
  func endPut(_ put: UInt64) { state.withLock { _ = $0.runningPuts.remove(put) } }

  // MARK: Durability

  /// Makes everything appended to `segments` durable. Those that are not open any more were synced when they were
  /// sealed.
  func sync(_ segments: some Collection<SegmentID>) throws(StoreError) {
    for segment in segments {
      guard let appender = state.withLock({ $0.open[segment] }) else { continue }
      do throws(SystemCallFailure) { try appender.sync() } catch {
        if Mutant.ignoreFailedSync.isActive { continue }
        if Mutant.retryFailedSync.isActive, isSynced(appender) { continue }
        throw SegmentPool.unknownDurability(of: segment, error)
      }
    }
  }

  /// Syncs those of `segments` for which that takes long, so that a sync that others wait for too finds little to do.
  /// - Throws: As ``sync(_:)``.
  func syncAhead(_ segments: some Collection<SegmentID>) throws(StoreError) {
    let much = state.withLock { state in
      segments.filter { (state.open[$0]?.unsyncedByteCount ?? 0) > SegmentPool.muchByteCount }
    }
    try sync(much)
  }

  /// Lets the device keep up with a long append to a lent segment; see ``SegmentAppender/paceWriteback()``.
  /// - Throws: As ``sync(_:)``.
  func paceWriteback(of appender: SegmentAppender) throws(StoreError) {
    do throws(SystemCallFailure) { try appender.paceWriteback() } catch {
      throw SegmentPool.unknownDurability(of: appender.segment, error)
    }
  }

  private static func unknownDurability(of segment: SegmentID, _ failure: SystemCallFailure) -> StoreError {
    StoreError(
      .durabilityUnknown, "segment \(segment): \(failure); whether its last bytes are on the device is not known",
      advice: "check the device, then open the store again: what is not durable is rolled back then")
  }

  private func isSynced(_ appender: SegmentAppender) -> Bool {
    do throws(SystemCallFailure) { try appender.sync() } catch { return false }
    return true
  }

  /// Lets go of all segments, so that the next writer goes on with them. Nobody may append any more.
  /// - Returns: The segments, and those of which nothing ever counted: they are out of the index already.
  func close(
    _ perform: (IndexJob) throws(StoreError) -> Void
  ) throws(StoreError) -> (segments: Set<SegmentID>, unmade: [SegmentID]) {
    let (appenders, sealed) = state.withLock { state in
      defer { state.idle = [] }
      return (state.idle, Set(state.sealed.keys))
    }
    let segments = sealed.union(appenders.map(\.segment))
    let (registry, writer) = (index.segments, writer)
    var unmade: [SegmentID] = []
    for appender in appenders {
      // What lies behind the end that the index knows was left by puts that failed.
      let entry = try index.read { (transaction) throws(StoreError) in
        try registry.existing(appender.segment, in: transaction)
      }
      if entry.usedByteCount == 0 {
        unmade.append(appender.segment)
      } else {
        try appender.cut(at: entry.usedByteCount)
      }
    }
    let dropped = unmade
    // Synced, so that nothing that was cut off or zeroed comes back behind the end when nobody would cut it any more.
    try perform(
      IndexJob(syncing: segments) { (transaction, _) throws(StoreError) in
        for id in dropped { try registry.remove(id, in: transaction) }
        try registry.disown(segments, by: writer, in: transaction)
      })
    state.withLock { state in
      state.open = [:]
      state.sealed = [:]
    }
    return (segments.subtracting(unmade), unmade)
  }

  // MARK: -

  /// Takes over an open segment that nobody owns.
  private func takeOver(_ perform: (IndexJob) throws(StoreError) -> Void) throws(StoreError) -> SegmentAppender? {
    let registry = index.segments
    let candidates = try index.read { (transaction) throws(StoreError) in
      try registry.listedSegments(in: transaction).filter { $0.entry.isFree }
    }
    let writer = writer
    for candidate in candidates where try isWhole(candidate.id, candidate.entry) {
      let taken = Monitor<SegmentEntry?>(nil)
      try perform(
        IndexJob { (transaction, _) throws(StoreError) in
          // Looked at again: another process may have been quicker.
          guard var entry = try registry.segment(candidate.id, in: transaction), entry.isFree else { return }
          entry.owner = writer
          try registry.set(candidate.id, entry, in: transaction)
          taken.withLock { $0 = entry }
        })
      if let entry = taken.withLock({ $0 }) {
        do throws(StoreError) {
          return try open(candidate.id, tail: entry.usedByteCount, recordCount: entry.recordCount, isNew: nil)
        } catch {
          letGo(of: candidate.id, perform)
          // One that cannot be opened, perhaps of another user, must not keep others from storing.
          guard error.code == .io else { throw error }
        }
      }
    }
    return nil
  }

  /// Whether the file of a segment is there as far as the index knows it. One that is lost or cut is reported by those
  /// who read it, and must not keep others from storing.
  private func isWhole(_ id: SegmentID, _ entry: SegmentEntry) throws(StoreError) -> Bool {
    do throws(SystemCallFailure) { return try directory.status(of: id.fileName).byteCount >= entry.usedByteCount } catch
    {
      // Also one that another process has removed just now.
      if error.isNotFound { return false }
      throw StoreError(error)
    }
  }

  /// Leaves a segment that could not be opened to others, who may have more luck.
  private func letGo(of id: SegmentID, _ perform: (IndexJob) throws(StoreError) -> Void) {
    let (registry, writer) = (index.segments, writer)
    do throws(StoreError) {
      try perform(
        IndexJob { (transaction, _) throws(StoreError) in try registry.disown([id], by: writer, in: transaction) })
    } catch {}
  }

  private func make(_ perform: (IndexJob) throws(StoreError) -> Void) throws(StoreError) -> SegmentAppender {
    let index = index
    let writer = writer
    let made = Monitor<(SegmentID, Counters)?>(nil)
    try perform(
      IndexJob { (transaction, _) throws(StoreError) in
        var counters = try index.counters(in: transaction)
        let id = SegmentID(rawValue: try counters.take(\.nextSegment).lowerBound)
        try index.setCounters(counters, in: transaction)
        // Nothing used yet: a crash before the file exists leaves an entry that recovery drops.
        let entry = SegmentEntry(state: .open, owner: writer, usedByteCount: 0, liveByteCount: 0, recordCount: 0)
        try index.segments.set(id, entry, in: transaction)
        made.withLock { $0 = (id, counters) }
      })
    guard let (id, counters) = made.withLock({ $0 }) else {
      throw StoreError(.io, "the index took no new segment")
    }
    let header = SegmentHeader(
      uuid: superblock.uuid, segment: id, segmentByteCount: superblock.segmentByteCount,
      createdNanoseconds: Clock.wallNanoseconds(), writer: writer, counters: counters)
    let fileExists = try self.fileExists(id)
    do throws(StoreError) {
      if fileExists {
        throw StoreError(
          index: FormatFailure(.damaged, "it is older than segment \(id), whose file exists already"))
      }
      return try open(id, tail: SegmentHeader.byteCount, recordCount: 0, isNew: header)
    } catch {
      drop(id, removingFile: !fileExists, perform)
      throw error
    }
  }

  private func fileExists(_ id: SegmentID) throws(StoreError) -> Bool {
    do throws(SystemCallFailure) {
      _ = try directory.status(of: id.fileName)
      return true
    } catch {
      if error.isNotFound { return false }
      throw StoreError(error)
    }
  }

  /// Takes a segment that could not be made out of the index again. Where that fails too, recovery does it when this
  /// writer has gone.
  private func drop(
    _ id: SegmentID, removingFile: Bool, _ perform: (IndexJob) throws(StoreError) -> Void
  ) {
    let registry = index.segments
    do throws(StoreError) {
      if removingFile { try translating { () throws(SystemCallFailure) in try directory.removeFile(id.fileName) } }
      try perform(IndexJob { (transaction, _) throws(StoreError) in try registry.remove(id, in: transaction) })
    } catch {}
  }

  private func open(
    _ id: SegmentID, tail: Int, recordCount: Int, isNew header: SegmentHeader?
  ) throws(StoreError) -> SegmentAppender {
    let appender = try translating { () throws(SystemCallFailure) in
      let file: File
      if let header { file = try make(id, header) } else { file = try reopen(id, tail) }
      return try SegmentAppender(
        file: file, segment: id, segmentByteCount: superblock.segmentByteCount,
        storePrefix: superblock.uuid.prefix, tail: tail, recordCount: recordCount, isMapped: isMapped)
    }
    state.withLock { $0.open[id] = appender }
    return appender
  }

  /// A new file, whose name is durable before the index relies on it.
  ///
  /// It has its header, durably, before it has its name: a segment without one has always lost it, and is damaged.
  private func make(_ id: SegmentID, _ header: SegmentHeader) throws(SystemCallFailure) -> File {
    func fill(_ file: File) throws(SystemCallFailure) {
      try file.allocate(0..<SegmentHeader.byteCount)
      try file.write(header.encoded(), at: 0)
      try file.sync()
    }
    let made: File
    do throws(SystemCallFailure) {
      made = try directory.open([UInt8(ascii: ".")], [.write, .unnamed], shownAs: id.fileName)
    } catch  where error.hasNoUnnamedFiles {
      // There a crash may leave an empty file.
      let file = try directory.open(id.fileName, [.write, .createNew])
      try fill(file)
      try directory.sync()
      return file
    }
    try fill(made)
    try made.publish(under: id.fileName, in: directory)
    if !Mutant.noSegmentNameSync.isActive { try directory.sync() }
    return made
  }

  /// Never appends into what lies behind the end that the index knows: it is of no use to anybody.
  private func reopen(_ id: SegmentID, _ tail: Int) throws(SystemCallFailure) -> File {
    let file = try directory.open(id.fileName, [.write, .noFollow])
    if try file.status().byteCount > tail { try file.truncate(to: tail) }
    return file
  }

  /// Ends a full segment: footer, sync, and sealed in the index. It stays owned until no running put can have records
  /// in it that the index does not name.
  private func seal(
    _ appender: SegmentAppender, _ perform: (IndexJob) throws(StoreError) -> Void
  ) throws(StoreError) {
    // The footer of many small records takes a third of the segment.
    let footerByteCount = SegmentFooter.byteCount(recordCount: appender.recordCount)
    let freeByteCount = try translating { () throws(SystemCallFailure) in
      try FileSystem.freeByteCount(at: directory.path)
    }
    if footerByteCount > freeByteCount / SegmentPool.footerShare {
      throw StoreError(.noSpace, "no room for the footer of segment \(appender.segment)")
    }
    // The records first: a footer on the device says that they are there.
    try perform(IndexJob(syncing: [appender.segment]) { (_, _) in })
    let usedByteCount = try appender.seal()
    let recordCount = appender.recordCount
    let id = appender.segment
    let registry = index.segments
    try perform(
      IndexJob(syncing: [id]) { (transaction, _) throws(StoreError) in
        var entry = try registry.existing(id, in: transaction)
        entry.state = .sealed
        entry.usedByteCount = usedByteCount
        entry.recordCount = recordCount
        try registry.set(id, entry, in: transaction)
      })
    state.withLock { state in
      state.open[id] = nil
      state.sealed[id] = state.nextPut
    }
  }
}
