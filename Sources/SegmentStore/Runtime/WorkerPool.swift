import Codecs
import StorageIO

/// The threads that hash, encode and decode: one for each processor unless told otherwise, started with the first job.
///
/// A job never waits for memory or for the user: who may have to does so before it is submitted. It may wait for the
/// thread of the index, which waits for no job.
final class WorkerPool: Sendable {
  /// What a job works with: as many as there are workers, so no more jobs than that run at once, wherever they run.
  final class Tools {
    let decoder = PartDecoder()
  }

  typealias Job = @Sendable (Tools) -> Void

  private struct State {
    var jobs: [Job] = []
    var threads: [SystemThread] = []
    var idleTools: [Tools] = []
    var toolsCount = 0
    var isClosed = false

    /// Nil while all are in use.
    mutating func takeTools(of limit: Int) -> Tools? {
      if let tools = idleTools.popLast() { return tools }
      guard toolsCount < limit else { return nil }
      toolsCount += 1
      return Tools()
    }
  }

  let workerCount: Int
  private let state = Monitor(State())

  init(workerCount: Int) { self.workerCount = workerCount }

  func submit(_ job: @escaping Job) throws(StoreError) {
    let isMissing = state.withQuietLock { !$0.isClosed && $0.threads.count < workerCount }
    if isMissing { try start() }
    let isAccepted = state.withLock { state in
      if !state.isClosed { state.jobs.append(job) }
      return !state.isClosed
    }
    if !isAccepted { throw StoreError(.invalidArgument, "the store is closed") }
  }

  /// Does a job on the thread of its caller, who has nothing else to do: for small work, two changes of thread take longer
  /// than the work.
  /// - Returns: False when it was not done, because others are waiting already.
  func runHere(_ job: Job) -> Bool {
    let tools = state.withQuietLock { state in
      state.isClosed || !state.jobs.isEmpty ? nil : state.takeTools(of: workerCount)
    }
    guard let tools else { return false }
    job(tools)
    let isWanted = state.withQuietLock { state in
      state.idleTools.append(tools)
      return !state.jobs.isEmpty
    }
    if isWanted { state.withLock { _ in } }
    return true
  }

  /// Waits for all jobs and ends the threads.
  func close() {
    let threads = state.withLock { state in
      state.isClosed = true
      defer { state.threads = [] }
      return state.threads
    }
    for thread in threads { thread.join() }
  }

  private func start() throws(StoreError) {
    let (state, workerCount) = (state, workerCount)
    try translating { () throws(SystemCallFailure) in
      try state.withLock { (inner) throws(SystemCallFailure) in
        while inner.threads.count < workerCount {
          inner.threads.append(try SystemThread { WorkerPool.run(state, workerCount) })
        }
      }
    }
  }

  private static func run(_ state: Monitor<State>, _ workerCount: Int) {
    while true {
      let work: (job: Job, tools: Tools)? = state.wait { state -> (job: Job, tools: Tools)?? in
        if state.jobs.isEmpty { return state.isClosed ? .some(nil) : nil }
        return state.takeTools(of: workerCount).map { (state.jobs.removeFirst(), $0) }
      }
      guard let work else { return }
      work.job(work.tools)
      // Wakes nobody: if another job waits for tools, this thread takes it.
      state.withQuietLock { $0.idleTools.append(work.tools) }
    }
  }
}
