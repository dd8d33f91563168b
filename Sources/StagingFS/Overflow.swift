import SegmentStore
import StorageIO

/// Where the files go that the quota has no room for: into segments of a store, stored and not yet visible to anybody, until the
/// tree is committed there. A tree that goes without takes them back, and so does the next open of the store if
/// the process dies.
///
/// Only files that are written anew overflow (``OpenMode/write``, ``OpenMode/createNew``), from front to end. Such a file
/// is in the store under the name that a commit of the whole tree under the prefix gives it, so it cannot be renamed,
/// copied or changed in place; it can be read, replaced and removed. Directories, names, and files that are changed
/// in place need room in the quota, an eighth of which is kept for what is not the bytes of files.
public struct StagingOverflow: Sendable {
  public let store: Store
  public let prefix: StagingPath
  public let options: PutOptions

  public init(into store: Store, under prefix: StagingPath = .root, options: PutOptions = PutOptions()) {
    self.store = store
    self.prefix = prefix
    self.options = options
  }
}

/// The files of a tree that are in the store already.
final class OverflowGroup: Sendable {
  let overflow: StagingOverflow
  /// Those of the tree, and those that left it while somebody keeps them; a commit publishes what it finds in the tree.
  let group: PutGroup
  /// Bytes between handles and the store, and what the store has taken of them in all.
  let transit = Monitor(Transit())

  struct Transit {
    var byteCount = 0
    var takenByteCount = 0
  }

  /// What the parts of such files have at most: each that is being written keeps as much of the quota.
  let partByteCount: Int

  init(_ overflow: StagingOverflow, quotaByteCount: Int) {
    self.overflow = overflow
    group = overflow.store.beginGroup()
    var partByteCount = 4 << 10
    while partByteCount < 1 << 20, partByteCount * 512 <= quotaByteCount { partByteCount *= 2 }
    self.partByteCount = min(overflow.options.partByteCount ?? partByteCount, partByteCount)
  }

  var options: PutOptions {
    var options = overflow.options
    options.partByteCount = partByteCount
    return options
  }
}

/// A file that is in the store and not in memory. Taken out of the store with its last reference, unless it was published.
final class OverflowedFile: Sendable {
  let byteCount: Int
  /// Under which it is stored.
  let name: [UInt8]
  private let id: FileID
  private let group: PutGroup
  private let overflow: StagingOverflow
  private let quota: StagingQuota

  init(_ id: FileID, _ name: [UInt8], byteCount: Int, _ group: OverflowGroup, _ quota: StagingQuota) {
    self.id = id
    self.group = group.group
    overflow = group.overflow
    self.quota = quota
    self.name = name
    self.byteCount = byteCount
  }

  /// The id of the file in `store`, if it is there and under this name.
  func id(in store: Store, _ name: [UInt8], _ path: StagingPath) throws(StagingError) -> FileID {
    if store === overflow.store, name == self.name { return id }
    throw StagingError(
      .invalidArgument,
      "'\(path)': has overflowed into the store '\(overflow.store.path)' under '\(overflow.prefix)': it can be committed "
        + "there with the whole tree, and nowhere else")
  }

  deinit { group.remove(id) }

  private static let stepByteCount = 64 << 10

  /// Hands the bytes of `range` to `body`, in pieces that are charged meanwhile.
  func forEachPiece(
    in range: Range<Int>, _ body: (RawSpan) throws(StagingError) -> Void
  ) throws(StagingError) {
    let charge = try quota.charge(min(range.count, OverflowedFile.stepByteCount))
    defer { withExtendedLifetime(charge) {} }
    var start = range.lowerBound
    while start < range.upperBound {
      let end = min(range.upperBound, start + OverflowedFile.stepByteCount)
      let piece = Monitor<[UInt8]>([])
      try translating { () throws(StoreError) in
        try group.get(id, start..<end) { (bytes) in piece.withLock { $0.append(bytes) } }
      }
      try piece.withLock { (bytes) throws(StagingError) in
        try bytes.withRawSpan { (bytes) throws(StagingError) in try body(bytes) }
      }
      start = end
    }
  }
}

