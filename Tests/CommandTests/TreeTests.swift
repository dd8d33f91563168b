import Foundation
import TestSupport
import Testing

@Suite("Tree") struct TreeTests {
  @Test("of 1,000 small files comes back as it was")
  func thousandFiles() throws {
    try Sandbox.use { sandbox in
      let tree = sandbox.work / "tree"
      var random = SeededGenerator(seed: 1000)
      for directory in 0..<20 {
        let path = tree / "directory \(directory)" / "below"
        try path.makeDirectories()
        for file in 0..<50 {
          let kind = Sample.Kind.allCases[file % Sample.Kind.allCases.count]
          let target = path / "file-\(file)"
          try target.write(Sample(kind, seed: random.next()).bytes(Int(random.next() % 3000)))
          try target.setMode(file % 2 == 0 ? 0o644 : 0o750)
        }
      }
      let put = try sandbox.pfs("put", "-r", "tree", timeoutSeconds: 30)
      expectDone(put)
      let identifiers = Set(put.outputLines.compactMap { $0.split(separator: "\t").first.flatMap { Int($0) } })
      #expect(identifiers.count == 1000, "each file has an id of its own")
      expectDone(try sandbox.pfs("get", "-r", "tree", "-o", "restored", timeoutSeconds: 30))
      let differences = try FileTree(below: tree).differences(in: FileTree(below: sandbox.work / "restored"))
      #expect(differences == [])
    }
  }

  @Test("of nested directories is stored under its own name and the paths below")
  func nested() throws {
    try Sandbox.use { sandbox in
      let deep = (0..<20).reduce(sandbox.work / "top") { $0 / "level-\($1)" }
      try deep.makeDirectories()
      try (deep / "deep").write("deep")
      try (sandbox.work / "top" / "shallow").write("shallow")
      try (sandbox.work / "top" / "empty directory").makeDirectory()
      expectDone(try sandbox.pfs("put", "-r", "top/"))
      let expected = ["top/shallow", (0..<20).map { "level-\($0)" }.reduce("top") { "\($0)/\($1)" } + "/deep"]
      #expect(Set(try sandbox.list().map(\.name)) == Set(expected))
      expectDone(try sandbox.pfs("get", "-r", "top", "-o", sandbox.root / "work" / "restored"))
      let original = try FileTree(below: sandbox.work / "top")
      #expect(try original.differences(in: FileTree(below: sandbox.work / "restored")) == [])
    }
  }

  @Test("restores only what is below the prefix, not what begins like it")
  func prefix() throws {
    try Sandbox.use { sandbox in
      try (sandbox.work / "x").write("x")
      for name in ["tree/a", "tree/b/c", "treetop", "tree", "other/tree/d"] {
        try sandbox.put(sandbox.work / "x", "--name", name)
      }
      expectDone(try sandbox.pfs("get", "-r", "tree", "-o", "restored"))
      #expect(try Set(FileTree(below: sandbox.work / "restored").files.keys.map(\.text)) == ["a", "b/c"])
    }
  }

  @Test("that is not stored is exit status 4 and makes nothing")
  func unknown() throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init")
      expectFailure(
        try sandbox.pfs("get", "-r", "nowhere", "-o", "restored"), 4, of: "get", says: "nowhere")
      #expect(try FileTree(below: sandbox.work / "restored").files.isEmpty)
    }
  }

  @Test(
    "with a name that points out of the directory does not get out",
    arguments: [
      "p/../../escaped", "p/../escaped", "p//escaped", "p/./escaped",
    ])
  func hostileName(name: String) throws {
    try Sandbox.use { sandbox in
      try (sandbox.work / "x").write("x")
      try sandbox.put(sandbox.work / "x", "--name", "p/harmless")
      // A store may refuse the name at once; one that takes it must not follow it.
      let put = try sandbox.pfs("put", "x", "--name", name)
      let get = try sandbox.pfs("get", "-r", "p", "-o", "out/in")
      let restored = try FileTree(below: sandbox.work)
      #expect(Set(restored.files.keys.map(\.text)) == ["x", "out/in/harmless"])
      #expect(
        try Set(sandbox.root.entryNames().map { String(decoding: $0, as: UTF8.self) }).contains("escaped") == false)
      if put.exitStatus == 0 { #expect(get.exitStatus == 1, "\(get)") }
    }
  }

  @Test("with a file that cannot be stored stores the others and exits 1")
  func oneFileFails() throws {
    try Sandbox.use { sandbox in
      let tree = sandbox.work / "tree"
      try tree.makeDirectory()
      for name in ["a", "b"] { try (tree / name).write(name) }
      try (tree / "pipe").makeNamedPipe()
      try (tree / "dangling").makeSymbolicLink(to: "nowhere")
      let result = try sandbox.pfs("put", "-r", "tree", timeoutSeconds: 30)
      // What is no regular file may be passed over or be reported, but it keeps nothing else out.
      #expect([0, 1].contains(result.exitStatus), "\(result)")
      #expect(Set(try sandbox.list().map(\.name)) == ["tree/a", "tree/b"])
    }
  }
}
