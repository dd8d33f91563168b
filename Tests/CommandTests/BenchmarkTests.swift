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
      let hard = try #require(report["hard_limits"] as? [String: Any])
      let commands = try #require(hard["commands"] as? [[String: Any]])
      if hard["not_tried"] is NSNull {
        #expect(
          commands.map { "\($0["command"] ?? "")" } == ["put", "get", "verify", "delete", "compact", "rebuild"]
            + ["put", "get", "verify", "delete", "compact", "rebuild"])
        for command in commands {
          #expect(command["exit_status"] as? Int == 0 && command["killed"] as? Int == 0, "\(command)")
          #expect(command["peak_group"] as? Int ?? 0 > 0)
        }
      } else {
        #expect(commands.isEmpty)
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: sandbox.work.text).isEmpty)
    }
  }

  @Test("a limit below what pfs needs is an error that says so, not a figure")
  func tooSmall() throws {
    try Sandbox.use { sandbox in
      let result = try bench(
        sandbox, "sweep", "--limits", "64KiB", "--size", "4MiB", "--runs", "2", "--directory", sandbox.work.text)
      #expect(result.exitStatus != 0)
      #expect(result.errorText.contains("raise the limit with --memory 1572KiB or more"), "\(result)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: sandbox.work.text).isEmpty)
    }
  }

  @Test("small measures many writers against one and trees of files, and leaves nothing behind")
  func small() throws {
    try Sandbox.use { sandbox in
      let figures = try figures(
        of: "small", sandbox, "--files", "24", "--file-size", "1KiB", "--writers", "3", "--runs", "2")
      #expect(
        figures.keys.sorted() == [
          "delete_tree", "get_tree", "group_commit", "list", "list_memory", "list_milliseconds", "put_tree",
        ])
      for (name, figure) in figures { try expectMeasured(figure, name, runCount: 2) }
      for name in ["get_tree", "group_commit", "put_tree"] { #expect(figures[name]?["ratio"] is [String: Any]) }
    }
  }

  @Test("index measures open, ranges, rebuild and verify, and leaves nothing behind")
  func index() throws {
    try Sandbox.use { sandbox in
      let figures = try figures(of: "index", sandbox, "--parts", "300", "--size", "8MiB", "--runs", "1")
      #expect(
        figures.keys.sorted() == [
          "checksum_mapped", "checksum_read", "delete_parts", "open_library", "open_program", "range",
          "rebuild_footers",
          "rebuild_parts", "rebuild_search", "verify_fast",
        ])
      for (name, figure) in figures { try expectMeasured(figure, name, runCount: 1) }
    }
  }

  @Test("limit measures put and get beside the bare work, and all workers beside one")
  func limit() throws {
    try Sandbox.use { sandbox in
      let figures = try figures(of: "limit", sandbox, "--size", "5MiB", "--workers", "2", "--runs", "2")
      #expect(
        figures.keys.sorted() == ["get_stored", "get_zlib", "put_stored", "put_zlib", "scaling_get", "scaling_put"])
      for (name, figure) in figures {
        try expectMeasured(figure, name, runCount: 2)
        #expect(figure["target"] is [String: Any], "\(name)")
      }
    }
  }

  @Test("peers measures pfs beside programs that are there, and names those that are not")
  func peers() throws {
    try Sandbox.use { sandbox in
      let figures = try figures(of: "peers", sandbox, "--size", "1MiB", "--files", "20", "--runs", "1")
      for name in ["put_compressible_cp", "get_compressible_cp", "put_incompressible_cp", "put_tree_cp", "get_tree_cp"]
      {
        try expectMeasured(try #require(figures[name], "\(name)"), name, runCount: 1)
      }
      for name in ["zstd", "pigz", "restic", "borg", "casync", "mksquashfs"] {
        let figure = try #require(figures["put_compressible_\(name)"])
        let isSkipped = (figure["skipped"] as? String)?.hasSuffix("is not installed") == true
        #expect(isSkipped != (figure["value"] is [String: Any]), "\(name)")
      }
    }
  }

  @Test("report makes one page of all results, which needs nothing else, and refuses what is no result")
  func report() throws {
    try Sandbox.use { sandbox in
      let common = ["--runs", "2", "--directory", sandbox.work.text]
      expectDone(
        try bench(
          sandbox, ["sweep", "--limits", "4MiB,8MiB", "--size", "2MiB", "--output", "sweep.json"] + common))
      expectDone(try bench(sandbox, ["limit", "--size", "1MiB", "--output", "limit.json"] + common))
      let result = try bench(sandbox, "report", "sweep.json", "limit.json")
      expectDone(result)
      let page = result.outputText
      #expect(page.components(separatedBy: "<svg ").count == 3)
      for expected in ["<!DOCTYPE html>", "prefers-color-scheme: dark", "width=device-width", "8MiB", "the bare work"] {
        #expect(page.contains(expected), "\(expected)")
      }
      // Nothing from elsewhere, and no text that was not escaped.
      for forbidden in ["http", "src=", "href=", "<script", "url("] {
        #expect(!page.contains(forbidden), "\(forbidden)")
      }
      expectDone(try bench(sandbox, "report", "-o", "page.html", "sweep.json", "limit.json"))
      #expect(try Data(contentsOf: URL(fileURLWithPath: "\(sandbox.work.text)/page.html")) == Data(page.utf8))

      let (work, text) = (sandbox.work, try String(contentsOfFile: "\(sandbox.work.text)/limit.json", encoding: .utf8))
      for (name, content) in [("empty", ""), ("cut", String(text.dropLast(9))), ("other", "{\"benchmark\":\"limit\"}")]
      {
        try content.write(toFile: "\(work.text)/\(name).json", atomically: false, encoding: .utf8)
        let refused = try bench(sandbox, "report", "limit.json", "\(name).json")
        #expect(refused.exitStatus == 1 && refused.errorText.contains("\(name).json"), "\(refused)")
      }
      #expect(try bench(sandbox, "report").exitStatus == 2)
      #expect(try bench(sandbox, "report", "missing.json").exitStatus == 1)
    }
  }

  @Test("staging measures without its peer, and says that it is missing")
  func staging() throws {
    try Sandbox.use { sandbox in
      let figures = try figures(
        of: "staging", sandbox, "--large", "2MiB", "--threads", "2", "--runs", "1", "--python", "/nowhere/python")
      #expect(figures.count == 21)
      for (name, figure) in figures {
        #expect((figure["runs"] as? [Any])?.count == 1, "\(name)")
        let skipped = figure["skipped"] as? String
        #expect(skipped?.contains("D-MemFS") == (name == "copying_write" ? nil : true), "\(name)")
      }
    }
  }

  @Test("churn measures deletes, disk space, compaction and latencies, and leaves nothing behind")
  func churn() throws {
    try Sandbox.use { sandbox in
      let figures = try figures(
        of: "churn", sandbox, "--size", "3MiB", "--files", "40", "--live", "4MiB", "--segment-size", "1MiB", "--times",
        "2", "--operations", "10", "--runs", "1")
      #expect(
        figures.keys.sorted() == [
          "churn", "churn_delete", "churn_end", "churn_put", "churn_put_median", "compaction", "compaction_large",
          "delete_large", "delete_large_answer", "delete_tree", "latency_get_process", "latency_get_thread",
          "latency_put_process", "latency_put_thread", "punched_extents", "read_punched", "unlink_punched",
        ])
      for (name, figure) in figures { try expectMeasured(figure, name, runCount: 1) }
      for name in [
        "churn", "compaction_large", "delete_large", "delete_large_answer", "delete_tree", "latency_get_thread",
      ] {
        #expect(figures[name]?["target"] is [String: Any], "\(name)")
      }
    }
  }

  /// The figures of a report by their names, after a look at what every report carries.
  private func figures(
    of benchmark: String, _ sandbox: Sandbox, _ arguments: String...
  ) throws -> [String: [String: Any]] {
    let result = try bench(sandbox, [benchmark, "--json", "--directory", sandbox.work.text] + arguments)
    expectDone(result)
    let report = try #require(try JSONSerialization.jsonObject(with: Data(result.standardOutput)) as? [String: Any])
    #expect(report["benchmark"] as? String == benchmark)
    for member in ["machine", "versions", "commit", "input", "others_share", "started", "workers"] {
      #expect(report[member] != nil, "no member '\(member)'")
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: sandbox.work.text).isEmpty)
    let list = try #require(report["figures"] as? [[String: Any]])
    return Dictionary(uniqueKeysWithValues: list.map { ($0["name"] as? String ?? "", $0) })
  }

  /// A figure has all its members and a value for each run, unless it says why it has none; nothing of how fast.
  private func expectMeasured(_ figure: [String: Any], _ name: String, runCount: Int) throws {
    #expect(
      figure.keys.sorted() == [
        "beside", "beside_value", "name", "ratio", "runs", "skipped", "target", "title", "unit", "value",
      ])
    guard figure["skipped"] is NSNull else {
      #expect((figure["skipped"] as? String)?.hasPrefix("this pfs has no") == true, "\(name)")
      return
    }
    let runs = try #require(figure["runs"] as? [[String: Any]])
    // What changes the store is measured once.
    #expect(runs.count == (["delete_parts", "rebuild_parts"].contains(name) ? 1 : runCount), "\(name)")
    for run in runs { #expect(try #require(run["value"] as? Double) > 0, "\(name)") }
    let value = try #require(figure["value"] as? [String: Double], "\(name)")
    #expect(value.keys.sorted() == ["max", "median", "min"])
  }

  private func bench(_ sandbox: Sandbox, _ arguments: String...) throws -> CommandResult {
    try bench(sandbox, arguments)
  }

  private func bench(_ sandbox: Sandbox, _ arguments: [String]) throws -> CommandResult {
    try Command(
      Sandbox.executable.parent / "pfs-bench", arguments, environment: sandbox.environment,
      workingDirectory: sandbox.work
    ).run()
  }
}
