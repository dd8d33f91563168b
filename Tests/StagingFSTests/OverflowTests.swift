import Foundation
import SegmentStore
import StorageIO
import TestSupport
import Testing

@testable import StagingFS

@Suite("Staging overflow") struct StagingOverflowTests {
  let directory: TemporaryDirectory
  let store: Store
  private let quota = 1 << 20

  init() throws {
    directory = try TemporaryDirectory(isInMemory: true)
    store = try StagingCommitTests.makeStore(directory.path(of: "store"))
  }

  private func makeStaging() throws -> StagingFileSystem {
    try StagingFileSystem(quota: quota, overflow: StagingOverflow(into: store, under: "job"))
  }

  private func names() throws -> [String] {
    try store.newestFiles(namePrefix: [], limit: 1000).map(\.name.description)
  }

  /// What is in the store, published or not.
  private func storedCount() throws -> Int { try store.files(limit: 1000).count }

  private func finish() throws {
    try store.checkInvariants()
    try store.close()
  }

  private func fill(_ staging: StagingFileSystem, _ count: Int) throws {
    for number in 0..<count {
      try staging.withFile(StagingPath("/\(number)"), .createNew) { handle in
        for piece in 0..<10 { try handle.write(noise(30_000, seed: UInt64(number * 10 + piece))) }
      }
    }
  }

  private func expected(_ number: Int) -> [UInt8] {
    (0..<10).flatMap { noise(30_000, seed: UInt64(number * 10 + $0)) }
  }

