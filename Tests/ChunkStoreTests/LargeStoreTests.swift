import Foundation
import StorageIO
import TestSupport
import Testing

@testable import ChunkStore

@Suite("Stores larger than memory") struct LargeStoreTests {
  private static let group = "/sys/fs/cgroup/memory/pfs-chunk-tests"

  /// Whether this process may make a group of processes with a memory limit of its own.
  private static let canLimit: Bool = {
    let files = FileManager.default
    guard geteuid() == 0, files.isWritableFile(atPath: "/sys/fs/cgroup/memory/cgroup.procs") else { return false }
    do {
      try files.createDirectory(atPath: group, withIntermediateDirectories: true)
      return true
    } catch {
      return false
    }
  }()

  @Test("are written and read by a process that has a quarter of their size", .enabled(if: canLimit))
  func limited() async throws {
    let fixture = try TypedStoreFixture()
    try fixture.store.close()
    // Its files are no files: only the system removes it as a whole.
    defer { _ = unsafe rmdir(LargeStoreTests.group) }
    try "64M".write(
      toFile: "\(LargeStoreTests.group)/memory.limit_in_bytes", atomically: false, encoding: .utf8)
    await #expect(processExitsWith: .success) {
      [path = fixture.path.description as String, group = LargeStoreTests.group as String] in
      try "\(getpid())".write(toFile: "\(group)/cgroup.procs", atomically: false, encoding: .utf8)
      let store = try TypedStore(at: FilePath(path))
      let count = 32 << 20
      let array = try store.newArray("a", of: Int64.self, count: count)
      for start in stride(from: 0, to: count, by: 1 << 20) {
        try array.withMutableElements(in: start..<(start + 1 << 20)) { elements in
          // Every page is touched; in a debug build all elements would take long.
          for index in stride(from: 0, to: elements.count, by: 128) { elements[index] = Int64(start + index) }
        }
      }
      try store.flush()
      var wrongCount = 0
      try array.withElements { elements in
        for index in stride(from: 0, to: elements.count, by: 128) where elements[index] != Int64(index) {
          wrongCount += 1
        }
      }
      guard wrongCount == 0 else { throw TestFailure("\(wrongCount) elements are wrong") }
      try store.close()
    }
  }

  @Test("hold arrays of 100 million elements, of which few are set")
  func manyElements() throws {
    let fixture = try TypedStoreFixture()
    let count = 100_000_000
    let array = try fixture.store.newArray("a", of: Reading.self, count: count)
    for number in 0..<1000 { try array.set(number * 99_999, to: Reading(number)) }
    try fixture.store.seal("a")
    try fixture.reopen()
    let found = try fixture.store.array("a", of: Reading.self)
    for number in 0..<1000 { #expect(try found[number * 99_999] == Reading(number)) }
    #expect(try found[count - 1].time == 0)
    #expect(try fixture.allocatedByteCount() < 10 << 20)
  }
}
