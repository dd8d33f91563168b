import StorageIO
import Synchronization

/// Many readers or one writer of an object, with a time to wait. Free, it costs one atomic operation.
///
/// Readers do not wait for a writer that waits: a thread may read an object that it is reading. A writer that finds no gap
/// between readers gives up when its time is over.
final class BorrowLock: Sendable {
  /// -1 for a writer, else the number of readers.
  private let holders = Atomic(0)
  private let waiterCount = Atomic(0)
  /// Shared by all objects of a store: waiting is rare.
  private let gate: Monitor<Void>

  init(gate: Monitor<Void>) { self.gate = gate }

  /// - Returns: False when a writer still has it after `seconds`.
  func lockForReading(seconds: Double) -> Bool {
    acquire(seconds: seconds) { holders in holders >= 0 ? holders + 1 : nil }
  }

  /// - Returns: False when somebody still has it after `seconds`.
  func lockForWriting(seconds: Double) -> Bool {
    acquire(seconds: seconds) { holders in holders == 0 ? -1 : nil }
  }

  func unlockReading() {
    holders.subtract(1, ordering: .sequentiallyConsistent)
    wakeWaiters()
  }

  func unlockWriting() {
    holders.store(0, ordering: .sequentiallyConsistent)
    wakeWaiters()
  }

  /// A waiter counts itself before it looks: so it either sees what was let go, or is counted here.
  private func wakeWaiters() {
    if waiterCount.load(ordering: .sequentiallyConsistent) > 0 { gate.withLock { _ in } }
  }

  private func acquire(seconds: Double, _ next: (Int) -> Int?) -> Bool {
    if attempt(next) { return true }
    waiterCount.add(1, ordering: .sequentiallyConsistent)
    defer { waiterCount.subtract(1, ordering: .sequentiallyConsistent) }
    return gate.wait(seconds: seconds) { _ in attempt(next) ? true : nil } ?? false
  }

  private func attempt(_ next: (Int) -> Int?) -> Bool {
    var current = holders.load(ordering: .sequentiallyConsistent)
    while let wanted = next(current) {
      let (exchanged, original) = holders.compareExchange(
        expected: current, desired: wanted, ordering: .sequentiallyConsistent)
      if exchanged { return true }
      current = original
    }
    return false
  }
}
