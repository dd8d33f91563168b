import StorageIO
import Synchronization

/// Every operation under every memory limit from the smallest that works up: done within its time, in no more memory than
/// was allowed, and right; and a smaller limit refused at once, with the number that is needed.
enum MemoryLayer {
  static let layer = TortureLayer(
    "memory", "every operation under every memory limit from the smallest that works, under a watchdog", in: "/dev/shm",
    runsPFS: true, run)

  private static let excessName = "largest excess over a limit, KiB"

  private static func run(_ run: TortureRun) throws(BenchFailure) {
    let sources = try MemorySources(in: run.workspace.file("sources"))
    let floors = MemoryFloors()
    if let text = run.settings.replay {
      guard let single = MemoryCase(parsing: text) else {
        throw BenchFailure(.usage, "--replay takes OPERATION,PARTSIZE,WORKERS,STEP as a violation gave it")
      }
      if try run.nextCase() != nil { try MemoryTrial(run, single, number: 0, sources, floors).judge() }
      return run.count(excessName, floors.largestExcessByteCount >> 10)
    }
    let cases = MemoryCase.shuffled(seed: run.settings.seed)
    try ParallelWork.run(
      count: run.settings.workerCount, workerCount: run.settings.workerCount, { () throws(BenchFailure) in }
    ) { (_: Void, _) throws(BenchFailure) in
      while let number = try run.nextCase() {
        try MemoryTrial(run, cases[number % cases.count], number: number, sources, floors).judge()
      }
    }
    run.count(excessName, floors.largestExcessByteCount >> 10)
  }
}

/// The smallest limits that were found by asking, and the most that any operation took beyond its limit.
final class MemoryFloors: Sendable {
  private struct Floor {
    let kibibytes: Int
    let isSharp: Bool
  }

  private let floors = Mutex<[String: Floor]>([:])
  private let excess = Mutex(0)

  func known(_ key: String) -> Int? { floors.withLock { $0[key]?.kibibytes } }
  /// Whether less than the limit that was named cannot work.
  func isSharp(_ key: String) -> Bool { floors.withLock { $0[key]?.isSharp ?? true } }

  func set(_ key: String, _ kibibytes: Int, isSharp: Bool) {
    floors.withLock { $0[key] = Floor(kibibytes: kibibytes, isSharp: isSharp) }
  }

  var largestExcessByteCount: Int { excess.withLock { $0 } }
  func note(excess byteCount: Int) { excess.withLock { $0 = max($0, byteCount) } }
}
