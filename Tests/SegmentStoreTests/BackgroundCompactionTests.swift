import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Compaction in the background") struct BackgroundCompactionTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test("keeps the disk of one who deletes within its bound, unless it is told not to", arguments: [true, false])
  func bound(isOn: Bool) throws {
    var configuration = Store.Configuration()
    configuration.workerCount = 1
    configuration.compactsInBackground = isOn
    let fixture = try StoreFixture(directory, configuration: configuration) {
      ($0.segmentByteCount, $0.partByteCount) = (1 << 20, 16 << 10)
    }
    // Too small for a punch, with a file between each two of them.
    let files = try (0..<820).map { number in
      try fixture.put(noise(41_000, seed: UInt64(number)), as: "file \(number)")
    }
    for number in stride(from: 0, to: files.count, by: 2) { try fixture.store.delete(files[number].id) }
    fixture.store.backgroundCompaction.wait()
    let plan = try CompactionPlan(fixture.store)
    // What has died since the last look comes with the next.
    let isBounded = Double(plan.diskByteCount) <= 1.2 * Double(plan.liveByteCount) + Double(3 << 20)
    #expect(isBounded == isOn, "\(plan.diskByteCount) bytes of disk, \(plan.liveByteCount) alive")
    for number in stride(from: 1, to: files.count, by: 40) {
      #expect(try fixture.get(files[number].id) == noise(41_000, seed: UInt64(number)))
    }
    try fixture.store.checkInvariants()
    try fixture.finish()
  }
}
