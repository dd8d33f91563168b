import StorageIO

/// The thread behind those who delete and do not wait for the space: there is one while there is something to do.
final class SpaceThread: Sendable {
  private struct State {
    var waiting: [@Sendable () -> Void] = []
    /// Until its end has been waited for.
    var thread: SystemThread?
    var isRunning = false
  }

  private let state = Monitor(State())

  /// Does `work` behind all that was given before; in this thread when no other can be had.
  func run(_ work: @escaping @Sendable () -> Void) {
    let (starts, ended) = state.withLock { state in
      state.waiting.append(work)
      if state.isRunning { return (false, nil as SystemThread?) }
      state.isRunning = true
      defer { state.thread = nil }
      return (true, state.thread)
    }
    ended?.join()
    guard starts else { return }
    do throws(SystemCallFailure) {
      let state = state
      let thread = try SystemThread { SpaceThread.work(state) }
      state.withLock { $0.thread = thread }
    } catch {
      SpaceThread.work(state)
    }
  }

  /// Waits until nothing is left to do.
  func wait() { state.wait { $0.isRunning ? nil : () } }

  /// Waits for all that was given, and for the end of the thread. The last of its work may be the last user of the store,
  /// and closes it then: that is not waited for.
  func close() {
    let thread = state.wait { state -> SystemThread?? in
      if let thread = state.thread, thread.isCurrent {
        thread.detach()
        state.thread = nil
        return .some(nil)
      }
      guard !state.isRunning else { return nil }
      defer { state.thread = nil }
      return .some(state.thread)
    }
    thread?.join()
  }

  private static func work(_ state: Monitor<State>) {
    while true {
      let work = state.withLock { state -> (@Sendable () -> Void)? in
        if state.waiting.isEmpty {
          state.isRunning = false
          return nil
        }
        return state.waiting.removeFirst()
      }
      guard let work else { return }
      work()
    }
  }
}
