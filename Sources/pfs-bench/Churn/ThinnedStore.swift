import SegmentStore
import StorageIO

/// A store for compactions: large files with very small ones between them, some of which are deleted.
///
/// What a delete can punch out gives its space back at once and leaves nothing for a compaction. What is smaller than a
/// page and stands alone does not, and everything around it has to move.
final class ThinnedStore: Sendable {
  /// What lies in it, over and over: a large file, and small ones behind it, of which each round deletes one. That is more of
  /// a segment than a compaction leaves alone.
  struct Shape: Sendable {
    let largeByteCount: Int
    let smallPerLargeCount: Int
    let smallByteCount: Int

    /// Many records. The small files are less than a page, their headers included.
    static let manyFiles = Shape(largeByteCount: 96 << 10, smallPerLargeCount: 8, smallByteCount: 3 << 10)
    /// Few records: 64 large files in a segment. The small files are less than what is punched, also two side by side.
    static func largeFiles(_ settings: ChurnSettings) -> Shape {
      let byteCount = settings.segmentByteCount / 64
      return Shape(largeByteCount: byteCount, smallPerLargeCount: 2, smallByteCount: max(1, byteCount / 34))
    }
  }

  let store: ChurnedStore
  private let run: BenchRun
  private let shape: Shape
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

  init(_ settings: ChurnSettings, _ shape: Shape, _ run: BenchRun) throws(BenchFailure) {
    self.run = run
    self.shape = shape
    store = try ChurnedStore("thinned", settings, run)
    large = try run.makeSource("thinned-large", byteCount: shape.largeByteCount)
    small = try run.makeSource("thinned-small", byteCount: shape.smallByteCount)
    largeCount =
      settings.liveByteCount
      / (shape.largeByteCount + shape.smallPerLargeCount * shape.smallByteCount)
    try fill()
  }

  func remove() throws(BenchFailure) {
    try store.remove()
    try run.workspace.remove("thinned-large", "thinned-small")
  }

  /// Deletes one of the small files behind each large one, the next ones each time; when all are gone, everything is made anew.
  func thinOut() throws(BenchFailure) {
    var round = state.withLock { $0.round }
    if round == shape.smallPerLargeCount {
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
      state.small = Array(repeating: [], count: shape.smallPerLargeCount)
    }
    try ParallelWork.run(count: largeCount, workerCount: 8, { () throws(BenchFailure) in }) {
      [self] (_: Void, number) throws(BenchFailure) in
      try run.interruption.check()
      let file = try store.put(large, as: "large \(number)")
      state.withLock { $0.large.append(file) }
      for smallNumber in 0..<shape.smallPerLargeCount {
        let file = try store.put(small, as: "small \(number) \(smallNumber)")
        state.withLock { $0.small[smallNumber].append(file) }
      }
    }
  }
}
