import StorageIO

/// What the steps of one verification share. Belongs to the thread that asked for it.
final class VerificationRun {
  let store: Store
  let options: VerificationOptions
  let cancellation: Cancellation
  var summary = VerificationSummary()
  var pace: VerificationPace
  private let tell: (VerificationEvent) -> Void
  private var heldBackAt: SegmentID?

  init(
    _ store: Store, _ options: VerificationOptions, _ cancellation: Cancellation,
    _ tell: @escaping (VerificationEvent) -> Void
  ) {
    self.store = store
    self.options = options
    self.cancellation = cancellation
    pace = VerificationPace(options)
    self.tell = tell
  }

  func report(_ finding: Finding) {
    summary.findingCount += 1
    tell(.finding(finding))
  }

  func note(_ text: String) { tell(.note(text)) }

  /// Says that so many bytes of records more were checked; without any, that it is still at work.
  func advance(_ byteCount: Int = 0) {
    summary.byteCount += byteCount
    tell(.progress(byteCount))
  }

  /// Says that all before `position` was checked; but not more than has been settled.
  func reached(_ position: VerificationPosition) {
    if let heldBackAt, heldBackAt < position.segment {
      tell(.reached(VerificationPosition(segment: heldBackAt, offset: 0)))
    } else {
      tell(.reached(position))
    }
  }

  /// Notes that there is more to be done about a segment, or with nil that all has been done.
  func holdBack(at segment: SegmentID?) { heldBackAt = segment.map { min($0, heldBackAt ?? $0) } }
}

/// How fast a verification may read, and for how long.
struct VerificationPace {
  private let bytesPerSecond: Int?
  private let deadline: Int64?
  /// When what was read so far would have been read at the rate that is allowed.
  private var paidAt = Clock.monotonicNanoseconds()
  private let sleeper = Monitor(())

  /// A wait is cut into pieces, so that a cancellation is noticed.
  private static let sliceSeconds = 0.1

  init(_ options: VerificationOptions) {
    bytesPerSecond = options.bytesPerSecond
    deadline = options.maximumSeconds.map { Clock.monotonicNanoseconds() + Int64(min($0, 1e9) * 1e9) }
  }

  /// Whether the time is over.
  var isOver: Bool { deadline.map { Clock.monotonicNanoseconds() >= $0 } ?? false }

  /// Waits until `byteCount` bytes more may be read, or the time is over.
  mutating func wait(for byteCount: Int, _ cancellation: Cancellation) throws(StoreError) {
    try cancellation.check()
    guard let bytesPerSecond else { return }
    while !isOver {
      let now = Clock.monotonicNanoseconds()
      if now >= paidAt { break }
      _ = sleeper.wait(seconds: min(VerificationPace.sliceSeconds, Double(paidAt - now) / 1e9)) { _ in nil as Bool? }
      try cancellation.check()
    }
    paidAt = max(paidAt, Clock.monotonicNanoseconds()) + Int64(Double(byteCount) / Double(bytesPerSecond) * 1e9)
  }
}
