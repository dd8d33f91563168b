import Codecs
import StorageIO

/// How an operation divides the memory limit: how many parts a batch has, and how many workers there can be.
struct MemoryPlan: Hashable, Sendable {
  /// The lanes of the widest MD5 kernel: a larger batch would not hash faster.
  static let maximumBatchPartCount = 16
  /// What a worker keeps between batches. An encoder works in the lease of its batch, behind the parts.
  static let workerByteCount = PartDecoder.stateByteCount

  /// The workers that fit beside one batch of one part each.
  /// - Throws: `.memoryLimitTooSmall`, with the smallest limit that works.
  static func workerCount(
    wanted: Int, limitByteCount: Int, partByteCount: Int, scratchByteCount: Int
  ) throws(StoreError) -> Int {
    let smallest = workerByteCount + partByteCount + scratchByteCount
    guard limitByteCount >= smallest else { throw tooSmall(limitByteCount, smallest) }
    return min(wanted, limitByteCount / smallest)
  }

  /// The parts of a batch: as many as leave room for one batch more than there are workers, so that one is prepared
  /// while the others are worked on.
  /// - Parameter wantedWorkerCount: the workers that a higher limit would allow.
  /// - Throws: `.memoryLimitTooSmall`, with a limit that works, and above which all work.
  static func batchPartCount(
    partByteCount: Int, scratchByteCount: Int, limitByteCount: Int, workerCount: Int, wantedWorkerCount: Int
  ) throws(StoreError) -> Int {
    let available = limitByteCount - workerCount * workerByteCount
    guard available >= partByteCount + scratchByteCount else {
      // Not with the workers there are: a store that is opened with more memory has more, and each takes its share.
      throw tooSmall(limitByteCount, wantedWorkerCount * workerByteCount + partByteCount + scratchByteCount)
    }
    let share = available / (workerCount + 1)
    return max(1, min(maximumBatchPartCount, (share - scratchByteCount) / partByteCount))
  }

  /// The memory to lease for `needed` bytes of a batch that is at most `whole` bytes: short ones are rounded up, so that
  /// few sizes are in use and a region finds a second user.
  static func leaseByteCount(needed: Int, whole: Int) -> Int {
    var rounded = 64 << 10
    while rounded < needed { rounded *= 2 }
    return min(rounded, whole)
  }

  static func tooSmall(_ limitByteCount: Int, _ smallestByteCount: Int) -> StoreError {
    let kibibytes = (smallestByteCount + 1023) / 1024
    return StoreError(
      .memoryLimitTooSmall,
      "the memory limit of \(describe(limitByteCount)) is too small: the smallest that works here is \(kibibytes)KiB",
      advice: "raise the limit with --memory \(kibibytes)KiB or more")
  }
}
