import Foundation
import TestSupport
import Testing

@Suite("Full disk", .enabled(if: LoopFileSystem.isAvailable, "\(LoopFileSystem.requirement)"))
struct FullDiskTests {
  @Test("is exit status 6, stores nothing, and leaves a store that works and can be emptied")
  func put() throws {
    try Sandbox.use { sandbox in
      let disk = try sandbox.mountFileSystem(byteCount: 48 << 20)
      sandbox.store = disk.root / "store"
      try sandbox.done("init", "--segment-size", "1MiB", "--part-size", "64KiB")
      try Sample(.random, seed: 1).write(2 << 20, to: sandbox.work / "keep")
      try Sample(.random, seed: 2).write(64 << 20, to: sandbox.work / "big")
      try sandbox.put(sandbox.work / "keep")
      let freeByteCount = try disk.freeByteCount()

      let failed = try sandbox.pfs("put", "big")
      expectFailure(failed, 6, of: "put", says: "big", "space", "nothing was stored")
      #expect(try disk.freeByteCount() >= freeByteCount - 4 << 20, "the space of the failed put is back")
      #expect(try sandbox.list().map(\.name) == ["keep"])
      expectDone(try sandbox.pfs("get", "keep", "-o", sandbox.work / "restored"))
      try expectSameBytes(sandbox.work / "restored", sandbox.work / "keep")

      let filler = try disk.fillUp()
      #expect(try sandbox.list().map(\.name) == ["keep"])
      expectDone(try sandbox.pfs("get", "keep", "-o", "-", output: .file(BytePath("/dev/null"))))
      expectFailure(try sandbox.pfs("put", "big"), 6, of: "put", says: "space")
      expectDone(try sandbox.pfs("delete", "keep"))
      #expect(try sandbox.list().isEmpty)
      try filler.remove()
      #expect(try sandbox.put(sandbox.work / "keep") > 1)
    }
  }

  @Test("smaller than one segment is exit status 6 when it is full")
  func smallerThanSegment() throws {
    try Sandbox.use { sandbox in
      let disk = try sandbox.mountFileSystem(byteCount: 32 << 20)
      sandbox.store = disk.root / "store"
      try sandbox.done("init", "--segment-size", "64MiB")
      try Sample(.random, seed: 3).write(40 << 20, to: sandbox.work / "file")
      expectFailure(try sandbox.pfs("put", "file"), 6, of: "put", says: "file", "space")
      #expect(try sandbox.list().isEmpty)
    }
  }

  @Test("without room for a store is exit status 6, and no half of one stays")
  func creation() throws {
    try Sandbox.use { sandbox in
      let disk = try sandbox.mountFileSystem(byteCount: 8 << 20)
      sandbox.store = disk.root / "store"
      let filler = try disk.fillUp()
      expectFailure(try sandbox.pfs("init"), 6, of: "init", says: "space")
      try filler.remove()
      #expect(try disk.root.entryNames() == [Array("lost+found".utf8)])
    }
  }

  @Test("under the output of a get is exit status 6 and leaves nothing there")
  func get() throws {
    try Sandbox.use { sandbox in
      let disk = try sandbox.mountFileSystem(byteCount: 8 << 20)
      try Sample(.random, seed: 4).write(16 << 20, to: sandbox.work / "big")
      try sandbox.put(sandbox.work / "big")
      expectFailure(try sandbox.pfs("get", "1", "-o", disk.root / "restored"), 6, of: "get", says: "space")
      try expectNothing(at: disk.root / "restored", besides: ["lost+found"])
    }
  }
}

@Suite("Full device") struct FullDeviceTests {
  @Test(
    "under standard output is an error, not silence",
    arguments: [
      ["get", "1", "-o", "-"], ["list"], ["info", "1"], ["--json", "list"], ["stats"], ["help"],
    ])
  func standardOutput(arguments: [String]) throws {
    try Sandbox.use { sandbox in
      try Sample(.random, seed: 4).write(100_000, to: sandbox.work / "file")
      try sandbox.put(sandbox.work / "file")
      var command = sandbox.command(arguments)
      command.output = .file(BytePath("/dev/full"))
      let result = try command.run()
      #expect([1, 6].contains(result.exitStatus), "\(result)")
      expectOneClearLine(result, says: ["space"])
    }
  }
}
