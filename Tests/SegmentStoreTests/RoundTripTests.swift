import Foundation
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Round trip") struct RoundTripTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test(
    "gives back exactly what was put, whatever the size",
    arguments: [0, 1, 4095, 4096, 4097, 8192, 100_000, 1 << 20, (1 << 20) + 1, 9_000_001])
  func sizes(byteCount: Int) throws {
    let fixture = try StoreFixture(directory) {
      $0.partByteCount = 4096; $0.segmentByteCount = 1 << 20
    }
    let bytes = Corpus(seed: UInt64(byteCount)).bytes(byteCount)
    let stored = try fixture.put(bytes, as: "file")
    #expect(stored.byteCount == byteCount)
    #expect(try fixture.get(stored.id) == bytes)
    try fixture.reopen()
    #expect(try fixture.get(stored.id) == bytes)
    try fixture.finish()
  }
}
