import CommandSupport
import Console
import StorageIO

/// What a torture counted and found.
struct TortureReport: Sendable {
  let layer: String
  let seed: UInt64
  let machine: Machine
  let seconds: Double
  let caseCount: Int
  let figures: [(name: String, count: Int)]
  let violationCount: Int
  /// The first of them.
  let violations: [Violation]

  var text: String {
    var lines = [
      "torture \(layer): seed \(seed), \(FixedPoint.text(seconds, decimals: 1)) s, \(machine.fileSystem), "
        + "\(machine.processorCount) processors, Linux \(machine.kernel)"
    ]
    lines += figures.map { figure in "  \(figure.name): \(figure.count)" }
    if !violations.isEmpty {
      let isAll = violations.count == violationCount
      lines.append(isAll ? "All violations again:" : "The first \(violations.count) violations again:")
      lines += violations.map { violation in "\(violation)" }
    }
    lines.append(TortureReport.text(violationCount: violationCount))
    return lines.joined(separator: "\n") + "\n"
  }

  static func text(violationCount: Int) -> String { "\(violationCount) violation\(violationCount == 1 ? "" : "s")" }

  var json: JSONValue {
    [
      "benchmark": "torture", "format": 1, "layer": .string(layer), "seed": .unsignedInteger(seed),
      "machine": machine.json, "seconds": .double(seconds), "cases": .integer(Int64(caseCount)),
      "figures": .object(figures.map { figure in JSONValue.Member(figure.name, .integer(Int64(figure.count))) }),
      "violation_count": .integer(Int64(violationCount)),
      "violations": .array(
        violations.map { violation in
          [
            "kind": .string(violation.kind.rawValue), "message": .string(violation.message),
            "replay": .string(violation.replay),
          ]
        }),
    ]
  }

  /// Prints the report, and writes it to `output` too.
  func write(_ settings: TortureSettings, _ output: File?) throws(BenchFailure) {
    let bytes = json.serializedBytes + [UInt8(ascii: "\n")]
    if let output {
      try BenchFailure.translating { () throws(SystemCallFailure) in
        try output.truncate(to: 0)
        try output.write(bytes, at: 0)
        try output.sync()
      }
    }
    try BenchCommand.print(settings.printsJSON ? String(decoding: bytes, as: UTF8.self) : text)
  }
}
