import Foundation
import TestSupport
import Testing

@Suite("Interruption") struct InterruptionTests {
  /// Few parts, which the index learns of at the end; and thousands, of which it knows most already.
  private static let partSizes = ["64KiB", "4KiB"]

  @Test(
    "by Ctrl-C in the middle of a put is exit status 130, lists nothing and gives the space back",
    arguments: InterruptionTests.partSizes)
  func putFromPipe(partSize: String) throws {
    try Sandbox.use { sandbox in
      try prepare(sandbox, partSize: partSize)
      let before = try sandbox.store.allocatedByteCountOfTree()
      let putting = try startPut(in: sandbox, Sample(.random, seed: 1).bytes(24 << 20))
      #expect(try sandbox.store.allocatedByteCountOfTree() > before + 16 << 20)
      putting.send(SIGINT)
      let result = try putting.wait()
      #expect(result.exitStatus == 130, "\(result)")
      #expect(result.standardOutput.isEmpty)
      #expect(result.errorLines.count <= 2, "\(result)")
      // Before another command can tidy up.
      #expect(try sandbox.store.allocatedByteCountOfTree() <= before + 6 << 20)
      #expect(try sandbox.list().map(\.name) == ["earlier"])
      expectNewer(try sandbox.put(sandbox.work / "earlier"), after: 1)
    }
  }

  @Test("by Ctrl-C in the middle of a put of a file is exit status 130 and lists nothing")
  func putFile() throws {
    try Sandbox.use { sandbox in
      try prepare(sandbox)
      try Sample(.text, seed: 2).write(128 << 20, to: sandbox.work / "big")
      let putting = try sandbox.command("put", "big").start()
      try wait(for: "the put to read") { (putting.readByteCount ?? .max) > 8 << 20 }
      putting.send(SIGINT)
      let result = try putting.wait()
      #expect(result.exitStatus == 130, "\(result)")
      #expect(try sandbox.list().map(\.name) == ["earlier"])
    }
  }

  @Test("by Ctrl-C in the middle of a get is exit status 130 and holds up nothing")
  func get() throws {
    try Sandbox.use { sandbox in
      try prepare(sandbox)
      try Sample(.random, seed: 3).write(8 << 20, to: sandbox.work / "big")
      let id = try sandbox.put(sandbox.work / "big")
      var command = sandbox.command("get", "big", "-o", "-")
      command.output = .pipe
      let getting = try command.start()
      #expect(try getting.readOutput(upTo: 1).count == 1)
      getting.send(SIGINT)
      // Whoever reads stays, so that the get can end only because of the signal.
      let result = try getting.wait()
      #expect(result.exitStatus == 130, "\(result)")
      expectDone(try sandbox.pfs("--lock-timeout", "1s", "delete", String(id)))
    }
  }

  @Test("by kill -9 in the middle of a put leaves nothing of it behind", arguments: InterruptionTests.partSizes)
  func killedPutFromPipe(partSize: String) throws {
    try Sandbox.use { sandbox in
      try prepare(sandbox, partSize: partSize)
      let before = try sandbox.store.allocatedByteCountOfTree()
      let putting = try startPut(in: sandbox, Sample(.random, seed: 4).bytes(24 << 20))
      putting.kill()
      let list = try sandbox.pfs("--json", "list")
      expectDone(list)
      #expect(list.standardError.isEmpty, "\(list)")
      #expect(list.outputLines.count == 1)
      expectNewer(try sandbox.put(sandbox.work / "earlier"), after: 2)
      #expect(try sandbox.store.allocatedByteCountOfTree() <= before + 6 << 20)
    }
  }

  @Test(
    "by kill -9 at any moment of a put keeps what was stored and half stores nothing",
    arguments: 1...8 as ClosedRange<UInt64>)
  func killedPut(seed: UInt64) throws {
    try Sandbox.use { sandbox in
      try prepare(sandbox)
      let big = sandbox.work / "big"
      let byteCount = 24 << 20
      try Sample(.random, seed: seed).write(byteCount, to: big)
      var random = SeededGenerator(seed: seed)
      var highestID = 1
      for _ in 0..<2 {
        let moment = Int(random.next() % UInt64(byteCount + 4 << 20))
        let putting = try sandbox.command("put", "big").start()
        try wait(for: "the put to have read \(moment) bytes") {
          !putting.isRunning || (putting.readByteCount ?? .max) >= moment
        }
        putting.kill()
        let result = try putting.wait()

        let list = try sandbox.pfs("--json", "list")
        expectDone(list)
        #expect(list.standardError.isEmpty, "\(list)")
        let files = try sandbox.list()
        #expect(files.allSatisfy { $0.status == "ready" }, "\(files)")
        #expect(files.contains { $0.name == "earlier" })
        if result.exitStatus == 0 { #expect(files.contains { $0.name == "big" }, "it was acknowledged") }
        for file in files where file.name == "big" {
          expectDone(try sandbox.pfs("get", "--force", String(file.id), "-o", "restored"))
          try expectSameBytes(sandbox.work / "restored", big)
          highestID = max(highestID, file.id)
        }
      }
      expectNewer(try sandbox.put(big), after: highestID)
      expectDone(try sandbox.pfs("get", "--force", "earlier", "-o", "restored"))
      try expectSameBytes(sandbox.work / "restored", sandbox.work / "earlier")
    }
  }

  @Test("by kill -9 while the store is made leaves a place where the next put makes one", arguments: 1...4)
  func killedCreation(entryCount: Int) throws {
    try Sandbox.use { sandbox in
      let parent = sandbox.root / "stores"
      try parent.makeDirectory()
      sandbox.store = parent / "store"
      try (sandbox.work / "file").write("contents")
      let putting = try sandbox.command("put", "file").start()
      try wait(for: "the store to be begun") { try !putting.isRunning || self.entryCount(below: parent) >= entryCount }
      putting.kill()
      let acknowledged = try putting.wait().exitStatus == 0
      expectDone(try sandbox.pfs("put", "file"))
      let files = try sandbox.list()
      #expect(files.allSatisfy { $0.status == "ready" && $0.name == "file" })
      // The first put may have been done without having said so.
      #expect((acknowledged ? 2...2 : 1...2).contains(files.count), "\(files)")
    }
  }

  private func prepare(_ sandbox: Sandbox, partSize: String = "64KiB") throws {
    try sandbox.done("init", "--segment-size", "1MiB", "--part-size", partSize)
    try Sample(.text, seed: 99).write(300_000, to: sandbox.work / "earlier")
    try sandbox.put(sandbox.work / "earlier")
  }

  /// A put that has taken all of `data` and waits for more; others see it as `writing`.
  private func startPut(in sandbox: Sandbox, _ data: Data) throws -> RunningCommand {
    var command = sandbox.command("put", "-", "--name", "interrupted")
    command.input = .pipe
    let putting = try command.start()
    try putting.write(data)
    try wait(for: "the put to be listed") {
      try sandbox.list().contains { $0.name == "interrupted" && $0.status == "writing" }
    }
    return putting
  }

  private func expectNewer(_ id: Int, after earlier: Int, at location: SourceLocation = #_sourceLocation) {
    #expect(id > earlier, "an id was given again", sourceLocation: location)
  }

  private func entryCount(below directory: BytePath) throws -> Int {
    try directory.entryNames().reduce(0) { count, name in
      let path = directory / name
      guard let status = try path.status() else { return count }
      return try count + 1 + (status.kind == .directory ? entryCount(below: path) : 0)
    }
  }
}
