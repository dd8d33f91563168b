import Synchronization

/// The status of the first failure among several threads.
final class FirstFailure: Sendable {
  private let first = Mutex(ExitStatus.done)

  func note(_ status: ExitStatus) {
    first.withLock { first in
      if first == .done { first = status }
    }
  }

  var status: ExitStatus { first.withLock { $0 } }
}
