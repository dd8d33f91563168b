import Foundation
import TestSupport
import Testing

@Suite("A sync that fails") struct FailedSyncTests {
  @Test(
    "is exit status 1 and unknown durability; nothing is written after it, and the next open shows what there is",
    arguments: ["/segments/", "/index/data.mdb"])
  func poison(path: String) throws {
    try Sandbox.use { sandbox in
      for name in ["before", "first", "second"] {
        try Sample(.random, seed: UInt64(name.count)).write(50_000, to: sandbox.work / name)
      }
      try sandbox.done("init")
      try sandbox.put(sandbox.work / "before")
      // The syncs of the first put come one after the other; each is the one that fails, until none does.
      for number in 1... {
        let log = sandbox.root / "work" / "log-\(number)"
        let changing = ["pwrite", "writev", "fdatasync", "fsync"]
        var fault = Fault(.error("EIO"), at: ["fdatasync"], path: path)
        fault.number = number
        var command = try fault.applied(to: sandbox.command("shell"), log: log)
        command.input = .bytes(Data("put first\nwait\nput second\nwait\n".utf8))
        let result = try command.run()
        let calls = try LoggedCall.all(in: log)
        guard let failed = calls.first(where: \.isMet) else {
          #expect(result.exitStatus == 0, "\(result)")
          #expect(number > 1)
          break
        }
        #expect(result.exitStatus == 1, "\(failed): \(result)")
        #expect(result.errorText.contains("is not known"), "\(failed): \(result)")
        #expect(calls.last == failed, "written after \(failed): \(calls.filter { changing.contains($0.call) })")
        let acknowledged = Set(result.outputLines.compactMap { $0.split(separator: "\t").last.map(String.init) })
        let found = try sandbox.list()
        #expect(found.allSatisfy { $0.status == "ready" }, "\(found)")
        #expect(Set(found.map(\.name)).isSuperset(of: acknowledged.union(["before"])), "\(found) after \(result)")
        for file in found {
          try sandbox.done("get", "--force", String(file.id), "-o", "restored")
          try expectSameBytes(sandbox.work / "restored", sandbox.work / file.name)
          if file.name != "before" { try sandbox.done("delete", String(file.id)) }
        }
      }
    }
  }

  @Test("refuses the next put of the same process with the reason of the first")
  func refusal() throws {
    try Sandbox.use { sandbox in
      for name in ["first", "second"] { try Sample(.random, seed: 1).write(50_000, to: sandbox.work / name) }
      try sandbox.done("init")
      let log = sandbox.work / "log"
      // Every call on a segment is logged; the first sync fails.
      var command = try Fault(.error("EIO"), at: ["fdatasync"], path: "/segments/", number: 1)
        .applied(to: sandbox.command("shell"), log: log)
      command.input = .bytes(Data("put first\nwait\nput second\nwait\n".utf8))
      let result = try command.run()
      #expect(result.exitStatus == 1, "\(result)")
      for name in ["first", "second"] {
        #expect(
          result.errorLines.contains { $0.contains(name) && $0.contains("is not known") }, "\(name) in \(result)")
      }
      #expect(result.standardOutput.isEmpty, "\(result)")
      #expect(try sandbox.list().isEmpty)
    }
  }
}
