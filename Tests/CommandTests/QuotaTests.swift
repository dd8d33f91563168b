import Foundation
import TestSupport
import Testing

@Suite("Quota of a store") struct QuotaTests {
  @Test("is exit status 6 when it is reached, shown by stats, and has room after a delete")
  func reached() throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--quota", "3MiB", "--segment-size", "1MiB", "--part-size", "64KiB")
      try Sample(.random, seed: 1).write(2_000_000, to: sandbox.work / "file")
      try sandbox.put(sandbox.work / "file")
      let full = try sandbox.pfs("put", "file", "--name", "second")
      expectFailure(full, 6, of: "put", says: "file", "quota of 3 MiB", "bytes are used", "nothing was stored")
      #expect(try sandbox.list().map(\.name) == ["file"])
      let statistics = try JSON.lines(try sandbox.done("--json", "stats").standardOutput)
      #expect(statistics.first?["quota"]?.integer == 3 << 20)
      #expect(try sandbox.done("stats").outputText.contains("3 MiB"))
      try sandbox.done("delete", "file")
      try sandbox.put(sandbox.work / "file", "--name", "second")
    }
  }

  @Test("is not exceeded by processes together")
  func together() throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--quota", "5MiB", "--segment-size", "1MiB", "--part-size", "64KiB")
      try Sample(.random, seed: 1).write(1_500_000, to: sandbox.work / "file")
      let puts = try (0..<8).map { try sandbox.command("put", "file", "--name", "\($0)").start() }
      let statuses = try puts.map { try $0.wait().exitStatus }
      #expect(statuses.allSatisfy { $0 == 0 || $0 == 6 }, "\(statuses)")
      let storedCount = statuses.filter { $0 == 0 }.count
      #expect(storedCount <= 3, "\(statuses)")
      #expect(try sandbox.list().count == storedCount)
    }
  }

  @Test("must be a size", arguments: ["0", "-1", "many"])
  func usage(size: String) throws {
    try Sandbox.use { sandbox in
      let result = try sandbox.pfs("init", "--quota", size)
      #expect(result.exitStatus == 2, "\(result)")
      #expect(try !sandbox.store.exists())
    }
  }
}

@Suite("Sparse files") struct SparseFileTests {
  @Test("of a terabyte are stored and listed as any other, and take next to nothing")
  func huge() throws {
    try Sandbox.use { sandbox in
      sandbox.isChecked = false
      let path = sandbox.work / "huge"
      try path.write("")
      try FilesOnDisk.truncate(path.text, to: 1 << 40)
      try FilesOnDisk.overwrite(path.text, at: 600_000_000_000, with: Array("found".utf8))
      try sandbox.done("init", "--part-size", "64MiB", "--segment-size", "128MiB")
      try sandbox.done("put", "huge")
      #expect(try sandbox.list().map(\.byteCount) == [1 << 40])
      #expect(try sandbox.store.allocatedByteCountOfTree() < 64 << 20)
    }
  }

  @Test("come back with their holes")
  func restored() throws {
    try Sandbox.use { sandbox in
      let path = sandbox.work / "sparse"
      try path.write("")
      try FilesOnDisk.truncate(path.text, to: 256 << 20)
      for offset in [0, 100_000_000, 200_000_000] {
        try FilesOnDisk.overwrite(path.text, at: offset, with: Array("data".utf8))
      }
      try sandbox.put(path, "--verify")
      expectDone(try sandbox.pfs("get", "sparse", "-o", "restored"))
      try expectSameBytes(sandbox.work / "restored", path)
      let restored = sandbox.work / "restored"
      #expect(try restored.allocatedByteCountOfTree() < 8 << 20)
    }
  }
}
