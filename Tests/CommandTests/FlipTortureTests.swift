import Foundation
import TestSupport
import Testing

/// `pfs-bench torture flip` and `truncate`, on a few damages: that they try what they say and leave nothing behind.
@Suite("Torture by damage") struct FlipTortureTests {
  @Test("flips bits in every kind of file, and every flip is harmless, named or repaired")
  func flip() throws {
    try Sandbox.use { sandbox in
      let report = try report(of: "flip", sandbox, "--budget", "300", "--seed", "5")
      #expect(report.cases == 300)
      #expect(report.violationCount == 0)
      for area in ["index", "segments"] {
        #expect(report.sum { $0.hasPrefix("\(area): ") } > 50, "\(report.figures)")
      }
      #expect(report.sum { $0.hasSuffix(": named") } > 20, "\(report.figures)")
      #expect(report.figures["rebuilds", default: 0] > 0 && report.figures["writes", default: 0] > 0)
      #expect(report.figures["bytes to flip", default: 0] > 100_000)
    }
  }

  @Test("cuts, overwrites, removes and exchanges, and every damage is harmless, named or repaired")
  func truncate() throws {
    try Sandbox.use { sandbox in
      let report = try report(of: "truncate", sandbox, "--budget", "120", "--seed", "5")
      #expect(report.cases == 120)
      #expect(report.violationCount == 0)
      #expect(report.sum { $0.hasSuffix(": named") } > 20, "\(report.figures)")
      #expect(report.figures["repaired by a rebuild", default: 0] > 20, "\(report.figures)")
    }
  }

  @Test(
    "replays one damage and says what came of it",
    arguments: [
      ("flip:STORE:100:1", "STORE: named"), ("flip:index/data.mdb:0:0", "index: "),
      ("missing:index/data.mdb", "index: named"),
      ("cut:segments/0000000000000001.seg:5000", "segments: named"), ("flip:high-water:520:3", "high-water: noted"),
    ])
  func replay(damage: String, figure: String) throws {
    try Sandbox.use { sandbox in
      let report = try report(of: "flip", sandbox, "--replay", damage)
      #expect(report.cases == 1)
      #expect(report.sum { $0.hasPrefix(figure) } == 1, "\(report.figures)")
    }
  }

  @Test("refuses to replay what is no damage")
  func wrongReplay() throws {
    try Sandbox.use { sandbox in
      for text in ["flip:STORE:1", "melted:STORE", "flip:nothing:1:1", "flip:STORE:1:9"] {
        let result = try torture(sandbox, ["flip", "--replay", text])
        #expect(result.exitStatus == 2, "\(text): \(result)")
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: sandbox.work.text).isEmpty)
    }
  }

  private struct Report {
    let cases: Int
    let violationCount: Int
    let figures: [String: Int]

    func sum(_ isWanted: (String) -> Bool) -> Int { figures.filter { isWanted($0.key) }.values.reduce(0, +) }
  }

  private func report(of layer: String, _ sandbox: Sandbox, _ arguments: String...) throws -> Report {
    let result = try torture(sandbox, [layer, "--json"] + arguments)
    expectDone(result)
    let json = try #require(try JSONSerialization.jsonObject(with: Data(result.standardOutput)) as? [String: Any])
    #expect(json["layer"] as? String == layer)
    #expect(try FileManager.default.contentsOfDirectory(atPath: sandbox.work.text).isEmpty)
    return Report(
      cases: json["cases"] as? Int ?? 0, violationCount: json["violation_count"] as? Int ?? -1,
      figures: json["figures"] as? [String: Int] ?? [:])
  }

  private func torture(_ sandbox: Sandbox, _ arguments: [String]) throws -> CommandResult {
    try Command(
      Sandbox.executable.parent / "pfs-bench", ["torture"] + arguments + ["--store-dir", sandbox.work.text],
      environment: sandbox.environment, workingDirectory: sandbox.work
    ).run()
  }
}
