import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Range") struct RangeTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private static let byteCount = 5 * 4096 + 100
  private static let ranges: [Range<Int>] = [
    0..<1, 0..<4096, 0..<4097, 4095..<4097, 4096..<8192, 4097..<8191, 1..<20_000, 20_479..<20_481, 20_480..<20_580,
    20_579..<20_580, 0..<20_580, 0..<Int.max, 20_000..<99_999, 7..<7,
  ]

  @Test("gives exactly the bytes asked for, to a file and to a stream", arguments: WriteMode.allCases)
  func bytes(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration(workerCount: 2))
    for bytes in [
      noise(RangeTests.byteCount, seed: 1), Corpus(seed: 2).bytes(RangeTests.byteCount),
      [UInt8](repeating: 0, count: RangeTests.byteCount),
    ] {
      let stored = try fixture.put(bytes, as: "file")
      for range in RangeTests.ranges {
        let expected = Array(bytes[range.clamped(to: 0..<bytes.count)])
        #expect(try fixture.get(stored.id, range) == expected, "\(range)")
        #expect(try fixture.store.streamedBytes(of: stored.id, range, in: directory) == expected, "\(range)")
      }
    }
    try fixture.finish()
  }

  /// What one worker, one part and its encoder take.
  private static let smallestLimit =
    MemoryPlan.workerByteCount + 4096 + PutOptions().workspaceByteCount(partByteCount: 4096)

  @Test("is the same at any memory limit that works", arguments: [smallestLimit, 1 << 20, 64 << 20])
  func smallMemory(memoryByteCount: Int) throws {
    let fixture = try StoreFixture(
      directory, configuration: WriteMode.mapped.configuration(memoryByteCount: memoryByteCount, workerCount: 1))
    let bytes = noise(900_000, seed: 3)
    let stored = try fixture.put(bytes, as: "file")
    #expect(try fixture.get(stored.id, 5000..<895_001) == Array(bytes[5000..<895_001]))
    try fixture.finish()
  }

  @Test(
    "touches no part that it does not need", arguments: [(0..<1, 0...0), (4096..<8192, 1...1), (4095..<12_289, 0...3)])
  func touches(range: Range<Int>, needed: ClosedRange<Int>) throws {
    let fixture = try StoreFixture(directory)
    let bytes = noise(RangeTests.byteCount, seed: 4)
    let stored = try fixture.put(bytes, as: "file")
    for (number, part) in try fixture.store.parts(of: stored.id, 0..<6).enumerated() where !needed.contains(number) {
      try FilesOnDisk.overwrite(fixture.segmentPath(part.segment), at: part.offsetInSegment, with: noise(200, seed: 5))
    }
    #expect(try fixture.get(stored.id, range) == Array(bytes[range]))
    #expect(storeError { _ = try fixture.get(stored.id) }?.code == .corrupt)
    #expect(storeError { _ = try fixture.get(stored.id, range.lowerBound..<range.upperBound + 4096) }?.code == .corrupt)
    try fixture.store.delete(stored.id)
    try fixture.finish()
  }

  @Test("that begins behind the end is an invalid argument that says the size", arguments: [0, 4096, 5000])
  func beyond(byteCount: Int) throws {
    let fixture = try StoreFixture(directory)
    let stored = try fixture.put(noise(byteCount, seed: 6), as: "file")
    for range in [byteCount..<byteCount + 1, byteCount..<byteCount, byteCount + 1..<Int.max] {
      let error = storeError { _ = try fixture.get(stored.id, range) }
      #expect(error?.code == .invalidArgument)
      #expect(error?.message.contains("\(byteCount) bytes") == true)
    }
    try fixture.finish()
  }

  @Test("of a damaged part tells of the bytes in it alone")
  func damaged() throws {
    let fixture = try StoreFixture(directory)
    let bytes = noise(3 * 4096, seed: 7)
    let stored = try fixture.put(bytes, as: "file")
    let part = try fixture.store.parts(of: stored.id, 1..<2)[0]
    try FilesOnDisk.overwrite(fixture.segmentPath(part.segment), at: part.offsetInSegment + 128, with: [1, 2, 3])
    var options = GetOptions()
    options.byteRange = 5000..<9000
    let error = storeError { try fixture.store.get(stored.id, to: .file(target, replacing: false), options) }
    #expect(error?.losses?.losses.map(\.byteRange) == [5000..<8192])
    options.salvages = true
    let report = try fixture.store.get(stored.id, to: .file(target, replacing: false), options)
    #expect(report.losses.map(\.byteRange) == [5000..<8192])
    #expect(try fileBytes(target.description).count == 4000)
    try fixture.store.delete(stored.id)
    try fixture.finish()
  }

  private var target: FilePath { FilePath(directory.path(of: "target")) }
}

extension StoreFixture {
  func get(_ id: FileID, _ range: Range<Int>) throws -> [UInt8] {
    var options = GetOptions()
    options.byteRange = range
    return try store.bytes(of: id, in: directory, options)
  }
}
