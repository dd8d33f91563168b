import Foundation
import TestSupport
import Testing

@Suite("pfs rebuild") struct RebuildTests {
  @Test("brings back a lost index: the same ids, names, dates and bytes", arguments: ["index", "index/data.mdb"])
  func lostIndex(place: String) throws {
    try withFiles { sandbox in
      let before = try sandbox.done("--json", "list").standardOutput
      try (sandbox.store / place).remove()
      expectFailure(try sandbox.pfs("list"), 3, of: "list", says: "index is missing", "pfs rebuild")
      expectFailure(try sandbox.pfs("put", "big"), 3, of: "put", says: "pfs rebuild")
      let result = try sandbox.done("--json", "rebuild")
      let summary = try JSON(parsing: result.standardOutput)
      #expect(summary["files"]?.integer == 3)
      #expect(summary["deleted_files"]?.integer == 1)
      #expect(summary["findings"]?.integer == 0)
      #expect(try sandbox.done("--json", "list").standardOutput == before)
      try expectFiles(sandbox)
      expectDone(try sandbox.pfs("rebuild"))
      #expect(try sandbox.done("--json", "list").standardOutput == before)
    }
  }

  @Test("brings back an index that was cut short", arguments: [0, 1, 4096, 8192, 20_000])
  func truncatedIndex(byteCount: Int) throws {
    try withFiles { sandbox in
      let before = try sandbox.done("--json", "list").standardOutput
      try (sandbox.store / "index" / "data.mdb").truncate(to: byteCount)
      expectFailure(try sandbox.pfs("list"), 3, of: "list", says: "index", "pfs rebuild")
      expectDone(try sandbox.pfs("rebuild"))
      #expect(try sandbox.done("--json", "list").standardOutput == before)
      try expectFiles(sandbox)
    }
  }

  @Test("brings back an index in which any byte was flipped, and until then nothing wrong is read")
  func flippedIndex() throws {
    let seed = TestSeed("flipped bytes of an index", default: 321)
    var generator = seed.generator
    try withFiles { sandbox in
      let before = try sandbox.done("--json", "list").standardOutput
      let index = sandbox.store / "index" / "data.mdb"
      let intact = try index.read()
      let used = intact.indices.filter { intact[$0] != 0 }
      for _ in 0..<12 {
        let offset = used[generator.below(used.count)]
        try index.flip(1 << UInt8(generator.below(8)), at: offset)
        let list = try sandbox.pfs("--json", "list")
        #expect(list.signal == nil, "\(seed), offset \(offset): \(list)")
        if list.exitStatus == 0 {
          // A page that nothing reads, or one that an older transaction left.
          #expect(list.standardOutput == before, "\(seed), offset \(offset)")
        } else {
          expectOneClearLine(list, of: "list", says: ["index", "pfs rebuild"])
          #expect(list.exitStatus == 3, "\(seed), offset \(offset): \(list)")
        }
        expectDone(try sandbox.pfs("rebuild"))
        #expect(try sandbox.done("--json", "list").standardOutput == before, "\(seed), offset \(offset)")
        try index.write(intact)
      }
      try expectFiles(sandbox)
    }
  }

