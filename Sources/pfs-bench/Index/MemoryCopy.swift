import Console
import StorageIO

/// Copies bytes from memory to memory, each thread between two regions of its own.
struct MemoryCopy: Sendable {
  /// As much as is copied, at most this, which no cache holds.
  private static let maximumRegionByteCount = 256 << 20
  private static let pieceByteCount = 1 << 20

  /// What each thread copies.
  private let shareByteCount: Int
  private let regions: [(source: MemoryRegion, target: MemoryRegion)]

  init(_ byteCount: Int, workerCount: Int) throws(BenchFailure) {
    shareByteCount = byteCount / workerCount
    let pieceCount = (shareByteCount + MemoryCopy.pieceByteCount - 1) / MemoryCopy.pieceByteCount
    let regionByteCount = min(MemoryCopy.maximumRegionByteCount, max(1, pieceCount) * MemoryCopy.pieceByteCount)
    var regions: [(source: MemoryRegion, target: MemoryRegion)] = []
    for _ in 0..<workerCount {
      regions.append(
        try BenchFailure.translating { () throws(SystemCallFailure) in
          (
            try MemoryRegion(byteCount: regionByteCount),
            try MemoryRegion(byteCount: regionByteCount)
          )
        })
    }
    self.regions = regions
    // Pages that were never written are all the same one, which the caches hold.
    for region in regions {
      for offset in stride(from: 0, to: regionByteCount, by: pageByteCount) {
        for memory in [region.source, region.target] {
          memory.withMutableBytes(offset..<(offset + 1)) { bytes in bytes.copy([1], to: 0) }
        }
      }
    }
  }

  /// The time that all threads together need.
  func seconds(_ interruption: Interruption) throws(BenchFailure) -> Double {
    let (regions, shareByteCount) = (regions, shareByteCount)
    let start = MonotonicClock.seconds()
    try ParallelWork.run(
      count: regions.count, workerCount: regions.count, { () throws(BenchFailure) in }
    ) { (_: Void, number) throws(BenchFailure) in
      let (source, target) = regions[number]
      for done in stride(from: 0, to: shareByteCount, by: MemoryCopy.pieceByteCount) {
        let offset = done % source.byteCount
        let range = offset..<(offset + min(MemoryCopy.pieceByteCount, shareByteCount - done))
        source.withBytes(range) { from in target.withMutableBytes(range) { to in to.copy(from, to: 0) } }
      }
      try interruption.check()
    }
    return MonotonicClock.seconds() - start
  }
}
