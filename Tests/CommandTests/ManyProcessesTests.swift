import Foundation
import TestSupport
import Testing

@Suite("Very many processes") struct ManyProcessesTests {
  /// 200, or as many as `PFS_TEST_PROCESSES` says.
  private static let processCount =
    ProcessInfo.processInfo.environment["PFS_TEST_PROCESSES"].flatMap { Int($0) } ?? 200

  @Test("that put one file each, one after the other, fill one segment")
  func oneAfterTheOther() throws {
    try Sandbox.use { sandbox in
      try Sample(.random, seed: 1).write(1000, to: sandbox.work / "file")
      try sandbox.done("init")
      for _ in 0..<ManyProcessesTests.processCount { try sandbox.put(sandbox.work / "file") }
      #expect(try sandbox.segmentPaths().count == 1)
      #expect(try sandbox.list().count == ManyProcessesTests.processCount)
    }
  }

  @Test("that put one file each, eight at a time, fill one segment a writer at the most, and share none at a time")
  func eightAtATime() throws {
    try Sandbox.use { sandbox in
      try Sample(.random, seed: 2).write(1000, to: sandbox.work / "file")
      try sandbox.done("init")
      for _ in 0..<6 {
        let commands = try (0..<8).map { _ in try sandbox.command("put", "file").start() }
        for command in commands { expectDone(try command.wait()) }
      }
      #expect(try sandbox.list().count == 48)
      #expect(try sandbox.segmentPaths().count <= 8)
    }
  }

  @Test("read while a writer stands still in the middle of a commit: readers never wait for writers")
  func stoppedWriter() throws {
    try Sandbox.use { sandbox in
      for name in ["first", "second"] { try Sample(.random, seed: 3).write(200_000, to: sandbox.work / name) }
      try sandbox.done("init")
      try sandbox.put(sandbox.work / "first")
      // The second sync of the index: the writer is known, and has the lock of the index.
      let fault = Fault(.stop, at: ["fdatasync"], path: "/index/data.mdb", number: 2)
      let log = sandbox.root / "work" / "log"
      let putting = try fault.applied(to: sandbox.command("put", "second"), log: log).start()
      try wait(for: "the put to stop in its commit") { try LoggedCall.all(in: log).contains(where: \.isMet) }
      expectDone(try sandbox.pfs("get", "first", "-o", "restored", timeoutSeconds: 60))
      try expectSameBytes(sandbox.work / "restored", sandbox.work / "first")
      expectDone(try sandbox.pfs("stats", timeoutSeconds: 60))
      #expect(try sandbox.list().map(\.name) == ["first"])
      putting.resume()
      expectDone(try putting.wait())
      #expect(try sandbox.list().map(\.name) == ["first", "second"])
    }
  }

  @Test("go on where the one that opened the index first was killed while it did")
  func killedWhileOpening() throws {
    try Sandbox.use { sandbox in
      try Sample(.random, seed: 5).write(1000, to: sandbox.work / "file")
      // Each put is a few transactions, so that no transaction has the number that a new table of readers begins with.
      for _ in 0..<3 { try sandbox.put(sandbox.work / "file") }
      let expected = try sandbox.list()
      var number = 0
      while true {
        number += 1
        let log = sandbox.root / "work" / "log"
        try log.remove()
        let fault = Fault(.stop, at: ["open", "mmap", "pread", "ftruncate"], path: "/index/", number: number)
        let first = try fault.applied(to: sandbox.command("list"), log: log).start()
        try wait(for: "the first to stop, or to end") {
          try !first.isRunning || LoggedCall.all(in: log).contains(where: \.isMet)
        }
        guard first.isRunning else { break }
        let others = try (0..<2).map { _ in try sandbox.command("put", "file", "--name", "n").start() }
        for other in others { try wait(for: "another to wait, or to end") { other.hasEndedOrWaitsForLock } }
        first.kill()
        _ = try first.wait()
        for other in others { expectDone(try other.wait()) }
        #expect(try sandbox.list().prefix(expected.count).map(\.id) == expected.map(\.id), "killed at call \(number)")
      }
      #expect(number > 5)
    }
  }

  @Test("wait for the readers of a file to delete that file, and not to delete another", arguments: [false, true])
  func deleteWaits(isRecursive: Bool) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--segment-size", "1MiB", "--part-size", "64KiB")
      try (sandbox.work / "tree").makeDirectory()
      for name in ["a", "b", "c"] { try Sample(.random, seed: 4).write(8 << 20, to: sandbox.work / "tree" / name) }
      try sandbox.done("put", "-r", "tree")
      var command = sandbox.command("--memory", "2MiB", "get", "tree/b", "-o", "-")
      command.output = .pipe
      let getting = try command.start()
      #expect(try getting.readOutput(upTo: 1).count == 1)
      let names = isRecursive ? ["-r", "tree"] : ["tree/a", "tree/b", "tree/c"]
      let result = try sandbox.command(["--lock-timeout", "200ms", "delete"] + names).run()
      #expect(result.exitStatus == 5, "\(result)")
      expectOneClearLine(result, of: "delete", says: ["in use"])
      #expect(try sandbox.list().map(\.name) == ["tree/b"])
      _ = try getting.readOutput()
      expectDone(try getting.wait())
      expectDone(try sandbox.pfs("delete", "tree/b"))
    }
  }
}