  @Test("says what is damaged, exits with 3, and keeps the rest")
  func damage() throws {
    try withFiles { sandbox in
      let wanted = try (sandbox.work / "big").read()[(2 << 20)..<(2 << 20 + 64)]
      let segment = try #require(try sandbox.segmentPaths().first { try $0.read().range(of: wanted) != nil })
      let bytes = try segment.read()
      try segment.flip(at: try #require(bytes.range(of: wanted)).lowerBound)
      // Without a footer every payload is read.
      try segment.flip(at: bytes.count - 1)
      try (sandbox.store / "index").remove()
      let result = try sandbox.pfs("--json", "rebuild")
      #expect(result.exitStatus == 3, "\(result)")
      let lines = try JSON.lines(result.standardOutput)
      let finding = try #require(lines.first { $0["finding"]?.string == "part" }, "\(result)")
      #expect(finding["name"]?.string == "big")
      #expect(finding["part"]?.integer == 32)
      #expect(lines.last?["findings"]?.integer == lines.count - 1)
      let text = try sandbox.pfs("rebuild")
      #expect(text.exitStatus == 3)
      #expect(text.outputText.contains("damaged part 'big'"), "\(text)")
      let id = try #require(try sandbox.list().first { $0.name == "big" }).id
      sandbox.damagedIdentifiers = [id]
      expectFailure(try sandbox.pfs("get", "big", "-o", "restored"), 3, of: "get", says: "part 32")
      #expect(try sandbox.list().count == 3)
    }
  }

  @Test("keeps deleted files gone when a delete was killed", arguments: 1...4 as ClosedRange<UInt64>)
  func killedDelete(seed: UInt64) throws {
    try withFiles { sandbox in
      var generator = SeededGenerator(seed: seed)
      let spin = generator.below(40) * 500
      let deleting = try sandbox.command("delete", "big").start()
      usleep(UInt32(spin))
      deleting.kill()
      let acknowledged = try deleting.wait().exitStatus == 0
      try (sandbox.store / "index").remove()
      expectDone(try sandbox.pfs("rebuild"))
      let names = Set(try sandbox.list().map(\.name))
      #expect(names.isSuperset(of: ["small", "empty"]))
      if acknowledged { #expect(!names.contains("big")) }
      if names.contains("big") {
        expectDone(try sandbox.pfs("get", "big", "-o", "restored"))
        try expectSameBytes(sandbox.work / "restored", sandbox.work / "big")
      }
    }
  }

  @Test("finds no empty segment where a delete was killed while it removed one")
  func killedWhileRemoving() throws {
    for number in 1...2 {
      try withFiles { sandbox in
        let log = sandbox.root / "work" / "log"
        let fault = Fault(.kill, at: ["unlink", "ftruncate"], path: "/segments", number: number)
        let result = try fault.applied(to: sandbox.command("delete", "big"), log: log).run()
        #expect(result.signal != nil, "call \(number) was never made: \(result)")
        try (sandbox.store / "index" / "data.mdb").remove()
        expectDone(try sandbox.pfs("rebuild"))
        #expect(Set(try sandbox.list().map(\.name)) == ["small", "empty"])
      }
    }
  }

  @Test("finds no segment without its header where a put was killed while it made one")
  func killedWhileMaking() throws {
    try withFiles { sandbox in
      // A segment for itself: the others are full.
      let source = sandbox.work / "big"
      var fault = Fault(.kill, at: ["create", "fallocate", "pwrite", "fsync", "fdatasync", "link"], path: "/segments")
      var number = 1
      while true {
        fault.number = number
        let log = sandbox.root / "work" / "log"
        try log.remove()
        let result = try fault.applied(to: sandbox.command(["put", source.text, "--name", "n"]), log: log).run()
        if result.signal == nil { break }
        try (sandbox.store / "index" / "data.mdb").remove()
        let rebuilt = try sandbox.pfs("rebuild")
        // A record that was cut short is one, as nobody knows any more that it was not yet in the index.
        let isTorn = rebuilt.exitStatus == 3 && rebuilt.outputText.contains("no intact record")
        #expect(rebuilt.exitStatus == 0 || isTorn, "killed at call \(number): \(rebuilt)")
        #expect(!rebuilt.outputText.contains("empty"), "killed at call \(number): \(rebuilt)")
        number += 1
      }
      #expect(number > 5)
    }
  }

  @Test("makes segments where files without a name cannot be made")
  func noUnnamedFiles() throws {
    try withFiles { sandbox in
      let log = sandbox.root / "work" / "log"
      for name in ["EOPNOTSUPP", "EINVAL"] {
        try log.remove()
        let fault = Fault(.error(name), at: ["create"], path: "/segments", number: 1)
        let put = sandbox.command(["put", "big", "--name", name])
        expectDone(try fault.applied(to: put, log: log).run())
        #expect(try LoggedCall.all(in: log).contains(where: \.isMet), "no segment was made")
        expectDone(try sandbox.pfs("get", name, "-o", name))
        try expectSameBytes(sandbox.work / name, sandbox.work / "big")
      }
    }
  }

  @Test("that was killed leaves the old index, or none, and the next one makes it", arguments: [true, false])
  func killed(hasIndex: Bool) throws {
    let seed = TestSeed("killed rebuilds", default: 322)
    var generator = seed.generator
    try withFiles { sandbox in
      for number in 0..<40 { try sandbox.put(sandbox.work / "small", "--name", "small \(number)") }
      let before = try sandbox.done("--json", "list").standardOutput
      for round in 0..<12 {
        if !hasIndex { try (sandbox.store / "index" / "data.mdb").remove() }
        let rebuilding = try sandbox.command("rebuild").start()
        usleep(UInt32(generator.below(60_000)))
        rebuilding.kill()
        _ = try rebuilding.wait()
        if hasIndex || round % 2 == 0 {
          if !hasIndex { expectDone(try sandbox.pfs("rebuild")) }
          #expect(try sandbox.done("--json", "list").standardOutput == before, "\(seed), round \(round)")
          let left = try (sandbox.store / "index").entryNames().map { String(decoding: $0, as: UTF8.self) }
          #expect(Set(left) == ["data.mdb", "lock.mdb"], "\(seed), round \(round)")
        }
      }
      expectDone(try sandbox.pfs("rebuild"))
      #expect(try sandbox.done("--json", "list").standardOutput == before)
      try expectFiles(sandbox)
    }
  }

  @Test("waits for those who use the store: exit status 5 when the time is over, and nothing is changed")
  func busy() throws {
    try withFiles { sandbox in
      var command = sandbox.command("shell")
      command.input = .pipe
      command.output = .pipe
      let shell = try command.start()
      try shell.write(Data("list\n".utf8))
      #expect(try !shell.readOutput(upTo: 1).isEmpty)
      let before = try (sandbox.store / "index" / "data.mdb").read()
      expectFailure(
        try sandbox.pfs("--lock-timeout", "0", "rebuild"), 5, of: "rebuild", says: "in use", "--lock-timeout")
      let isSame = try (sandbox.store / "index" / "data.mdb").read() == before
      #expect(isSame)
      shell.closeInput()
      _ = try shell.readOutput()
      expectDone(try shell.wait())
      expectDone(try sandbox.pfs("--lock-timeout", "0", "rebuild"))
    }
  }

  @Test("keeps others out while it runs: exit status 5 when their time is over")
  func exclusive() throws {
    try withFiles { sandbox in
      var command = sandbox.command("rebuild")
      command.output = .pipe
      // It writes its findings as it goes, and cannot go on when nobody reads them.
      try fillWithFindings(sandbox)
      let rebuilding = try command.start()
      #expect(try !rebuilding.readOutput(upTo: 1).isEmpty)
      expectFailure(try sandbox.pfs("--lock-timeout", "0", "list"), 5, of: "list", says: "rebuilt")
      expectFailure(try sandbox.pfs("--lock-timeout", "0", "rebuild"), 5, of: "rebuild", says: "in use")
      _ = try rebuilding.readOutput()
      #expect(try rebuilding.wait().exitStatus == 3)
      #expect(try sandbox.list().count == 3)
    }
  }

  /// Damages so many segments that what is said of them does not fit a pipe.
  private func fillWithFindings(_ sandbox: Sandbox) throws {
    for number in 1000..<2000 {
      try (sandbox.store / "segments" / "000000000000\(number).seg").write("no segment")
    }
  }

  @Test("under a small memory limit makes an index of many parts and files")
  func memory() throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--part-size", "4KiB")
      try (sandbox.work / "many").write(Data())
      try (sandbox.work / "many").truncate(to: 30_000 * 4096)
      try sandbox.put(sandbox.work / "many")
      try (sandbox.work / "tree").makeDirectory()
      for number in 0..<1000 { try (sandbox.work / "tree" / "\(number)").write("file \(number)") }
      expectDone(try sandbox.pfs("put", "-r", "tree"))
      try (sandbox.store / "index").remove()
      expectFailure(try sandbox.pfs("--memory", "4095KiB", "rebuild"), 2, of: "rebuild", says: "smallest", "4096KiB")
      let (result, peakByteCount) = try sandbox.command("--memory", "4MiB", "rebuild").start().waitWatchingMemory()
      expectDone(result)
      #expect(peakByteCount > 0)
      #expect(peakByteCount <= 4 << 20 + 16 << 20, "anonymous memory")
      #expect(try sandbox.done("list").outputLines.count >= 1001)
      expectDone(try sandbox.pfs("get", "tree/77", "-o", "restored"))
      #expect(try String(decoding: (sandbox.work / "restored").read(), as: UTF8.self) == "file 77")
      sandbox.isChecked = false
    }
  }

