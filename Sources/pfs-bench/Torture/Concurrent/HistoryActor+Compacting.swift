import SegmentStore
import StorageIO

/// Compactions in a history: nobody sees anything of them, and none is refused.
extension HistoryActor {
  /// Of all segments from which space can be had.
  /// - Parameter isSlow: So slowly that others come between its steps.
  func compact(isSlow: Bool) { note(HistoryActor.compact(store, isSlow: isSlow)) }

  private func note(_ compaction: Result<CompactionSummary, StoreError>) {
    switch compaction {
    case .success(let summary): movedByteCount += summary.movedByteCount
    case .failure(let error):
      violations.append((error.code == .busy ? .hang : .outcome, "compact: \(error.code): \(error.message)"))
    }
  }

  private static func compact(_ store: Store, isSlow: Bool) -> Result<CompactionSummary, StoreError> {
    var options = CompactionOptions()
    options.targetRatio = 1
    if isSlow { options.bytesPerSecond = HistoryActor.slowBytesPerSecond }
    do throws(StoreError) { return .success(try store.compact(options)) } catch { return .failure(error) }
  }

  private static let slowBytesPerSecond = 2 << 20

  /// A put that is waited for when all its parts are in segments, of which one at least has become full, and none is in the
  /// index. A compaction that comes then leaves those segments alone.
  func putBesideCompaction() throws(BenchFailure) {
    let (name, content, path) = (anyName(), content(), try largeSource(0))
    let stream = try BenchFailure.translating { () throws(SystemCallFailure) in try File.open(path) }
    let compaction = Monitor<Result<CompactionSummary, StoreError>?>(nil)
    let store = store
    var options = PutOptions()
    // So that it takes more than one segment.
    options.encoding = .stored
    let stored = options
    try record { () throws(StoreError) in
      let source = PutSource.confirmedStream(stream) { () throws(StoreError) in
        let result = HistoryActor.compact(store, isSlow: false)
        compaction.withLock { $0 = result }
      }
      return .added([self.stored(try store.put(source, as: try fileName(name), stored), name, content)])
    }
    if let result = compaction.withLock({ $0 }) { note(result) }
  }
}
