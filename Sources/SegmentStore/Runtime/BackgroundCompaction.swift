import StorageIO

/// Compacts a store behind those who delete, when enough has died for a look, and a look says that much of the disk is dead.
final class BackgroundCompaction: Sendable {
  private struct State {
    var deadByteCount = 0
    var isRunning = false
  }

  private let state = Monitor(State())
  private let thread = SpaceThread()
  private let cancellation = Cancellation()

  /// A look is taken each time this much has died; or a segment, where that is more.
  private static let leastByteCount = 16 << 20
  /// The store is compacted when it takes more than this for each byte that is alive, and a segment a writing thread.
  private static let ratio = 1.2
  /// And then down to this.
  private static let targetRatio = 1.1

  /// Notes that files of so many stored bytes were deleted. Waits for nothing.
  func note(_ deadByteCount: Int, in store: Store) {
    guard store.configuration.compactsInBackground else { return }
    let bound = max(BackgroundCompaction.leastByteCount, store.superblock.segmentByteCount)
    let isDue = state.withLock { state in
      state.deadByteCount += deadByteCount
      guard state.deadByteCount >= bound, !state.isRunning else { return false }
      (state.deadByteCount, state.isRunning) = (0, true)
      return true
    }
    guard isDue else { return }
    let (state, cancellation) = (state, cancellation)
    thread.run {
      // What keeps it from running now, such as a compaction of another process, will have passed another time.
      do throws(StoreError) { try BackgroundCompaction.compact(store, cancellation) } catch {}
      state.withLock { $0.isRunning = false }
    }
  }

  /// Stops what runs, and waits for that.
  func close() {
    cancellation.cancel()
    thread.close()
  }

  /// Waits for what runs. For tests.
  func wait() { thread.wait() }

  private static func compact(_ store: Store, _ cancellation: Cancellation) throws(StoreError) {
    let plan = try CompactionPlan(store)
    let allowance = store.workers.workerCount * store.superblock.segmentByteCount
    guard Double(plan.diskByteCount - allowance) > ratio * Double(plan.liveByteCount) else { return }
    var options = CompactionOptions()
    options.targetRatio = targetRatio
    _ = try store.compact(options, cancellation: cancellation)
  }
}