/// The bytes of a file on their way from its handle to the put that stores it.
final class OverflowFeed: ByteFeed {
  private struct State {
    var pieces: [StagedContent.Piece] = []
    /// How much of the first piece was taken.
    var takenOfFirst = 0
    /// What is there, and what was taken in all.
    var byteCount = 0
    var takenByteCount = 0
    var isFinished = false
    var outcome: Result<FileID, StoreError>?
  }

  private let state = Monitor(State())
  private let partByteCount: Int
  private let transit: Monitor<OverflowGroup.Transit>

  init(partByteCount: Int, _ transit: Monitor<OverflowGroup.Transit>) {
    self.partByteCount = partByteCount
    self.transit = transit
  }

  // MARK: For the handle

  /// Adds pieces, which are charged until they are taken.
  func add(_ pieces: [StagedContent.Piece]) throws(StagingError) {
    let added = pieces.filter { $0.byteCount > 0 }
    let byteCount = added.reduce(0) { $0 + $1.byteCount }
    try state.withLock { (state) throws(StagingError) in
      if case .failure(let error) = state.outcome { throw StagingError(error) }
      state.pieces += added
      state.byteCount += byteCount
      transit.withLock { $0.byteCount += byteCount }
    }
  }

  /// How many bytes were taken.
  var takenByteCount: Int { state.withLock { $0.takenByteCount } }

  /// Waits until more than `before` bytes were taken.
  /// - Returns: False when nothing is going to be, since less than a part is left.
  func waitTaken(moreThan before: Int) throws(StagingError) -> Bool {
    try state.wait { state -> Result<Bool, StagingError>? in
      if case .failure(let error) = state.outcome { return .failure(StagingError(error)) }
      if state.takenByteCount > before { return .success(true) }
      return state.byteCount < partByteCount ? .success(false) : nil
    }.get()
  }

  func finish() { state.withLock { $0.isFinished = true } }

  /// The outcome of the put, which this waits for.
  func result() throws(StagingError) -> FileID {
    let outcome = state.wait { $0.outcome }
    do throws(StoreError) { return try outcome.get() } catch { throw StagingError(error) }
  }

  /// Says how the put ended; nothing of what was added is needed any more.
  func end(_ outcome: Result<FileID, StoreError>) {
    let dropped = state.withLock { state in
      noteTaken(state.byteCount)
      state.outcome = outcome
      state.byteCount = 0
      defer { state.pieces = [] }
      return state.pieces
    }
    withExtendedLifetime(dropped) {}
  }

  // MARK: For the put

  func wait(for byteCount: Int, unless isCancelled: () -> Bool) {
    while !isCancelled() {
      let isReady: Void? = state.wait(seconds: 0.1) { $0.isFinished || $0.byteCount >= byteCount ? () : nil }
      if isReady != nil { return }
    }
  }

  var ready: (byteCount: Int, isLast: Bool) { state.withLock { ($0.byteCount, $0.isFinished) } }

  func take(into destination: inout MutableRawSpan) {
    var done = 0
    while done < destination.byteCount {
      // The copy is made outside of the lock, and so is the end of a piece.
      let next = state.withLock { state -> (piece: StagedContent.Piece, start: Int)? in
        state.pieces.first.map { ($0, state.takenOfFirst) }
      }
      guard let (piece, start) = next else { return }
      let count = min(piece.byteCount - start, destination.byteCount - done)
      piece.bytes.withRawSpan { destination.copy($0.extracting(start..<(start + count)), to: done) }
      done += count
      state.withLock { state in
        state.byteCount -= count
        state.takenByteCount += count
        state.takenOfFirst += count
        guard state.takenOfFirst == piece.byteCount else { return }
        state.takenOfFirst = 0
        state.pieces.removeFirst()
      }
      noteTaken(count)
    }
  }

  private func noteTaken(_ byteCount: Int) {
    transit.withLock { transit in
      transit.byteCount -= byteCount
      transit.takenByteCount += byteCount
    }
  }

  /// Who gives up cancels the put.
  func checkWhole() {}
}

