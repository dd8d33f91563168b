import StorageIO

/// Segment files that have no name any more, and whose blocks somebody may still have mapped.
///
/// Freeing the cached pages of a file takes the processor a quarter of a millisecond a MiB and more: so the workers help.
struct RemovedFiles {
  private struct State {
    var waiting: [File]
    var unfinishedCount: Int
    var failure: SystemCallFailure?
  }

  private let state: Monitor<State>
  private let count: Int

  /// Cut at once: a file system commits nothing of others while it is at it.
  private static let stepByteCount = 2 << 20

  init(_ files: [File]) {
    count = files.count
    state = Monitor(State(waiting: files, unfinishedCount: files.count))
  }

  /// Cuts all of them to nothing.
  func giveBack(with workers: WorkerPool) throws(SystemCallFailure) {
    let state = state
    for _ in 0..<max(0, min(workers.workerCount, count) - 1) {
      // Without help it takes longer: the pool of a store that is being closed takes no jobs.
      do throws(StoreError) { try workers.submit { _ in RemovedFiles.cut(state) } } catch { break }
    }
    RemovedFiles.cut(state)
    let failure = state.wait { $0.unfinishedCount == 0 ? .some($0.failure) : nil }
    if let failure { throw failure }
  }

  private static func cut(_ state: Monitor<State>) {
    while let file = state.withLock({ $0.waiting.popLast() }) {
      var failure: SystemCallFailure?
      do throws(SystemCallFailure) { try cut(file) } catch { failure = error }
      let failed = failure
      state.withLock { state in
        state.unfinishedCount -= 1
        state.failure = state.failure ?? failed
      }
    }
  }

  private static func cut(_ file: File) throws(SystemCallFailure) {
    var end = try file.status().byteCount
    while end > 0 {
      end = max(0, end - stepByteCount)
      try file.truncate(to: end)
    }
  }
}
