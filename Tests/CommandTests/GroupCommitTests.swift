import Foundation
import TestSupport
import Testing

@Suite("Commits of many small files") struct GroupCommitTests {
  @Test("that are put at once are shared: far fewer syncs than files")
  func puts() throws {
    try withTree(fileCount: 128) { sandbox in
      let syncs = try syncCounts(of: sandbox.command("put", "-r", "tree"), in: sandbox)
      #expect(try sandbox.list().count == 128)
      // One after the other they take two commits of the index each, and a sync of the segment.
      #expect(syncs.index < 128, "\(syncs)")
      #expect(syncs.segments < 128, "\(syncs)")
    }
  }

  @Test("that are deleted at once are shared: far fewer syncs than files")
  func deletes() throws {
    try withTree(fileCount: 128) { sandbox in
      try sandbox.done("put", "-r", "tree")
      let syncs = try syncCounts(of: sandbox.command("delete", "-r", "tree"), in: sandbox)
      #expect(try sandbox.list().isEmpty)
      // One after the other they take two commits of the index each at the least, and a sync of a tombstone.
      #expect(syncs.index < 128, "\(syncs)")
      #expect(syncs.segments < 128, "\(syncs)")
    }
  }

  @Test("leave out the one that fails, and keep its neighbours")
  func neighbours() throws {
    try withTree(fileCount: 64) { sandbox in
      let fault = Fault(.error("EIO"), at: ["pread"], path: "/tree/file-7", .sticky, number: 1)
      let result = try fault.applied(to: sandbox.command("put", "-r", "tree"), log: sandbox.root / "work" / "log").run()
      #expect(result.exitStatus == 1, "\(result)")
      expectOneClearLine(result, of: "put", says: ["tree/file-7", "input/output error"])
      let names = Set((0..<64).filter { $0 != 7 }.map { "tree/file-\($0)" })
      #expect(try Set(sandbox.list().map(\.name)) == names)
    }
  }

  private func withTree(fileCount: Int, _ body: (Sandbox) throws -> Void) throws {
    try Sandbox.use { sandbox in
      try (sandbox.work / "tree").makeDirectory()
      for number in 0..<fileCount {
        try Sample(.random, seed: UInt64(number)).write(4096, to: sandbox.work / "tree" / "file-\(number)")
      }
      try sandbox.done("init")
      try body(sandbox)
    }
  }

  private func syncCounts(of command: Command, in sandbox: Sandbox) throws -> (index: Int, segments: Int) {
    let log = sandbox.root / "work" / "log"
    let counting = Fault(.error("EIO"), at: ["fdatasync", "fsync", "msync"], path: sandbox.store.text)
    let result = try counting.applied(to: command, log: log).run()
    expectDone(result)
    let calls = try LoggedCall.all(in: log)
    return (calls.count { $0.path.contains("/index/") }, calls.count { $0.path.contains("/segments/") })
  }
}
