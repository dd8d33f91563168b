import Foundation
import TestSupport
import Testing

@Suite("pfs compact") struct CompactionTests {
  /// A store of small segments, in each of which half of the files were deleted: the names and bytes of the others.
  private func withHalfDeleted(_ body: (Sandbox, [String]) throws -> Void) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--segment-size", "64KiB", "--part-size", "4KiB")
      try (sandbox.work / "tree").makeDirectory()
      var generator = SeededGenerator(seed: 41)
      for number in 0..<60 {
        let byteCount = number % 20 == 0 ? 30_000 : 1 + Int(generator.next() % 7_000)
        try Sample(.random, seed: UInt64(number)).write(byteCount, to: sandbox.work / "tree" / "f\(number)")
      }
      try sandbox.done("put", "-r", "tree")
      let names = (0..<60).map { "tree/f\($0)" }
      let deleted = names.enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
      expectDone(try sandbox.command(["delete"] + deleted).run())
      try body(sandbox, names.filter { !deleted.contains($0) })
    }
  }

  private func expectWhole(_ names: [String], in sandbox: Sandbox) throws {
    #expect(Set(try sandbox.list().map(\.name)) == Set(names))
    try (sandbox.work / "out").remove()
    expectDone(try sandbox.pfs("get", "-r", "tree", "-o", "out"))
    for name in names {
      try expectSameBytes(sandbox.work / "out" / String(name.dropFirst(5)), sandbox.work / name)
    }
  }

  @Test("gives space back and changes no file, also not for an index that is made anew")
  func givesSpaceBack() throws {
    try withHalfDeleted { sandbox, names in
      let before = try sandbox.list()
      let segmentCount = try sandbox.segmentPaths().count
      let diskByteCount = try (sandbox.store / "segments").allocatedByteCountOfTree()
      let result = try sandbox.done("--json", "compact", "--target", "1")
      let summary = try JSON(parsing: result.standardOutput)
      #expect(summary["removed_segments"]?.integer ?? 0 > 0)
      #expect(try sandbox.segmentPaths().count < segmentCount)
      let left = try (sandbox.store / "segments").allocatedByteCountOfTree()
      #expect(left < diskByteCount, "\(left) of \(diskByteCount) bytes, \(result)")
      #expect(try sandbox.list() == before)
      try expectWhole(names, in: sandbox)
      try (sandbox.store / "index").remove()
      expectDone(try sandbox.pfs("rebuild"))
      #expect(try sandbox.list() == before)
      try expectWhole(names, in: sandbox)
      // What is where it belongs stays there.
      let again = try JSON(parsing: sandbox.done("--json", "compact", "--target", "2").standardOutput)
      #expect(again["moved"]?.integer == 0)
    }
  }

  @Test("moves nothing where all is alive, however small the segments are", arguments: ["64KiB", "128KiB", "1MiB"])
  func nothingDead(segmentSize: String) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--segment-size", segmentSize, "--part-size", "16KiB")
      try Sample(.random, seed: 5).write(2_500_000, to: sandbox.work / "large")
      try sandbox.done("put", "large")
      let summary = try JSON(parsing: sandbox.done("--json", "compact", "--target", "1").standardOutput)
      #expect(summary["moved"]?.integer == 0 && summary["removed_segments"]?.integer == 0, "\(summary)")
    }
  }

  @Test("killed at any call loses no file, and a rebuild after it brings no deleted one back")
  func killed() throws {
    try withHalfDeleted { sandbox, names in
      let saved = sandbox.root / "saved"
      try copyTree(sandbox.store, to: saved)
      var number = 1
      var isWhole = false
      while !isWhole {
        try sandbox.store.remove()
        try copyTree(saved, to: sandbox.store)
        let log = sandbox.root / "work" / "log"
        try log.remove()
        let fault = Fault(.kill, at: Fault.changes, path: "/store/", number: number)
        isWhole = try fault.applied(to: sandbox.command("compact", "--target", "1"), log: log).run().signal == nil
        if number % 3 == 0 {
          // Files that were moved, or not, and the tombstones of both.
          try sandbox.done("delete", names[number % names.count])
          try sandbox.done(
            "put", "tree/f\(names[number % names.count].dropFirst(6))", "--name", names[number % names.count])
        }
        if number % 2 == 0 {
          try (sandbox.store / "index" / "data.mdb").remove()
          let rebuilt = try sandbox.pfs("rebuild")
          // A record that was cut short is one, as nobody knows any more that it was not yet in the index.
          let isTorn = rebuilt.exitStatus == 3 && rebuilt.outputText.contains("no intact record")
          #expect(rebuilt.exitStatus == 0 || isTorn, "killed at call \(number): \(rebuilt)")
        }
        #expect(Set(try sandbox.list().map(\.name)) == Set(names), "killed at call \(number)")
        expectDone(try sandbox.pfs("verify"))
        number += 1
      }
      try expectWhole(names, in: sandbox)
      #expect(number > 50)
    }
  }

  @Test("writes no more where copies that came too late cannot be taken back for certain, and loses nothing")
  func failedTakingBack() throws {
    try withHalfDeleted { sandbox, names in
      let saved = sandbox.root / "saved"
      try copyTree(sandbox.store, to: saved)
      let deleted = names.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
      let left = names.filter { !deleted.contains($0) }
      let log = sandbox.root / "work" / "log"
      var failureCount = 0
      for number in 1... {
        try sandbox.store.remove()
        try copyTree(saved, to: sandbox.store)
        try log.remove()
        // Stopped before the sync of a batch; the next one is that of zeros over copies that the index does not name. One
        // thread, as a second one may be stopped while it has the index.
        var fault = Fault(.error("EIO"), at: ["fdatasync"], path: "/segments/", number: number + 1)
        fault.stopNumber = number
        let compacting = try fault.applied(to: sandbox.command("compact", "--target", "1", "--workers", "1"), log: log)
          .start()
        try wait(for: "the compaction to stop, or to end") {
          try !compacting.isRunning || LoggedCall.all(in: log).count >= number
        }
        guard compacting.isRunning else {
          expectDone(try compacting.wait())
          break
        }
        expectDone(try sandbox.command(["delete"] + deleted).run())
        compacting.resume()
        let result = try compacting.wait()
        if result.exitStatus != 0 {
          failureCount += 1
          #expect(result.exitStatus == 1 && result.errorText.contains("is not known"), "sync \(number): \(result)")
        }
        expectDone(try sandbox.pfs("verify"))
        try expectWhole(left, in: sandbox)
        try (sandbox.store / "index").remove()
        expectDone(try sandbox.pfs("rebuild"))
        try expectWhole(left, in: sandbox)
        expectDone(try sandbox.pfs("compact", "--target", "1"))
        try expectWhole(left, in: sandbox)
      }
      #expect(failureCount > 0)
    }
  }

  @Test("whose copies the device does not take says so, writes no more, and loses no file")
  func failedWriteback() throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--segment-size", "16MiB", "--part-size", "512KiB")
      // What dies between the large ones is too little to be punched: everything has to move.
      var (left, small): ([String], [String]) = ([], [])
      for number in 0..<8 {
        left.append("large\(number)")
        try Sample(.random, seed: UInt64(number)).write(1_000_000, to: sandbox.work / left[number])
        let group = (0..<15).map { "small\(number)-\($0)" }
        for name in group { try Sample(.random, seed: 99).write(3000, to: sandbox.work / name) }
        expectDone(try sandbox.command(["--workers", "1", "put", left[number]] + group).run())
        small += group
      }
      expectDone(try sandbox.command(["delete"] + small).run())
      // Hints may fail; what waits for the device, and is told that it failed, may not.
      let log = sandbox.root / "work" / "log"
      let fault = Fault(.error("EIO"), at: ["sync_file_range"], path: "/segments/", .sticky, number: 1)
      let result = try fault.applied(to: sandbox.command("compact", "--target", "1"), log: log).run()
      #expect(try LoggedCall.all(in: log).contains(where: \.isMet))
      #expect(result.exitStatus == 1 && result.errorText.contains("is not known"), "\(result)")
      for _ in 0..<2 {
        #expect(try sandbox.list().map(\.name) == left)
        for name in left {
          try (sandbox.work / "out").remove()
          expectDone(try sandbox.pfs("get", name, "-o", "out"))
          try expectSameBytes(sandbox.work / "out", sandbox.work / name)
        }
        expectDone(try sandbox.pfs("verify"))
        expectDone(try sandbox.pfs("compact", "--target", "1"))
      }
    }
  }

  @Test("that is interrupted says that what was moved stays moved")
  func interrupted() throws {
    try withHalfDeleted { sandbox, names in
      let log = sandbox.root / "work" / "log"
      // Stopped before the sync of its second batch, so that the signal comes in the middle of the work.
      let fault = Fault(.stop, at: ["fdatasync"], path: "/segments/", number: 2)
      let compacting = try fault.applied(to: sandbox.command("compact", "--target", "1"), log: log).start()
      try wait(for: "the compaction to stop") { try LoggedCall.all(in: log).contains(where: \.isMet) }
      compacting.send(SIGINT)
      compacting.resume()
      let result = try compacting.wait()
      #expect(result.exitStatus == 130 && result.errorText.contains("what was moved stays moved"), "\(result)")
      expectDone(try sandbox.pfs("verify"))
      try expectWhole(names, in: sandbox)
    }
  }

  @Test("with damaged records leaves these, moves the others and is exit status 3")
  func damaged() throws {
    try withHalfDeleted { sandbox, names in
      let name = names[3]
      let id = try #require(try sandbox.list().first { $0.name == name }).id
      let bytes = try (sandbox.work / name).read().prefix(64)
      let segment = try #require(try sandbox.segmentPaths().first { try $0.read().range(of: bytes) != nil })
      try segment.flip(at: try #require(try segment.read().range(of: bytes)).lowerBound)
      sandbox.damagedIdentifiers = [id]
      let result = try sandbox.pfs("compact", "--target", "1")
      #expect(result.exitStatus == 3, "\(result)")
      #expect(result.outputText.contains("has damaged records"), "\(result)")
      #expect(try segment.exists())
      for other in names where other != name {
        expectDone(try sandbox.pfs("get", "--force", other, "-o", "restored"))
        try expectSameBytes(sandbox.work / "restored", sandbox.work / other)
      }
      expectFailure(try sandbox.pfs("get", "--force", name, "-o", "restored"), 3, of: "get", says: "part")
    }
  }

  @Test("with a segment that cannot be looked at moves the others, counts it, and is exit status 3")
  func unreadable() throws {
    try withHalfDeleted { sandbox, names in
      let segments = try sandbox.segmentPaths()
      let kept = sandbox.root / "kept"
      // Never followed, so that it cannot be opened.
      try FileManager.default.moveItem(atPath: segments[1].text, toPath: kept.text)
      try FileManager.default.createSymbolicLink(atPath: segments[1].text, withDestinationPath: kept.text)
      let result = try sandbox.pfs("--json", "compact", "--target", "1")
      #expect(result.exitStatus == 3, "\(result)")
      let summary = try JSON(parsing: result.standardOutput)
      #expect(summary["damaged_segments"]?.elements?.compactMap(\.integer) == [2], "\(result)")
      #expect(summary["removed_segments"]?.integer ?? 0 > 0, "\(result)")
      #expect(summary["disk"]?.integer ?? 0 >= summary["live"]?.integer ?? .max, "\(result)")
      try segments[1].remove()
      try FileManager.default.moveItem(atPath: kept.text, toPath: segments[1].text)
      expectDone(try sandbox.pfs("compact", "--target", "1"))
      try expectWhole(names, in: sandbox)
    }
  }

  @Test("with a segment that is lost, or cut short, says which and is exit status 3", arguments: [true, false])
  func lostSegment(isCut: Bool) throws {
    try withHalfDeleted { sandbox, names in
      // Of most of the files nothing is left to check.
      sandbox.isChecked = false
      let bytes = try (sandbox.work / names[3]).read().prefix(64)
      let segment = try #require(try sandbox.segmentPaths().first { try $0.read().range(of: bytes) != nil })
      if isCut { try segment.truncate(to: 4096 + 512) } else { try segment.remove() }
      for _ in 0..<2 {
        let result = try sandbox.pfs("--json", "compact", "--target", "1")
        #expect(result.exitStatus == 3, "\(result)")
        #expect(result.outputText.contains("\"damaged_segments\":["), "\(result)")
        #expect(!result.outputText.contains("\"damaged_segments\":[]"), "\(result)")
      }
      // What lies elsewhere is whole.
      let others = try sandbox.list().filter {
        try sandbox.pfs("get", "--force", $0.name, "-o", "restored").exitStatus == 0
      }
      #expect(others.count > 10 && others.count < names.count)
    }
  }

  @Test(
    "refuses what is no ratio, no rate, and arguments",
    arguments: [
      ["--target", "0.5"], ["--target", "x"], ["--target", "nan"], ["--rate", "0"], ["--rate", "fast"], ["segment"],
    ])
  func usage(arguments: [String]) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init")
      expectFailure(try sandbox.command(["compact"] + arguments).run(), 2, of: "compact")
    }
  }

  @Test("while it runs, puts, gets and deletes go on, and none is refused")
  func besideOthers() throws {
    try withHalfDeleted { sandbox, names in
      // Slowly, so that all of the others come while it runs.
      let compacting = try sandbox.command("compact", "--target", "1", "--rate", "60KiB/s").start()
      var stored: [String] = []
      for number in 0..<12 {
        let name = names[number]
        expectDone(try sandbox.pfs("get", "--force", name, "-o", "restored"))
        try expectSameBytes(sandbox.work / "restored", sandbox.work / name)
        expectDone(try sandbox.pfs("delete", name))
        expectDone(try sandbox.pfs("put", name, "--name", name))
        stored.append(name)
      }
      compacting.send(SIGINT)
      let result = try compacting.wait()
      #expect(result.exitStatus == 130 || result.exitStatus == 0, "\(result)")
      try expectWhole(names, in: sandbox)
      expectDone(try sandbox.pfs("compact", "--target", "1"))
      try expectWhole(names, in: sandbox)
      try (sandbox.store / "index").remove()
      expectDone(try sandbox.pfs("rebuild"))
      try expectWhole(names, in: sandbox)
    }
  }

  @Test("one at a time: a second one waits, and is exit status 5 when the time is over")
  func oneAtATime() throws {
    try withHalfDeleted { sandbox, _ in
      let log = sandbox.root / "work" / "log"
      let fault = Fault(.stop, at: ["pwrite", "fdatasync"], path: "/segments/", number: 1)
      let first = try fault.applied(to: sandbox.command("compact", "--target", "1"), log: log).start()
      try wait(for: "the first to stop") { try LoggedCall.all(in: log).contains(where: \.isMet) }
      expectFailure(
        try sandbox.pfs("--lock-timeout", "100ms", "compact"), 5, of: "compact", says: "is being compacted")
      first.resume()
      expectDone(try first.wait())
      expectDone(try sandbox.pfs("compact"))
    }
  }

  private func copyTree(_ source: BytePath, to target: BytePath) throws {
    try FileManager.default.copyItem(atPath: source.text, toPath: target.text)
  }
}

