import StorageIO

/// How fast work on segments may go, and for how long.
struct Pace {
  private let bytesPerSecond: Int?
  private let deadline: Int64?
  /// When the work so far would have been done at the rate that is allowed.
  private var paidAt = Clock.monotonicNanoseconds()
  private let sleeper = Monitor(())

  /// A wait is cut into pieces, so that a cancellation is noticed.
  private static let sliceSeconds = 0.1

  /// - Parameters: nil: as fast as can be, and to the end.
  init(bytesPerSecond: Int?, maximumSeconds: Double? = nil) {
    self.bytesPerSecond = bytesPerSecond
    deadline = maximumSeconds.map { Clock.monotonicNanoseconds() + Int64(min($0, 1e9) * 1e9) }
  }

  /// Whether the time is over.
  var isOver: Bool { deadline.map { Clock.monotonicNanoseconds() >= $0 } ?? false }

  /// Waits until there may be work on `byteCount` bytes more, or the time is over.
  mutating func wait(for byteCount: Int, _ cancellation: Cancellation) throws(StoreError) {
    try cancellation.check()
    guard let bytesPerSecond else { return }
    while !isOver {
      let now = Clock.monotonicNanoseconds()
      if now >= paidAt { break }
      _ = sleeper.wait(seconds: min(Pace.sliceSeconds, Double(paidAt - now) / 1e9)) { _ in nil as Bool? }
      try cancellation.check()
    }
    paidAt = max(paidAt, Clock.monotonicNanoseconds()) + Int64(Double(byteCount) / Double(bytesPerSecond) * 1e9)
  }
}
