import Foundation
import TestSupport
import Testing

@Suite("Range") struct RangeTests {
  private static let byteCount = 300_000

  @Test(
    "of bytes comes back exactly, to a file and to standard output",
    arguments: [
      ("0-0", 0..<1), ("0-65535", 0..<65_536), ("65535-65536", 65_535..<65_537), ("65536-131071", 65_536..<131_072),
      ("1-200000", 1..<200_001), ("299999-", 299_999..<300_000), ("-1", 299_999..<300_000), ("0-", 0..<300_000),
      ("-300000", 0..<300_000), ("-999999", 0..<300_000), ("299990-999999999", 299_990..<300_000),
    ] as [(String, Range<Int>)])
  func bytes(text: String, range: Range<Int>) throws {
    try withFile(.text) { sandbox, data in
      expectDone(try sandbox.pfs("get", "file", "--range", text, "-o", "part"))
      #expect(try (sandbox.work / "part").read() == data[range])
      let piped = try sandbox.pfs("get", "--range=\(text)", "-o", "-", "file")
      expectDone(piped)
      #expect(piped.standardOutput == data[range])
      let json = try JSON(parsing: sandbox.pfs("--json", "get", "file", "--range", text, "-o", "again").standardOutput)
      #expect(json["size"]?.integer == range.count)
    }
  }

  @Test("is read though every other part is damaged")
  func touchesNoOther() throws {
    try withFile(.random) { sandbox, data in
      sandbox.damagedIdentifiers = [1]
      // All but the bytes of part 2, which are stored as they are, and the header above them.
      let wanted = data[131_072..<196_608]
      for path in try sandbox.segmentPaths() {
        let segment = try path.read()
        let kept = segment.range(of: wanted.prefix(64)).map { $0.lowerBound - 128..<$0.lowerBound + 65_536 }
        for offset in stride(from: 4096, to: segment.count, by: 64) where kept?.contains(offset) != true {
          try path.overwrite(Data(repeating: 0xA5, count: 64), at: offset)
        }
      }
      let result = try sandbox.pfs("get", "file", "--range", "131072-196607", "-o", "part")
      expectDone(result)
      #expect(try (sandbox.work / "part").read() == wanted)
      expectFailure(
        try sandbox.pfs("get", "file", "--range", "131071-196607", "-o", "more"), 3, of: "get", says: "part 1",
        "bytes 131071-131071")
    }
  }

  @Test(
    "that cannot be meant is wrong usage and writes nothing",
    arguments: [
      (["--range", "300000-"], "300000 bytes"), (["--range", "400000-500000"], "300000 bytes"),
      (["--range", "5-4"], "ends before it begins"), (["--range", "x"], "not a range"),
      (["--range", "-0"], "no bytes"),
      (["--range", "0-1", "--resume"], "--resume"), (["--range", "0-1", "-r"], "--range"),
      (["--resume", "-r"], "--resume"),
    ])
  func wrongUsage(arguments: [String], word: String) throws {
    try withFile(.text) { sandbox, _ in
      let result = try sandbox.command(["get", "file", "-o", "part"] + arguments).run()
      expectFailure(result, 2, of: "get", says: word)
      try expectNothing(at: sandbox.work / "part", besides: ["file"])
    }
  }

  @Test("of an empty file is wrong usage, as there is no byte to give", arguments: ["0-", "0-0", "-1"])
  func empty(text: String) throws {
    try Sandbox.use { sandbox in
      try (sandbox.work / "file").write(Data())
      try sandbox.put(sandbox.work / "file")
      expectFailure(try sandbox.pfs("get", "file", "--range", text, "-o", "part"), 2, of: "get", says: "0 bytes")
    }
  }

  private func withFile(_ kind: Sample.Kind, _ body: (Sandbox, Data) throws -> Void) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--segment-size", "1MiB", "--part-size", "64KiB")
      let data = Sample(kind, seed: 1).bytes(RangeTests.byteCount)
      try (sandbox.work / "file").write(data)
      try sandbox.put(sandbox.work / "file")
      try body(sandbox, data)
    }
  }
}
