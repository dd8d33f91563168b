import Foundation
import TestSupport
import Testing

@Suite("pfs verify") struct VerifyTests {
  @Test("says what was checked, in text and as JSON, and changes no byte of the store")
  func intact() throws {
    try withFiles { sandbox, _ in
      let before = try FileTree(below: sandbox.store)
      let result = try sandbox.pfs("verify")
      expectDone(result)
      #expect(result.outputLines.count == 1 && result.outputText.contains("2 files"), "\(result)")
      let lines = try JSON.lines(try sandbox.done("--json", "verify", "--fast").standardOutput)
      #expect(lines.count == 1)
      #expect(lines[0]["findings"]?.integer == 0 && lines[0]["files"]?.integer == 2)
      #expect((lines[0]["bytes"]?.integer ?? 0) > 5 << 20)
      expectDone(try sandbox.pfs("verify", "second", "1"))
      #expect(differences(from: before, to: try FileTree(below: sandbox.store)).isEmpty)
    }
  }

  @Test("finds nothing in a copy of a store that leaves stored zeros out as holes")
  func sparseCopy() throws {
    try Sandbox.use { sandbox in
      var bytes = Sample(.random, seed: 3).bytes(900_000)
      bytes.replaceSubrange(100_000..<600_000, with: Data(count: 500_000))
      try (sandbox.work / "file").write(bytes)
      try sandbox.done("init", "--part-size", "1MiB")
      try sandbox.done("put", "--codec", "stored", "file")
      let copy = sandbox.root / "copy"
      let copying = try Command(
        BytePath("/bin/cp"), ["-a", "--sparse=always", sandbox.store.text, copy.text], environment: [:],
        workingDirectory: sandbox.work
      ).run()
      expectDone(copying)
      try sandbox.store.remove()
      try FileManager.default.moveItem(atPath: copy.text, toPath: sandbox.store.text)
      #expect(try sandbox.segmentPaths().contains { try $0.allocatedByteCountOfTree() < 500_000 })
      for option in [[], ["--fast"]] { expectDone(try sandbox.command(["verify"] + option).run()) }
      expectDone(try sandbox.pfs("get", "file", "-o", "restored"))
      try expectSameBytes(sandbox.work / "restored", sandbox.work / "file")
    }
  }

  @Test("names file, part, segment and offset of every damaged part; exit status 3; changes nothing")
  func damage() throws {
    try withFiles { sandbox, id in
      sandbox.damagedIdentifiers = [id]
      var places: Set<[Int]> = []
      for part in [2, 9, 31] {
        let place = try place(ofPart: part, of: "first", in: sandbox)
        try place.path.flip(at: place.offset + 5)
        places.insert([part, place.segment, place.offset - 128])
      }
      let before = try FileTree(below: sandbox.store)
      let text = try sandbox.pfs("verify")
      #expect(text.exitStatus == 3, "\(text)")
      #expect(text.outputLines.count == 4 && text.errorText.isEmpty, "\(text)")
      for place in places {
        let start = "damaged part 'first' (id \(id)) part \(place[0]): segment \(place[1]) offset \(place[2]): "
        #expect(text.outputLines.contains { $0.hasPrefix(start) }, "\(start) in \(text)")
      }
      for arguments in [["--json", "verify"], ["--json", "verify", "first"], ["--json", "verify", "--fast"]] {
        let result = try sandbox.command(arguments).run()
        #expect(result.exitStatus == 3, "\(result)")
        let lines = try JSON.lines(result.standardOutput)
        let found = lines.dropLast().map { [$0["part"]?.integer, $0["segment"]?.integer, $0["offset"]?.integer] }
        #expect(Set(found.map { $0.compactMap(\.self) }) == places, "\(result)")
        #expect(lines.last?["findings"]?.integer == 3, "\(result)")
      }
      expectDone(try sandbox.pfs("verify", "second"))
      #expect(try sandbox.pfs("verify", "second", "first", "nobody").exitStatus == 3)
      expectFailure(try sandbox.pfs("verify", "nobody"), 4, of: "verify", says: "nobody")
      #expect(differences(from: before, to: try FileTree(below: sandbox.store)).isEmpty)
    }
  }

