import Foundation
import TestSupport
import Testing

@Suite("Space that a delete gives back") struct DeleteSpaceTests {
  @Test("is what --dry-run says, what it reports and what du shows, within 1 %", arguments: [1, 2, 3, 4] as [UInt64])
  func agrees(number: UInt64) throws {
    try Sandbox.use { sandbox in
      let seed = TestSeed("space given back", default: 900 + number)
      var generator = seed.generator
      try sandbox.done("init", "--segment-size", "4MiB", "--part-size", "64KiB")
      for tree in ["tree", "other"] { try (sandbox.work / tree).makeDirectory() }
      for file in 0..<120 {
        let byteCount = [3000, 20_000, 70_000, 400_000][generator.below(4)]
        let tree = generator.below(4) == 0 ? "other" : "tree"
        try Sample(.random, seed: UInt64(file)).write(byteCount, to: sandbox.work / tree / "\(file)")
      }
      try Sample(.random, seed: 1000).write(10 << 20, to: sandbox.work / "tree" / "big")
      try sandbox.done("put", "-r", "tree", "other")
      let before = try sandbox.diskByteCount()
      let said = try sandbox.done("--json", "delete", "--dry-run", "-r", "tree")
      let predicted = try #require(try JSON.lines(said.standardOutput).last?["would_free"]?.integer)
      #expect(try sandbox.diskByteCount() == before, "\(seed)")
      let done = try sandbox.done("--json", "delete", "-r", "tree")
      let reported = try #require(try JSON.lines(done.standardOutput).last?["freed"]?.integer)
      let shown = before - (try sandbox.diskByteCount())
      #expect(abs(reported - shown) * 100 <= shown, "\(seed): reported \(reported), du shows \(shown)")
      #expect(abs(predicted - shown) * 100 <= shown, "\(seed): predicted \(predicted), du shows \(shown)")
    }
  }

  @Test("is nearly all of a big file", arguments: [false, true])
  func bigFile(hasNeighbours: Bool) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--segment-size", "8MiB")
      try Sample(.random, seed: 1).write(100_000, to: sandbox.work / "small")
      try Sample(.random, seed: 2).write(100 << 20, to: sandbox.work / "big")
      if hasNeighbours { try sandbox.put(sandbox.work / "small") }
      try sandbox.put(sandbox.work / "big")
      if hasNeighbours { try sandbox.put(sandbox.work / "small") }
      let before = try sandbox.diskByteCount()
      expectDone(try sandbox.pfs("delete", "big"))
      #expect(before - (try sandbox.diskByteCount()) >= (100 << 20) / 100 * 95)
    }
  }

  @Test("is all that a put took which failed, beside what others have in the same segments", arguments: [1, 4])
  func failedPut(workerCount: Int) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--segment-size", "8MiB", "--part-size", "64KiB")
      try (sandbox.work / "tree").makeDirectory()
      for number in 0..<8 {
        try Sample(.random, seed: UInt64(number)).write(300_000, to: sandbox.work / "tree" / "\(number)")
      }
      try sandbox.done("put", "-r", "tree")
      let before = try sandbox.diskByteCount()
      let result = try sandbox.pfs(
        "put", "--workers", "\(workerCount)", "--name", "x", "--from-command",
        "head -c 30000000 /dev/urandom; exit 1")
      #expect(result.exitStatus != 0, "\(result)")
      #expect(try sandbox.diskByteCount() - before < 400_000)
      try sandbox.done("verify")
      try (sandbox.store / "index" / "data.mdb").remove()
      try sandbox.done("rebuild")
      try sandbox.done("verify")
      #expect(try sandbox.list().count == 8)
    }
  }

  @Test("comes back for each version that is named", arguments: [["f", "f"], ["--all-versions", "f"]])
  func versions(arguments: [String]) throws {
    try Sandbox.use { sandbox in
      try (sandbox.work / "f").write("x")
      for _ in 0..<2 { try sandbox.put(sandbox.work / "f") }
      let result = try sandbox.command(["--json", "delete"] + arguments).run()
      expectDone(result)
      let lines = try JSON.lines(result.standardOutput)
      #expect(lines.compactMap { $0["id"]?.integer }.sorted() == [1, 2], "\(result)")
      #expect(lines.last?["deleted_files"]?.integer == 2, "\(result)")
      #expect(try sandbox.list().isEmpty)
      expectFailure(try sandbox.pfs("delete", "f"), 4, of: "delete", says: "f")
    }
  }
}

