import Mutants
import StorageIO

/// The batches of one operation that are being worked on, in the order in which they were submitted.
///
/// Belongs to the thread of the operation: it submits batches and collects their results, oldest first.
final class BatchWindow<Output: Sendable> {
  private let workers: WorkerPool
  private let budget: MemoryBudget
  private var pending: [Monitor<Result<Output, StoreError>?>] = []

  init(workers: WorkerPool, budget: MemoryBudget) {
    self.workers = workers
    self.budget = budget
  }

  var isEmpty: Bool { pending.isEmpty }

  /// One batch more than there are workers keeps them busy while the oldest is collected.
  var hasRoom: Bool { pending.count <= workers.workerCount }

  /// Memory for the next batch: waited for only when this operation holds none, so that it never keeps others from
  /// the memory it waits for. Nil means: collect a result first.
  func lease(_ byteCount: Int, _ cancellation: Cancellation) throws(StoreError) -> MemoryLease? {
    isEmpty || Mutant.holdMemoryAndWait.isActive
      ? try budget.lease(byteCount, cancellation) : try budget.leaseIfFree(byteCount)
  }

  /// - Parameter isLast: whether no other follows. If it is the only one too, this thread does it if it can.
  func submit(
    isLast: Bool = false, _ work: @escaping @Sendable (WorkerPool.Tools) throws(StoreError) -> Output
  ) throws(StoreError) {
    let outcome = Monitor<Result<Output, StoreError>?>(nil)
    let job: WorkerPool.Job = { tools in
      let result: Result<Output, StoreError>
      do throws(StoreError) { result = .success(try work(tools)) } catch { result = .failure(error) }
      outcome.withLock { $0 = result }
    }
    if !isLast || !isEmpty || !workers.runHere(job) { try workers.submit(job) }
    pending.append(outcome)
  }

  /// Waits for the oldest batch.
  func collect() throws(StoreError) -> Output {
    try pending.removeFirst().wait { $0 }.get()
  }

  /// Waits until no batch is worked on any more.
  /// - Returns: The results of those that succeeded, oldest first.
  @discardableResult func drain() -> [Output] {
    var outputs: [Output] = []
    while !pending.isEmpty {
      if case .success(let output) = pending.removeFirst().wait(until: { $0 }) { outputs.append(output) }
    }
    return outputs
  }
}
