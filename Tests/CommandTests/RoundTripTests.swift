import Foundation
import TestSupport
import Testing

@Suite("Round trip") struct RoundTripTests {
  @Test(
    "gives back what was stored, around the bounds of small parts",
    arguments: [0, 1, 4095, 4096, 4097, 10 * 4096 + 77], Sample.Kind.allCases)
  func smallParts(byteCount: Int, kind: Sample.Kind) throws {
    try roundTrip(Sample(kind, seed: UInt64(byteCount)), byteCount, "--part-size", "4KiB")
  }

  @Test(
    "gives back what was stored, around the bounds of default parts",
    arguments: [1 << 20 - 1, 1 << 20, 1 << 20 + 1, 9 << 20 + 5], [Sample.Kind.text, .random])
  func defaultParts(byteCount: Int, kind: Sample.Kind) throws {
    try roundTrip(Sample(kind, seed: UInt64(byteCount)), byteCount)
  }

  @Test("gives back a file that needs more than one segment", arguments: Sample.Kind.allCases)
  func severalSegments(kind: Sample.Kind) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--segment-size", "1MiB", "--part-size", "64KiB")
      try roundTrip(Sample(kind, seed: 1), 5 << 20 + 12345, in: sandbox)
    }
  }

  @Test("gives back what was stored in the smallest segments, in parts of all sizes that they take")
  func smallestSegments() throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--segment-size", "64KiB", "--part-size", "4KiB")
      for partSize in ["4KiB", "10007", "32KiB"] {
        let original = sandbox.work / "in-\(partSize)"
        try Sample(.random, seed: 3).write(300_000, to: original)
        let id = try sandbox.put(original, "--part-size", partSize)
        try sandbox.done("get", "-o", "out-\(partSize)", "\(id)")
        try expectSameBytes(sandbox.work / "out-\(partSize)", original)
      }
      try sandbox.done("delete", "1")
      try sandbox.done("rebuild")
      expectFailure(try sandbox.pfs("init", "--segment-size", "32KiB"), 2, of: "init", says: "64 KiB")
    }
  }

  @Test("gives back several files that one command stored")
  func severalArguments() throws {
    try Sandbox.use { sandbox in
      let names = ["first", "second", "third"]
      for (index, name) in names.enumerated() {
        try Sample(.text, seed: UInt64(index)).write(1000 * index, to: sandbox.work / name)
      }
      let result = try sandbox.done("put", "first", "second", "third")
      #expect(Set(result.outputLines.map { String($0.split(separator: "\t").last ?? "") }) == Set(names))
      for name in names {
        try sandbox.done("get", "-o", "restored-\(name)", name)
        try expectSameBytes(sandbox.work / "restored-\(name)", sandbox.work / name)
      }
    }
  }

  @Test("restores by id and by name to the last component of the name")
  func destination() throws {
    try Sandbox.use { sandbox in
      let original = sandbox.root / "original"
      try Sample(.text, seed: 5).write(5000, to: original)
      try sandbox.put(original, "--name", "some/where/else")
      try sandbox.done("get", "1")
      try expectSameBytes(sandbox.work / "else", original)
      try (sandbox.work / "else").remove()
      try sandbox.done("get", "some/where/else")
      try expectSameBytes(sandbox.work / "else", original)
    }
  }

  private func roundTrip(_ sample: Sample, _ byteCount: Int, _ options: any CommandArgument...) throws {
    try Sandbox.use { sandbox in try roundTrip(sample, byteCount, options, in: sandbox) }
  }

  private func roundTrip(
    _ sample: Sample, _ byteCount: Int, _ options: [any CommandArgument] = [], in sandbox: Sandbox
  ) throws {
    let original = sandbox.work / "original"
    try sample.write(byteCount, to: original)
    let put = try sandbox.command(["put"] + options + [original]).run()
    expectDone(put)
    #expect(put.outputLines == ["1\toriginal"])
    let listed = Sandbox.ListedFile(id: 1, name: "original", status: "ready", byteCount: byteCount)
    #expect(try sandbox.list() == [listed])
    let get = try sandbox.pfs("get", "1", "-o", "restored")
    expectDone(get)
    #expect(get.standardError.isEmpty, "\(get)")
    try expectSameBytes(sandbox.work / "restored", original)
  }
}
