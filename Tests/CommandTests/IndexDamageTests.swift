import Foundation
import TestSupport
import Testing

@Suite("Index damage") struct IndexDamageTests {
  @Test("is exit status 3 and the advice to rebuild, or harmless: never a signal, a hang or something wrong")
  func flippedBits() throws {
    let seed = TestSeed("flipped bits of the index", default: 93)
    var generator = seed.generator
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--part-size", "4KiB", "--segment-size", "1MiB")
      for number in 0..<6 {
        try Sample(.random, seed: UInt64(number)).write(number * 40_000, to: sandbox.work / "file \(number)")
        try sandbox.put(sandbox.work / "file \(number)")
      }
      try sandbox.done("delete", "file 0")
      let list = try sandbox.done("list").standardOutput
      let original = sandbox.store
      let whole = try (original / "index" / "data.mdb").read()
      var reportedCount = 0
      for round in 0..<20 {
        // Mostly heads of pages, where it matters most.
        let page = generator.below(whole.count / 4096) * 4096
        let offset = page + generator.below(round % 3 == 0 ? 4096 : 48)
        let place = "\(seed), byte \(offset % 4096) of page \(offset / 4096)"
        sandbox.store = sandbox.root / "damaged"
        try FileManager.default.copyItem(atPath: original.text, toPath: sandbox.store.text)
        try (sandbox.store / "index" / "data.mdb").flip(1 << UInt8(generator.below(8)), at: offset)

        let listed = try sandbox.pfs("list", timeoutSeconds: 60)
        if listed.exitStatus == 0 { #expect(listed.standardOutput == list, "\(place): \(listed)") }
        let got = try sandbox.pfs("get", "file 3", "-o", "-", timeoutSeconds: 60)
        if got.exitStatus == 0 {
          let bytes = try (sandbox.work / "file 3").read()
          #expect(got.standardOutput == bytes, "\(place)")
        }
        let deleted = try sandbox.pfs("delete", "file 4", timeoutSeconds: 60)
        let after = try sandbox.pfs("--json", "list", timeoutSeconds: 60)
        if deleted.exitStatus == 0 && after.exitStatus == 0 {
          #expect(try sandbox.list().map(\.name) == ["file 1", "file 2", "file 3", "file 5"], "\(place)")
        }
        for result in [listed, got, deleted, after] where result.exitStatus != 0 {
          reportedCount += 1
          #expect(result.exitStatus == 3, "\(place): \(result)")
          #expect(result.errorText.contains("index") && result.errorText.contains("pfs rebuild"), "\(place): \(result)")
        }
        try sandbox.store.remove()
        sandbox.store = original
      }
      #expect(reportedCount > 0)
    }
  }
}
