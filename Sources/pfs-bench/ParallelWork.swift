import StorageIO
import Synchronization

/// Work on numbered pieces by several threads, each of which takes the next piece when it is done with one.
enum ParallelWork {
  /// Calls `work` once for every number below `count`, and returns when all have ended.
  ///
  /// - Parameters:
  ///   - workerCount: how many threads.
  ///   - makeTools: called on each thread before its first piece.
  ///   - work: called with the tools of its thread.
  /// - Throws: The first failure; pieces that were not begun then are left out.
  static func run<Tools>(
    count: Int, workerCount: Int, _ makeTools: @escaping @Sendable () throws(BenchFailure) -> Tools,
    _ work: @escaping @Sendable (Tools, Int) throws(BenchFailure) -> Void
  ) throws(BenchFailure) {
    let progress = Progress()
    var threads: [SystemThread] = []
    do throws(SystemCallFailure) {
      for _ in 0..<max(1, min(workerCount, count)) {
        threads.append(
          try SystemThread {
            do throws(BenchFailure) {
              let tools = try makeTools()
              while let number = progress.next(below: count) { try work(tools, number) }
            } catch {
              progress.stop(error)
            }
          })
      }
    } catch {
      progress.stop(BenchFailure(.failed, error.description))
    }
    for thread in threads { thread.join() }
    if let failure = progress.failure { throw failure }
  }

  private final class Progress: Sendable {
    private let nextNumber = Atomic(0)
    private let firstFailure = Mutex<BenchFailure?>(nil)

    var failure: BenchFailure? { firstFailure.withLock { $0 } }

    func next(below count: Int) -> Int? {
      let number = nextNumber.wrappingAdd(1, ordering: .relaxed).oldValue
      return number < count && failure == nil ? number : nil
    }

    func stop(_ failure: BenchFailure) {
      firstFailure.withLock { first in first = first ?? failure }
    }
  }
}