  @Test("takes no arguments, and says where there is no store")
  func usage() throws {
    try Sandbox.use { sandbox in
      expectFailure(try sandbox.pfs("rebuild"), 4, of: "rebuild", says: "no such store")
      expectFailure(try sandbox.pfs("rebuild", "x"), 2, of: "rebuild", says: "arguments")
    }
  }

  /// A store with files `big`, `small` and `empty`, and one that was deleted.
  private func withFiles(_ body: (Sandbox) throws -> Void) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--segment-size", "1MiB", "--part-size", "64KiB")
      try Sample(.random, seed: 1).write(3 << 20, to: sandbox.work / "big")
      try Sample(.text, seed: 2).write(100_000, to: sandbox.work / "small")
      try (sandbox.work / "empty").write(Data())
      try sandbox.put(sandbox.work / "big", "--name", "deleted")
      for name in ["big", "small", "empty"] { try sandbox.put(sandbox.work / name) }
      try sandbox.done("delete", "deleted")
      try body(sandbox)
    }
  }

  private func expectFiles(_ sandbox: Sandbox) throws {
    for name in ["big", "small", "empty"] {
      expectDone(try sandbox.pfs("get", "--force", name, "-o", "restored"))
      try expectSameBytes(sandbox.work / "restored", sandbox.work / name)
    }
  }
}

