import LMDB
import Mutants
import StorageIO

/// The most bytes that the records of a store may take which something needs: headers, alignment and commits included.
///
/// Checked in every index transaction that adds records, so that processes cannot exceed it together; and before that by
/// each put, against what was known last, so that little is written in vain. A delete may always add its tombstone.
final class Quota: Sendable {
  /// Nil when there is none.
  let limitByteCount: Int?
  /// What was in use when it was last counted.
  private let lastUsed = Monitor<Int?>(nil)

  init(limitByteCount: Int?) { self.limitByteCount = Mutant.ignoreQuota.isActive ? nil : limitByteCount }

  /// Throws `.noSpace` when what `transaction` has added, `wantedByteCount`, is more than there is room for.
  /// - Parameter journal: Records that the transaction is going to add.
  /// - Complexity: O(segments) when there is a quota.
  func check(
    _ wantedByteCount: Int, _ journal: JournalRecords, _ segments: SegmentRegistry,
    in transaction: borrowing WriteTransaction
  ) throws(StoreError) {
    guard let limitByteCount else { return }
    let used = try segments.liveByteCount(in: transaction) - wantedByteCount
    lastUsed.withLock { $0 = used }
    if used + wantedByteCount + journal.liveByteCount > limitByteCount {
      throw exceeded(limitByteCount, used, wantedByteCount + journal.liveByteCount)
    }
  }

  /// Throws `.noSpace` when there is no room for `wantedByteCount` that are not in the index yet.
  func checkAhead(_ wantedByteCount: Int, _ index: Index) throws(StoreError) {
    guard let limitByteCount else { return }
    if let used = lastUsed.withLock({ $0 }), used + wantedByteCount <= limitByteCount { return }
    // Counted anew before anything is refused: others may have deleted.
    let used = try index.read { (transaction) throws(StoreError) in
      try index.segments.liveByteCount(in: transaction)
    }
    lastUsed.withLock { $0 = used }
    if used + wantedByteCount > limitByteCount { throw exceeded(limitByteCount, used, wantedByteCount) }
  }

  private func exceeded(_ limitByteCount: Int, _ usedByteCount: Int, _ wantedByteCount: Int) -> StoreError {
    StoreError(
      .noSpace,
      "the quota of \(describe(limitByteCount)) is reached: \(usedByteCount) bytes are used, and \(wantedByteCount) "
        + "more were wanted",
      advice: "delete files from the store to make room")
  }
}
