import CommandSupport
import StorageIO

/// A sweep's result with its circumstances, for people and for programs.
struct SweepReport: Sendable {
  let settings: SweepSettings
  let result: SweepResult
  let machine: Machine
  let pfsVersion: String
  let startedNanoseconds: Int64

  /// The result as tables and verdicts.
  var text: String { circumstances + "\n" + table + "\n" + verdicts + quietness }

  /// More than this taken by others makes speeds, and ratios of speeds, a matter of chance.
  private static let quietShare = 0.05

  private var quietness: String {
    let share = result.othersShare(processorCount: machine.processorCount)
    let advice = share > SweepReport.quietShare ? ": too much for figures of speed; measure when nothing else runs" : ""
    return "\nothers took \(FixedPoint.percent(share)) of the machine meanwhile\(advice)\n"
  }

  private var circumstances: String {
    let source =
      settings.input.map { "'\(DisplayName.escaped($0.bytes))'" }
      ?? "generated (\(settings.corpus.rawValue), seed \(settings.seed))"
    let libraries = settings.libraries.map { "\($0.name) \($0.version)" }
    let versions = [pfsVersion] + libraries + (settings.commit.map { ["commit \($0)"] } ?? [])
    let started = CalendarTime(nanosecondsSinceEpoch: startedNanoseconds).rfc3339
    return """
      \(started): \(machine.processor), \(machine.processorCount) processors, \
      \(ByteSize.text(machine.memoryByteCount)); Linux \(machine.kernel); \(machine.fileSystem)
      \(versions.joined(separator: ", "))
      input \(result.inputByteCount) bytes, \(source); \(settings.workerCount) workers; \
      \(settings.runCount) runs; median [least..most]; MB = 1,000,000 bytes

      """
  }

  /// A table for each direction, and one of memory.
  private var table: String {
    SweepStep.allCases.map(speedTable).joined(separator: "\n") + "\n" + memoryTable
  }

  private func speedTable(_ step: SweepStep) -> String {
    var formatter = TableFormatter(columns: [
      TableFormatter.Column("\(step)"), TableFormatter.Column("MB/s", .right),
      TableFormatter.Column("speed, bare = 1", .right), TableFormatter.Column("processor time, bare / pfs", .right),
    ])
    let rows = result.limits.map { limit in
      [
        limit.text, speed(result.speed(step, at: limit)), share(result.shareOfBare(step, at: limit)),
        share(result.processorShareOfBare(step, at: limit)),
      ]
    }
    return formatter.lines(for: rows + [["bare zlib", speed(result.bareSpeed(step))]])
  }

  private var memoryTable: String {
    var formatter = TableFormatter(columns: [
      TableFormatter.Column("memory"), TableFormatter.Column("peak RssAnon MiB", .right),
      TableFormatter.Column("limit + 16 MiB", .right),
    ])
    return formatter.lines(
      for: result.limits.map { limit in
        [
          limit.text, FixedPoint.mebibytes(result.peakAnonymousByteCount(at: limit)),
          FixedPoint.mebibytes(limit.byteCount + SweepResult.anonymousAllowanceByteCount),
        ]
      })
  }

  private var verdicts: String {
    var text = ""
    for verdict in result.verdicts {
      let isRatio = verdict.unit == "ratio"
      let value = isRatio ? FixedPoint.percent(verdict.value) : FixedPoint.mebibytes(Int(verdict.value)) + " MiB"
      let bound =
        isRatio
        ? "at least \(FixedPoint.percent(verdict.bound))"
        : "at most \(FixedPoint.mebibytes(Int(verdict.bound))) MiB"
      text += "\(verdict.isMet ? "met   " : "missed")  \(verdict.limit): \(verdict.target): \(value) (\(bound))\n"
    }
    return text
  }

  private func speed(_ spread: Spread?) -> String {
    guard let spread else { return "-" }
    let (least, most) = (FixedPoint.text(spread.minimum, decimals: 1), FixedPoint.text(spread.maximum, decimals: 1))
    return "\(FixedPoint.text(spread.median, decimals: 1)) [\(least)..\(most)]"
  }

  private func share(_ spread: Spread?) -> String {
    guard let spread else { return "-" }
    let (least, most) = (FixedPoint.text(spread.minimum, decimals: 3), FixedPoint.text(spread.maximum, decimals: 3))
    return "\(FixedPoint.text(spread.median, decimals: 3)) [\(least)..\(most)]"
  }
}
