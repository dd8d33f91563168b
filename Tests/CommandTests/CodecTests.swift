import Foundation
import TestSupport
import Testing

@Suite("put --codec") struct CodecTests {
  static let names = ["zlib", "zstd", "lz4", "stored", "auto"]
  private static let partByteCount = 64 << 10

  /// Two parts of text, one of noise, one of zeros and the rest of one.
  private static func write(to path: BytePath) throws {
    try path.write(
      Sample(.text, seed: 1).bytes(2 * partByteCount) + Sample(.random, seed: 2).bytes(partByteCount)
        + Sample(.zeros, seed: 3).bytes(partByteCount) + Sample(.text, seed: 4).bytes(777))
  }

  /// The codecs of the parts of a file.
  private func codecs(_ id: Int, in sandbox: Sandbox) throws -> [String] {
    let info = try JSON(parsing: sandbox.done("--json", "info", String(id), "--parts").standardOutput)
    return try #require(info["part_list"]?.elements).compactMap { $0["codec"]?.string }
  }

  @Test("gives back what was stored, at every level")
  func roundTrip() throws {
    try Sandbox.use { sandbox in
      let original = sandbox.work / "original"
      try CodecTests.write(to: original)
      var stored: [String: [Int]] = [:]
      for (name, levels) in [("zlib", 1...12), ("zstd", 1...19), ("lz4", 1...12), ("auto", 1...12)] {
        for level in levels {
          let id = try sandbox.put(original, "--codec", name, "--level", "\(level)", "--part-size", "64KiB")
          let restored = sandbox.work / "restored"
          try sandbox.done("get", "--force", "-o", restored, "\(id)")
          try expectSameBytes(restored, original)
          let info = try JSON(parsing: sandbox.done("--json", "info", "\(id)").standardOutput)
          stored[name, default: []].append(try #require(info["stored_size"]?.integer))
        }
      }
      for (name, byteCounts) in stored {
        let (first, last) = (try #require(byteCounts.first), try #require(byteCounts.last))
        #expect(last < first, "\(name): the last level is the smallest: \(byteCounts)")
      }
    }
  }

  @Test("is what the parts say, where it makes them smaller", arguments: names)
  func parts(name: String) throws {
    try Sandbox.use { sandbox in
      let original = sandbox.work / "original"
      try CodecTests.write(to: original)
      let id = try sandbox.put(original, "--codec", name, "--part-size", "64KiB")
      let own = name == "auto" ? "zlib" : name
      #expect(try codecs(id, in: sandbox) == [own, own, "stored", "zeros", own])
      try sandbox.done("get", "-o", "restored", "\(id)")
      try expectSameBytes(sandbox.work / "restored", original)
      let table = try sandbox.done("info", "--parts", "\(id)")
      #expect(String(decoding: table.standardOutput, as: UTF8.self).contains(own))
    }
  }

  @Test("comes from the configuration file where the command line says nothing")
  func configuration() throws {
    try Sandbox.use { sandbox in
      let original = sandbox.work / "original"
      try Sample(.text, seed: 1).write(10_000, to: original)
      try (sandbox.work / "my.yaml").write("codec: zstd\nlevel: 19\n")
      try sandbox.done("--config", "my.yaml", "put", "original")
      try sandbox.done("--config", "my.yaml", "put", "--codec", "stored", "original")
      #expect(try codecs(1, in: sandbox) == ["zstd"])
      #expect(try codecs(2, in: sandbox) == ["stored"])
      let result = try sandbox.pfs("--config", "my.yaml", "put", "--codec", "lz4", "original")
      expectFailure(result, 2, of: "put", says: "level 19", "lz4", "1", "12")
    }
  }

  @Test(
    "that does not exist, or has no such level, is exit status 2 and names those there are",
    arguments: [
      (["--codec", "rar"], ["rar", "zlib, zstd, lz4, stored, auto"]), (["--codec", ""], ["zlib, zstd"]),
      (["--codec", "zlib", "--level", "13"], ["level 13", "zlib", "1 (fast) to 12 (small)"]),
      (["--codec", "lz4", "--level", "13"], ["level 13", "lz4", "1 (fast) to 12 (small)"]),
      (["--codec", "zstd", "--level", "20"], ["20", "1", "19"]),
      (["--codec", "zstd", "--level", "0"], ["0", "1", "19"]),
      (["--codec", "auto", "--level", "19"], ["level 19", "zlib"]),
    ])
  func wrong(options: [String], words: [String]) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init")
      try Sample(.text, seed: 1).write(1000, to: sandbox.work / "original")
      let result = try sandbox.command(["put"] + options + ["original"]).run()
      expectFailure(result, 2)
      for word in words { #expect(result.errorText.contains(word), "must say '\(word)': \(result)") }
      #expect(try sandbox.list().isEmpty)
    }
  }

  @Test(
    "that takes more memory than the limit is exit status 2, and works with the smallest limit that it names",
    arguments: [("zlib", 6), ("zlib", 12), ("zstd", 1), ("zstd", 19), ("lz4", 9)])
  func memory(name: String, level: Int) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init")
      let original = sandbox.work / "original"
      try Sample(.text, seed: 1).write(3 << 20, to: original)
      let put = ["--workers", "2", "put", "--codec", name, "--level", "\(level)", "original"]
      let refusal = try sandbox.command(["--memory", "1600KiB"] + put).run()
      guard refusal.exitStatus != 0 else {
        #expect(name == "lz4", "little is enough for it")
        return
      }
      expectFailure(refusal, 2, of: "put", says: "smallest")
      let kibibytes = try #require(
        refusal.errorText.firstMatch(of: /smallest[^0-9]*([0-9]+)KiB/).flatMap { Int($0.1) }, "\(refusal)")
      let enough = try sandbox.command(["--memory", "\(kibibytes)KiB"] + put).start().waitWatchingMemory()
      expectDone(enough.result)
      try sandbox.done("get", "-o", "restored", "original")
      try expectSameBytes(sandbox.work / "restored", original)
    }
  }
}
