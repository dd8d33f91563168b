import Foundation
import TestSupport
import Testing

@Suite("Put --from-command") struct FromCommandTests {
  @Test("stores what the command writes, and passes its standard error through")
  func success() throws {
    try Sandbox.use { sandbox in
      try Sample(.text, seed: 1).write(5_000_000, to: sandbox.work / "data")
      let result = try sandbox.done("put", "--name", "out", "--from-command", "echo to see >&2; cat data")
      #expect(result.outputText == "1\tout\n")
      #expect(result.errorLines.contains("to see"), "\(result)")
      expectDone(try sandbox.pfs("get", "out", "-o", "restored"))
      try expectSameBytes(sandbox.work / "restored", sandbox.work / "data")
    }
  }

  @Test(
    "stores nothing when the command fails, and says how",
    arguments: [
      ("head -c 3000000 /dev/zero; exit 3", "exit status 3"), ("echo x; kill -9 $$", "signal 9"),
      ("exec >&-; sleep 0.05; exit 7", "exit status 7"), ("no-such-program 2>/dev/null", "exit status 127"),
    ])
  func failure(command: String, says: String) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init")
      let result = try sandbox.pfs("put", "--name", "out", "--from-command", command)
      expectFailure(result, 1, of: "put", says: "out", says, "nothing was stored")
      #expect(try sandbox.list().isEmpty)
    }
  }

  @Test("stores an empty file for a command that writes nothing", arguments: ["true", "exec >&-; sleep 0.05"])
  func empty(command: String) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("put", "--name", "out", "--from-command", command)
      #expect(try sandbox.list().map(\.byteCount) == [0])
    }
  }

  @Test("does not wait for what the command leaves behind, which may hold its output open or write on")
  func background() throws {
    try Sandbox.use { sandbox in
      let held = "sleep 1000 & echo $! >pid; echo mine"
      try sandbox.done("put", "--name", "held", "--from-command", held)
      #expect(try sandbox.done("get", "held", "-o", "-").outputText == "mine\n")
      try end(sandbox.work / "pid")
      let written = "(while :; do echo theirs; sleep 0.01; done) & echo $! >pid; echo mine"
      try sandbox.done("put", "--name", "written", "--from-command", written)
      #expect(try sandbox.done("get", "written", "-o", "-").outputText.contains("mine\n"))
      try end(sandbox.work / "pid")
    }
  }

  @Test("ends the command, and what it started, when it is interrupted", arguments: ["", "trap '' INT; "])
  func interrupted(prefix: String) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init")
      let command = "\(prefix)sleep 1000 & echo $! >pid.new; mv pid.new pid; echo x; wait"
      let putting = try sandbox.command("put", "--name", "out", "--from-command", command).start()
      try wait(for: "the command to run") { try (sandbox.work / "pid").exists() }
      let child = try processID(sandbox.work / "pid")
      putting.send(SIGINT)
      let result = try putting.wait()
      expectFailure(result, 130, of: "put", says: "interrupted")
      try wait(for: "what the command started to end") { kill(child, 0) != 0 || self.isZombie(child) }
      #expect(try sandbox.list().isEmpty)
    }
  }

  @Test(
    "ends the command when the disk is full", .enabled(if: LoopFileSystem.isAvailable, "\(LoopFileSystem.requirement)"))
  func fullDisk() throws {
    try Sandbox.use { sandbox in
      let disk = try sandbox.mountFileSystem(byteCount: 16 << 20)
      sandbox.store = disk.root / "store"
      try sandbox.done("init", "--segment-size", "1MiB", "--part-size", "64KiB")
      let command = "echo $$ >pid; exec cat /dev/urandom"
      let result = try sandbox.pfs("put", "--name", "out", "--from-command", command)
      expectFailure(result, 6, of: "put", says: "out", "space")
      let child = try processID(sandbox.work / "pid")
      #expect(kill(child, 0) != 0, "the command goes on")
      #expect(try sandbox.list().isEmpty)
    }
  }

  @Test(
    "is refused without a name, with a path, and without a command",
    arguments: [
      ["--from-command", "true"], ["--name", "x", "--from-command", "true", "file"],
      ["--name", "x", "--from-command", ""],
    ])
  func usage(arguments: [String]) throws {
    try Sandbox.use { sandbox in
      let result = try sandbox.command(["put"] + arguments).run()
      #expect(result.exitStatus == 2, "\(result)")
      #expect(try !sandbox.store.exists())
    }
  }

  private func processID(_ path: BytePath) throws -> pid_t {
    let text = String(decoding: try path.read(), as: UTF8.self)
    return try #require(pid_t(text.trimmingCharacters(in: .whitespacesAndNewlines)))
  }

  private func end(_ path: BytePath) throws { kill(try processID(path), SIGKILL) }

  /// In a container nobody may wait for orphans.
  private func isZombie(_ id: pid_t) -> Bool {
    do {
      let text = String(decoding: try BytePath("/proc/\(id)/stat").read(), as: UTF8.self)
      return text.contains(") Z ")
    } catch { return true }
  }
}
