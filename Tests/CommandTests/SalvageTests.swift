import Foundation
import TestSupport
import Testing

@Suite("Salvage") struct SalvageTests {
  private static let partByteCount = 64 << 10

  @Test("keeps all but the damaged parts, says which bytes those are, and exits 3")
  func text() throws {
    try withDamagedFile { sandbox, expected in
      let plain = try sandbox.pfs("get", "file", "-o", "out")
      expectFailure(plain, 3, of: "get", says: "2 damaged parts", "--salvage")
      #expect(
        plain.errorLines.contains { $0.hasPrefix("  bytes 131072-196607: part 2: segment 1 offset ") }, "\(plain)")
      #expect(
        plain.errorLines.contains { $0.hasPrefix("  bytes 327680-393215: part 5: segment 1 offset ") }, "\(plain)")
      try expectNothing(at: sandbox.work / "out", besides: ["file"])

      let result = try sandbox.pfs("get", "--salvage", "file", "-o", "out")
      #expect(result.exitStatus == 3 && result.standardOutput.isEmpty, "\(result)")
      #expect(try (sandbox.work / "out").read() == expected)
      #expect(result.errorText.hasPrefix("pfs: get: file: 65536 of 600000 bytes are lost, 65536 "), "\(result)")
      #expect(result.errorLines.contains { $0.hasPrefix("  bytes 131072-196607 lost: part 2: segment 1 offset ") })
      #expect(
        result.errorLines.contains { $0.hasPrefix("  bytes 327680-393215 unverified: part 5: segment 1 offset ") })
      #expect(result.errorLines.count == 3)

      let piped = try sandbox.pfs("--quiet", "get", "--salvage", "file", "-o", "-")
      #expect(piped.exitStatus == 3 && piped.standardOutput == expected && piped.errorLines.count == 3, "\(piped)")
    }
  }

  @Test("tells programs in one object of JSON: beside the bytes where those are on standard output")
  func json() throws {
    try withDamagedFile { sandbox, expected in
      let result = try sandbox.pfs("--json", "get", "--salvage", "file", "-o", "out")
      #expect(result.exitStatus == 3 && result.standardError.isEmpty, "\(result)")
      #expect(try (sandbox.work / "out").read() == expected)
      let piped = try sandbox.pfs("--json", "get", "--salvage", "file", "-o", "-")
      #expect(piped.exitStatus == 3 && piped.standardOutput == expected, "\(piped)")
      for data in [result.standardOutput, piped.standardError] {
        let object = try JSON(parsing: data)
        #expect(object["size"]?.integer == 600_000)
        #expect(object["lost_bytes"]?.integer == 65_536 && object["unverified_bytes"]?.integer == 65_536)
        let losses = try #require(object["losses"]?.elements)
        #expect(losses.map { $0["status"]?.string } == ["lost", "unverified"])
        #expect(losses.map { $0["first"]?.integer } == [131_072, 327_680])
        #expect(losses.map { $0["last"]?.integer } == [196_607, 393_215])
        #expect(losses.map { $0["part"]?.integer } == [2, 5])
        #expect(losses.allSatisfy { $0["segment"]?.integer == 1 && ($0["offset"]?.integer ?? 0) >= 4096 })
        #expect(losses.allSatisfy { $0["reason"]?.string?.isEmpty == false })
      }
    }
  }

  @Test("of an intact file exits 0 and says nothing")
  func intact() throws {
    try Sandbox.use { sandbox in
      try Sample(.text, seed: 3).write(200_000, to: sandbox.work / "file")
      try sandbox.put(sandbox.work / "file")
      let result = try sandbox.pfs("get", "--salvage", "file", "-o", "out")
      expectDone(result)
      #expect(result.standardError.isEmpty)
      try expectSameBytes(sandbox.work / "out", sandbox.work / "file")
      let json = try JSON(parsing: sandbox.pfs("--json", "get", "--salvage", "file", "-o", "out2").standardOutput)
      #expect(json["losses"]?.elements?.isEmpty == true && json["lost_bytes"]?.integer == 0)
    }
  }

  @Test("of a tree keeps what is left of every file and exits 3")
  func tree() throws {
    try withDamagedFile(named: "tree/file") { sandbox, expected in
      try (sandbox.work / "whole").write("whole")
      try sandbox.put(sandbox.work / "whole", "--name", "tree/whole")
      let result = try sandbox.pfs("get", "-r", "--salvage", "tree", "-o", "out")
      #expect(result.exitStatus == 3 && result.errorText.contains("tree/file: 65536 of 600000"), "\(result)")
      #expect(try (sandbox.work / "out" / "file").read() == expected)
      #expect(try (sandbox.work / "out" / "whole").read() == Data("whole".utf8))
    }
  }

  @Test("of a file whose segments are all gone is a hole of its size, and the list ends somewhere")
  func gone() throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--segment-size", "1MiB", "--part-size", "4KiB")
      try Sample(.random, seed: 4).write(600_000, to: sandbox.work / "file")
      sandbox.damagedIdentifiers = [try sandbox.put(sandbox.work / "file")]
      for path in try sandbox.segmentPaths() { try path.remove() }
      let result = try sandbox.pfs("get", "--salvage", "file", "-o", "out")
      #expect(result.exitStatus == 3, "\(result)")
      #expect(result.errorLines.count == 102 && result.errorLines.last == "  and 47 more", "\(result)")
      #expect(try (sandbox.work / "out").read() == Data(count: 600_000))
      #expect(try (sandbox.work / "out").allocatedByteCountOfTree() == 0)
      let json = try sandbox.pfs("--json", "get", "--salvage", "file", "-o", "out2")
      #expect(try JSON(parsing: json.standardOutput)["losses"]?.elements?.count == 147)
    }
  }

  /// A store with a file of which part 2 is destroyed and part 5 has one wrong byte; `body` is told what can be had.
  private func withDamagedFile(named name: String = "file", _ body: (Sandbox, Data) throws -> Void) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--segment-size", "1MiB", "--part-size", "64KiB")
      var data = Sample(.random, seed: 2).bytes(600_000)
      try (sandbox.work / "file").write(data)
      expectDone(try sandbox.pfs("--workers", "1", "put", "file", "--name", name))
      sandbox.damagedIdentifiers = [1]
      let path = try #require(try sandbox.segmentPaths().first)
      func offset(ofPart number: Int) throws -> Int {
        let start = number * SalvageTests.partByteCount
        return try #require(try path.read().range(of: data[start..<start + 64])).lowerBound
      }
      let (second, fifth) = (try offset(ofPart: 2), try offset(ofPart: 5))
      try path.overwrite(Data(count: 1000), at: second - 128)
      try path.flip(0x20, at: fifth + 12_345)
      data.replaceSubrange(131_072..<196_608, with: Data(count: 65_536))
      data[327_680 + 12_345] ^= 0x20
      try body(sandbox, data)
    }
  }
}
