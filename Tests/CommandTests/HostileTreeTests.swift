import Foundation
import TestSupport
import Testing

@Suite("Hostile tree") struct HostileTreeTests {
  @Test(
    "with a name that leads elsewhere, or nowhere, costs that file alone",
    arguments: [
      "p/..", "p/.", "p/a/../../../escaped", "p/a/../..", "p/a//b", "p/a/", "p//", "p/./a", "p/../p/a",
      "p/../../../etc/x",
    ])
  func names(name: String) throws {
    try withTree([name, "p/harmless", "p/z/harmless"]) { sandbox in
      let result = try sandbox.pfs("get", "-r", "p", "-o", "out/in")
      #expect(result.exitStatus == 1, "\(result)")
      expectOneClearLine(result, of: "get", says: ["not written"])
      #expect(try files(sandbox) == ["out/in/harmless", "out/in/z/harmless", "x"])
      #expect(try !(sandbox.root / "escaped").exists())
    }
  }

  @Test("with absolute names stays below the directory it is restored into")
  func absolute() throws {
    try withTree(["/etc/pfs-hostile", "/etc//pfs-hostile-too"]) { sandbox in
      #expect(try sandbox.pfs("get", "-r", "/etc", "-o", "out").exitStatus == 1)
      expectDone(try sandbox.pfs("get", "/etc/pfs-hostile"))
      #expect(try files(sandbox) == ["out/pfs-hostile", "pfs-hostile", "x"])
      for name in ["pfs-hostile", "pfs-hostile-too"] { #expect(try !BytePath("/etc/\(name)").exists()) }
    }
  }

  @Test("follows no symbolic link below the directory", arguments: [[], ["--force"]] as [[String]])
  func linkedDirectory(options: [String]) throws {
    try withTree(["p/link/a", "p/inner/link/b", "p/c"]) { sandbox in
      try (sandbox.root / "elsewhere").makeDirectory()
      try (sandbox.work / "out" / "inner").makeDirectories()
      for link in ["link", "inner/link"] {
        try (sandbox.work / "out" / link).makeSymbolicLink(to: "\(sandbox.root)/elsewhere")
      }
      let result = try sandbox.command(["get", "-r", "p", "-o", "out"] + options).run()
      #expect(result.exitStatus == 1 && result.errorText.contains("symbolic link"), "\(result)")
      #expect(try (sandbox.root / "elsewhere").entryNames().isEmpty)
      #expect(try (sandbox.work / "out" / "c").exists())
    }
  }

  @Test("replaces a symbolic link in the place of a file only with --force, and never what it points to")
  func linkedFile() throws {
    try withTree(["p/a", "p/b"]) { sandbox in
      try (sandbox.work / "dear").write("dear")
      try (sandbox.work / "out").makeDirectory()
      try (sandbox.work / "out" / "a").makeSymbolicLink(to: "../dear")
      try (sandbox.work / "out" / "b").makeSymbolicLink(to: "../nothing")
      expectFailure(try sandbox.pfs("get", "p/a", "-o", "out/a"), 1, of: "get", says: "exists")
      #expect(try sandbox.pfs("get", "-r", "p", "-o", "out").exitStatus == 1)
      #expect(try (sandbox.work / "out" / "a").status()?.kind == .symbolicLink)
      expectDone(try sandbox.pfs("get", "-r", "--force", "p", "-o", "out"))
      for name in ["a", "b"] {
        #expect(try (sandbox.work / "out" / name).status()?.kind == .file)
        #expect(try (sandbox.work / "out" / name).read() == Data("contents".utf8))
      }
      #expect(try (sandbox.work / "dear").read() == Data("dear".utf8))
      #expect(try !(sandbox.work / "nothing").exists())
    }
  }

  @Test(
    "with a name that is the directory of another restores one of them", arguments: [[], ["--force"]] as [[String]])
  func fileAndDirectory(options: [String]) throws {
    try withTree(["p/a", "p/a/b", "p/a/b/c", "p/d"]) { sandbox in
      let result = try sandbox.command(["get", "-r", "p", "-o", "out"] + options).run()
      #expect(result.exitStatus == 1, "\(result)")
      let found = try files(sandbox)
      #expect(
        found.contains("out/d") && found.isSubset(of: ["out/a", "out/a/b", "out/a/b/c", "out/d", "x"]), "\(found)")
      #expect(found.count == 3, "\(found)")
    }
  }

  @Test("with a component that no file system takes costs that file alone")
  func longComponent() throws {
    let longest = String(repeating: "n", count: 255)
    try withTree(["p/\(longest)n", "p/\(longest)n/a", "p/\(longest)", "p/b"]) { sandbox in
      let result = try sandbox.pfs("get", "-r", "p", "-o", "out")
      #expect(result.exitStatus == 1, "\(result)")
      #expect(try files(sandbox) == ["out/\(longest)", "out/b", "x"])
    }
  }

  /// A store with small files under these names, put there from `x`.
  private func withTree(_ names: [String], _ body: (Sandbox) throws -> Void) throws {
    try Sandbox.use { sandbox in
      try (sandbox.work / "x").write("contents")
      for name in names { try sandbox.put(sandbox.work / "x", "--name", name) }
      try body(sandbox)
    }
  }

  private func files(_ sandbox: Sandbox) throws -> Set<String> {
    Set(try FileTree(below: sandbox.work).files.keys.map(\.text))
  }
}
