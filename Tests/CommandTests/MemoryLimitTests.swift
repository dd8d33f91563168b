import Foundation
import TestSupport
import Testing

@Suite("Memory limit") struct MemoryLimitTests {
  @Test("that is too small is exit status 2 and names the smallest that works", arguments: ["4KiB", "64KiB", "1MiB"])
  func smallest(partSize: String) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--part-size", partSize)
      let original = sandbox.work / "original"
      try Sample(.binary, seed: 1).write(3 << 20 + 1, to: original)
      let refusal = try sandbox.pfs("--memory", "1", "put", "original")
      expectFailure(refusal, 2, of: "put", says: "smallest")
      let kibibytes = try #require(
        refusal.errorText.firstMatch(of: /smallest[^0-9]*([0-9]+)KiB/).flatMap { Int($0.1) }, "\(refusal)")
      expectFailure(
        try sandbox.pfs("--memory", "\(kibibytes - 1)KiB", "put", "original"), 2, of: "put", says: "\(kibibytes)KiB")
      #expect(try sandbox.list().isEmpty)

      for workers in ["1", "2", "7"] {
        let result = try sandbox.pfs("--memory", "\(kibibytes)KiB", "--workers", workers, "put", "original")
        expectDone(result)
      }
      expectDone(try sandbox.pfs("--memory", "\(kibibytes)KiB", "get", "1", "-o", "restored"))
      try expectSameBytes(sandbox.work / "restored", original)
    }
  }

  @Test(
    "bounds the memory of a put and of a get of a much larger file",
    arguments: [(Sample.Kind.text, 256 << 20), (.random, 96 << 20)])
  func bound(kind: Sample.Kind, byteCount: Int) throws {
    try Sandbox.use { sandbox in
      let limitByteCount = 16 << 20
      let allowedByteCount = limitByteCount + 16 << 20
      let original = sandbox.work / "original"
      try Sample(kind, seed: 2).write(byteCount, to: original)
      let put = try sandbox.command("--memory", "16MiB", "put", "original").start().waitWatchingMemory()
      expectDone(put.result)
      #expect(put.peakByteCount > 0)
      #expect(put.peakByteCount <= allowedByteCount, "put: anonymous memory")
      let get = try sandbox.command("--memory", "16MiB", "get", "1", "-o", "restored").start().waitWatchingMemory()
      expectDone(get.result)
      #expect(get.peakByteCount > 0)
      #expect(get.peakByteCount <= allowedByteCount, "get: anonymous memory")
      try expectSameBytes(sandbox.work / "restored", original)
    }
  }

  @Test("is enough for many files at once")
  func manyFiles() throws {
    try Sandbox.use { sandbox in
      let names = (0..<32).map { "file-\($0)" }
      for name in names { try Sample(.text, seed: 3).write(300_000, to: sandbox.work / name) }
      let script = names.map { "put \($0)\n" }.joined()
      let result = try sandbox.pfs("--memory", "4MiB", "shell", input: .bytes(Data(script.utf8)))
      expectDone(result)
      #expect(Set(try sandbox.list().map(\.name)) == Set(names))
    }
  }
}