/// A file that is being written to the store, since the quota has no room for it.
final class OverflowPut {
  private let feed: OverflowFeed
  private let overflow: OverflowGroup
  private let name: [UInt8]
  private let quota: StagingQuota
  private let transit: Monitor<OverflowGroup.Transit>
  private let cancellation = Cancellation()
  private let partByteCount: Int
  private(set) var byteCount = 0

  /// How long a store may take nothing from anybody before there is no room.
  private static let patienceSeconds = 10.0
  /// How much is copied at a time, and where there is little room.
  private static let stepByteCounts = (4 << 10)...(64 << 10)

  init(_ overflow: OverflowGroup, _ path: StagingPath, _ quota: StagingQuota) throws(StagingError) {
    self.quota = quota
    transit = overflow.transit
    name = StagingFileSystem.name(of: path, below: .root, under: overflow.overflow.prefix)
    self.overflow = overflow
    let options = overflow.options
    partByteCount = overflow.partByteCount
    let feed = OverflowFeed(partByteCount: partByteCount, overflow.transit)
    self.feed = feed
    let (group, cancellation) = (overflow.group, cancellation)
    let fileName = try translating { () throws(StoreError) in try FileName(name) }
    do throws(SystemCallFailure) {
      try SystemThread {
        do throws(StoreError) {
          feed.end(.success(try group.put(.feed(feed), as: fileName, options, cancellation: cancellation)))
        } catch {
          feed.end(.failure(error))
        }
      }.detach()
    } catch {
      throw StagingError(.systemLimit, error.description)
    }
  }

  /// Hands over what a handle has in memory.
  func add(_ content: StagedContent) throws(StagingError) {
    try feed.add(content.pieces)
    byteCount += content.byteCount
  }

  /// Hands a copy of `bytes` over, in steps for which there is room; waits for the store to take what came before. What is
  /// on its way may use the eighth of the quota that is kept free of files.
  func add(_ bytes: RawSpan) throws(StagingError) {
    var done = 0
    var stepByteCount = OverflowPut.stepByteCounts.upperBound
    var waitCount = 0
    while done < bytes.byteCount {
      let step = bytes.extracting(done..<(done + nextByteCount(of: bytes.byteCount - done, stepByteCount)))
      let takenByteCount = feed.takenByteCount
      let takenOfAll = transit.withLock { $0.takenByteCount }
      do throws(StagingError) {
        try add(StagedContent(copying: step, inTransit: quota))
        done += step.byteCount
      } catch  where error.code == .quotaExceeded {
        if try feed.waitTaken(moreThan: takenByteCount) { continue }
        if stepByteCount > OverflowPut.stepByteCounts.lowerBound {
          stepByteCount /= 2
          continue
        }
        // All the room is that of others, on the way to the store as well; or of a piece that was taken and is about to go,
        // of which nobody tells: so it is looked for again after a while.
        let isTaken: Void? = transit.wait(seconds: OverflowPut.patienceSeconds / 100) { transit in
          transit.takenByteCount > takenOfAll ? () : nil
        }
        waitCount = isTaken == nil ? waitCount + 1 : 0
        if waitCount > 100 { throw error }
      }
    }
  }

  /// A piece is charged until all of it is taken, and the store takes whole parts: one that ends with a part keeps no room
  /// while it waits for what others hold, and one that does not is shorter than a part.
  private func nextByteCount(of leftByteCount: Int, _ stepByteCount: Int) -> Int {
    let missingByteCount = partByteCount - byteCount % partByteCount
    if leftByteCount < missingByteCount { return leftByteCount }
    let moreByteCount = max(0, min(leftByteCount, stepByteCount) - missingByteCount)
    return missingByteCount + moreByteCount / partByteCount * partByteCount
  }

  /// Ends the put.
  /// - Returns: The file, which is durable in the store, and which nobody sees.
  func finish() throws(StagingError) -> OverflowedFile {
    feed.finish()
    return OverflowedFile(try feed.result(), name, byteCount: byteCount, overflow, quota)
  }

  /// Gives up; waits until nothing of it is left.
  func abort() {
    cancellation.cancel()
    feed.finish()
    do throws(StagingError) { overflow.group.remove(try feed.result()) } catch {}
  }
}
