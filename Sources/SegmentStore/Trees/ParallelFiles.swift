import StorageIO

/// Does the same to many files, several at a time, as they are named by one who walks a tree or a listing.
///
/// Small files spend their time waiting for syncs: several at once share them. The queue is short, so memory does not
/// grow with the number of files.
struct ParallelFiles<Item: Sendable>: Sendable {
  private struct State {
    var waiting: [Item] = []
    var isFinished = false
    var doneCount = 0
    var failedCount = 0
    /// What stopped the whole.
    var fatal: StoreError?
  }

  private static var threadCount: Int { 16 }
  private static var queueItemCount: Int { 64 }

  private let state = Monitor(State())
  private let cancellation: Cancellation

  init(cancellation: Cancellation) { self.cancellation = cancellation }

  /// Runs `work` on every item that `produce` hands to its argument, and waits for all.
  /// - Parameters:
  ///   - produce: runs on the calling thread; handing over throws when the whole has stopped.
  ///   - work: runs on several threads; an error that `isFatal` ends the whole, any other counts the item as failed.
  func run(
    produce: (_ handOver: (Item) throws(StoreError) -> Void) throws(StoreError) -> Void,
    isFatal: @escaping @Sendable (StoreError) -> Bool = { $0.stopsEverything },
    work: @escaping @Sendable (Item) throws(StoreError) -> Void, failed: @escaping @Sendable (Item, StoreError) -> Void
  ) throws(StoreError) -> TreeResult {
    var threads: [SystemThread] = []
    defer {
      state.withLock { $0.isFinished = true }
      for thread in threads { thread.join() }
    }
    do throws(StoreError) {
      for _ in 0..<Self.threadCount {
        threads.append(
          try translating { () throws(SystemCallFailure) in
            try SystemThread { consume(isFatal: isFatal, work: work, failed: failed) }
          })
      }
      try produce(handOver)
    } catch {
      state.withLock { state in
        state.fatal = state.fatal ?? error
        state.waiting = []
      }
    }
    state.withLock { $0.isFinished = true }
    for thread in threads { thread.join() }
    threads = []
    let (result, fatal) = state.withLock { state in
      (TreeResult(doneCount: state.doneCount, failedCount: state.failedCount), state.fatal)
    }
    if let fatal {
      guard fatal.code == .cancelled else { throw fatal }
      throw StoreError(.cancelled, "interrupted; the files that were done stay")
    }
    return result
  }

  /// Counts something that could not even be handed over.
  func countFailure() { state.withLock { $0.failedCount += 1 } }

  private func handOver(_ item: Item) throws(StoreError) {
    try cancellation.check()
    try state.wait { state -> Result<Void, StoreError>? in
      if let fatal = state.fatal { return .failure(fatal) }
      guard state.waiting.count < Self.queueItemCount else { return nil }
      state.waiting.append(item)
      return .success(())
    }.get()
  }

  private func consume(
    isFatal: (StoreError) -> Bool, work: (Item) throws(StoreError) -> Void, failed: (Item, StoreError) -> Void
  ) {
    while true {
      let item: Item? = state.wait { state -> Item?? in
        if !state.waiting.isEmpty { return .some(state.waiting.removeFirst()) }
        return state.isFinished || state.fatal != nil ? .some(nil) : nil
      }
      guard let item else { return }
      do throws(StoreError) {
        try work(item)
        state.withLock { $0.doneCount += 1 }
      } catch {
        if isFatal(error) {
          state.withLock { state in
            state.fatal = state.fatal ?? error
            state.waiting = []
          }
        } else {
          failed(item, error)
          state.withLock { $0.failedCount += 1 }
        }
      }
    }
  }
}

extension StoreError {
  /// Whether the next file would fail in the same way.
  var stopsEverything: Bool {
    let codes: [Code] = [.noSpace, .cancelled, .durabilityUnknown, .indexDamaged, .memoryLimitTooSmall]
    return codes.contains(code)
  }
}

/// How many files of a tree were done, and how many could not be.
public struct TreeResult: Hashable, Sendable {
  public let doneCount: Int
  public let failedCount: Int
}
