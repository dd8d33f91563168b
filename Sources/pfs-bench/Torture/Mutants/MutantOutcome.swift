import CommandSupport
import Console

/// What a layer said of a mutant.
struct MutantOutcome: Sendable {
  /// What it saw first; nil when it saw nothing.
  let seen: String?
  let caseCount: Int
  let seconds: Double

  /// - Parameters:
  ///   - outcome: of `pfs-bench torture LAYER --json`.
  ///   - isReplay: whether it was told the one case that it is to try, which need not count as one.
  init(_ outcome: ChildProcess.Outcome, isReplay: Bool) {
    seconds = outcome.wallSeconds
    let report = String(decoding: outcome.standardOutput, as: UTF8.self)
    caseCount = MutantOutcome.number(after: "\"cases\":", in: report) ?? 0
    let lines = String(decoding: outcome.standardError, as: UTF8.self).split(separator: "\n").map(String.init)
    switch (outcome.exitStatus, outcome.signal) {
    case (0?, _) where caseCount > 0 || isReplay: seen = nil
    case (0?, _): seen = "stopped: it tried nothing"
    case (3?, _): seen = lines.first { MutantOutcome.isViolation($0) } ?? "a violation"
    // The defect is in the harness too, whose stores are made by the same engine: one that stops has noticed.
    case (let status?, _): seen = "stopped: exit status \(status): \(lines.last ?? "")"
    case (nil, let signal): seen = "stopped: signal \(signal ?? 0)"
    }
  }

  /// The kind of what was seen.
  var kind: String { seen.map { String($0.prefix { $0 != ":" }) } ?? "nothing" }

  private static func isViolation(_ line: String) -> Bool {
    Violation.Kind(rawValue: String(line.prefix { $0 != ":" })) != nil
  }

  private static func number(after marker: String, in text: String) -> Int? {
    text.firstRange(of: marker).flatMap { range in
      Int(text[range.upperBound...].drop { $0 == " " }.prefix { $0.isNumber })
    }
  }
}
