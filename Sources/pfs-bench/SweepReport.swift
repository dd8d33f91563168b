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
  var text: String { circumstances + "\n" + table + "\n" + verdicts }

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

  private var table: String {
    var formatter = TableFormatter(columns: [
      TableFormatter.Column("limit"), TableFormatter.Column("put MB/s", .right),
      TableFormatter.Column("of bare", .right), TableFormatter.Column("get MB/s", .right),
      TableFormatter.Column("of bare", .right), TableFormatter.Column("peak RssAnon MiB", .right),
      TableFormatter.Column("limit + 16 MiB"),
    ])
    let rows = result.limits.map { limit in
      let peak = result.peakAnonymousByteCount(at: limit)
      let isWithin = peak <= limit.byteCount + SweepResult.anonymousAllowanceByteCount
      return [
        limit.text, speed(result.speed(.put, at: limit)), share(result.shareOfBare(.put, at: limit)),
        speed(result.speed(.get, at: limit)), share(result.shareOfBare(.get, at: limit)),
        FixedPoint.mebibytes(peak), isWithin ? "kept" : "exceeded",
      ]
    }
    let bareRow = ["bare zlib", speed(result.bareSpeed(.put)), "", speed(result.bareSpeed(.get)), "", "", ""]
    return formatter.lines(for: rows + [bareRow])
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
