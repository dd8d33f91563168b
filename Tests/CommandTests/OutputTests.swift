import Foundation
import TestSupport
import Testing

@Suite("Output of get") struct OutputTests {
  @Test("that exists is kept, and exit status is 1")
  func existing() throws {
    try withFile { sandbox in
      try (sandbox.work / "taken").write("mine")
      expectFailure(try sandbox.pfs("get", "1", "-o", "taken"), 1, of: "get", says: "taken", "--force")
      #expect(try (sandbox.work / "taken").read() == Data("mine".utf8))
      #expect(try sandbox.work.entryNames().count == 2, "nothing else is left")
    }
  }

  @Test("that exists is replaced with --force")
  func force() throws {
    try withFile { sandbox in
      try (sandbox.work / "taken").write("mine")
      expectDone(try sandbox.pfs("get", "1", "--force", "-o", "taken"))
      try expectSameBytes(sandbox.work / "taken", sandbox.work / "file")
      expectDone(try sandbox.pfs("get", "--force", "file"))
      #expect(try sandbox.work.entryNames().count == 2)
    }
  }

  @Test("that is a link is not followed", arguments: [true, false])
  func link(force: Bool) throws {
    try withFile { sandbox in
      let victim = sandbox.root / "work" / "victim"
      try victim.write("mine")
      try (sandbox.work / "link").makeSymbolicLink(to: "victim")
      let result = try sandbox.command(["get", "1", "-o", "link"] + (force ? ["--force"] : [])).run()
      #expect(result.exitStatus == (force ? 0 : 1), "\(result)")
      #expect(try victim.read() == Data("mine".utf8))
      if force { try expectSameBytes(sandbox.work / "link", sandbox.work / "file") }
    }
  }

  @Test("in a directory that is not there is exit status 1", arguments: ["missing", "file"])
  func missingDirectory(directory: String) throws {
    try withFile { sandbox in
      expectFailure(try sandbox.pfs("get", "1", "-o", "\(directory)/output"), 1, of: "get", says: "'\(directory)")
      #expect(try sandbox.work.entryNames() == [Array("file".utf8)])
    }
  }

  @Test("in a tree does not replace what is there without --force")
  func tree() throws {
    try Sandbox.use { sandbox in
      let tree = sandbox.work / "tree"
      try tree.makeDirectory()
      for name in ["a", "b"] { try (tree / name).write("stored \(name)") }
      try sandbox.done("put", "-r", "tree")
      try (tree / "a").write("mine")
      try (tree / "b").remove()
      let kept = try sandbox.pfs("get", "-r", "tree", "-o", "tree")
      #expect(kept.exitStatus == 1, "\(kept)")
      #expect(try (tree / "a").read() == Data("mine".utf8))
      #expect(try (tree / "b").read() == Data("stored b".utf8))
      expectDone(try sandbox.pfs("get", "-r", "tree", "-o", "tree", "--force"))
      #expect(try (tree / "a").read() == Data("stored a".utf8))
    }
  }

  private func withFile(_ body: (Sandbox) throws -> Void) throws {
    try Sandbox.use { sandbox in
      try Sample(.text, seed: 1).write(50_000, to: sandbox.work / "file")
      try sandbox.put(sandbox.work / "file")
      try body(sandbox)
    }
  }
}
