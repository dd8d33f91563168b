import StorageIO

/// How a put divides its source.
struct PutPlan: Sendable {
  let partByteCount: Int
  /// The most parts of a batch.
  let batchPartCount: Int
  /// Nil for a stream.
  let byteCount: Int?
  /// The most parts of a batch of holes, which takes no memory for data.
  static let holeBatchPartCount = 1024
  private let scratchByteCount: Int

  init(_ source: OpenPutSource, _ options: PutOptions, _ store: Store) throws(StoreError) {
    let partByteCount = options.partByteCount ?? store.superblock.partByteCount
    let largest = Format.maximumPartByteCount(segmentByteCount: store.superblock.segmentByteCount)
    guard (Format.minimumPartByteCount...largest).contains(partByteCount) else {
      throw StoreError(
        .invalidArgument,
        "a part size of \(describe(partByteCount)): this store takes \(describe(Format.minimumPartByteCount)) to "
          + describe(largest))
    }
    try options.checkLevel()
    byteCount = source.byteCount
    let scratchByteCount =
      store.writeScratchByteCount(partByteCount: partByteCount)
      + options.workspaceByteCount(partByteCount: partByteCount) + (options.verifies ? partByteCount : 0)
    let most = try store.batchPartCount(partByteCount: partByteCount, scratchByteCount: scratchByteCount)
    self.partByteCount = partByteCount
    self.scratchByteCount = scratchByteCount
    if let byteCount {
      let partCount = PutPlan.partCount(byteCount, partByteCount)
      guard partCount <= Format.maximumPartCount else {
        throw StoreError(
          .invalidArgument, "\(byteCount) bytes in parts of \(partByteCount) are more parts than a file can have",
          advice: "choose a larger --part-size")
      }
      // A short file is shared out among the workers rather than given to one of them.
      let share = (partCount + store.workers.workerCount - 1) / store.workers.workerCount
      batchPartCount = max(1, min(most, share))
    } else {
      batchPartCount = most
    }
  }

  /// The parts of so many bytes; written so that the largest file does not overflow.
  static func partCount(_ byteCount: Int, _ partByteCount: Int) -> Int {
    byteCount == 0 ? 0 : (byteCount - 1) / partByteCount + 1
  }

  var needsSeveralBatches: Bool {
    guard let byteCount else { return true }
    return byteCount > batchPartCount * partByteCount
  }

  /// The memory for the batch that starts with part `number`.
  func leaseByteCount(from number: Int) -> Int {
    let whole = batchPartCount * partByteCount
    guard let byteCount else { return whole + scratchByteCount }
    let needed = min(whole, max(1, byteCount - number * partByteCount))
    return MemoryPlan.leaseByteCount(needed: needed, whole: whole) + scratchByteCount
  }
}
