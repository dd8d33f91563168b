import Foundation
import TestSupport
import Testing

@Suite("Bytes that cannot be read") struct ReadErrorTests {
  @Test("of one segment cost only what lies in it: exit status 1 with the place", arguments: ["EIO", "EFAULT"])
  func oneSegment(error: String) throws {
    try withTwoSegments { sandbox, segments in
      let segment = String(decoding: segments[3].lastComponent, as: UTF8.self)
      let fault = Fault(.error(error), at: ["populate_read", "pread"], path: segment, .sticky, number: 1)
      let failed = try fault.applied(
        to: sandbox.command("get", "large", "-o", "restored"), log: sandbox.work / "log"
      ).run()
      expectFailure(failed, 1, of: "get", says: "large", "segment")
      try #expect(!(sandbox.work / "restored").exists())
      let other = try fault.applied(
        to: sandbox.command("get", "small", "-o", "restored"), log: sandbox.work / "log"
      ).run()
      expectDone(other)
      try expectSameBytes(sandbox.work / "restored", sandbox.work / "small")
    }
  }

  @Test(
    "because a segment was cut under a running get are exit status 3 and no signal, and other files are as they were")
  func cutUnderReader() throws {
    try withTwoSegments { sandbox, segments in
      var command = sandbox.command("--memory", "4MiB", "get", "large", "-o", "-")
      command.output = .pipe
      let getting = try command.start()
      #expect(try getting.readOutput(upTo: 1).count == 1)
      // What was not read yet lies in the later ones; the other file lies in the first.
      let cut = try segments.dropFirst(segments.count / 2).map { ($0, try $0.read()) }
      for (path, _) in cut { try path.truncate(to: 0) }
      _ = try getting.readOutput()
      let result = try getting.wait()
      #expect([1, 3].contains(result.exitStatus), "\(result)")
      expectOneClearLine(result, of: "get", says: ["large"])
      expectDone(try sandbox.pfs("get", "small", "-o", "restored"))
      try expectSameBytes(sandbox.work / "restored", sandbox.work / "small")
      for (path, bytes) in cut { try path.write(bytes) }
    }
  }

  /// A store with a large file over several segments, and one that lies before it.
  private func withTwoSegments(_ body: (Sandbox, [BytePath]) throws -> Void) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--segment-size", "1MiB", "--part-size", "64KiB")
      try Sample(.random, seed: 1).write(24 << 20, to: sandbox.work / "large")
      try Sample(.random, seed: 2).write(100_000, to: sandbox.work / "small")
      try sandbox.put(sandbox.work / "small")
      try sandbox.put(sandbox.work / "large")
      try body(sandbox, try sandbox.segmentPaths())
    }
  }
}
