import Foundation
import TestSupport
import Testing

@Suite("Damage") struct DamageTests {
  private static let partByteCount = 64 << 10
  private static let partNumber = 7

  @Test(
    "in a part is exit status 3, names file, part, segment and offset, and leaves no output",
    arguments: [0, 1, 32_000, 65_535])
  func flippedByte(offsetInPart: Int) throws {
    try withFiles { sandbox in
      let place = try place(ofPart: DamageTests.partNumber, in: sandbox)
      try place.segment.flip(0x01, at: place.offset + offsetInPart)
      let result = try sandbox.pfs("get", "damaged", "-o", "restored")
      expectFailure(result, 3, of: "get", says: "damaged", "part", "segment", "offset")
      let segmentNumber = Int(
        place.segment.lastComponent.filter { (48...57).contains($0) }.reduce(0) { $0 * 10 + Int($1) - 48 })
      let named = try #require(
        result.errorText.firstMatch(of: /part ([0-9]+)[^0-9]+segment ([0-9]+)[^0-9]+offset ([0-9]+)/), "\(result)")
      #expect(Int(named.2) == segmentNumber, "\(result)")
      let offset = try #require(Int(named.3))
      #expect((place.offset - 4096...place.offset).contains(offset), "the record is at \(place.offset): \(result)")
      try expectNothing(at: sandbox.work / "restored", besides: ["damaged", "intact"])

      let piped = try sandbox.pfs("get", "damaged", "-o", "-")
      #expect(piped.exitStatus == 3, "\(piped)")
      let original = try (sandbox.work / "damaged").read()
      let isStart = original.starts(with: piped.standardOutput)
      #expect(isStart, "what is written is right")
      #expect(piped.standardOutput.count <= DamageTests.partNumber * DamageTests.partByteCount)
    }
  }

  @Test("of a segment that was cut short is exit status 3 and no signal", arguments: [0, 100, 4096, 300_000])
  func truncatedSegment(byteCount: Int) throws {
    try withFiles { sandbox in
      let segment = try place(ofPart: DamageTests.partNumber, in: sandbox).segment
      try segment.truncate(to: byteCount)
      expectFailure(try sandbox.pfs("get", "damaged", "-o", "restored"), 3, of: "get", says: "damaged", "segment")
      try expectNothing(at: sandbox.work / "restored", besides: ["damaged", "intact"])
      try expectStillWorks(sandbox)
    }
  }

  @Test("of a segment that is lost is exit status 3")
  func lostSegment() throws {
    try withFiles { sandbox in
      try place(ofPart: DamageTests.partNumber, in: sandbox).segment.remove()
      expectFailure(try sandbox.pfs("get", "damaged", "-o", "restored"), 3, of: "get", says: "damaged", "segment")
      try expectNothing(at: sandbox.work / "restored", besides: ["damaged", "intact"])
      try expectStillWorks(sandbox)
    }
  }

  @Test("of a file does not keep it from being deleted")
  func delete() throws {
    try withFiles { sandbox in
      let place = try place(ofPart: DamageTests.partNumber, in: sandbox)
      try place.segment.flip(at: place.offset)
      expectDone(try sandbox.pfs("delete", "damaged"))
      #expect(try sandbox.list().map(\.name) == ["intact"])
    }
  }

  @Test("in a tree keeps out one file only")
  func tree() throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--part-size", "64KiB")
      for (index, name) in ["tree/a", "tree/damaged", "tree/z"].enumerated() {
        try Sample(.random, seed: UInt64(index)).write(1 << 20, to: sandbox.work / "damaged")
        let id = try sandbox.put(sandbox.work / "damaged", "--name", name)
        if index == 1 {
          sandbox.damagedIdentifiers = [id]
          let place = try place(ofPart: DamageTests.partNumber, in: sandbox)
          try place.segment.flip(at: place.offset)
        }
      }
      let result = try sandbox.pfs("get", "-r", "tree", "-o", "restored")
      #expect(result.exitStatus == 3, "\(result)")
      expectOneClearLine(result, of: "get", says: ["tree/damaged"])
      #expect(try Set(FileTree(below: sandbox.work / "restored").files.keys.map(\.text)) == ["a", "z"])
    }
  }

  /// A store with a file `damaged`, which `body` damages, and a file `intact`.
  private func withFiles(_ body: (Sandbox) throws -> Void) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--segment-size", "1MiB", "--part-size", "64KiB")
      try Sample(.random, seed: 1).write(2 << 20, to: sandbox.work / "damaged")
      try Sample(.random, seed: 2).write(5 << 20, to: sandbox.work / "intact")
      // One worker fills one segment after another: the first has nothing but parts of `damaged`.
      sandbox.damagedIdentifiers = [try put("damaged", in: sandbox)]
      try put("intact", in: sandbox)
      try body(sandbox)
      expectDone(try sandbox.pfs("get", "intact", "-o", "intact-restored"))
      try expectSameBytes(sandbox.work / "intact-restored", sandbox.work / "intact")
    }
  }

  @discardableResult private func put(_ name: String, in sandbox: Sandbox) throws -> Int {
    let result = try sandbox.done("--workers", "1", "put", name)
    return try #require(result.outputText.firstMatch(of: /^([0-9]+)\t/).flatMap { Int($0.1) }, "\(result)")
  }

  private func expectStillWorks(_ sandbox: Sandbox) throws {
    try Sample(.text, seed: 5).write(100_000, to: sandbox.root / "work" / "later")
    let result = try sandbox.pfs("put", "later")
    expectDone(result)
    expectDone(try sandbox.pfs("get", "later", "-o", "later-restored"))
    try expectSameBytes(sandbox.work / "later-restored", sandbox.work / "later")
  }

  /// Where the bytes of a part of the file `damaged` are: noise is stored as it is, so it can be searched for.
  private func place(ofPart number: Int, in sandbox: Sandbox) throws -> (segment: BytePath, offset: Int) {
    let start = number * DamageTests.partByteCount
    let wanted = try (sandbox.work / "damaged").read()[start..<start + 64]
    for segment in try sandbox.segmentPaths() {
      if let found = try segment.read().range(of: wanted) { return (segment, found.lowerBound) }
    }
    throw TestFailure("part \(number) is in no segment as it is")
  }
}