  @Test func `takes what the quota has no room for, shows it to nobody, and all is published together`() throws {
    let staging = try makeStaging()
    try fill(staging, 12)
    try staging.write(noise(5_000_000), to: "/large")
    #expect(staging.usedByteCount <= quota)
    #expect(try names().isEmpty)
    #expect(try storedCount() > 5)
    for number in 0..<12 { #expect(try staging.read(StagingPath("/\(number)")) == expected(number)) }
    try staging.withFile("/large") { handle in
      try handle.seek(to: 1_500_000)
      #expect(try handle.read(2_000_000) == Array(noise(5_000_000)[1_500_000..<3_500_000]))
    }
    #expect(try staging.byteCount(of: "/large") == 5_000_000)
    let export = try staging.export("/large")
    var byteCount = 0
    try export.forEachPiece { (bytes) in byteCount += bytes.byteCount }
    #expect(byteCount == 5_000_000)
    #expect(try staging.commit(into: store, under: "job").count == 13)
    #expect(try names().count == 13 && storedCount() == 13)
    let loaded = try StagingFileSystem(quota: 32 << 20)
    try loaded.load(from: store, under: "job")
    for number in 0..<12 { #expect(try loaded.read(StagingPath("/\(number)")) == expected(number)) }
    #expect(try loaded.read("/large") == noise(5_000_000))
    // What was published stays so when the tree lets go of it, and is not stored again.
    try staging.commit(into: store, under: "job")
    #expect(try store.files(named: FileName(Array("job/large".utf8))).count == 1)
    #expect(try staging.read("/large") == noise(5_000_000))
    try staging.removeTree("/")
    #expect(try names().count == 13)
    withExtendedLifetime(export) {}
    try finish()
  }

  @Test func `comes back when it is removed, replaced, given up, or goes with its tree`() throws {
    var staging: StagingFileSystem? = try makeStaging()
    try staging?.write(noise(3_000_000), to: "/a")
    try staging?.write(noise(3_000_000, seed: 2), to: "/b")
    #expect(try storedCount() == 2)
    try staging?.remove("/a")
    #expect(try storedCount() == 1)
    try staging?.write([1], to: "/b")
    #expect(try storedCount() == 0)
    // A handle keeps its tree.
    do {
      let handle = try staging?.open("/c", .write)
      try handle?.write(noise(3_000_000))
      handle?.discard()
    }
    #expect(try storedCount() == 0)
    #expect(staging?.exists("/c") == false)
    try staging?.write(noise(3_000_000), to: "/d")
    #expect(try storedCount() == 1)
    staging = nil
    #expect(try storedCount() == 0)
    try finish()
  }

  @Test func `is committed as a whole to its place, and to no other`() throws {
    let staging = try makeStaging()
    try staging.makeDirectory("/dir")
    try staging.write(noise(3_000_000), to: "/dir/a")
    for call in [
      { try staging.commit(into: store) }, { try staging.commit(into: store, under: "job", from: "/dir") },
    ] as [() throws -> [FileID]] {
      #expect(stagingError { _ = try call() }?.code == .invalidArgument)
    }
    #expect(stagingError { try staging.rename("/dir", to: "/e") }?.code == .invalidArgument)
    #expect(stagingError { try staging.copy("/dir/a", to: "/e") }?.code == .invalidArgument)
    #expect(stagingError { try staging.copyTree("/dir", to: "/e") }?.code == .invalidArgument)
    #expect(stagingError { _ = try staging.open("/dir/a", .append) }?.code == .wrongMode)
    #expect(stagingError { _ = try staging.open("/dir/a", .readWrite) }?.code == .wrongMode)
    // The refusals have let go of the file.
    let cancellation = Cancellation()
    cancellation.cancel()
    #expect(
      stagingError { try staging.commit(into: store, under: "job", cancellation: cancellation) }?.code == .store)
    #expect(try names().isEmpty)
    try staging.commit(into: store, under: "job")
    #expect(try names() == ["job/dir/a"])
    try finish()
  }

  @Test func `has its end where the file has it, and is not cut`() throws {
    let staging = try makeStaging()
    let handle = try staging.open("/file", .createNew)
    try handle.write(noise(3_000_000))
    #expect(try handle.seek(to: 0, from: .end) == 3_000_000)
    try handle.truncate(to: 3_000_000)
    for byteCount in [0, 100, 2_999_999, 3_000_001] {
      #expect(stagingError { try handle.truncate(to: byteCount) }?.code == .wrongMode)
    }
    #expect(handle.position == 3_000_000)
    try handle.write([7])
    try handle.close()
    #expect(try staging.read("/file") == noise(3_000_000) + [7])
    try staging.remove("/file")
    try finish()
  }

  @Test func `is published with the commit that it is in, and with no other`() throws {
    let staging = try makeStaging()
    try staging.importTree([("/part/small", [1])])
    try staging.write(noise(3_000_000, seed: 1), to: "/before")
    let handle = try staging.open("/meanwhile", .createNew)
    try handle.write(noise(3_000_000, seed: 2))
    #expect(try storedCount() == 2)
    try staging.commit(into: store, under: "elsewhere", from: "/part")
    #expect(try names() == ["elsewhere/small"])
    try handle.close()
    #expect(try names() == ["elsewhere/small"])
    #expect(try staging.commit(into: store, under: "job").count == 3)
    #expect(try names() == ["elsewhere/small", "job/before", "job/meanwhile", "job/part/small"])
    let loaded = try StagingFileSystem(quota: 32 << 20)
    try loaded.load(from: store, under: "job")
    #expect(try loaded.read("/meanwhile") == noise(3_000_000, seed: 2))
    try finish()
  }

  @Test func `is not published when it has left the tree, though somebody keeps it`() throws {
    let staging = try makeStaging()
    try staging.write(noise(3_000_000, seed: 1), to: "/removed")
    try staging.write(noise(3_000_000, seed: 2), to: "/replaced")
    var exports = [try staging.export("/removed"), try staging.export("/replaced")]
    try staging.remove("/removed")
    try staging.write(noise(3_000_000, seed: 3), to: "/replaced")
    try staging.commit(into: store, under: "job")
    #expect(try names() == ["job/replaced"])
    #expect(try store.files(named: FileName(Array("job/replaced".utf8))).count == 1)
    var bytes: [UInt8] = []
    try exports[1].forEachPiece { (piece) in bytes.append(piece) }
    #expect(bytes == noise(3_000_000, seed: 2))
    #expect(try storedCount() == 3)
    exports = []
    #expect(try storedCount() == 1)
    try finish()
  }

  @Test func `is published by each of several commits at once`() throws {
    let (staging, store) = (try makeStaging(), store)
    for number in 0..<3 { try staging.write(noise(2_000_000, seed: UInt64(number)), to: StagingPath("/\(number)")) }
    try Watchdog.run(threads: 4) { _ in
      try staging.commit(into: store, under: "job")
      #expect(try store.newestFiles(namePrefix: [], limit: 10).count == 3)
    }
    #expect(try storedCount() == 3)
    try finish()
  }

  @Test func `has the name that the file has when it begins, and keeps it`() throws {
    let staging = try makeStaging()
    try staging.makeDirectory("/old")
    let handle = try staging.open("/old/file", .createNew)
    try staging.rename("/old", to: "/new")
    try handle.write(noise(3_000_000))
    for call in [
      { try staging.rename("/new/file", to: "/other") }, { try staging.rename("/new", to: "/other") },
    ] as [() throws -> Void] {
      #expect(stagingError(call)?.code == .invalidArgument)
    }
    try handle.close()
    try staging.commit(into: store, under: "job")
    #expect(try names() == ["job/new/file"])
    try finish()
  }

  @Test func `that fails in the store fails the write or the close, and leaves the old content`() throws {
    var options = Store.CreationOptions()
    options.segmentByteCount = 1 << 20
    options.partByteCount = 4096
    options.quotaByteCount = 1 << 20
    let path = FilePath(directory.path(of: "limited"))
    try Store.create(at: path, options)
    let limited = try Store(at: path)
    let staging = try StagingFileSystem(quota: quota, overflow: StagingOverflow(into: limited))
    try staging.write([7], to: "/file")
    let error = stagingError { try staging.write(noise(8_000_000), to: "/file") }
    #expect(error?.code == .store && error?.storeError?.code == .noSpace)
    #expect(try staging.read("/file") == [7])
    #expect(try limited.files(limit: 10).isEmpty)
    try staging.commit(into: limited)
    try limited.checkInvariants()
    try limited.close()
    try finish()
  }

  @Test func `of threads that write at once, each more than the quota, keeps to the quota`() throws {
    let (staging, quota) = (try makeStaging(), quota)
    try Watchdog.run(threads: 6) { thread in
      for round in 0..<3 {
        try staging.withFile(StagingPath("/\(thread)-\(round)"), .write) { handle in
          for piece in 0..<60 {
            try handle.write(noise(20_000, seed: UInt64(thread * 1000 + piece)))
            #expect(staging.usedByteCount <= quota)
          }
        }
      }
    }
    try staging.commit(into: store, under: "job")
    let loaded = try StagingFileSystem(quota: 64 << 20)
    #expect(try loaded.load(from: store, under: "job") == 18)
    for thread in 0..<6 {
      let whole = (0..<60).flatMap { noise(20_000, seed: UInt64(thread * 1000 + $0)) }
      #expect(try loaded.read(StagingPath("/\(thread)-2")) == whole)
    }
    try finish()
  }

  @Test func `of a process that died is taken back by the next open`() async throws {
    try store.close()
    await #expect(processExitsWith: .signal(SIGKILL)) { [path = store.path.description as String] in
      let store = try Store(at: FilePath(path))
      let staging = try StagingFileSystem(quota: 1 << 20, overflow: StagingOverflow(into: store))
      try staging.write(noise(3_000_000), to: "/a")
      guard try store.files(limit: 10).count == 1 else { throw TestFailure("nothing overflowed") }
      kill(getpid(), SIGKILL)
    }
    let opened = try Store(at: store.path)
    // The first write of this process looks after what dead ones have left.
    #expect(try opened.files(limit: 10).isEmpty)
    try opened.checkInvariants()
    try opened.close()
  }
}