@Suite("Delete with no byte free", .enabled(if: LoopFileSystem.isAvailable, "\(LoopFileSystem.requirement)"))
struct DeleteOnFullDiskTests {
  @Test("works again and again, puts fail with exit status 6 and leave nothing", arguments: [false, true])
  func again(withoutReserve: Bool) throws {
    try Sandbox.use { sandbox in
      let disk = try sandbox.mountFileSystem(byteCount: 96 << 20)
      sandbox.store = disk.root / "store"
      try sandbox.done("init", "--segment-size", "4MiB", "--part-size", "64KiB")
      try (sandbox.work / "tree").makeDirectory()
      for number in 0..<300 {
        try Sample(.random, seed: UInt64(number)).write(30_000, to: sandbox.work / "tree" / "\(number)")
      }
      try Sample(.random, seed: 5).write(30 << 20, to: sandbox.work / "big")
      try sandbox.put(sandbox.work / "big")
      try sandbox.done("put", "-r", "tree")
      // Something that was deleted before, so that the index has free pages, as every one has that was used.
      try sandbox.put(sandbox.work / "tree" / "1", "--name", "earlier")
      try sandbox.done("delete", "earlier")
      if withoutReserve { try (sandbox.store / "reserve").truncate(to: 0) }
      for round in 0..<12 {
        _ = try disk.fillUp()
        expectDone(try sandbox.pfs("delete", "tree/\(round)"))
        let listed = try sandbox.list().count
        _ = try disk.fillUp()
        expectFailure(try sandbox.pfs("put", "big"), 6, of: "put", says: "space")
        #expect(try sandbox.list().count == listed)
      }
      _ = try disk.fillUp()
      expectDone(try sandbox.pfs("delete", "-r", "tree"))
      #expect(try sandbox.list().map(\.name) == ["big"])
      _ = try disk.fillUp()
      let freeByteCount = try disk.freeByteCount()
      expectDone(try sandbox.pfs("delete", "big"))
      #expect(try disk.freeByteCount() - freeByteCount > 20 << 20)
      #expect(try sandbox.list().isEmpty)
      try (disk.root / "filler").remove()
      #expect(try sandbox.put(sandbox.work / "big") > 300)
    }
  }

  @Test("works to the last of many small files that lie among others, while somebody takes each byte that comes back")
  func scattered() throws {
    try Sandbox.use { sandbox in
      let disk = try sandbox.mountFileSystem(byteCount: 96 << 20)
      sandbox.store = disk.root / "store"
      try sandbox.done("init", "--segment-size", "4MiB", "--part-size", "64KiB")
      let tree = sandbox.work / "tree"
      try tree.makeDirectory()
      let names = (0..<30_000).map { "\($0)" }
      for name in names { try (tree / name).write(String(repeating: name, count: 100)) }
      try sandbox.done("put", "-r", "tree")
      let deleted = names.indices.filter { $0 % 3 != 0 }.map { "tree/" + names[$0] }
      for start in stride(from: 0, to: deleted.count, by: 1000) {
        _ = try disk.fillUp()
        let some = Array(deleted[start..<min(start + 1000, deleted.count)])
        expectDone(try sandbox.command(["delete"] + some).run())
      }
      #expect(try sandbox.list().count == 10_000)
      _ = try disk.fillUp()
      try (sandbox.store / "index" / "data.mdb").truncate(to: 4096)
      try (disk.root / "filler").remove()
      try sandbox.done("rebuild")
      #expect(try sandbox.list().count == 10_000)
      try sandbox.done("verify")
      try sandbox.done("get", "-r", "tree", "-o", (sandbox.work / "out").description)
      for number in stride(from: 0, to: names.count, by: 3) {
        let restored = try (sandbox.work / "out" / names[number]).read()
        #expect(restored == Data(String(repeating: names[number], count: 100).utf8))
      }
    }
  }
}

extension Sandbox {
  /// What the store takes on disk, as du counts it.
  fileprivate func diskByteCount() throws -> Int {
    var sum = 0
    for directory in [store, store / "index", store / "segments"] {
      for name in try directory.entryNames() {
        let status = try (directory / String(decoding: name, as: UTF8.self)).status()
        if let status, status.kind == .file { sum += status.allocatedByteCount }
      }
    }
    return sum
  }
}
