import Foundation
import TestSupport
import Testing

@Suite("Put --batch") struct BatchTests {
  @Test("shows all files of all arguments, and prints their ids in order")
  func all() throws {
    try Sandbox.use { sandbox in
      let names = try makeFiles(sandbox, count: 6)
      try (sandbox.work / "tree" / "inner").makeDirectories()
      try (sandbox.work / "tree" / "inner" / "x").write("x")
      let result = try sandbox.command(["put", "--batch", "-r", "tree"] + names).run()
      expectDone(result)
      #expect(result.outputLines == ["1\ttree/inner/x"] + names.enumerated().map { "\($0 + 2)\t\($1)" })
      #expect(Set(try sandbox.list().map(\.name)) == Set(names + ["tree/inner/x"]))
      for name in names {
        expectDone(try sandbox.pfs("get", name, "-o", "restored", "--force"))
        try expectSameBytes(sandbox.work / "restored", sandbox.work / name)
      }
    }
  }

  @Test(
    "stores nothing when one cannot be stored",
    arguments: [["missing"], ["tree"], ["-r", "tree"], ["/dev/null"]])
  func failure(last: [String]) throws {
    try Sandbox.use { sandbox in
      let names = try makeFiles(sandbox, count: 3)
      try (sandbox.work / "tree").makeDirectory()
      try FileManager.default.createSymbolicLink(
        atPath: (sandbox.work / "tree" / "link").text, withDestinationPath: "nowhere")
      try sandbox.done("init")
      let result = try sandbox.command(["put", "--batch"] + names + last).run()
      expectFailure(result, 1, of: "put", says: "nothing of the batch was stored")
      #expect(try sandbox.list().isEmpty)
    }
  }

  @Test("stores nothing when a directory cannot be listed", arguments: ["EMFILE", "EIO"])
  func unlisted(error: String) throws {
    try Sandbox.use { sandbox in
      let names = try makeFiles(sandbox, count: 1)
      try (sandbox.work / "tree").makeDirectory()
      try (sandbox.work / "tree" / "x").write("x")
      try sandbox.done("init")
      let fault = Fault(.error(error), at: ["open"], path: "/tree/.", number: 1)
      let log = sandbox.root / "work" / "log"
      let result = try fault.applied(
        to: sandbox.command(["put", "--batch", "-r", "tree"] + names), log: log
      ).run()
      #expect(try LoggedCall.all(in: log).contains(where: \.isMet))
      expectFailure(result, 1, of: "put", says: "nothing of the batch was stored")
      #expect(try sandbox.list().isEmpty)
    }
  }

  @Test("is all there or not at all after kill -9 at any moment", arguments: 1...3 as ClosedRange<UInt64>)
  func killed(seed: UInt64) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--segment-size", "1MiB", "--part-size", "16KiB")
      let names = try makeFiles(sandbox, count: 50)
      var random = SeededGenerator(seed: seed)
      var batchCount = 0
      for round in 0..<5 {
        let putting = try sandbox.command(["put", "--batch"] + names).start()
        // A program reads some 100 kB before it comes to its files.
        let moment = random.below(50 * 24_000 + 300_000)
        try wait(for: "the put to have read \(moment) bytes") {
          !putting.isRunning || (putting.readByteCount ?? .max) >= moment
        }
        putting.kill()
        let isAcknowledged = try putting.wait().exitStatus == 0
        let files = try sandbox.list()
        #expect(files.allSatisfy { $0.status == "ready" }, "seed \(seed), round \(round)")
        #expect(files.count % 50 == 0, "seed \(seed), round \(round): \(files.count) files")
        if isAcknowledged { #expect(files.count == (batchCount + 1) * 50) }
        batchCount = files.count / 50
      }
    }
  }

  @Test("is rolled back by Ctrl-C")
  func interrupted() throws {
    try Sandbox.use { sandbox in
      let names = try makeFiles(sandbox, count: 3)
      try Sample(.text, seed: 2).write(128 << 20, to: sandbox.work / "big")
      let putting = try sandbox.command(["put", "--batch"] + names + ["big"]).start()
      try wait(for: "the put to read") { (putting.readByteCount ?? .max) > 8 << 20 }
      putting.send(SIGINT)
      let result = try putting.wait()
      expectFailure(result, 130, of: "put", says: "nothing of the batch was stored")
      #expect(try sandbox.list().isEmpty)
    }
  }

  @Test(
    "is rolled back when the disk is full",
    .enabled(if: LoopFileSystem.isAvailable, "\(LoopFileSystem.requirement)"))
  func fullDisk() throws {
    try Sandbox.use { sandbox in
      let disk = try sandbox.mountFileSystem(byteCount: 32 << 20)
      sandbox.store = disk.root / "store"
      try sandbox.done("init", "--segment-size", "1MiB", "--part-size", "64KiB")
      let names = try makeFiles(sandbox, count: 3)
      let freeByteCount = try disk.freeByteCount()
      try Sample(.random, seed: 2).write(40 << 20, to: sandbox.work / "big")
      let result = try sandbox.command(["put", "--batch"] + names + ["big"]).run()
      expectFailure(result, 6, of: "put", says: "space", "nothing of the batch was stored")
      #expect(try sandbox.list().isEmpty)
      #expect(try disk.freeByteCount() >= freeByteCount - 4 << 20)
      expectDone(try sandbox.command(["put", "--batch"] + names).run())
    }
  }

  @Test("of more files than the memory limit allows is refused with the number that works")
  func tooMany() throws {
    try Sandbox.use { sandbox in
      let names = try makeFiles(sandbox, count: 200, byteCount: 3)
      try sandbox.done("init", "--part-size", "4KiB")
      let result = try sandbox.command(["--memory", "1MiB", "--workers", "1", "put", "--batch"] + names).run()
      expectFailure(result, 2, of: "put", says: "files in one batch", "memory limit of 1 MiB", "--memory")
      #expect(try sandbox.list().isEmpty)
      expectDone(try sandbox.command(["--memory", "4MiB", "put", "--batch"] + names).run())
      #expect(try sandbox.list().count == 200)
    }
  }

  private func makeFiles(_ sandbox: Sandbox, count: Int, byteCount: Int = 20_000) throws -> [String] {
    try (0..<count).map { number in
      try Sample(.random, seed: UInt64(number)).write(byteCount + number, to: sandbox.work / "file-\(number)")
      return "file-\(number)"
    }
  }
}
