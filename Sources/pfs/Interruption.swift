import Console
import Synchronization

/// What happens when a signal asks this process to stop: what is running says how to.
final class Interruption: Sendable {
  typealias Handler = @Sendable (_ signal: Int32, _ ordinal: Int) -> Void

  private let handler = Mutex<Handler>({ _, _ in Interruption.endAtOnce() })

  /// Takes the place of the handler before. Until the first one, a signal ends the process.
  func setHandler(_ handler: @escaping Handler) { self.handler.withLock { $0 = handler } }

  /// Called for each signal, on the thread that watches for them.
  func arrived(_ signal: Int32, _ ordinal: Int) { handler.withLock { $0 }(signal, ordinal) }

  /// Ends the process where it stands. A store is made for that: the next open puts right what was left.
  static func endAtOnce() {
    LineEditor.restoreTerminal()
    ProcessExit.immediately(ExitStatus.interrupted.rawValue)
  }
}
