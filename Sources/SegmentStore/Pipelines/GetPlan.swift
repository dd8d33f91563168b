/// How a get divides a file: which parts it needs, and how many of them make a batch. Its cost does not depend on the
/// size of the file.
struct GetPlan: Sendable {
  let id: FileID
  let manifest: Manifest
  let salvages: Bool
  /// The bytes of the file that are wanted.
  let byteRange: Range<Int>
  /// The parts that hold them.
  let partNumbers: Range<Int>
  private let batchPartCount: Int

  /// - Throws: `.invalidArgument` for a range that begins behind the last byte.
  init(_ id: FileID, _ manifest: Manifest, _ options: GetOptions, _ store: Store) throws(StoreError) {
    self.id = id
    self.manifest = manifest
    salvages = options.salvages
    let whole = 0..<manifest.byteCount
    if let wanted = options.byteRange, !whole.contains(wanted.lowerBound) {
      throw StoreError(
        .invalidArgument,
        "'\(manifest.name)' (id \(id)): byte \(wanted.lowerBound) is beyond its end: it has \(manifest.byteCount) bytes"
      )
    }
    byteRange = options.byteRange?.clamped(to: whole) ?? whole
    let partByteCount = manifest.partByteCount
    partNumbers =
      byteRange.isEmpty
      ? 0..<0 : byteRange.lowerBound / partByteCount..<(byteRange.upperBound - 1) / partByteCount + 1
    let most = try store.batchPartCount(partByteCount: manifest.longestPartByteCount, scratchByteCount: 0)
    let share = (partNumbers.count + store.workers.workerCount - 1) / store.workers.workerCount
    batchPartCount = max(1, min(most, share))
  }

  /// The part numbers of the batch that starts with part `number`; nil behind the last part.
  func batch(from number: Int) -> Range<Int>? {
    number < partNumbers.upperBound ? number..<min(number + batchPartCount, partNumbers.upperBound) : nil
  }

  /// The memory for a batch.
  func leaseByteCount(_ numbers: Range<Int>) -> Int {
    let first = manifest.byteRange(ofPart: numbers.lowerBound)
    let last = manifest.byteRange(ofPart: numbers.upperBound - 1)
    return MemoryPlan.leaseByteCount(
      needed: last.upperBound - first.lowerBound, whole: batchPartCount * manifest.longestPartByteCount)
  }
}

extension Manifest {
  /// What the longest part decodes to: less than the part size in a file of one short part.
  var longestPartByteCount: Int { max(1, min(partByteCount, byteCount)) }
}
