import Console
import StorageIO

/// Draws a bar on the terminal while a command runs, from a thread of its own.
struct ProgressDisplay: Sendable {
  private enum State {
    case running
    case stopping
    case stopped
  }

  private static let intervalSeconds = 0.1

  private let terminal: Terminal
  private let progress: TransferProgress
  private let state = Monitor(State.running)

  /// Whether there is somebody to see a bar who wants one.
  static func isWanted(_ style: OutputStyle) -> Bool {
    style.showsProgress && !style.isQuiet && !style.isJSON && StandardStreams.isTerminal(.error)
  }

  /// Starts to draw; ``stop()`` has to be called.
  init(_ progress: TransferProgress, on terminal: Terminal) {
    self.progress = progress
    self.terminal = terminal
    do throws(ConsoleFailure) {
      try BackgroundThread.start { [self] in draw() }
    } catch {
      // Without a thread there is no bar, and all else goes on.
      state.withLock { $0 = .stopped }
    }
  }

  /// Takes the bar away and returns when it will not come back.
  func stop() {
    state.withLock { state in
      if state == .running { state = .stopping }
    }
    state.wait { state in state == .stopped ? () : nil }
    terminal.clearBar()
  }

  private func draw() {
    while true {
      let isStopping: Bool? = state.wait(seconds: ProgressDisplay.intervalSeconds) { state in
        state == .stopping ? true : nil
      }
      if isStopping == true { break }
      // One column is left free: some terminals wrap when the last one is filled.
      let width = (StandardStreams.terminalWidth() ?? 80) - 1
      if let line = progress.line(columnLimit: width) { terminal.showBar(line) }
    }
    state.withLock { $0 = .stopped }
  }
}
