import Mutants
import StorageIO

/// Deletes many files: locked and buried in groups, each group one transaction; their space comes back when all are gone.
///
/// One that somebody reads is put aside, so that the others do not wait for it. Belongs to one thread.
final class Deletion {
  private let store: Store
  private let cancellation: Cancellation
  private let onDeleted: (StoredFile) -> Void
  private let onFailed: (StoredFile, StoreError) -> Void

  private var group: [StoredFile] = []
  private var groupPartCount = 0
  /// Those that somebody has locked, and when to give up.
  private var busy: [(file: StoredFile, deadlineNanoseconds: Int64)] = []
  private var space = SpaceReturn()
  private var memory: MemoryLease?
  private var deadByteCount = 0
  /// How many files were gone when segments were compacted for want of room.
  private var countAtCompaction: Int?
  /// Whether that is no use again: what has died since is too little.
  private var hasCompacted: Bool { countAtCompaction.map { result.doneCount < $0 + Self.smallFileCount } ?? false }
  private(set) var result = TreeResult(doneCount: 0, failedCount: 0)

  /// Files in one transaction: their tombstones fit into an eighth of a segment, and the pages that it changes into memory.
  private let maximumFileCount: Int
  private static let largestFileCount = 2048
  /// So few need no memory that is worth to be counted.
  private static let smallFileCount = 64
  /// On a disk that is nearly full: each may change pages of its own in four tables.
  private static let fewFileCount = 16
  private static let maximumBusyCount = 1024
  private static let maximumUnfinishedCount = 64

  init(
    _ store: Store, _ cancellation: Cancellation, onDeleted: @escaping (StoredFile) -> Void,
    onFailed: @escaping (StoredFile, StoreError) -> Void
  ) {
    self.store = store
    self.cancellation = cancellation
    self.onDeleted = onDeleted
    self.onFailed = onFailed
    let tombstoneByteCount = Format.aligned(RecordHeader.byteCount) * 2
    maximumFileCount = max(1, min(Self.largestFileCount, store.superblock.segmentByteCount / 8 / tombstoneByteCount))
  }

  func add(_ file: StoredFile) throws(StoreError) {
    try cancellation.check()
    if file.isInterrupted { return try deleteAlone(file, deadlineNanoseconds: deadline()) }
    let partCount = file.partCount <= Burial.partCountOfSmall ? file.partCount : 1
    if groupPartCount + partCount > Reclamation.stepPartCount { try deleteGroup() }
    group.append(file)
    groupPartCount += partCount
    if group.count >= (try fileCountLimit()) { try deleteGroup() }
  }

  /// Deletes what is left, and waits for those that are busy.
  func finish() throws(StoreError) {
    try deleteGroup()
    try deleteBusy()
  }

  func giveSpaceBack(_ options: DeleteOptions) throws(StoreError) {
    defer { store.backgroundCompaction.note(deadByteCount, in: store) }
    if space.isEmpty { return }
    let session = try store.writerSession()
    guard options.waitsForSpace else {
      let (store, space) = (store, space)
      let cancellation = cancellation
      store.spaceThread.run { space.giveBackOrLeave(to: store, session, cancellation) }
      return
    }
    try returnSpace()
  }

  private func returnSpace() throws(StoreError) {
    let returned = space
    space = SpaceReturn()
    try returned.giveBack(to: store, try store.writerSession(), cancellation)
  }

  // MARK: Groups

  /// Many files at once need memory for the pages they change; where there is none now, fewer go at once.
  private func fileCountLimit() throws(StoreError) -> Int {
    if store.hasLittleRoom { return Self.fewFileCount }
    if memory != nil || maximumFileCount <= Self.smallFileCount { return maximumFileCount }
    if group.count < Self.smallFileCount { return maximumFileCount }
    let byteCount = maximumFileCount * PutGroup.fileByteCount
    if byteCount <= store.budget.unreservedByteCount / 4 { memory = try store.budget.leaseIfFree(byteCount) }
    return memory == nil ? Self.smallFileCount : maximumFileCount
  }

  private func deleteGroup() throws(StoreError) {
    let files = group
    (group, groupPartCount) = ([], 0)
    if files.isEmpty { return }
    try deleteLocked(files)
    if busy.count > Self.maximumBusyCount { try deleteBusy() }
    if space.unfinished.count > Self.maximumUnfinishedCount || space.isFull { try returnSpace() }
  }

  /// Deletes those of `files` that nobody else has locked, and notes the others as busy. No lock is held on return.
  private func deleteLocked(_ files: [StoredFile]) throws(StoreError) {
    let locks = try store.locks.acquireSet()
    defer { withExtendedLifetime(locks) {} }
    var locked: [StoredFile] = []
    var seen: Set<FileID> = []
    for file in files where seen.insert(file.id).inserted {
      let byte = LockBytes.Subject.file(file.id).byte
      let isLocked = try translating { () throws(SystemCallFailure) in try locks.acquire(byte) }
      if isLocked || Mutant.deleteWithoutWaiting.isActive {
        locked.append(file)
      } else {
        busy.append((file, deadline()))
      }
    }
    try bury(locked)
  }