  @Test("bytes that cannot be read hide no damage behind them", arguments: [false, true])
  func unreadable(isIndexMissing: Bool) throws {
    try withFiles { sandbox, id in
      let bad = try place(ofPart: 3, of: "first", in: sandbox)
      let flipped = try place(ofPart: 6, of: "first", in: sandbox)
      try #require(bad.segment == flipped.segment)
      try flipped.path.flip(at: flipped.offset)
      let index = sandbox.store / "index" / "data.mdb"
      let whole = try index.read()
      if isIndexMissing { try index.remove() }
      var fault = Fault(
        .error("EIO"), at: ["pread"], path: String(decoding: bad.path.lastComponent, as: UTF8.self), .sticky, number: 1)
      fault.offset = bad.offset - 128
      let result = try fault.applied(to: sandbox.command("--json", "verify"), log: sandbox.work / "log").run()
      #expect(result.exitStatus == 3, "\(result)")
      let lines = try JSON.lines(result.standardOutput)
      #expect(
        lines.contains { $0["finding"]?.string == "segment" && $0["segment"]?.integer == bad.segment }, "\(result)")
      #expect(lines.contains { $0["finding"]?.string == "part" && $0["part"]?.integer == 6 }, "\(result)")
      if isIndexMissing { try index.write(whole) }
      try flipped.path.flip(at: flipped.offset)
    }
  }

  @Test("an index that is missing or cut is a finding, and the segments are checked all the same", arguments: [0, 1])
  func index(damage: Int) throws {
    try withFiles { sandbox, id in
      let place = try place(ofPart: 7, of: "first", in: sandbox)
      try place.path.flip(at: place.offset)
      let path = sandbox.store / "index" / "data.mdb"
      let whole = try path.read()
      if damage == 0 { try path.remove() } else { try path.truncate(to: 5000) }
      let result = try sandbox.pfs("--json", "verify")
      #expect(result.exitStatus == 3, "\(result)")
      let lines = try JSON.lines(result.standardOutput)
      #expect(lines.contains { $0["finding"]?.string == "index" }, "\(result)")
      #expect(lines.contains { $0["finding"]?.string == "part" && $0["name"]?.string == "first" }, "\(result)")
      try path.write(whole)
      try place.path.flip(at: place.offset)
    }
  }

  @Test("a flipped bit of the index is found or does no harm, and ends no process")
  func indexPages() throws {
    let seed = TestSeed("flips in the index", default: 101)
    var generator = seed.generator
    try withFiles { sandbox, _ in
      let path = sandbox.store / "index" / "data.mdb"
      let whole = try path.read()
      let listed = try sandbox.list()
      var foundCount = 0
      for round in 0..<24 {
        // Half of them in the head of a page, where the tree is.
        let page = generator.below(whole.count / 4096) * 4096
        let offset = page + generator.below(round % 2 == 0 ? 32 : 4096)
        try path.flip(1 << UInt8(generator.below(8)), at: offset)
        let result = try sandbox.pfs("verify", timeoutSeconds: 110)
        #expect(result.exitStatus == 0 || result.exitStatus == 3, "\(seed), offset \(offset): \(result)")
        if result.exitStatus == 3 { foundCount += 1 }
        if result.exitStatus == 0 {
          let now = try sandbox.pfs("--json", "list")
          #expect(now.exitStatus == 0, "\(seed), offset \(offset): \(now)")
          #expect(try JSON.lines(now.standardOutput).count == listed.count, "\(seed), offset \(offset)")
          #expect(try sandbox.pfs("get", "first", "-o", "-", output: .file(BytePath("/dev/null"))).exitStatus == 0)
        }
        try path.write(whole)
      }
      #expect(foundCount > 0)
    }
  }

  @Test("what a killed writer left is said and is no damage")
  func leftovers() throws {
    try withFiles { sandbox, _ in
      var command = sandbox.command("put", "-", "--name", "unfinished")
      command.input = .pipe
      let putting = try command.start()
      try putting.write(Sample(.random, seed: 7).bytes(24 << 20))
      try wait(for: "the put to be listed") { try sandbox.list().contains { $0.status == "writing" } }
      putting.kill()
      let before = try FileTree(below: sandbox.store)
      let result = try sandbox.pfs("verify")
      expectDone(result)
      #expect(result.errorText.contains("will be put right at the next open"), "\(result)")
      #expect(differences(from: before, to: try FileTree(below: sandbox.store)).isEmpty)
      #expect(try sandbox.list().count == 2)
    }
  }

  @Test("finds nothing while others put and delete")
  func concurrent() throws {
    try withFiles { sandbox, _ in
      let names = (0..<3).map { "busy-\($0)" }
      for (number, name) in names.enumerated() {
        try Sample(number == 0 ? .text : .random, seed: UInt64(number)).write(700_000, to: sandbox.work / name)
      }
      let script = { (name: String) in
        String(
          repeating: "put \(name)\nwait\ndelete \(name)\nput second --name \(name)-2\nwait\ndelete \(name)-2\n",
          count: 12)
      }
      let busy = try names.map { name in
        var command = sandbox.command("shell")
        command.input = .bytes(Data(script(name).utf8))
        return try command.start()
      }
      var rounds = 0
      var isBusy = true
      while isBusy && rounds < 40 {
        isBusy = try sandbox.pfs("--json", "stats").exitStatus == 0 && busy.contains { $0.readByteCount != nil }
        let result = try sandbox.pfs("--json", "verify", rounds % 2 == 0 ? "--fast" : "--no-progress")
        #expect(result.exitStatus == 0, "\(result)")
        rounds += 1
      }
      for command in busy { expectDone(try command.wait()) }
      #expect(rounds > 1)
    }
  }

  @Test("goes on where its state file says, and begins anew behind the end")
  func state() throws {
    try withFiles { sandbox, id in
      let early = try place(ofPart: 2, of: "first", in: sandbox)
      let late = try place(ofPart: 31, of: "first", in: sandbox)
      try #require(early.segment < late.segment)
      for place in [early, late] { try place.path.flip(at: place.offset) }
      let stopped = try sandbox.pfs("verify", "--max-time", "0", "--state", "state")
      expectDone(stopped)
      #expect(stopped.outputText.contains("stopped at segment"), "\(stopped)")
      var lines = try String(decoding: (sandbox.work / "state").read(), as: UTF8.self).split(separator: "\n")
      #expect(lines.count == 4)
      lines[2] = "\(late.segment)"
      try (sandbox.work / "state").write(lines.joined(separator: "\n") + "\n")
      for expected in [[31], [2, 31]] {
        let result = try sandbox.pfs("--json", "verify", "--state", "state")
        #expect(
          try JSON.lines(result.standardOutput).compactMap { $0["part"]?.integer }.sorted() == expected, "\(result)")
      }
      try (sandbox.work / "state").write("something else\n")
      expectFailure(try sandbox.pfs("verify", "--state", "state"), 2, of: "verify", says: "state")
      for place in [early, late] { try place.path.flip(at: place.offset) }
    }
  }

  @Test("is interrupted while it waits for its rate, and keeps its state")
  func interrupted() throws {
    try withFiles { sandbox, _ in
      let verifying = try sandbox.command("verify", "--rate", "1KiB/s", "--state", "state").start()
      // The index walk is over when segments are read.
      try wait(for: "the segments to be read") { (verifying.readByteCount ?? 0) > 100_000 }
      verifying.send(SIGINT)
      let result = try verifying.wait()
      #expect(result.exitStatus == 130, "\(result)")
      #expect(try (sandbox.work / "state").exists())
      expectDone(try sandbox.pfs("verify", "--rate", "1GiB/s", "--state", "state"))
    }
  }

  @Test("refuses what makes no sense", arguments: ["--rate=0", "--rate=fast", "--max-time=soon", "--state="])
  func usage(option: String) throws {
    try withFiles { sandbox, _ in
      expectFailure(try sandbox.pfs("verify", option), 2, of: "verify")
      expectFailure(try sandbox.pfs("verify", "--max-time", "1s", "first"), 2, of: "verify", says: "whole store")
    }
  }

  @Test(
    "finds damage of STORE, and says when locks or high-water are gone", arguments: ["STORE", "locks", "high-water"])
  func storeFiles(name: String) throws {
    try withFiles { sandbox, _ in
      let path = sandbox.store / name
      let whole = try path.read()
      if name == "STORE" { try path.flip(at: 100) } else { try path.remove() }
      let result = try sandbox.pfs("verify")
      #expect(result.exitStatus == 3, "\(result)")
      #expect(result.outputText.contains("damaged store-file: ") && result.outputText.contains(name), "\(result)")
      try path.write(whole)
      try path.setMode(0o600)
    }
  }

  /// A store with the files `first` (with this id) and `second`.
  private func withFiles(_ body: (Sandbox, Int) throws -> Void) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--segment-size", "1MiB", "--part-size", "64KiB")
      try Sample(.random, seed: 1).write(2 << 20, to: sandbox.work / "first")
      try Sample(.random, seed: 2).write(4 << 20, to: sandbox.work / "second")
      let first = try sandbox.done("--workers", "1", "put", "first")
      try sandbox.done("--workers", "1", "put", "second")
      let id = try #require(first.outputText.firstMatch(of: /^([0-9]+)\t/).flatMap { Int($0.1) })
      try body(sandbox, id)
    }
  }

  /// The differences between two states of a store, but for the table of readers of the index.
  private func differences(from before: FileTree, to after: FileTree) -> [String] {
    before.differences(in: after).filter { !$0.hasPrefix("index/lock.mdb") }
  }

  /// Where the payload of a part is: noise is stored as it is, so it can be searched for.
  private func place(
    ofPart number: Int, of name: String, in sandbox: Sandbox
  ) throws -> (path: BytePath, segment: Int, offset: Int) {
    let start = number * (64 << 10)
    let wanted = try (sandbox.work / name).read()[start..<start + 64]
    for path in try sandbox.segmentPaths() {
      guard let found = try path.read().range(of: wanted) else { continue }
      let digits = path.lastComponent.prefix { (48...57).contains($0) }
      return (path, digits.reduce(0) { $0 * 10 + Int($1) - 48 }, found.lowerBound)
    }
    throw TestFailure("part \(number) is in no segment as it is")
  }
}
