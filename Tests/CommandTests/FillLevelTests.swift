import Foundation
import SegmentStore
import TestSupport
import Testing

/// Puts and deletes with less and less room, on file systems that are really full.
@Suite("A disk with little room left") struct FillLevelTests {
  @Test(
    "stores a file whole or is exit status 6, at every level; what was there stays, and delete works with no byte free",
    .enabled(if: LoopFileSystem.isAvailable, "\(LoopFileSystem.requirement)"))
  func ext4() throws {
    try Sandbox.use { sandbox in
      let disk = try sandbox.mountFileSystem(byteCount: 40 << 20)
      try sweep(sandbox, root: disk.root)
    }
  }

  @Test(
    "in memory is the same", .enabled(if: SmallFileSystem.isAvailable, "mounting a file system needs root"))
  func tmpfs() throws {
    try Sandbox.use { sandbox in
      let root = sandbox.root / "small"
      try root.makeDirectory()
      let disk = try SmallFileSystem("size=20m", on: root.text)
      try sweep(sandbox, root: root)
      sandbox.isChecked = false
      withExtendedLifetime(disk) {}
    }
  }

  private func sweep(_ sandbox: Sandbox, root: BytePath) throws {
    sandbox.store = root / "store"
    let filler = root / "filler"
    try Sample(.random, seed: 1).write(300_000, to: sandbox.work / "kept")
    try Sample(.random, seed: 2).write(1_500_000, to: sandbox.work / "file")
    try sandbox.done("init", "--segment-size", "1MiB", "--part-size", "64KiB")
    try sandbox.put(sandbox.work / "kept")
    var statuses: [Int: Int] = [:]
    for level in Array(stride(from: 0, through: 40, by: 4)) + [64, 128, 256, 500, 1000, 1500, 2500, 4000, 8000] {
      try fill(filler, leaving: level << 10, on: root)
      let result = try sandbox.pfs("put", "file")
      statuses[result.exitStatus ?? -1, default: 0] += 1
      if result.exitStatus == 0 {
        expectDone(try sandbox.pfs("get", "--force", "file", "-o", sandbox.work / "restored"))
        try expectSameBytes(sandbox.work / "restored", sandbox.work / "file")
        try fill(filler, leaving: 0, on: root)
        expectDone(try sandbox.pfs("delete", "file"))
      } else {
        expectFailure(result, 6, of: "put", says: "space")
      }
      #expect(try sandbox.list().map(\.name) == ["kept"], "with \(level) KiB free")
      try filler.remove()
      let store = try Store(at: FilePath(bytes: sandbox.store.bytes))
      do { try store.checkInvariants() } catch { Issue.record("\(level) KiB free: \(error)") }
      try store.close()
      // What was taken is back: there is never more than the reserve and a segment in the way of the next level.
      #expect(try freeByteCount(root) > 8 << 20, "after \(level) KiB free")
    }
    #expect((statuses[0] ?? 0) > 0 && (statuses[6] ?? 0) > 0, "\(statuses)")
    try fill(filler, leaving: 0, on: root)
    expectDone(try sandbox.pfs("delete", "kept"))
    #expect(try sandbox.list().isEmpty)
    try filler.remove()
    try sandbox.put(sandbox.work / "file")
  }

  private func freeByteCount(_ root: BytePath) throws -> Int { try LoopFileSystem.freeByteCount(at: root) }

  /// Makes `filler` as large as leaves `byteCount` bytes for others.
  private func fill(_ filler: BytePath, leaving byteCount: Int, on root: BytePath) throws {
    try filler.remove()
    try filler.write(Data())
    var free = try freeByteCount(root)
    // The file system takes some for its own records of the file: taken into account by asking again.
    for _ in 0..<4 where free > byteCount {
      do { try filler.append(Data(repeating: 1, count: free - byteCount)) } catch {}
      free = try freeByteCount(root)
    }
  }
}