  /// Deletes files whose locks are held. Where one of them cannot be, or there is no room for all, fewer are tried.
  private func bury(_ files: [StoredFile]) throws(StoreError) {
    if files.isEmpty { return }
    do throws(StoreError) {
      try buryTogether(files)
    } catch {
      if error.code == .noSpace, try makeRoom() { return try bury(files) }
      if files.count == 1 || (error.stopsEverything && error.code != .noSpace) {
        if error.stopsEverything { throw error }
        return fail(files[0], error)
      }
      try bury(Array(files.prefix(files.count / 2)))
      try bury(Array(files.dropFirst(files.count / 2)))
    }
  }

  /// - Returns: False when nothing was left that could be done.
  private func makeRoom() throws(StoreError) -> Bool {
    if !space.isEmpty {
      // What is gone already makes room.
      try returnSpace()
      return true
    }
    if hasCompacted { return false }
    countAtCompaction = result.doneCount
    try store.winReserveBack(cancellation)
    return true
  }

  private func buryTogether(_ files: [StoredFile]) throws(StoreError) {
    // Even a delete needs a few pages: where there is no room, those that were set aside for it.
    let session = try store.reserve.lend { () throws(StoreError) in try store.writerSession() }
    try session.checkUsable()
    let burial = Burial(store: store, writer: session.writer, perform: session.perform)
    let ids = files.map(\.id)
    // Where a compaction wins nothing, its part of the reserve is for the last files, one by one.
    let kept = hasCompacted && files.count == 1 ? 0 : Reserve.compactionByteCount
    space.add(try store.reserve.lend(keeping: kept) { () throws(StoreError) in try burial.bury(ids) })
    for file in files { succeed(file) }
  }

  // MARK: One by one

  private func deleteBusy() throws(StoreError) {
    let waiting = busy
    busy = []
    for (file, deadlineNanoseconds) in waiting { try deleteAlone(file, deadlineNanoseconds: deadlineNanoseconds) }
  }

  private func deleteAlone(_ file: StoredFile, deadlineNanoseconds: Int64) throws(StoreError) {
    do throws(StoreError) {
      let seconds = Double(max(0, deadlineNanoseconds - Clock.monotonicNanoseconds())) / 1e9
      let lock = try store.lock(file.id, .exclusive, cancellation, timeoutSeconds: seconds)
      defer { withExtendedLifetime(lock) {} }
      let entry = try store.deletableEntry(file.id)
      if entry.state == .ready { return try buryTogether([file]) }
      let session = try store.reserve.lend { () throws(StoreError) in try store.writerSession() }
      try session.checkUsable()
      let reclamation = Reclamation(store: store, perform: session.perform)
      try store.reserve.lend { () throws(StoreError) in
        try reclamation.rollBack(file.id, of: entry.writer, by: session.writer)
      }
      succeed(file)
    } catch {
      if error.stopsEverything { throw error }
      fail(file, error)
    }
  }

  private func deadline() -> Int64 {
    Clock.monotonicNanoseconds() + Int64(max(0, min(store.configuration.lockTimeoutSeconds, 1e9)) * 1e9)
  }

  private func succeed(_ file: StoredFile) {
    deadByteCount += file.storedByteCount
    result = TreeResult(doneCount: result.doneCount + 1, failedCount: result.failedCount)
    onDeleted(file)
  }

  private func fail(_ file: StoredFile, _ error: StoreError) {
    result = TreeResult(doneCount: result.doneCount, failedCount: result.failedCount + 1)
    onFailed(file, error)
  }
}

/// What is to be done for the space of files that are gone for good.
struct SpaceReturn: Sendable {
  private(set) var unfinished: [FileID] = []
  private var emptied: Set<SegmentID> = []
  private var dead = DeadSpace()

  var isEmpty: Bool { unfinished.isEmpty && emptied.isEmpty && dead.isEmpty }
  var isFull: Bool { dead.isFull }

  mutating func add(_ outcome: Burial.Outcome) {
    unfinished += outcome.unfinished
    emptied.formUnion(outcome.emptied)
    dead.add(outcome.dead)
  }

  /// Gives it back, and then sets the reserve aside again. What cannot be given back now is left to the next open.
  /// - Parameter cancellation: of the compaction that a full disk may need.
  /// - Throws: `.indexDamaged` only.
  func giveBack(
    to store: Store, _ session: WriterSession, _ cancellation: Cancellation
  ) throws(StoreError) {
    let reclamation = Reclamation(store: store, perform: session.perform)
    let stretches = DeadStretches(store: store, session: session)
    var (dead, islands) = (dead, DeadSpace())
    do throws(StoreError) {
      // First what takes no room.
      try stretches.punch(dead.takeAll())
      for id in unfinished {
        try store.reserve.lend { () throws(StoreError) in
          try reclamation.finish(id) { (found, emptied) throws(StoreError) in
            islands.add(found)
            if islands.isFull { try stretches.punch(islands.takeAll()) }
            try reclamation.removeEmptySegments(emptied)
          }
        }
      }
      try store.reserve.lend { () throws(StoreError) in try reclamation.removeEmptySegments(emptied) }
      try stretches.punch(islands.takeAll())
    } catch {
      session.leaveToRecovery()
      if error.code == .indexDamaged { throw error }
    }
    store.reserve.refill()
    guard store.reserve.isShort else { return }
    // What has died gave no whole page back, or too few.
    try store.winReserveBack(cancellation)
  }

  func giveBackOrLeave(to store: Store, _ session: WriterSession, _ cancellation: Cancellation) {
    do throws(StoreError) { try giveBack(to: store, session, cancellation) } catch {}
  }
}
