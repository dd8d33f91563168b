import Foundation
import TestSupport
import Testing

@Suite("Resumed get") struct ResumedGetTests {
  private static let byteCount = 48 << 20

  @Test("after kill -9 or Ctrl-C gives the file, and reads from the store only what is missing", arguments: [9, 2])
  func resumed(signal: Int32) throws {
    try withBigFile { sandbox in
      let partial = sandbox.work / ".out.pfs-partial"
      try interrupt(sandbox, signal)
      #expect(try partial.exists())
      try expectNothing(at: sandbox.work / "out", besides: ["file", ".out.pfs-partial"])
      // What the partial file has is damaged in the store now.
      let data = try (sandbox.work / "file").read()
      let found = try partial.read()
      let present = try #require(stride(from: 0, to: data.count, by: 1 << 16).first { data[$0] == found[$0] })
      try damage(present, of: data, in: sandbox)
      sandbox.damagedIdentifiers = [1]
      expectFailure(try sandbox.pfs("get", "file", "-o", "other"), 3, of: "get", says: "part")
      expectDone(try sandbox.pfs("get", "--resume", "file", "-o", "out"))
      try expectSameBytes(sandbox.work / "out", sandbox.work / "file")
      #expect(try !partial.exists())
      #expect(try (sandbox.work / "out").status()?.mode == (sandbox.work / "file").status()?.mode)
    }
  }

  @Test("killed again and again gives the file in the end", arguments: [1, 2] as [UInt64])
  func killedOften(number: UInt64) throws {
    let seed = TestSeed("killed resumed get", default: number)
    var generator = seed.generator
    try withBigFile { sandbox in
      let partial = sandbox.work / ".out.pfs-partial"
      for _ in 0..<4 {
        let moment = generator.below(ResumedGetTests.byteCount)
        let getting = try sandbox.command("get", "--resume", "--force", "file", "-o", "out").start()
        try wait(for: "the partial file to have \(moment) bytes") {
          try !getting.isRunning || partial.allocatedByteCountOfTree() >= moment
        }
        getting.kill()
        if try getting.wait().exitStatus == 0 {
          try expectSameBytes(sandbox.work / "out", sandbox.work / "file")
        }
      }
      expectDone(try sandbox.pfs("get", "--resume", "--force", "file", "-o", "out"))
      try expectSameBytes(sandbox.work / "out", sandbox.work / "file")
      #expect(try Set(sandbox.work.entryNames()) == [Array("file".utf8), Array("out".utf8)], "\(seed)")
    }
  }

  @Test("starts over when a newer version is wanted")
  func newerVersion() throws {
    try withBigFile { sandbox in
      try interrupt(sandbox, SIGKILL)
      try Sample(.random, seed: 8).write(300_000, to: sandbox.work / "file")
      try sandbox.put(sandbox.work / "file")
      expectDone(try sandbox.pfs("get", "--resume", "file", "-o", "out"))
      try expectSameBytes(sandbox.work / "out", sandbox.work / "file")
      #expect(try !(sandbox.work / ".out.pfs-partial").exists())
    }
  }

  @Test("without --resume an interrupted get leaves nothing")
  func withoutResume() throws {
    try withBigFile { sandbox in
      let getting = try sandbox.command("get", "file", "-o", "out").start()
      getting.send(SIGINT)
      let result = try getting.wait()
      if result.exitStatus != 0 { try expectNothing(at: sandbox.work / "out", besides: ["file"]) }
    }
  }

  @Test("cannot go to standard output")
  func standardOutput() throws {
    try withBigFile { sandbox in
      expectFailure(try sandbox.pfs("get", "--resume", "file", "-o", "-"), 2, of: "get", says: "--resume")
    }
  }

  private func withBigFile(_ body: (Sandbox) throws -> Void) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--part-size", "64KiB")
      try Sample(.random, seed: 7).write(ResumedGetTests.byteCount, to: sandbox.work / "file")
      try sandbox.put(sandbox.work / "file")
      try body(sandbox)
    }
  }

  /// Starts a get and stops it when it has written something.
  private func interrupt(_ sandbox: Sandbox, _ signal: Int32) throws {
    // Little memory: few parts are under way at once.
    let getting = try sandbox.command("--memory", "1MiB", "get", "--resume", "file", "-o", "out").start()
    try wait(for: "the get to write") {
      try !getting.isRunning || (sandbox.work / ".out.pfs-partial").allocatedByteCountOfTree() > 1 << 20
    }
    getting.send(signal)
    let result = try getting.wait()
    guard result.exitStatus != 0 else { throw TestFailure("too quick to be interrupted: \(result)") }
  }

  /// Damages the part that holds the byte at `offset` of the file.
  private func damage(_ offset: Int, of data: Data, in sandbox: Sandbox) throws {
    let wanted = data[offset..<offset + 64]
    for path in try sandbox.segmentPaths() {
      guard let found = try path.read().range(of: wanted) else { continue }
      return try path.flip(at: found.lowerBound)
    }
    throw TestFailure("the bytes are in no segment as they are")
  }
}
