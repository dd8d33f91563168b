import Foundation
import Glibc

/// A child of this process: a thread waits for its end, so that others can wait with a deadline.
final class ChildProcess: @unchecked Sendable {
  /// How a process ended.
  enum End: Hashable, Sendable {
    case exit(Int)
    case signal(Int32)
  }

  let id: pid_t
  private let condition = NSCondition()
  private var end: End?

  /// Takes over the child `id`, which nobody else may wait for.
  init(id: pid_t) {
    self.id = id
    Thread.detachNewThread { [self] in reap() }
  }

  /// Waits for the end; nil when the time is over.
  func wait(until deadline: Date) -> End? {
    condition.lock()
    defer { condition.unlock() }
    while end == nil {
      guard condition.wait(until: deadline) else { break }
    }
    return end
  }

  /// Sends a signal; false when the process has ended.
  func send(_ signal: Int32) -> Bool {
    condition.lock()
    defer { condition.unlock() }
    // As long as nobody has collected the status, the number cannot belong to another process.
    guard end == nil else { return false }
    return kill(id, signal) == 0
  }

  private func reap() {
    var information = siginfo_t()
    while waitid(P_PID, id_t(id), &information, WEXITED | WNOWAIT) != 0 && errno == EINTR {}
    condition.lock()
    defer { condition.unlock() }
    var status: Int32 = 0
    waitpid(id, &status, 0)
    let signal = status & 0x7F
    end = signal == 0 ? .exit(Int(status >> 8) & 0xFF) : .signal(signal)
    condition.broadcast()
  }
}
