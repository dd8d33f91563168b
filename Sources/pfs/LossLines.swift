import CommandSupport
import SegmentStore

/// What is damaged of a file, for people and for programs.
struct LossLines {
  /// A file can have as many losses as parts: more than these would hide what else is said.
  private static let lineCount = 100

  let report: LossReport

  init(_ report: LossReport) { self.report = report }

  /// The damaged parts of a file that was not restored; none where the error names the only one.
  var damage: [String] {
    guard report.losses.count > 1 else { return [] }
    return lines { loss in "bytes \(LossLines.bytes(loss)): part \(loss.partNumber): \(loss.reason)" }
  }

  /// What of a salvaged file is lost or cannot be vouched for.
  var salvage: [String] {
    lines { loss in "bytes \(LossLines.bytes(loss)) \(loss.kind.rawValue): part \(loss.partNumber): \(loss.reason)" }
  }

  /// In one line, how much it is.
  func summary(byteCount: Int) -> String {
    "\(report.lostByteCount) of \(byteCount) bytes are lost, \(report.unverifiedByteCount) are there but unverified; "
      + "all others are intact"
  }

  var members: [JSONValue.Member] {
    [
      .init("lost_bytes", .integer(Int64(report.lostByteCount))),
      .init("unverified_bytes", .integer(Int64(report.unverifiedByteCount))),
      .init("losses", .array(report.losses.map(LossLines.json))),
      .init("losses_omitted", .integer(Int64(report.omittedCount))),
    ]
  }

  private func lines(_ line: (PartLoss) -> String) -> [String] {
    let lines = report.losses.prefix(LossLines.lineCount).map { DisplayName.escaped(line($0)) }
    let restCount = report.losses.count + report.omittedCount - lines.count
    return restCount == 0 ? lines : lines + ["and \(restCount) more"]
  }

  /// First and last byte.
  private static func bytes(_ loss: PartLoss) -> String {
    "\(loss.byteRange.lowerBound)-\(loss.byteRange.upperBound - 1)"
  }

  private static func json(_ loss: PartLoss) -> JSONValue {
    .object([
      .init("first", .integer(Int64(loss.byteRange.lowerBound))),
      .init("last", .integer(Int64(loss.byteRange.upperBound - 1))),
      .init("status", .string(loss.kind.rawValue)),
      .init("part", .integer(Int64(loss.partNumber))),
      .init("segment", loss.segment.map { .unsignedInteger($0.rawValue) } ?? .null),
      .init("offset", loss.offsetInSegment.map { .integer(Int64($0)) } ?? .null),
      .init("reason", .string(DisplayName.escaped(loss.reason))),
    ])
  }
}