@Suite(
  "pfs compact on a full disk", .enabled(if: LoopFileSystem.isAvailable, "\(LoopFileSystem.requirement)"))
struct CompactionFullDiskTests {
  @Test("with no byte free gives space back, and loses nothing")
  func noByteFree() throws {
    try Sandbox.use { sandbox in
      let disk = try sandbox.mountFileSystem(byteCount: 64 << 20)
      sandbox.store = disk.root / "store"
      try sandbox.done("init", "--segment-size", "4MiB", "--part-size", "4KiB")
      try (sandbox.work / "tree").makeDirectory()
      for number in 0..<3000 {
        try Sample(.random, seed: UInt64(number)).write(3000, to: sandbox.work / "tree" / "f\(number)")
      }
      try sandbox.done("put", "-r", "tree")
      let deleted = (0..<3000).filter { $0 % 3 != 0 }.map { "tree/f\($0)" }
      expectDone(try sandbox.command(["delete"] + deleted).run())
      _ = try disk.fillUp()
      let freeByteCount = try disk.freeByteCount()
      let result = try sandbox.pfs("compact", "--target", "1")
      expectDone(result)
      #expect(try disk.freeByteCount() > freeByteCount + 4 << 20, "\(result)")
      #expect(try sandbox.list().count == 1000)
      expectDone(try sandbox.pfs("get", "-r", "tree", "-o", "out"))
      for number in stride(from: 0, to: 3000, by: 3) {
        try expectSameBytes(sandbox.work / "out" / "f\(number)", sandbox.work / "tree" / "f\(number)")
      }
    }
  }
}
