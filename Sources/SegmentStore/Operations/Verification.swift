import LMDB
import StorageIO

/// Checking a store, and changing nothing.
extension Store {
  /// Checks that everything is as it must be: every value of the index and what they say of one another, every record
  /// that something needs against its checksum, every part against its MD5, the index against the segments both ways.
  ///
  /// Others may put, get and delete meanwhile: what they change is no damage. Damage is told as a finding and never
  /// thrown. Where the store was opened without its index, the segments are checked by themselves.
  /// - Parameter tell: called on this thread with what is found, as it is found.
  /// - Throws: `.cancelled`; `.io` when the directory of the store cannot be read; `.memoryLimitTooSmall`.
  /// - Complexity: reads all that is alive. Memory: a few numbers for each segment, and the batches.
  public func verify(
    _ options: VerificationOptions = VerificationOptions(), cancellation: Cancellation = Cancellation(),
    _ tell: @escaping (VerificationEvent) -> Void
  ) throws(StoreError) -> VerificationSummary {
    let run = VerificationRun(self, options, cancellation, tell)
    guard configuration.opensIndex else {
      if options.scope.contains(.segments) { try SegmentScanVerification(run).verify() }
      return run.summary
    }
    let index = try index
    if options.scope.contains(.index) { try IndexVerification(run, index).verify() }
    if options.scope.contains(.segments) { try SegmentVerification(run, index).verify() }
    return run.summary
  }

  /// Checks one file and all its parts, which cannot be deleted meanwhile.
  /// - Throws: `.notFound`, `.busy`, and as ``verify(_:cancellation:_:)``.
  public func verify(
    file id: FileID, _ options: VerificationOptions = VerificationOptions(),
    cancellation: Cancellation = Cancellation(), _ tell: @escaping (VerificationEvent) -> Void
  ) throws(StoreError) -> VerificationSummary {
    let run = VerificationRun(self, options, cancellation, tell)
    let index = try index
    let (lock, _) = try readLocked(id, cancellation)
    defer { withExtendedLifetime(lock) {} }
    let walk = IndexWalk(index: index, cancellation: cancellation, report: run.report, advance: { run.advance() })
    let check = try PartCheck(run, index)
    defer { check.abandon() }
    run.summary.fileCount = 1
    try walk.forEachPart(of: id) { (records) throws(StoreError) in
      for record in records {
        guard case .part(let part, let entry, let number) = record.content else { continue }
        run.summary.partCount += 1
        try check.add(CheckedPart(id: part, entry: entry, file: id, number: number))
      }
    }
    try check.finish()
    return run.summary
  }
}
