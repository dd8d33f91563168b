import StorageIO

/// Threads for calls that may wait, made by tasks: so that no thread of Swift's cooperative pool ever does.
///
/// A call gets a thread that is idle, or a new one: never does one that waits for a file keep the one waiting that is going
/// to close it. So there are as many threads as calls at a time; those that are idle for a second end.
final class CallThreads: Sendable {
  private struct Job: Sendable {
    let number: UInt64
    let run: @Sendable () -> Void
  }

  private struct State {
    var jobs: [Job] = []
    var idleThreadCount = 0
    var lastNumber: UInt64 = 0

    mutating func takeJob() -> Job? {
      guard !jobs.isEmpty else { return nil }
      idleThreadCount -= 1
      return jobs.removeFirst()
    }
  }

  static let shared = CallThreads()
  private static let idleSeconds = 1.0

  private let state = Monitor(State())

  /// Runs `body` on one of the threads; the task is suspended meanwhile.
  /// - Throws: What `body` throws; `.systemLimit` when there is no thread to be had.
  func run<R: Sendable>(
    _ body: @escaping @Sendable () throws(StagingError) -> R
  ) async throws(StagingError) -> R {
    let result: Result<R, StagingError> = await withCheckedContinuation { continuation in
      let failure = submit {
        let result: Result<R, StagingError>
        do throws(StagingError) { result = .success(try body()) } catch { result = .failure(error) }
        continuation.resume(returning: result)
      }
      if let failure { continuation.resume(returning: .failure(failure)) }
    }
    return try result.get()
  }

  /// - Returns: Why `run` will not be run; nil if it will.
  private func submit(_ run: @escaping @Sendable () -> Void) -> StagingError? {
    let (number, needsThread) = state.withLock { state in
      state.lastNumber += 1
      state.jobs.append(Job(number: state.lastNumber, run: run))
      let needsThread = state.idleThreadCount < state.jobs.count
      if needsThread { state.idleThreadCount += 1 }
      return (state.lastNumber, needsThread)
    }
    guard needsThread else { return nil }
    do throws(SystemCallFailure) {
      let state = state
      try SystemThread { CallThreads.work(state) }.detach()
      return nil
    } catch {
      let isTaken = state.withLock { state in
        state.idleThreadCount -= 1
        let count = state.jobs.count
        state.jobs.removeAll { $0.number == number }
        return state.jobs.count == count
      }
      return isTaken ? nil : StagingError(.systemLimit, error.description)
    }
  }

  private static func work(_ state: Monitor<State>) {
    while true {
      var job = state.wait(seconds: idleSeconds) { $0.takeJob() }
      if job == nil {
        job = state.withLock { state in
          if let job = state.takeJob() { return job }
          state.idleThreadCount -= 1
          return nil
        }
      }
      guard let job else { return }
      job.run()
      state.withLock { $0.idleThreadCount += 1 }
    }
  }
}
