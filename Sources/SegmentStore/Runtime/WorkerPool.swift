import Codecs
import StorageIO

/// The threads that hash, encode and decode: one for each processor unless told otherwise, started with the first job.
///
/// A job never waits for memory or for the user: who may have to does so before it is submitted. It may wait for the
/// thread of the index, which waits for no job.
final class WorkerPool: Sendable {
  /// What each worker thread has for itself.
  final class Tools {
    let decoder = PartDecoder()
  }

  typealias Job = @Sendable (Tools) -> Void

  private struct State {
    var jobs: [Job] = []
    var threads: [SystemThread] = []
    var isClosed = false
  }

  let workerCount: Int
  private let state = Monitor(State())

  init(workerCount: Int) { self.workerCount = workerCount }

  func submit(_ job: @escaping Job) throws(StoreError) {
    let isMissing = state.withLock { !$0.isClosed && $0.threads.count < workerCount }
    if isMissing { try start() }
    let isAccepted = state.withLock { state in
      if !state.isClosed { state.jobs.append(job) }
      return !state.isClosed
    }
    if !isAccepted { throw StoreError(.invalidArgument, "the store is closed") }
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
    let state = state
    try translating { () throws(SystemCallFailure) in
      try state.withLock { (inner) throws(SystemCallFailure) in
        while inner.threads.count < workerCount {
          inner.threads.append(try SystemThread { WorkerPool.run(state) })
        }
      }
    }
  }

  private static func run(_ state: Monitor<State>) {
    let tools = Tools()
    while true {
      let job: Job? = state.wait { state -> Job?? in
        if !state.jobs.isEmpty { return .some(state.jobs.removeFirst()) }
        return state.isClosed ? .some(nil) : nil
      }
      guard let job else { return }
      job(tools)
    }
  }
}