@Suite("pfs rebuild on a full disk", .enabled(if: LoopFileSystem.isAvailable, "\(LoopFileSystem.requirement)"))
struct RebuildOnFullDiskTests {
  @Test("is exit status 6, keeps the old index and leaves nothing behind", arguments: [0, 300_000])
  func full(freeByteCount: Int) throws {
    try Sandbox.use { sandbox in
      let disk = try sandbox.mountFileSystem(byteCount: 32 << 20)
      sandbox.store = disk.root / "store"
      try sandbox.done("init", "--segment-size", "1MiB", "--part-size", "4KiB")
      // Parts of zeros take a record each and an entry, but no payload.
      try (sandbox.work / "sparse").write(Data())
      try (sandbox.work / "sparse").truncate(to: 8000 * 4096)
      try sandbox.put(sandbox.work / "sparse")
      let filler = try disk.fillUp()
      if freeByteCount > 0 {
        guard let size = try filler.status()?.byteCount else { throw TestFailure("no filler") }
        try filler.truncate(to: size - freeByteCount)
      }
      let before = try disk.freeByteCount()
      expectFailure(try sandbox.pfs("rebuild"), 6, of: "rebuild", says: "space")
      #expect(try disk.freeByteCount() >= before - 8192)
      let left = try (sandbox.store / "index").entryNames().map { String(decoding: $0, as: UTF8.self) }
      #expect(Set(left) == ["data.mdb", "lock.mdb"])
      #expect(try sandbox.list().map(\.name) == ["sparse"])
      try filler.remove()
      expectDone(try sandbox.pfs("rebuild"))
      #expect(try sandbox.list().map(\.name) == ["sparse"])
    }
  }
}
