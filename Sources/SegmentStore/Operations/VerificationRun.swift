import StorageIO

/// What the steps of one verification share. Belongs to the thread that asked for it.
final class VerificationRun {
  let store: Store
  let options: VerificationOptions
  let cancellation: Cancellation
  var summary = VerificationSummary()
  var pace: Pace
  private let tell: (VerificationEvent) -> Void
  private var heldBackAt: SegmentID?

  init(
    _ store: Store, _ options: VerificationOptions, _ cancellation: Cancellation,
    _ tell: @escaping (VerificationEvent) -> Void
  ) {
    self.store = store
    self.options = options
    self.cancellation = cancellation
    pace = Pace(bytesPerSecond: options.bytesPerSecond, maximumSeconds: options.maximumSeconds)
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
    if let heldBackAt, heldBackAt <= position.segment {
      tell(.reached(VerificationPosition(segment: heldBackAt, offset: 0)))
    } else {
      tell(.reached(position))
    }
  }

  /// Notes that there is more to be done about a segment, or with nil that all has been done.
  func holdBack(at segment: SegmentID?) { heldBackAt = segment.map { min($0, heldBackAt ?? $0) } }
}
