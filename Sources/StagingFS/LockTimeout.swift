import StorageIO

/// How long a call waits for a file that somebody else has open.
public enum LockTimeout: Hashable, Sendable {
  /// Until it is free.
  case unlimited
  /// Not at all.
  case zero
  case duration(Duration)
}

/// The moment at which waiting ends; one for all steps of a call, counted from the first that has to wait.
struct Deadline {
  private let timeout: LockTimeout
  private var nanoseconds: Int64?

  init(_ timeout: LockTimeout) { self.timeout = timeout }

  /// Some thirty years.
  private static let longestSeconds = 1e9

  /// What is left; nil: no end.
  mutating func remainingSeconds() -> Double? {
    switch timeout {
    case .unlimited: return nil
    case .zero: return 0
    case .duration(let duration):
      let now = Clock.monotonicNanoseconds()
      let end = nanoseconds ?? now + Int64(min(max(0, duration.totalSeconds), Deadline.longestSeconds) * 1e9)
      nanoseconds = end
      return max(0, Double(end - now) / 1e9)
    }
  }

  func error(_ path: String) -> StagingError {
    let waited =
      switch timeout {
      case .unlimited, .zero: ""
      case .duration(let duration): ", waited \(duration) for it"
      }
    return StagingError(.lockTimeout, "'\(path)': somebody has it open\(waited)")
  }
}

extension Duration {
  var totalSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
