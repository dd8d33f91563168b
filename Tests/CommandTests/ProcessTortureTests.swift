import Foundation
import TestSupport
import Testing

/// The layers of `pfs-bench torture` that start pfs itself, with budgets of a few seconds: that each tries what it is there
/// for, finds nothing, and leaves nothing behind.
@Suite("Torture of commands") struct ProcessTortureTests {
  @Test("fails system calls one by one, and finds nothing")
  func ioError() throws {
    let report = try torture("io-error", "--budget", "60")
    #expect(report.figure("points there are") > 5000)
    #expect(report.figure("faults that came") > 30)
    #expect(report.figure("done again without a fault, and nothing excused") > 10)
    #expect(report.figure("every point tried, up to a clean run") == 0)
  }

  @Test("kills commands at every change and at random, and finds nothing")
  func kill() throws {
    let report = try torture("kill", "--budget", "60")
    #expect(report.figure("seams there are") > 500)
    #expect(report.figure("kills at a seam") > 15)
    #expect(report.figure("kills of a recovery") > 0)
    #expect(report.figure("rounds of kills at random, each checked") > 15)
    #expect(report.figure("kills at random") > 15)
  }

  @Test(
    "fills disks to the block, has them fail, and takes their power away, and finds nothing",
    .enabled(if: LoopFileSystem.isAvailable, "\(LoopFileSystem.requirement)"))
  func fullDisk() throws {
    let report = try torture("full-disk", "--budget", "80")
    #expect(report.figure("ext4: levels tried") > 5)
    #expect(report.figure("tmpfs: levels tried") > 5)
    #expect(report.figure("bad blocks: met") > 3)
    #expect(report.figure("bad writes and flushes: met") > 3)
    #expect(report.figure("power loss: states") > 5)
  }

  @Test(
    "kills compactions and fails their calls, and finds nothing: not either where deleted files were moved",
    arguments: [
      ("kill", "kill:\(changes):once::", [11, 24, 38, 51]), ("io-error", "EIO:fdatasync:once::", [2, 5]),
      ("io-error", "ENOSPC:fallocate:sticky::", [1]), ("io-error", "EIO:populate_read:once::", [3]),
    ])
  func compactions(layer: String, fault: String, numbers: [Int]) throws {
    for number in numbers {
      let report = try torture(layer, "--replay", "compact \(fault) \(number) 0")
      #expect(report.figure("  in compact") == 1 || report.figure("kills at a seam") == 1, "\(number)")
    }
  }

  private static let changes =
    "create,pwrite,writev,write,ftruncate,fallocate,punch,fsync,fdatasync,msync,rename,link,unlink,mkdir,"
    + "populate_write,madvise,sync_file_range"

  @Test(
    "compacts on disks that are full to the block, and finds nothing",
    .enabled(if: LoopFileSystem.isAvailable, "\(LoopFileSystem.requirement)"),
    arguments: ["tmpfs compact 0", "ext4 compact 3"])
  func compactsFullDisk(level: String) throws {
    let report = try torture("full-disk", "--replay", level)
    #expect(report.figure("\(level.prefix { $0 != " " }): enough room") == 1)
  }

