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
    var reservedByteCount = 0

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
  /// - Throws: `.cancelled`, noticed ten times a second; `.io` when the system has no memory; `.memoryLimitTooSmall` when
  ///   so much was reserved since the operation was planned that there can never be room.
  func lease(_ byteCount: Int, _ cancellation: Cancellation = Cancellation()) throws(StoreError) -> MemoryLease {
    precondition(byteCount <= limitByteCount, "\(byteCount) bytes wanted of \(limitByteCount)")
    guard byteCount <= unreservedByteCount else { throw MemoryPlan.tooSmall(unreservedByteCount, byteCount) }
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

  /// Takes `byteCount` bytes for somebody who keeps them long and is no operation; waits for its turn, as a lease does.
  /// - Returns: Nil when it would be more than ``reservableByteCount(leaving:)``.
  func reserve(_ byteCount: Int, leaving smallestByteCount: Int) -> MemoryReservation? {
    let ticket = state.withLock { state -> UInt64? in
      guard byteCount <= reservableByteCount(state, smallestByteCount) else { return nil }
      state.setAsideByteCount += byteCount
      state.reservedByteCount += byteCount
      state.nextTicket += 1
      state.queue.append(state.nextTicket)
      return state.nextTicket
    }
    guard let ticket else { return nil }
    state.wait { state -> Void? in
      guard state.queue.first == ticket, hasRoom(for: byteCount, state) else { return nil }
      state.queue.removeFirst()
      state.leasedByteCount += byteCount
      dropKept(&state)
      return ()
    }
    return MemoryReservation(self, byteCount)
  }

  /// What can be reserved. At least as much remains for operations: those that were planned before hold no more than that at
  /// a time.
  func reservableByteCount(leaving smallestByteCount: Int) -> Int {
    state.withLock { reservableByteCount($0, smallestByteCount) }
  }

  private func reservableByteCount(_ state: State, _ smallestByteCount: Int) -> Int {
    let unreserved = limitByteCount - state.setAsideByteCount
    return max(0, min(unreserved / 2, unreserved - smallestByteCount))
  }

  /// Of what was set aside, what was reserved.
  var reservedByteCount: Int { state.withLock { $0.reservedByteCount } }

  fileprivate func endReservation(_ byteCount: Int) {
    state.withLock { state in
      state.setAsideByteCount -= byteCount
      state.reservedByteCount -= byteCount
      state.leasedByteCount -= byteCount
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
    dropKept(&state)
    return region
  }

  private func dropKept(_ state: inout State) {
    while !state.kept.isEmpty && state.leasedByteCount + state.keptByteCount > limitByteCount {
      state.kept.removeFirst()
    }
    state.peakByteCount = max(state.peakByteCount, state.leasedByteCount + state.keptByteCount)
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

/// Memory of a store that somebody else uses as long as this lives: a staging tree.
package final class MemoryReservation: Sendable {
  package let byteCount: Int
  private let budget: MemoryBudget

  fileprivate init(_ budget: MemoryBudget, _ byteCount: Int) {
    self.budget = budget
    self.byteCount = byteCount
  }

  deinit { budget.endReservation(byteCount) }
}

extension Store {
  /// Takes `byteCount` bytes from what the operations of this process may use; waits for memory that is in use.
  /// - Returns: Nil when the store can spare ``reservableMemoryByteCount`` only.
  package func reserveMemory(_ byteCount: Int) -> MemoryReservation? {
    budget.reserve(byteCount, leaving: smallestMemoryByteCount)
  }

  /// The most that a staging tree can take of the memory limit now.
  public var reservableMemoryByteCount: Int { budget.reservableByteCount(leaving: smallestMemoryByteCount) }

  /// What a batch of one part takes.
  private var smallestMemoryByteCount: Int {
    let partByteCount = superblock.partByteCount
    return partByteCount + PutOptions().workspaceByteCount(partByteCount: partByteCount)
      + writeScratchByteCount(partByteCount: partByteCount)
  }
}
