import Foundation
import TestSupport
import Testing

@Suite("Bad input") struct BadInputTests {
  @Test(
    "that does not exist is exit status 1 and one clear line",
    arguments: [
      "missing", "missing/below", "file/below", "dangling",
    ])
  func missing(name: String) throws {
    try withStore { sandbox in
      try (sandbox.work / "file").write("contents")
      try (sandbox.work / "dangling").makeSymbolicLink(to: "nowhere")
      expectFailure(try sandbox.pfs("put", name), 1, of: "put", says: name)
    }
  }

  @Test("that is a directory is exit status 1 and says -r")
  func directory() throws {
    try withStore { sandbox in
      try (sandbox.work / "directory").makeDirectory()
      try (sandbox.work / "directory" / "file").write("contents")
      expectFailure(try sandbox.pfs("put", "directory"), 1, of: "put", says: "directory", "-r")
    }
  }

  @Test("that may not be read is exit status 1", .enabled(if: geteuid() != 0, "root may read everything"))
  func unreadable() throws {
    try withStore { sandbox in
      try (sandbox.work / "secret").write("contents")
      try (sandbox.work / "secret").setMode(0)
      expectFailure(try sandbox.pfs("put", "secret"), 1, of: "put", says: "secret", "ermission denied")
    }
  }

  @Test("that loops or is too long a path is exit status 1")
  func unusablePaths() throws {
    try withStore { sandbox in
      try (sandbox.work / "loop").makeSymbolicLink(to: "loop")
      expectFailure(try sandbox.pfs("put", "loop"), 1, of: "put", says: "loop")
      let long = String(repeating: "x", count: 300)
      expectFailure(try sandbox.pfs("put", long), 1, of: "put", says: "xxx")
      let longer = String(repeating: "directory/", count: 1000)
      expectFailure(try sandbox.pfs("put", longer), 1, of: "put", says: "directory/")
    }
  }

  @Test("that is a named pipe is exit status 1 at once, whether anybody writes or not")
  func namedPipe() throws {
    try withStore { sandbox in
      try (sandbox.work / "pipe").makeNamedPipe()
      expectFailure(try sandbox.pfs("put", "pipe", timeoutSeconds: 30), 1, of: "put", says: "pipe")
    }
  }

  @Test("that is a device is exit status 1", arguments: ["/dev/null", "/dev/zero"])
  func device(path: String) throws {
    try withStore { sandbox in
      expectFailure(try sandbox.pfs("put", path, timeoutSeconds: 30), 1, of: "put", says: path)
    }
  }

  @Test("does not keep the other arguments out")
  func otherArguments() throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init")
      for name in ["first", "last"] { try (sandbox.work / name).write(name) }
      let result = try sandbox.pfs("put", "first", "missing", "last")
      #expect(result.exitStatus == 1, "\(result)")
      expectOneClearLine(result, of: "put", says: ["missing"])
      #expect(result.outputLines.count == 2)
      #expect(Set(try sandbox.list().map(\.name)) == ["first", "last"])
    }
  }

  /// How a file changes while it is read.
  enum Change: CaseIterable { case longer, shorter, empty, overwritten }

  @Test("that changes while it is read is exit status 1, and nothing is stored", arguments: Change.allCases)
  func changing(change: Change) throws {
    try withStore { sandbox in
      let source = sandbox.work / "source"
      try Sample(.text, seed: 1).write(64 << 20, to: source)
      let putting = try sandbox.command("--workers", "1", "put", "source").start()
      // So much that the file itself has been read, not only libraries at the start.
      try wait(for: "the put to read") { (putting.readByteCount ?? .max) > 4 << 20 }
      try putting.stop()
      #expect(putting.isRunning, "the put was over before the file could change")
      switch change {
      case .longer: try source.append(Data("more".utf8))
      case .shorter: try source.truncate(to: 64 << 20 - 1)
      case .empty: try source.truncate(to: 0)
      case .overwritten: try source.overwrite(Data("other".utf8), at: 60 << 20)
      }
      putting.resume()
      expectFailure(try putting.wait(), 1, of: "put", says: "source", "changed")
    }
  }

  @Test("that is an unknown id or name is exit status 4", arguments: ["get", "info", "delete"])
  func unknown(command: String) throws {
    try withStore { sandbox in
      expectFailure(try sandbox.pfs(command, "17"), 4, of: command, says: "17")
      expectFailure(try sandbox.pfs(command, "nobody"), 4, of: command, says: "nobody")
      try expectNothing(at: sandbox.work / "nobody")
    }
  }

  /// Nothing may be stored when `body` is done.
  private func withStore(_ body: (Sandbox) throws -> Void) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init")
      try body(sandbox)
      #expect(try sandbox.list() == [], "nothing must be listed")
    }
  }
}
