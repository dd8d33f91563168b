import CommandSupport
import Console
import SegmentStore

/// What a verification prints: a line for each finding as it comes, and at the end what was checked.
final class VerifyReport {
  private(set) var findingCount = 0
  private var fileCount = 0
  private var partCount = 0
  private var segmentCount = 0
  private var byteCount = 0
  private var stoppedAt: VerificationPosition?
  private let context: CommandContext
  private let startSeconds = MonotonicClock.seconds()

  init(_ context: CommandContext) { self.context = context }

  /// Whether there is anything to say at the end.
  var hasChecked: Bool { fileCount > 0 || findingCount > 0 }

  var elapsedSeconds: Double { MonotonicClock.seconds() - startSeconds }

  func tell(_ event: VerificationEvent) {
    switch event {
    case .finding(let finding): add(FindingReport(finding))
    case .note(let note): context.output.notice(DisplayName.escaped(note))
    case .progress(let byteCount): context.progress.add(byteCount)
    case .reached: break
    }
  }

  func add(_ finding: FindingReport) { add(line: finding.text(isJSON: context.output.isJSON)) }

  /// Prints a finding that is a line already.
  func add(line: String) {
    findingCount += 1
    // What cannot be written is kept by the output, and thrown by the next check.
    do throws(CommandError) { try context.output.results(line + "\n") } catch { context.cancellation.cancel() }
  }

  func add(fileCount: Int, partCount: Int) {
    self.fileCount += fileCount
    self.partCount += partCount
  }

  /// - Parameter countsParts: false where the files and parts were counted in the index.
  func add(_ summary: VerificationSummary, countsParts: Bool) {
    if countsParts { add(fileCount: summary.fileCount, partCount: summary.partCount) }
    segmentCount += summary.segmentCount
    byteCount += summary.byteCount
    stoppedAt = summary.stoppedAt ?? stoppedAt
  }

  /// Prints what was checked.
  func finish() throws(CommandError) {
    let seconds = elapsedSeconds
    if context.output.isJSON {
      var members: [JSONValue.Member] = [
        .init("findings", .integer(Int64(findingCount))), .init("files", .integer(Int64(fileCount))),
        .init("parts", .integer(Int64(partCount))), .init("segments", .integer(Int64(segmentCount))),
        .init("bytes", .integer(Int64(byteCount))), .init("seconds", .double(seconds)),
        .init("complete", .bool(stoppedAt == nil)),
      ]
      if let stoppedAt { members.append(.init("stopped_at_segment", .unsignedInteger(stoppedAt.segment.rawValue))) }
      return try context.output.result(.object(members))
    }
    let damage = findingCount == 0 ? "no damage" : "\(findingCount) \(findingCount == 1 ? "finding" : "findings")"
    let tenths = Int((seconds * 10).rounded())
    let stop = stoppedAt.map { "; stopped at segment \($0.segment), as its time was over" } ?? ""
    try context.output.results(
      "checked \(fileCount) files, \(partCount) parts, \(ByteSize.text(byteCount)) in \(tenths / 10).\(tenths % 10) s: "
        + "\(damage)\(stop)\n")
  }
}
