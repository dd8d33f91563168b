import Foundation
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Quota") struct QuotaTests {
  private static let quotaByteCount = 2_000_000
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func makeFixture() throws -> StoreFixture {
    try StoreFixture(directory) { $0.quotaByteCount = QuotaTests.quotaByteCount }
  }

  @Test func `is kept in the store and shown`() throws {
    let fixture = try makeFixture()
    #expect(try fixture.store.statistics().quotaByteCount == QuotaTests.quotaByteCount)
    try fixture.finish()
  }

  @Test func `refuses what would exceed it, and has room again after a delete`() throws {
    let fixture = try makeFixture()
    let first = try fixture.put(noise(1_500_000, seed: 1), as: "first")
    let error = storeError { _ = try fixture.put(noise(1_500_000, seed: 2), as: "second") }
    #expect(error?.code == .noSpace)
    for word in ["quota of", "bytes are used", "more were wanted", "nothing was stored"] {
      #expect(error?.message.contains(word) == true, "\(String(describing: error))")
    }
    #expect(try fixture.store.allFiles().map(\.id) == [first.id])
    _ = try fixture.put(noise(100_000, seed: 3), as: "small")
    try fixture.store.delete(first.id)
    _ = try fixture.put(noise(1_500_000, seed: 2), as: "second")
    #expect(try fixture.store.statistics().liveByteCount <= QuotaTests.quotaByteCount)
    try fixture.finish()
  }

  @Test("can be used to the last byte, and not one further")
  func exact() throws {
    let measured = try StoreFixture(directory, at: "measured")
    _ = try measured.put(noise(100_000, seed: 1), as: "a")
    let needed = try measured.store.statistics().liveByteCount
    try measured.finish()
    let enough = try StoreFixture(directory, at: "enough") { $0.quotaByteCount = needed }
    _ = try enough.put(noise(100_000, seed: 1), as: "a")
    try enough.finish()
    let short = try StoreFixture(directory, at: "short") { $0.quotaByteCount = needed - 1 }
    #expect(storeError { _ = try short.put(noise(100_000, seed: 1), as: "a") }?.code == .noSpace)
    #expect(try short.store.statistics().liveByteCount == 0)
    try short.finish()
  }

  @Test func `is noticed before much is written in vain`() throws {
    let fixture = try makeFixture()
    _ = try fixture.put(noise(100, seed: 1), as: "kept")
    let written = Monitor(0)
    let path = directory.path(of: "big")
    try FilesOnDisk.write(noise(60 << 20, seed: 2), to: path)
    let error = storeError {
      _ = try fixture.store.put(.file(FilePath(path)), as: fileName("big")) { count in written.withLock { $0 += count }
      }
    }
    #expect(error?.code == .noSpace)
    #expect(written.withLock { $0 } < 8 << 20)
    try fixture.finish()
  }

  @Test func `is not exceeded by several stores at once, and small files pass where big ones do not`() throws {
    let fixture = try makeFixture()
    let path = fixture.path
    let storedCount = Monitor(0)
    let directory = directory
    try fixture.store.close()
    // One process opens a store once; so each of these is a store of its own thread's, one after the other, and the
    // threads of each put at once.
    for round in 0..<3 {
      let store = try Store(at: path)
      try Watchdog.run(threads: 6) { thread in
        for number in 0..<4 {
          do {
            let size = number == 0 ? 900_000 : 5_000
            _ = try store.put(noise(size, seed: UInt64(thread)), as: "\(round) \(thread) \(number)", in: directory)
            storedCount.withLock { $0 += 1 }
          } catch let error as StoreError where error.code == .noSpace {}
          let used = try store.statistics().liveByteCount
          #expect(used <= QuotaTests.quotaByteCount)
        }
      }
      try store.close()
    }
    try fixture.open()
    #expect(storedCount.withLock { $0 } > 10)
    #expect(try fixture.store.allFiles().count == storedCount.withLock { $0 })
    try fixture.finish()
  }

  @Test func `holds for a group as a whole`() throws {
    let fixture = try makeFixture()
    let group = fixture.store.beginGroup()
    let path = directory.path(of: "source")
    try FilesOnDisk.write(noise(800_000, seed: 1), to: path)
    for number in 0..<2 { try group.put(.file(FilePath(path)), as: fileName("\(number)")) }
    #expect(storeError { try group.put(.file(FilePath(path)), as: fileName("3")) }?.code == .noSpace)
    group.rollBack()
    #expect(try fixture.store.statistics().liveByteCount == 0)
    try fixture.finish()
  }
}

@Suite("Verified puts") struct VerifiedPutTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private var verifying: PutOptions {
    var options = PutOptions()
    options.verifies = true
    return options
  }

  @Test("store what others store", arguments: WriteMode.allCases)
  func same(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration())
    for (number, bytes) in [
      [], noise(100_000, seed: 1), [UInt8](repeating: 0, count: 50_000), [UInt8](repeating: 7, count: 123_457),
      Corpus(seed: 3).bytes(3_000_000),
    ].enumerated() {
      let stored = try fixture.put(bytes, as: "\(number)", verifying)
      #expect(try fixture.get(stored.id) == bytes)
    }
    try fixture.finish()
  }

  @Test("fail when a part does not lie in its segment as it should", arguments: [false, true])
  func damaged(isCompressible: Bool) throws {
    // One worker, so that the first part is the first record.
    var configuration = Store.Configuration()
    configuration.workerCount = 1
    let fixture = try StoreFixture(directory, configuration: configuration)
    let bytes = isCompressible ? Array("abcd".utf8).cycled(60_000) : noise(60_000, seed: 9)
    let path = directory.path(of: "source")
    try FilesOnDisk.write(bytes, to: path)
    let segment = fixture.segmentPath(SegmentID(rawValue: 1))
    let isDone = Monitor(false)
    let error = storeError {
      // Between the append and the look at it: the payload of the first part, behind its header.
      _ = try fixture.store.put(.file(FilePath(path)), as: fileName("file"), verifying) { _ in
        guard
          isDone.withLock({ done in
            defer { done = true }
            return !done
          })
        else { return }
        do { try FilesOnDisk.overwrite(segment, at: 4096 + 128 + 5, with: [0xAA, 0x55, 0xAA]) } catch {
          Issue.record("\(error)")
        }
      }
    }
    #expect(error?.code == .corrupt)
    #expect(error?.message.contains("segment 1 offset 4096") == true, "\(String(describing: error))")
    #expect(try fixture.store.allFiles().isEmpty)
    try fixture.finish()
  }
}

extension [UInt8] {
  fileprivate func cycled(_ byteCount: Int) -> [UInt8] { (0..<byteCount).map { self[$0 % count] } }
}
