import Foundation
import TestSupport
import Testing

@Suite("Restored file") struct AttributeTests {
  @Test("has the permissions of the original", arguments: [0o600, 0o644, 0o755, 0o440, 0o777] as [UInt32])
  func mode(mode: UInt32) throws {
    try Sandbox.use { sandbox in
      let original = sandbox.work / "original"
      try original.write("contents")
      try original.setMode(mode)
      try sandbox.put(original)
      expectDone(try sandbox.pfs("get", "1", "-o", "restored"))
      #expect(try (sandbox.work / "restored").status()?.mode == mode)
    }
  }

  @Test("does not become set-user-id")
  func setUserID() throws {
    try Sandbox.use { sandbox in
      let original = sandbox.work / "original"
      try original.write("contents")
      try original.setMode(0o6755)
      try sandbox.put(original)
      expectDone(try sandbox.pfs("get", "1", "-o", "restored"))
      #expect(try (sandbox.work / "restored").status()?.mode == 0o755)
    }
  }

  @Test(
    "has the date of the original to the nanosecond",
    arguments: [0, 1, 999_999_999, 1_000_000_000_123_456_789, 4_000_000_000_000_000_001] as [Int64])
  func date(nanoseconds: Int64) throws {
    try Sandbox.use { sandbox in
      let original = sandbox.work / "original"
      try original.write("contents")
      try original.setModified(nanoseconds: nanoseconds)
      try sandbox.put(original)
      expectDone(try sandbox.pfs("get", "1", "-o", "restored"))
      #expect(try (sandbox.work / "restored").status()?.modifiedNanoseconds == nanoseconds)
    }
  }

  @Test("has holes where the original has", arguments: ["64KiB", "1MiB"])
  func holes(partSize: String) throws {
    try Sandbox.use { sandbox in
      let original = sandbox.work / "original"
      try original.write(Sample(.random, seed: 1).bytes(10_000))
      try original.truncate(to: 64 << 20)
      try original.overwrite(Sample(.random, seed: 2).bytes(10_000), at: 20 << 20 + 5)
      try original.overwrite(Sample(.random, seed: 3).bytes(10_000), at: 60 << 20)
      try sandbox.put(original, "--part-size", partSize)
      expectDone(try sandbox.pfs("get", "1", "-o", "restored"))
      let restored = sandbox.work / "restored"
      try expectSameBytes(restored, original)
      let allocated = try #require(try restored.status()).allocatedByteCount
      #expect(allocated <= 4 << 20, "of 64 MiB, of which all but three pieces of 10 kB are holes")
    }
  }

  @Test("of zeros alone takes no room", arguments: [8 << 20, 8 << 20 - 1, 8 << 20 + 1])
  func zeros(byteCount: Int) throws {
    try Sandbox.use { sandbox in
      let original = sandbox.work / "original"
      try Sample(.zeros, seed: 0).write(byteCount, to: original)
      try sandbox.put(original)
      expectDone(try sandbox.pfs("get", "1", "-o", "restored"))
      let restored = sandbox.work / "restored"
      try expectSameBytes(restored, original)
      #expect(try #require(try restored.status()).allocatedByteCount <= 64 << 10)
    }
  }
}
