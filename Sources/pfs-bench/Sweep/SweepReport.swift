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

  private func speed(_ spread: Spread?) -> String { spread?.text(decimals: 1) ?? "-" }

  private func share(_ spread: Spread?) -> String { spread?.text(decimals: 3) ?? "-" }
}
