import SegmentStore
import StorageIO

/// A store for compactions: large files with very small ones between them, some of which are deleted.
///
/// What a delete can punch out gives its space back at once and leaves nothing for a compaction. What is smaller than a
/// page and stands alone does not, and everything around it has to move.
final class ThinnedStore: Sendable {
  /// Behind each large file, of which each round deletes one: more of a segment than a compaction leaves alone.
  private static let smallPerLargeCount = 8
  private static let largeByteCount = 96 << 10
  /// Less than a page, its header included.
  private static let smallByteCount = 3 << 10

  let store: ChurnedStore
  private let run: BenchRun
  private let large: FilePath
  private let small: FilePath
  private let largeCount: Int
  private let state = Monitor(State())

  private struct State {
    var large: [StoredFile] = []
    /// By the number among those that belong to one large file.
    var small: [[StoredFile]] = []
    var round = 0
  }

  init(_ settings: ChurnSettings, _ run: BenchRun) throws(BenchFailure) {
    self.run = run
    store = try ChurnedStore("thinned", settings, run)
    large = try run.makeSource("thinned-large", byteCount: ThinnedStore.largeByteCount)
    small = try run.makeSource("thinned-small", byteCount: ThinnedStore.smallByteCount)
    largeCount =
      settings.liveByteCount
      / (ThinnedStore.largeByteCount + ThinnedStore.smallPerLargeCount * ThinnedStore.smallByteCount)
    try fill()
  }

  func remove() throws(BenchFailure) {
    try store.remove()
    try run.workspace.remove("thinned-large", "thinned-small")
  }

  /// Deletes one in eight of the small files, the next ones each time; when all are gone, everything is made anew.
  func thinOut() throws(BenchFailure) {
    var round = state.withLock { $0.round }
    if round == ThinnedStore.smallPerLargeCount {
      try store.delete(state.withLock { $0.large })
      try fill()
      round = 0
    }
    try store.delete(state.withLock { $0.small[round] })
    let next = round + 1
    state.withLock { $0.round = next }
  }

  private func fill() throws(BenchFailure) {
    state.withLock { state in
      state = State()
      state.small = Array(repeating: [], count: ThinnedStore.smallPerLargeCount)
    }
    try ParallelWork.run(count: largeCount, workerCount: 8, { () throws(BenchFailure) in }) {
      [self] (_: Void, number) throws(BenchFailure) in
      try run.interruption.check()
      let file = try store.put(large, as: "large \(number)")
      state.withLock { $0.large.append(file) }
      for smallNumber in 0..<ThinnedStore.smallPerLargeCount {
        let file = try store.put(small, as: "small \(number) \(smallNumber)")
        state.withLock { $0.small[smallNumber].append(file) }
      }
    }
  }
}
