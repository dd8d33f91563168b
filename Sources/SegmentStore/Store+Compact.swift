import StorageIO

/// How much is compacted, and how fast.
public struct CompactionOptions: Hashable, Sendable {
  /// Segments are emptied until the store takes at most so many bytes of disk for each byte that is alive; 1 stands for all
  /// that can be had. Not below 1.
  public var targetRatio = 1.1
  /// The most bytes that are moved in a second; nil: as many as can be.
  public var bytesPerSecond: Int?

  public init() {}
}

/// What a compaction has done.
public struct CompactionSummary: Hashable, Sendable {
  /// Of segments that were emptied and removed, or were empty before.
  public internal(set) var removedSegmentCount = 0
  public internal(set) var movedByteCount = 0
  /// Of all segments, on disk.
  public internal(set) var diskByteCountBefore = 0
  public internal(set) var diskByteCountAfter = 0
  public internal(set) var liveByteCount = 0
  /// Segments that hold records which are needed and cannot be read: these stay where they are.
  public internal(set) var damagedSegments: [SegmentID] = []
}

extension Store {
  /// Moves what is alive out of segments in which much is dead, and removes these. Others go on meanwhile; nobody waits for
  /// more than a commit of the index.
  ///
  /// One compaction at a time runs on a store: another one waits, at most the lock timeout. What has been moved when it is
  /// cancelled, or fails, stays moved. Works on a full disk, by small steps.
  /// - Parameters:
  ///   - progress: told the bytes of records of the segments that were emptied, of `total` in all.
  /// - Throws: `.busy`, `.cancelled`, `.noSpace`, `.io`, `.indexDamaged`, `.durabilityUnknown`. Nothing is lost by any.
  /// - Complexity: O(segments + bytes moved).
  public func compact(
    _ options: CompactionOptions = CompactionOptions(), cancellation: Cancellation = Cancellation(),
    progress: (_ byteCount: Int, _ total: Int) -> Void = { _, _ in }
  ) throws(StoreError) -> CompactionSummary {
    try compact(
      options, timeoutSeconds: configuration.lockTimeoutSeconds, while: { true }, cancellation: cancellation,
      progress: progress)
  }

  /// Compacts until the reserve is whole again, or there is nothing more to be had. Best effort; not where somebody else
  /// compacts.
  /// - Throws: `.indexDamaged` only.
  func winReserveBack(_ cancellation: Cancellation) throws(StoreError) {
    var options = CompactionOptions()
    options.targetRatio = 1
    do throws(StoreError) {
      _ = try compact(
        options, timeoutSeconds: 0,
        while: {
          reserve.refill()
          return !reserve.isWhole
        }, cancellation: cancellation, progress: { _, _ in })
    } catch  where error.code != .indexDamaged {}
    reserve.refill()
  }

  private func compact(
    _ options: CompactionOptions, timeoutSeconds: Double, while isWanted: () -> Bool, cancellation: Cancellation,
    progress: (_ byteCount: Int, _ total: Int) -> Void
  ) throws(StoreError) -> CompactionSummary {
    guard options.targetRatio >= 1 else {
      throw StoreError(.invalidArgument, "a target of \(options.targetRatio): a store takes at least what is alive")
    }
    let lock = try locks.acquire(
      .compaction, .exclusive, timeoutSeconds: timeoutSeconds, cancellation: cancellation)
    try cancellation.check()
    guard let lock else {
      throw StoreError(
        .busy, "the store is being compacted: waited \(timeoutSeconds) s for the end of that",
        advice: "try again, or wait longer with --lock-timeout")
    }
    defer { withExtendedLifetime(lock) {} }
    do throws(StoreError) {
      return try compactLocked(options, while: isWanted, cancellation, progress)
    } catch  where error.code == .cancelled {
      throw StoreError(.cancelled, "interrupted; what was moved stays moved")
    }
  }

  private func compactLocked(
    _ options: CompactionOptions, while isWanted: () -> Bool, _ cancellation: Cancellation,
    _ progress: (_ byteCount: Int, _ total: Int) -> Void
  ) throws(StoreError) -> CompactionSummary {
    let session = try reserve.lend { () throws(StoreError) in try writerSession() }
    try session.checkUsable()
    // With room for all of it this is no full disk any more.
    reserve.refill()
    var summary = CompactionSummary()
    var plan = try CompactionPlan(self)
    summary.diskByteCountBefore = plan.diskByteCount
    let reclamation = Reclamation(store: self, perform: session.perform)
    try reserve.lend { () throws(StoreError) in try reclamation.removeEmptySegments(plan.empty) }
    summary.removedSegmentCount = plan.empty.count
    if !plan.empty.isEmpty { plan = try CompactionPlan(self) }
    let chosen = plan.chosen(ratio: options.targetRatio)
    let byteCounts = Dictionary(uniqueKeysWithValues: plan.candidates.map { ($0.segment, $0.liveByteCount) })
    let total = chosen.reduce(0) { $0 + (byteCounts[$1] ?? 0) }
    let compaction = Compaction(self, session, bytesPerSecond: options.bytesPerSecond, cancellation)
    if !chosen.isEmpty {
      try reserve.lend { () throws(StoreError) in try compaction.claim(chosen) }
      try compaction.run(while: isWanted) { victim in progress(byteCounts[victim] ?? 0, total) }
    }
    summary.removedSegmentCount += compaction.removedSegmentCount
    summary.movedByteCount = compaction.movedByteCount
    let after = try CompactionPlan(self)
    summary.damagedSegments = compaction.damagedSegments.union(after.unreadable).sorted()
    (summary.diskByteCountAfter, summary.liveByteCount) = (after.diskByteCount, after.liveByteCount)
    return summary
  }
}
