import Foundation
import SegmentStore
import StorageIO
import TestSupport
import Testing

@testable import StagingFS

@Suite("Staging quota") struct StagingQuotaTests {
  let staging: StagingFileSystem

  init() throws { staging = try StagingFileSystem(quota: 100_000, defaultLockTimeout: .zero) }

  @Test func `refuses what is more, says how much, and has changed nothing`() throws {
    try staging.write(noise(40_000), to: "/file")
    let before = staging.statistics()
    let error = stagingError { try staging.write(noise(80_000), to: "/more") }
    #expect(error?.code == .quotaExceeded)
    #expect(error?.requestedByteCount ?? 0 >= 80_000)
    #expect(error?.availableByteCount ?? 0 < before.freeByteCount)
    #expect(staging.statistics() == before)
    #expect(!staging.exists("/more"))
    let handle = try staging.open("/file", .readWrite)
    #expect(
      stagingError {
        try handle.seek(to: 30_000); try handle.write(noise(80_000))
      }?.code == .quotaExceeded)
    #expect(handle.byteCount == 40_000)
    #expect(stagingError { try handle.truncate(to: 1 << 60) }?.code == .quotaExceeded)
    #expect(stagingError { try handle.truncate(to: Int.max) }?.code == .quotaExceeded)
    try handle.seek(to: Int.max - 5)
    #expect([.quotaExceeded, .invalidArgument].contains(stagingError { try handle.write([1, 2]) }?.code))
    try handle.close()
    #expect(try staging.read("/file") == noise(40_000))
  }

  @Test func `that an overwrite exceeds leaves the old content`() throws {
    try staging.write(noise(60_000), to: "/file")
    let before = staging.statistics()
    let handle = try staging.open("/file", .write)
    try handle.write(noise(10_000, seed: 2))
    #expect(stagingError { try handle.write(noise(50_000, seed: 2)) }?.code == .quotaExceeded)
    // It takes nothing more: a hole in the middle would be worse than nothing.
    #expect(stagingError { try handle.write([1]) }?.code == .quotaExceeded)
    #expect(stagingError { try handle.close() }?.code == .quotaExceeded)
    #expect(try staging.read("/file") == noise(60_000))
    #expect(staging.statistics() == before)
    #expect(stagingError { try staging.write(noise(60_000, seed: 3), to: "/file") }?.code == .quotaExceeded)
    #expect(try staging.read("/file") == noise(60_000))
    // Who has no room for both writes in place.
    try staging.withFile("/file", .readWrite) { handle in
      try handle.truncate(to: 0)
      try handle.write(noise(70_000, seed: 4))
    }
    #expect(try staging.read("/file") == noise(70_000, seed: 4))
  }

  @Test func `that a copy or an import exceeds leaves nothing of it`() throws {
    let name = StagingPath("/dir")
    for number in 0..<45 { try staging.importTree([(name.appending("\(number)"), noise(500))]) }
    let before = staging.statistics()
    #expect(stagingError { try staging.copyTree("/dir", to: "/copy") }?.code == .quotaExceeded)
    #expect(
      stagingError {
        try staging.importTree([("/dir/0", [1]), ("/x/y", noise(10_000)), ("/x/z", noise(50_000))])
      }?.code == .quotaExceeded)
    #expect(stagingError { try staging.importTree([("/dir/1", [2]), ("/dir/2/x", [])]) }?.code == .isNotDirectory)
    #expect(stagingError { try staging.importTree([("/new", [2]), ("/new/x", [])]) }?.code == .isNotDirectory)
    #expect(stagingError { try staging.importTree([("/new/x", [2]), ("/new", [])]) }?.code == .isDirectory)
    #expect(stagingError { try staging.importTree([("/dir", [2])]) }?.code == .isDirectory)
    #expect(staging.statistics() == before)
    #expect(try staging.listNames() == ["dir"])
    #expect(try staging.read("/dir/0") == noise(500))
    try staging.write([UInt8](repeating: 0, count: staging.statistics().freeByteCount - 1500), to: "/rest")
    #expect(stagingError { try staging.copy("/dir/1", to: "/one") }?.code == .quotaExceeded)
    #expect(!staging.exists("/one"))
    // A rename needs no room.
    try staging.rename("/dir", to: "/name")
  }

  @Test func `counts an export as long as it lives`() throws {
    let empty = staging.usedByteCount
    try staging.write(noise(50_000), to: "/file")
    var export: ExportedFile? = try staging.export("/file")
    let exportedTree = try staging.exportTree("/")
    #expect(exportedTree.map(\.path.description) == ["/file"])
    try staging.remove("/file")
    #expect(staging.usedByteCount > 50_000)
    #expect(stagingError { try staging.write(noise(60_000), to: "/other") }?.code == .quotaExceeded)
    #expect(try export?.bytes() == noise(50_000))
    export = nil
    #expect(try exportedTree.first?.bytes() == noise(50_000))
    withExtendedLifetime(exportedTree) {}
    _ = consume exportedTree
    #expect(staging.usedByteCount == empty)
    try staging.write(noise(60_000), to: "/other")
  }

  @Test func `is checked before a file that an export shares is changed in place`() throws {
    try staging.write(noise(60_000), to: "/file")
    let export = try staging.export("/file")
    let handle = try staging.open("/file", .readWrite)
    #expect(stagingError { try handle.write([1]) }?.code == .quotaExceeded)
    try handle.close()
    #expect(try staging.read("/file") == noise(60_000))
    #expect(try export.bytes() == noise(60_000))
  }

  @Test func `has room for the copy that joins the pieces of an export, or that is an error`() throws {
    try staging.withFile("/file", .write) { handle in
      for number in 0..<4 { try handle.adopt(noise(15_000, seed: UInt64(number))) }
    }
    let export = try staging.export("/file")
    #expect(stagingError { _ = try export.bytes() }?.code == .quotaExceeded)
    var byteCount = 0
    try export.forEachPiece { (bytes) in byteCount += bytes.byteCount }
    #expect(byteCount == 60_000)
  }

  @Test func `has room for the copy of a piece that was cut, or that is an error`() throws {
    let staging = try StagingFileSystem(quota: 210_000)
    try staging.write(noise(100_000), to: "/file")
    try staging.withFile("/file", .readWrite) { try $0.truncate(to: 99_000) }
    let export = try staging.export("/file")
    try staging.write(noise(95_000), to: "/other")
    #expect(stagingError { _ = try export.bytes() }?.code == .quotaExceeded)
    try staging.remove("/other")
    #expect(try export.bytes() == Array(noise(100_000)[..<99_000]))
  }

  @Test func `is never exceeded by threads together, and all of it comes back`() throws {
    let seed = TestSeed("quota threads", default: 72)
    let staging = try StagingFileSystem(quota: 300_000)
    let empty = staging.usedByteCount
    let refusals = Monitor(0)
    try Watchdog.run(threads: 8) { thread in
      var generator = SeededGenerator(seed: seed.value + UInt64(thread))
      for _ in 0..<300 {
        let path = StagingPath("/\(generator.below(12))")
        do {
          switch generator.below(6) {
          case 0, 1: try staging.write(generator.bytes(generator.below(60_000)), to: path)
          case 2: try staging.withFile(path, .append) { try $0.write(generator.bytes(generator.below(20_000))) }
          case 3: try staging.remove(path)
          case 4: try staging.copy(path, to: StagingPath("/\(generator.below(12))"))
          default: _ = try staging.export(path).bytes()
          }
        } catch let error as StagingError {
          if error.code == .quotaExceeded { refusals.withLock { $0 += 1 } }
          #expect([.quotaExceeded, .notFound, .exists].contains(error.code), "\(seed): \(error)")
        }
        #expect(staging.usedByteCount <= 300_000, "\(seed)")
      }
    }
    #expect(refusals.withLock { $0 } > 0)
    try staging.removeTree("/")
    #expect(staging.usedByteCount == empty, "\(seed)")
  }

  @Test func `has room again as soon as files are gone, whoever lets go of what was kept, and is never below nothing`()
    throws
  {
    let staging = try StagingFileSystem(quota: 24 << 20)
    let runningCount = Monitor(2)
    try Watchdog.run(threads: 3) { thread in
      if thread == 2 {
        while runningCount.withLock({ $0 }) > 0 {
          let statistics = staging.statistics()
          #expect(statistics.usedByteCount > 0 && statistics.chunkCount >= 0)
        }
        return
      }
      defer { runningCount.withLock { $0 -= 1 } }
      // Two times 9 MiB at most, while a file is cut and its zeros are made anew: always fewer than the quota.
      for _ in 0..<1500 {
        try staging.withFile(StagingPath("/\(thread)"), .write) { try $0.truncate(to: 9 << 20) }
        try staging.remove(StagingPath("/\(thread)"))
      }
    }
  }

  @Test(
    "gives the room of files that are gone to the next, uncounted, and to others",
    arguments: [5 << 10, 64 << 10, 300_000])
  func kept(writeByteCount: Int) throws {
    let staging = try StagingFileSystem(quota: 8 << 20)
    let empty = staging.usedByteCount
    func write() throws {
      try staging.withFile("/file", .write) { handle in
        for number in 0..<(3 << 20) / writeByteCount {
          try handle.write([UInt8](repeating: UInt8(truncatingIfNeeded: number), count: writeByteCount))
        }
      }
    }
    for _ in 0..<4 {
      try write()
      let bytes = try staging.read("/file")
      for number in 0..<(3 << 20) / writeByteCount {
        #expect(bytes[number * writeByteCount] == UInt8(truncatingIfNeeded: number))
        #expect(bytes[(number + 1) * writeByteCount - 1] == UInt8(truncatingIfNeeded: number))
      }
      try staging.remove("/file")
      #expect(staging.usedByteCount == empty)
      #expect(staging.statistics().chunkCount == 0)
      #expect(staging.quota.chargedByteCount > empty + (2 << 20))
    }
    // More than is left beside what is kept.
    try staging.write([UInt8](repeating: 1, count: 7 << 20), to: "/other")
    #expect(staging.quota.chargedByteCount == staging.usedByteCount)
    try staging.remove("/other")
    try write()
    try staging.remove("/file")
    staging.releaseFreeMemory()
    #expect(staging.quota.chargedByteCount == empty)
  }

  @Test("covers what the process really takes", arguments: [0, 10, 1000])
  func heap(byteCount: Int) async {
    await #expect(processExitsWith: .success) { [byteCount = byteCount as Int] in
      func residentByteCount() throws -> Int {
        let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
        return (Int(text[1]) ?? 0) * 4096
      }
      let staging = try StagingFileSystem(quota: 1 << 30)
      for number in 0..<100 { try staging.write(noise(10), to: StagingPath("/warm \(number)")) }
      let (residentBefore, usedBefore) = (try residentByteCount(), staging.usedByteCount)
      for number in 0..<30_000 {
        if number % 100 == 0 { try staging.makeDirectory(StagingPath("/directory \(number / 100)")) }
        let path = StagingPath("/directory \(number / 100)/a file of some name \(number)")
        let handle = try staging.open(path, .write)
        try handle.write([UInt8](repeating: 1, count: byteCount))
        try handle.close()
      }
      let taken = try residentByteCount() - residentBefore
      let charged = staging.usedByteCount - usedBefore
      print("\(byteCount): \(taken) bytes taken, \(charged) charged")
      guard taken <= charged else { throw TestFailure("\(taken) bytes taken, \(charged) charged") }
      // And it is no more than half as much again, so that the quota is worth what it says.
      guard charged <= taken * 2 else { throw TestFailure("\(taken) bytes taken, \(charged) charged") }
    }
  }

  // MARK: The memory of others

  @Test func `is held to the memory of the machine where that is asked for`() throws {
    let memory = Monitor(10_000)
    func make(_ memoryGuard: MemoryGuard, _ quota: Int) throws -> StagingFileSystem {
      try StagingFileSystem(
        StagingQuota(limitByteCount: quota), nil, .zero, .automatic, memoryGuard,
        availableMemory: { memory.withLock { $0 } })
    }
    _ = try make(.none, 20_000)
    let error = stagingError { _ = try make(.atInit, 20_000) }
    #expect(error?.code == .memoryShortage)
    #expect(error?.requestedByteCount == 20_000 && error?.availableByteCount == 10_000)
    #expect(stagingError { _ = try make(.perWrite, 20_000) }?.code == .memoryShortage)
    memory.withLock { $0 = 30_000 }
    let staging = try make(.perWrite, 30_000)
    memory.withLock { $0 = 1000 }
    // What it was told lasts for a second.
    try staging.write(noise(5000), to: "/file")
    staging.memory.forget()
    #expect(stagingError { try staging.write(noise(5000), to: "/file") }?.code == .memoryShortage)
    #expect(stagingError { try staging.importTree([("/other", noise(5000))]) }?.code == .memoryShortage)
    try staging.write(noise(500), to: "/small")
    #expect(try staging.read("/file") == noise(5000))
  }

  @Test func `knows the memory of this machine`() throws {
    #expect(try #require(SystemMemory.availableByteCount()) > 1 << 20)
    _ = try StagingFileSystem(quota: 1 << 20, memoryGuard: .perWrite)
    #expect(stagingError { _ = try StagingFileSystem(quota: 1 << 60, memoryGuard: .atInit) }?.code == .memoryShortage)
  }

  @Test func `of zero or less is no quota`() {
    for quota in [0, -1, Int.min] {
      #expect(stagingError { _ = try StagingFileSystem(quota: quota) }?.code == .invalidArgument)
    }
    #expect(stagingError { _ = try StagingFileSystem(quota: 10) }?.code == .quotaExceeded)
  }

  @Test func `of the test helper tells what was left open or kept`() throws {
    try StagingFileSystem.withTemporary { try $0.write([1], to: "/file") }
    #expect(
      stagingError {
        var kept: StagingHandle?
        try StagingFileSystem.withTemporary { kept = try $0.open("/file", .write) }
        withExtendedLifetime(kept) {}
      }?.code == .lockTimeout)
    #expect(
      stagingError {
        var kept: ExportedFile?
        try StagingFileSystem.withTemporary { staging in
          try staging.write(noise(100), to: "/file")
          kept = try staging.export("/file")
        }
        withExtendedLifetime(kept) {}
      }?.code == .invalidArgument)
  }
}
