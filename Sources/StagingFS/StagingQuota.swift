import SegmentStore
import StorageIO
import Synchronization

/// The account of a staging tree: every byte is charged here before it is allocated, and given back when the last reference
/// to it goes. The sum of all charges never exceeds the limit.
final class StagingQuota: Sendable {
  let limitByteCount: Int
  /// What the bytes of files may take of it.
  private let contentLimitByteCount: Int
  /// Memory of a store that the limit was taken from.
  private let reservation: MemoryReservation?
  private let used = Atomic(0)
  private let chunks = Atomic(0)
  /// Large pieces that nobody has any more, for the next who wants one: pages that the system has given once need not be
  /// asked for and cleared again. They stay charged, and go when there is no other room.
  private let kept = Monitor(KeptPieces())

  private struct KeptPieces {
    /// By the room that they have.
    var pieces: [Int: [(bytes: [UInt8], charge: Charge)]] = [:]
    var pieceCount = 0
    var byteCount = 0
    var isClosed = false
  }

  init(limitByteCount: Int, reservation: MemoryReservation? = nil, contentReserveByteCount: Int = 0) {
    self.limitByteCount = limitByteCount
    contentLimitByteCount = limitByteCount - contentReserveByteCount
    self.reservation = reservation
  }

  // Under the lock: what is kept then is charged then.
  var usedByteCount: Int { kept.withLock { used.load(ordering: .relaxed) - $0.byteCount } }
  /// With what is kept.
  var chargedByteCount: Int { used.load(ordering: .relaxed) }
  var chunkCount: Int { kept.withLock { chunks.load(ordering: .relaxed) - $0.pieceCount } }
  var availableByteCount: Int { max(0, limitByteCount - usedByteCount) }

  /// Charges `byteCount` bytes.
  /// - Throws: `.quotaExceeded`; then nothing is charged.
  /// - Parameters:
  ///   - isChunk: whether the bytes of files are in it.
  ///   - isInTransit: whether they are on their way to the store: these may take half of what files leave free, so that there
  ///     is always room for names.
  func charge(
    _ byteCount: Int, isChunk: Bool = false, isInTransit: Bool = false
  ) throws(StagingError) -> Charge {
    let transitLimit = contentLimitByteCount + (limitByteCount - contentLimitByteCount) / 2
    let limit = isChunk ? contentLimitByteCount : isInTransit ? transitLimit : limitByteCount
    var before = used.load(ordering: .relaxed)
    while true {
      if byteCount > limit - before {
        // What is kept makes room first.
        before = dropKept()
        guard byteCount <= limit - before else { throw exceeded(byteCount, limit - before) }
      }
      let (isDone, found) = used.weakCompareExchange(
        expected: before, desired: before + byteCount, ordering: .relaxed)
      if isDone { break }
      before = found
    }
    if isChunk { chunks.add(1, ordering: .relaxed) }
    return Charge(self, byteCount, isChunk: isChunk)
  }

  // MARK: Kept pieces

  /// An empty array with room for `capacity` bytes, that was charged for.
  func takeKept(_ capacity: Int) -> (bytes: [UInt8], charge: Charge)? {
    kept.withLock { kept in
      guard let piece = kept.pieces[capacity]?.popLast() else { return nil }
      kept.pieceCount -= 1
      kept.byteCount -= piece.charge.byteCount
      return piece
    }
  }

  /// Keeps a piece that nobody else has, and that has room for `capacity` bytes.
  func keep(_ bytes: consuming [UInt8], _ charge: Charge, _ capacity: Int) {
    bytes.removeAll(keepingCapacity: true)
    let piece = (bytes: bytes, charge: charge)
    kept.withLock { kept in
      if kept.isClosed { return }
      kept.pieces[capacity, default: []].append(piece)
      kept.pieceCount += 1
      kept.byteCount += charge.byteCount
    }
  }

  /// Lets go of what is kept, under the lock: so nobody finds it neither there nor given back.
  /// - Returns: What is charged then.
  @discardableResult func dropKept(isLast: Bool = false) -> Int {
    kept.withLock { kept in
      kept.pieces = [:]
      kept.pieceCount = 0
      kept.byteCount = 0
      if isLast { kept.isClosed = true }
      return used.load(ordering: .relaxed)
    }
  }

  fileprivate func giveBack(_ byteCount: Int, isChunk: Bool) {
    used.subtract(byteCount, ordering: .relaxed)
    if isChunk { chunks.subtract(1, ordering: .relaxed) }
  }

  private func exceeded(_ byteCount: Int, _ roomByteCount: Int) -> StagingError {
    let available = max(0, roomByteCount)
    return StagingError(
      .quotaExceeded, requested: byteCount, available: available,
      "the quota of \(limitByteCount) bytes has room for \(available), and \(byteCount) were wanted")
  }
}

/// Bytes that are charged as long as this lives. Several may hold one: what they share is charged once.
final class Charge: Sendable {
  let byteCount: Int
  private let quota: StagingQuota
  private let isChunk: Bool

  fileprivate init(_ quota: StagingQuota, _ byteCount: Int, isChunk: Bool) {
    self.quota = quota
    self.byteCount = byteCount
    self.isChunk = isChunk
  }

  deinit { quota.giveBack(byteCount, isChunk: isChunk) }
}
