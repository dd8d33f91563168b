import CommandSupport
import Console
import Synchronization

/// The output streams of the process: whole lines, of one thread at a time, and a progress bar below them.
final class Terminal: Sendable {
  /// Held while something is written: that is what it is for.
  private let isBarShown = Mutex(false)

  /// Writes whole lines; while the user types a line, above that.
  func write(_ lines: [UInt8], to stream: StandardStream) throws(ConsoleFailure) {
    try isBarShown.withLock { (isBarShown) throws(ConsoleFailure) in
      if LineEditor.showAbove(lines, on: stream) { return }
      if isBarShown {
        isBarShown = false
        try StandardStreams.write(Terminal.lineEraser, to: .error)
      }
      try StandardStreams.write(lines, to: stream)
    }
  }

  /// Writes whole lines to standard error; when that cannot be written, there is nobody to tell.
  func tell(_ lines: String) {
    do throws(ConsoleFailure) { try write(Array(lines.utf8), to: .error) } catch {}
  }

  /// Shows `bar`, at most one line wide, in place of the one before.
  func showBar(_ bar: String) {
    isBarShown.withLock { isBarShown in
      isBarShown = true
      do throws(ConsoleFailure) { try StandardStreams.write(Terminal.lineEraser + bar, to: .error) } catch {}
    }
  }

  /// Takes the bar away.
  func clearBar() {
    isBarShown.withLock { isBarShown in
      guard isBarShown else { return }
      isBarShown = false
      do throws(ConsoleFailure) { try StandardStreams.write(Terminal.lineEraser, to: .error) } catch {}
    }
  }

  /// ECMA-48: back to the first column, and erase to the end of the line.
  private static let lineEraser = "\r\u{1B}[K"
}