  @Test("says that a case it does not know is none, and that a pfs that loses what it stores does")
  func seesNothing() throws {
    try Sandbox.use { sandbox in
      let unknown = try Torture.run(sandbox, "io-error", "--replay", "no such case")
      #expect(unknown.exitStatus == 2, "\(unknown)")
      // It says that it has stored something, and has not.
      let liar = sandbox.work / "pfs"
      try liar.write(
        Data(
          "#!/bin/sh\ncase \"$*\" in *'put --batch'*) exit 0;; esac\nexec '\(Sandbox.executable.text)' \"$@\"\n".utf8))
      try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: liar.text)
      let lost = try Torture.run(
        sandbox, "io-error", "--pfs", liar.text, "--replay", "put-batch EIO:fdatasync:once:: 1 0")
      #expect(lost.exitStatus == 3, "\(lost)")
      #expect(lost.errorText.contains("nothing was done about"), "\(lost)")
    }
  }

  @Test(
    "sees a command that does nothing, and names the pfs and the directory in the command that shows it again",
    arguments: ["compact", "rebuild", "verify"])
  func seesIdleness(command: String) throws {
    try Sandbox.use { sandbox in
      let idle = sandbox.work / "idle pfs"
      try idle.write(
        Data(
          "#!/bin/sh\ncase \"$*\" in *' \(command)'*) exit 0;; esac\nexec '\(Sandbox.executable.text)' \"$@\"\n".utf8))
      try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: idle.text)
      let stores = sandbox.work / "it's"
      try stores.makeDirectory()
      let options = ["--pfs", idle.text, "--store-dir", stores.text]
      for layer in ["kill", "io-error"] {
        let result = try Torture.run(sandbox, [layer, "--budget", "2"] + options)
        #expect(result.exitStatus == 3, "\(result)")
        #expect(result.errorText.contains("it made no call in its store"), "\(result)")
        let again =
          "pfs-bench torture \(layer) --seed 1 --pfs '\(idle.text)' --store-dir '\(sandbox.work.text)/it'\\''s' "
          + "--replay '\(command) clean'"
        #expect(result.errorText.contains(again), "\(result)")
      }
      let replay = try Torture.run(sandbox, ["kill", "--replay", "\(command) clean"] + options)
      #expect(replay.exitStatus == 3, "\(replay)")
      #expect(!String(decoding: replay.standardOutput, as: UTF8.self).contains("\n1 violations\n"), "\(replay)")
    }
  }

  @Test("refuses a pfs where it would run none", arguments: ["explore", "flip", "truncate", "typed"])
  func needlessPFS(layer: String) throws {
    try Sandbox.use { sandbox in
      let result = try Torture.run(sandbox, layer, "--pfs", Sandbox.executable.text, "--budget", "1")
      #expect(result.exitStatus == 2 && result.errorText.contains("takes no --pfs"), "\(result)")
    }
  }

  @Test(
    "refuses to replay what is no case",
    arguments: [
      ("kill", ["random -1", "random ", "compact dirty"]), ("concurrent", ["-1", "4294967296", ""]),
      ("typed", ["-1", "abc", "zzz:1", "", "9223372036854775807"]),
    ])
  func wrongReplay(layer: String, cases: [String]) throws {
    try Sandbox.use { sandbox in
      for text in cases {
        let result = try Torture.run(sandbox, layer, "--replay", text, "--store-dir", sandbox.work.text)
        #expect(result.exitStatus == 2 && result.standardOutput.isEmpty, "\(text): \(result)")
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: sandbox.work.text).isEmpty)
    }
  }

  @Test(
    "says that a fault that is to be replayed did not come",
    arguments: [("io-error", "get EIO:pread:once:: 0 0"), ("kill", "put-batch kill:\(changes):once:: 5000 0")])
  func unmet(layer: String, replay: String) throws {
    try Sandbox.use { sandbox in
      let result = try Torture.run(sandbox, layer, "--replay", replay)
      #expect(result.exitStatus == 1, "\(result)")
      #expect(result.errorText.contains("was not met"), "\(result)")
    }
  }

  @Test("nothing that the user has set or configured reaches what is tortured", arguments: ["kill", "concurrent"])
  func environment(layer: String) throws {
    try Sandbox.use { sandbox in
      sandbox.environment["PFS_STORE"] = "/nowhere"
      sandbox.environment["PFS_CONFIG"] = (sandbox.work / "missing.yaml").text
      try (sandbox.work / "config.yaml").write(Data("part_size: none\n".utf8))
      let result = try Torture.run(sandbox, layer, "--budget", "17", "--workers", "2")
      #expect(result.exitStatus == 0, "\(result)")
    }
  }

  private func torture(_ arguments: String...) throws -> Torture.Report {
    var report: Torture.Report?
    try Sandbox.use { sandbox in
      let result = try Torture.run(sandbox, arguments + ["--json", "--store-dir", sandbox.work.text])
      #expect(result.exitStatus == 0, "\(result)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: sandbox.work.text).isEmpty)
      report = try Torture.Report(result)
    }
    return try #require(report)
  }
}

/// Runs `pfs-bench torture`.
enum Torture {
  struct Report {
    private let figures: [String: Any]

    init(_ result: CommandResult) throws {
      let report = try #require(
        try JSONSerialization.jsonObject(with: Data(result.standardOutput)) as? [String: Any], "\(result)")
      figures = try #require(report["figures"] as? [String: Any])
      #expect(report["violation_count"] as? Int == 0)
    }

    func figure(_ name: String) -> Int { figures[name] as? Int ?? -1 }
  }

  static func run(_ sandbox: Sandbox, _ arguments: String...) throws -> CommandResult {
    try run(sandbox, arguments)
  }

  static func run(_ sandbox: Sandbox, _ arguments: [String]) throws -> CommandResult {
    try Command(
      Sandbox.executable.parent / "pfs-bench", ["torture"] + arguments, environment: sandbox.environment,
      workingDirectory: sandbox.work
    ).run(timeoutSeconds: 120)
  }
}
