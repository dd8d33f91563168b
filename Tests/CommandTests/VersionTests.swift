import Foundation
import TestSupport
import Testing

@Suite("Version") struct VersionTests {
  @Test("that is newest is what a name means")
  func newest() throws {
    try Sandbox.use { sandbox in
      try store(3, versionsOf: "note", in: sandbox)
      #expect(try contents(of: "note", in: sandbox) == "version 3")
      for id in 1...3 { #expect(try contents(of: String(id), in: sandbox) == "version \(id)") }
      #expect(try sandbox.list().map(\.id).sorted() == [1, 2, 3])
      let info = try JSON(parsing: sandbox.done("--json", "info", "note").standardOutput)
      #expect(info["id"]?.integer == 3)
    }
  }

  @Test("before the newest comes to light when that is deleted")
  func deleteNewest() throws {
    try Sandbox.use { sandbox in
      try store(3, versionsOf: "note", in: sandbox)
      expectDone(try sandbox.pfs("delete", "3"))
      #expect(try contents(of: "note", in: sandbox) == "version 2")
      expectDone(try sandbox.pfs("delete", "note"))
      #expect(try contents(of: "note", in: sandbox) == "version 1")
      #expect(try sandbox.list().map(\.id) == [1])
    }
  }

  @Test("goes with all others of the name by --all-versions, and with no other name")
  func deleteAll() throws {
    try Sandbox.use { sandbox in
      try store(3, versionsOf: "note", in: sandbox)
      try store(1, versionsOf: "note2", in: sandbox)
      expectDone(try sandbox.pfs("delete", "--all-versions", "note"))
      #expect(try sandbox.list().map(\.name) == ["note2"])
      expectFailure(try sandbox.pfs("get", "note"), 4, of: "get", says: "note")
    }
  }

  private func store(_ count: Int, versionsOf name: String, in sandbox: Sandbox) throws {
    for number in 1...count {
      try (sandbox.work / name).write("version \(number)")
      try sandbox.put(sandbox.work / name)
    }
    try (sandbox.work / name).remove()
  }

  private func contents(of argument: String, in sandbox: Sandbox) throws -> String {
    try sandbox.done("get", "-o", "-", argument).outputText
  }
}

@Suite("Id") struct IdentifierTests {
  @Test("counts up from 1 across restarts and is never given again")
  func neverReused() throws {
    try Sandbox.use { sandbox in
      let path = sandbox.work / "file"
      try path.write("contents")
      #expect(try (1...3).map { _ in try sandbox.put(path) } == [1, 2, 3])
      try sandbox.done("delete", "3")
      #expect(try sandbox.put(path) == 4)
      for id in [1, 2, 4] { try sandbox.done("delete", String(id)) }
      #expect(try sandbox.list().isEmpty)
      #expect(try sandbox.put(path) == 5)
    }
  }

  @Test("of a put that failed is not given to another file")
  func afterFailure() throws {
    try Sandbox.use { sandbox in
      let path = sandbox.work / "file"
      try path.write("contents")
      try sandbox.put(path)
      for _ in 0..<3 { #expect(try sandbox.pfs("put", "missing").exitStatus == 1) }
      let id = try sandbox.put(path)
      #expect(id > 1)
      #expect(try sandbox.put(path) > id)
    }
  }
}
