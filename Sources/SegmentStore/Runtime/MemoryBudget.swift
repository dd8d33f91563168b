import Mutants
import StorageIO

/// The memory that all operations of a process share: the only place where anything waits for memory.
///
/// First come, first served. A lease is taken in one piece for all that a batch needs, and nobody waits here while it
/// holds one: so no two can wait for each other. Regions that were given back are kept for the next lease of their
/// size, and dropped when room is needed; what is leased and what is kept together never exceed the limit.
final class MemoryBudget: Sendable {
  private struct State {
    var leasedByteCount = 0
    var kept: [MemoryRegion] = []
    /// Tickets of those who wait, in the order in which they came.
    var queue: [UInt64] = []
    var nextTicket: UInt64 = 0
    var peakByteCount = 0
    var setAsideByteCount = 0

    var keptByteCount: Int { kept.reduce(0) { $0 + $1.byteCount } }
  }

  let limitByteCount: Int
  private let state = Monitor(State())

  init(limitByteCount: Int) { self.limitByteCount = limitByteCount }

  /// The most that was leased and kept at any moment.
  var peakByteCount: Int { state.withLock { $0.peakByteCount } }

  /// What is leased now.
  var leasedByteCount: Int { state.withLock { $0.leasedByteCount } }

  /// What one lease can have at most: all that was not set aside.
  var unreservedByteCount: Int { limitByteCount - state.withLock { $0.setAsideByteCount } }

  /// How many wait.
  var waitingCount: Int { state.withLock { $0.queue.count } }

  /// Waits for `byteCount` bytes. The caller must hold no lease.
  /// - Parameter byteCount: at most the limit; the plan of an operation sees to that.
  /// - Throws: `.cancelled`, noticed ten times a second; `.io` when the system has no memory.
  func lease(_ byteCount: Int, _ cancellation: Cancellation = Cancellation()) throws(StoreError) -> MemoryLease {
    precondition(byteCount <= limitByteCount, "\(byteCount) bytes wanted of \(limitByteCount)")
    let ticket = state.withLock { state in
      state.nextTicket += 1
      state.queue.append(state.nextTicket)
      return state.nextTicket
    }
    while true {
      let region = state.wait(seconds: 0.1) { state -> MemoryRegion?? in
        guard state.queue.first == ticket, hasRoom(for: byteCount, state) else { return nil }
        state.queue.removeFirst()
        return .some(take(byteCount, &state))
      }
      if let region { return try makeLease(byteCount, region) }
      if cancellation.isCancelled {
        state.withLock { state in state.queue.removeAll { $0 == ticket } }
        try cancellation.check()
      }
    }
  }

  private func hasRoom(for byteCount: Int, _ state: State) -> Bool {
    state.leasedByteCount + byteCount <= limitByteCount || Mutant.ignoreMemoryLimit.isActive
  }

  /// The lease if it can be had at once and nobody waits; nil otherwise.
  func leaseIfFree(_ byteCount: Int) throws(StoreError) -> MemoryLease? {
    let region = state.withLock { state -> MemoryRegion?? in
      guard state.queue.isEmpty, hasRoom(for: byteCount, state) else { return nil }
      return .some(take(byteCount, &state))
    }
    guard let region else { return nil }
    return try makeLease(byteCount, region)
  }

  /// Sets `byteCount` bytes aside for as long as the budget lives: the state of codecs.
  func setAside(_ byteCount: Int) {
    state.withLock { state in
      state.leasedByteCount += byteCount
      state.setAsideByteCount += byteCount
      state.peakByteCount = max(state.peakByteCount, state.leasedByteCount)
    }
  }

  fileprivate func giveBack(_ region: MemoryRegion) {
    state.withLock { state in
      state.leasedByteCount -= region.byteCount
      state.kept.append(region)
    }
  }

  /// Counts the lease and finds a kept region for it; kept ones that stand in the way are dropped.
  private func take(_ byteCount: Int, _ state: inout State) -> MemoryRegion? {
    state.leasedByteCount += byteCount
    var region: MemoryRegion?
    if let position = state.kept.firstIndex(where: { $0.byteCount == byteCount }) {
      region = state.kept.remove(at: position)
    }
    while !state.kept.isEmpty && state.leasedByteCount + state.keptByteCount > limitByteCount {
      state.kept.removeFirst()
    }
    state.peakByteCount = max(state.peakByteCount, state.leasedByteCount + state.keptByteCount)
    return region
  }

  private func makeLease(_ byteCount: Int, _ kept: MemoryRegion?) throws(StoreError) -> MemoryLease {
    if let kept { return MemoryLease(self, kept) }
    do throws(SystemCallFailure) {
      return MemoryLease(self, try MemoryRegion(byteCount: byteCount))
    } catch {
      state.withLock { $0.leasedByteCount -= byteCount }
      throw StoreError(error)
    }
  }
}

/// Memory that belongs to one batch; given back when the last reference goes.
final class MemoryLease: Sendable {
  let region: MemoryRegion
  private let budget: MemoryBudget

  fileprivate init(_ budget: MemoryBudget, _ region: MemoryRegion) {
    self.budget = budget
    self.region = region
  }

  deinit { budget.giveBack(region) }
}
