import Foundation
import TestSupport
import Testing

/// `pfs-bench`, on little data: that it measures the real thing and cleans up, not how fast anything is.
@Suite("Benchmark") struct BenchmarkTests {
  @Test("a sweep puts and gets at every limit, compares the bytes, and leaves nothing behind")
  func sweep() throws {
    try Sandbox.use { sandbox in
      let result = try bench(
        sandbox, "sweep", "--limits", "4MiB,8MiB", "--size", "4MiB", "--runs", "2", "--seed", "7", "--json",
        "--directory", sandbox.work.text)
      expectDone(result)
      let report = try #require(
        try JSONSerialization.jsonObject(with: Data(result.standardOutput)) as? [String: Any])
      #expect((report["input"] as? [String: Any])?["seed"] as? Int == 7)
      #expect((report["runs"] as? [Any])?.isEmpty == false)
      #expect(report["machine"] != nil)
      #expect(try FileManager.default.contentsOfDirectory(atPath: sandbox.work.text).isEmpty)
    }
  }

  @Test("a limit below what pfs needs is an error that says so, not a figure")
  func tooSmall() throws {
    try Sandbox.use { sandbox in
      let result = try bench(
        sandbox, "sweep", "--limits", "64KiB", "--size", "4MiB", "--runs", "2", "--directory", sandbox.work.text)
      #expect(result.exitStatus != 0)
      #expect(result.errorText.contains("1344KiB"), "\(result)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: sandbox.work.text).isEmpty)
    }
  }

  private func bench(_ sandbox: Sandbox, _ arguments: String...) throws -> CommandResult {
    try Command(
      Sandbox.executable.parent / "pfs-bench", arguments, environment: sandbox.environment,
      workingDirectory: sandbox.work
    ).run()
  }
}
