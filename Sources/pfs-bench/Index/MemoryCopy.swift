import Console
import StorageIO

/// Copies bytes from memory to memory, each thread between two regions of its own that no cache holds.
struct MemoryCopy: Sendable {
  private static let regionByteCount = 256 << 20
  private static let pieceByteCount = 1 << 20

  private let regions: [(source: MemoryRegion, target: MemoryRegion)]

  init(workerCount: Int) throws(BenchFailure) {
    var regions: [(source: MemoryRegion, target: MemoryRegion)] = []
    for _ in 0..<workerCount {
      regions.append(
        try BenchFailure.translating { () throws(SystemCallFailure) in
          (
            try MemoryRegion(byteCount: MemoryCopy.regionByteCount),
            try MemoryRegion(byteCount: MemoryCopy.regionByteCount)
          )
        })
    }
    self.regions = regions
    // Pages that were never written are all the same one, which the caches hold.
    for region in regions {
      for offset in stride(from: 0, to: MemoryCopy.regionByteCount, by: 4096) {
        for memory in [region.source, region.target] {
          memory.withMutableBytes(offset..<(offset + 1)) { bytes in bytes.copy([1], to: 0) }
        }
      }
    }
  }

  /// The time that all threads together need for `byteCount` bytes.
  func seconds(_ byteCount: Int, _ interruption: Interruption) throws(BenchFailure) -> Double {
    let regions = regions
    let shareByteCount = byteCount / regions.count
    let start = MonotonicClock.seconds()
    try ParallelWork.run(
      count: regions.count, workerCount: regions.count, { () throws(BenchFailure) in }
    ) { (_: Void, number) throws(BenchFailure) in
      let (source, target) = regions[number]
      for done in stride(from: 0, to: shareByteCount, by: MemoryCopy.pieceByteCount) {
        let offset = done % MemoryCopy.regionByteCount
        let range = offset..<(offset + min(MemoryCopy.pieceByteCount, shareByteCount - done))
        source.withBytes(range) { from in target.withMutableBytes(range) { to in to.copy(from, to: 0) } }
      }
      try interruption.check()
    }
    return MonotonicClock.seconds() - start
  }
}
