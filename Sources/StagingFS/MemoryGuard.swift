import StorageIO

/// Whether the memory of the machine is looked at, beside the quota: a quota may be larger than what there is.
public enum MemoryGuard: Hashable, Sendable {
  case none
  /// Once, when the tree is made: the quota must be there.
  case atInit
  /// Also before each write, which must be there too; asked of the system once a second at most.
  case perWrite
}

/// Holds writes to the memory that the machine has.
final class MemoryWatch: Sendable {
  private struct State {
    var availableByteCount: Int?
    var askedNanoseconds: Int64
  }

  private static let intervalNanoseconds: Int64 = 1_000_000_000

  private let asksPerWrite: Bool
  private let ask: @Sendable () -> Int?
  private let state: Monitor<State>

  /// - Parameter available: asked for the memory of the machine; a system that does not say has enough.
  /// - Throws: `.memoryShortage` when the quota is larger than that.
  init(
    _ memoryGuard: MemoryGuard, quotaByteCount: Int, available: @escaping @Sendable () -> Int?
  ) throws(StagingError) {
    asksPerWrite = memoryGuard == .perWrite
    ask = available
    let found = memoryGuard == .none ? nil : available()
    state = Monitor(State(availableByteCount: found, askedNanoseconds: Clock.monotonicNanoseconds()))
    if let found, found < quotaByteCount {
      throw MemoryWatch.shortage("a quota of \(quotaByteCount) bytes", quotaByteCount, found)
    }
  }

  /// - Throws: `.memoryShortage` when the machine has fewer than `byteCount` bytes.
  func checkWrite(_ byteCount: Int) throws(StagingError) {
    guard asksPerWrite else { return }
    let now = Clock.monotonicNanoseconds()
    let isOld = state.withLock { state in
      guard now - state.askedNanoseconds >= MemoryWatch.intervalNanoseconds else { return false }
      state.askedNanoseconds = now
      return true
    }
    if isOld {
      let found = ask()
      state.withLock { $0.availableByteCount = found }
    }
    guard let available = state.withLock({ $0.availableByteCount }), available < byteCount else { return }
    throw MemoryWatch.shortage("a write of \(byteCount) bytes", byteCount, available)
  }

  /// Has the next write ask the system again.
  func forget() { state.withLock { $0.askedNanoseconds = Int64.min / 2 } }

  private static func shortage(_ what: String, _ requested: Int, _ available: Int) -> StagingError {
    StagingError(
      .memoryShortage, requested: requested, available: available,
      "\(what): the machine has \(available) bytes of memory left")
  }
}
