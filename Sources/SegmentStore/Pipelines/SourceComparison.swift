import Codecs
import Mutants
import StorageIO

/// Compares a file with what is stored, part by part: read -> hash -> compare with the index.
struct SourceComparison {
  let store: Store
  let source: OpenPutSource
  let cancellation: Cancellation
  let progress: @Sendable (Int) -> Void

  /// Whether the file begins with the bytes of the parts that `manifest` lists. Holes are not read.
  ///
  /// Ends with the first batch that differs. Nobody may delete the parts meanwhile.
  func matches(_ manifest: Manifest) throws(StoreError) -> Bool {
    if Mutant.believeSource.isActive { return true }
    let index = try store.index
    let partByteCount = manifest.partByteCount
    let batchPartCount = try store.batchPartCount(partByteCount: manifest.longestPartByteCount, scratchByteCount: 0)
    let window = BatchWindow<Bool>(workers: store.workers, budget: store.budget)
    defer { window.drain() }
    var layout = SourceLayout(source.bytes.file, byteCount: manifest.byteCount, partByteCount: partByteCount)
    var next = 0
    while true {
      try cancellation.check()
      if next < manifest.partCount, window.hasRoom {
        let holeCount = min(try layout.holePartCount(from: next), PutPlan.holeBatchPartCount)
        let count = min(manifest.partCount - next, holeCount > 0 ? holeCount : batchPartCount)
        let numbers = next..<(next + count)
        let batch = try ComparedBatch(
          numbers, manifest, dataParts: holeCount > 0 ? [] : try layout.dataParts(in: numbers),
          index.read { (transaction) throws(StoreError) in
            try index.parts.parts(numbers, of: manifest, in: transaction).map(\.entry)
          })
        let bytes = MemoryPlan.leaseByteCount(
          needed: batch.byteCount, whole: batchPartCount * manifest.longestPartByteCount)
        let lease = holeCount > 0 ? nil : try window.lease(bytes, cancellation)
        if holeCount > 0 || lease != nil {
          next = numbers.upperBound
          let (bytes, zeroDigests, progress) = (source.bytes, store.zeroDigests, progress)
          try window.submit { (_) throws(StoreError) in
            let isSame = try batch.matches(bytes, lease?.region, zeroDigests)
            progress(batch.byteCount)
            return isSame
          }
          continue
        }
      }
      if window.isEmpty { return true }
      if !(try window.collect()) { return false }
    }
  }
}

/// Consecutive stored parts and the places of a file that are to hold the same bytes.
private struct ComparedBatch: Sendable {
  private let ranges: [Range<Int>]
  private let stored: [PartEntry]
  /// Those of `ranges` that are not holes.
  private let dataIndices: [Int]

  init(_ numbers: Range<Int>, _ manifest: Manifest, dataParts: [Int], _ stored: [PartEntry]) {
    ranges = numbers.map(manifest.byteRange(ofPart:))
    dataIndices = dataParts.map { $0 - numbers.lowerBound }
    self.stored = stored
  }

  private var start: Int { ranges.first?.lowerBound ?? 0 }
  var byteCount: Int { (ranges.last?.upperBound ?? 0) - start }

  /// - Parameter region: for the bytes; nil when all are holes.
  func matches(_ bytes: SourceBytes, _ region: MemoryRegion?, _ zeroDigests: ZeroDigests) throws(StoreError) -> Bool {
    let places = dataIndices.map { (ranges[$0].lowerBound - start)..<(ranges[$0].upperBound - start) }
    var digests: [MD5Digest] = []
    if let region {
      try SourceReading(bytes).read(places, of: start, into: region)
      digests = region.withBytes(0..<byteCount) { MD5.digests(of: places, in: $0) }
    }
    var found = ranges.map { zeroDigests.digest(of: $0.count) }
    for (index, digest) in zip(dataIndices, digests) { found[index] = digest }
    return zip(stored, found).allSatisfy { part, digest in part.state == .live && part.digest == digest }
  }
}
