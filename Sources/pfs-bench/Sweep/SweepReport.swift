import CommandSupport
import StorageIO

/// A sweep's result with its circumstances, for people and for programs.
struct SweepReport: BenchReport {
  let settings: SweepSettings
  let result: SweepResult
  let circumstances: Circumstances

  /// The result as tables and verdicts.
  var text: String {
    circumstances.text(input: input) + "\n" + table + "\n" + verdicts
      + Circumstances.quietness(othersShare: othersShare)
  }

  var othersShare: Double { result.othersShare(processorCount: circumstances.machine.processorCount) }

  private var input: String {
    let source =
      settings.input.map { "'\(DisplayName.escaped($0.bytes))'" }
      ?? "generated (\(settings.corpus.rawValue), seed \(settings.common.seed))"
    return "\(result.inputByteCount) bytes, \(source)"
  }

  /// A table for each direction, and one of memory.
  private var table: String {
    SweepStep.allCases.map(speedTable).joined(separator: "\n") + "\n" + memoryTable + "\n" + hardLimitTable
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

  /// MB/s and the most memory of each command where the kernel allows no more.
  private var hardLimitTable: String {
    if let reason = result.hardLimits.reason { return "under a hard limit of the kernel: not tried, \(reason)\n" }
    var formatter = TableFormatter(
      columns: [TableFormatter.Column("hard limit + 16 MiB")]
        + HardLimits.Step.allCases.map { TableFormatter.Column("\($0), s, peak MiB", .right) })
    return formatter.lines(
      for: result.limits.map { limit in
        [limit.text]
          + HardLimits.Step.allCases.map { step in
            guard let sample = result.hardLimit(step, at: limit) else { return "-" }
            if !sample.isDone { return "failed" }
            let peak = sample.peakByteCount.map { FixedPoint.mebibytes($0) } ?? "-"
            return "\(FixedPoint.text(sample.figures.wallSeconds, decimals: 2)), \(peak)"
          }
      })
  }

  private var verdicts: String {
    var text = ""
    for verdict in result.verdicts {
      let (value, bound): (String, String) =
        switch verdict.unit {
        case "ratio": (FixedPoint.percent(verdict.value), "at least \(FixedPoint.percent(verdict.bound))")
        case "commands": ("\(Int(verdict.value))", "of \(Int(verdict.bound))")
        default:
          (
            "\(FixedPoint.mebibytes(Int(verdict.value))) MiB", "at most \(FixedPoint.mebibytes(Int(verdict.bound))) MiB"
          )
        }
      text += "\(verdict.isMet ? "met   " : "missed")  \(verdict.limit): \(verdict.target): \(value) (\(bound))\n"
    }
    return text
  }

  private func speed(_ spread: Spread?) -> String { spread?.text(decimals: 1) ?? "-" }

  private func share(_ spread: Spread?) -> String { spread?.text(decimals: 3) ?? "-" }
}
