import StorageIO

/// How long a call waits for a file that somebody else has open.
public enum LockTimeout: Hashable, Sendable {
  /// Until it is free.
  case unlimited
  /// Not at all.
  case zero
  case duration(Duration)
}

/// The moment at which waiting ends; one for all steps of a call.
struct Deadline {
  private enum Kind {
    case never, passed
    case at(nanoseconds: Int64)
  }

  private let kind: Kind
  /// For messages.
  private let timeout: LockTimeout

  init(_ timeout: LockTimeout) {
    self.timeout = timeout
    switch timeout {
    case .unlimited: kind = .never
    case .zero: kind = .passed
    case .duration(let duration):
      let nanoseconds = min(max(0, duration.totalSeconds), Deadline.longestSeconds) * 1e9
      kind = .at(nanoseconds: Clock.monotonicNanoseconds() + Int64(nanoseconds))
    }
  }

  /// Some thirty years.
  private static let longestSeconds = 1e9

  /// What is left; nil: no end.
  var remainingSeconds: Double? {
    switch kind {
    case .never: nil
    case .passed: 0
    case .at(let nanoseconds): max(0, Double(nanoseconds - Clock.monotonicNanoseconds()) / 1e9)
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
