import Glibc

/// A child that is listened to while it runs.
extension ChildProcess {
  private static let pollMilliseconds: Int32 = 100

  /// Calls `body` with each line that the child writes to its standard output, without the newline, as it comes; returns
  /// when the child has ended.
  /// - Parameters:
  ///   - silenceSeconds: a child that writes nothing for so long is killed.
  ///   - isCancelled: asked ten times a second; then the child is killed.
  package func forEachLine(
    silenceSeconds: Double, unless isCancelled: () -> Bool, _ body: ([UInt8]) -> Void
  ) throws(ConsoleFailure) -> Outcome {
    var rest: [UInt8] = []
    var heardSeconds = MonotonicClock.seconds()
    var isAtEnd = false
    while !isAtEnd {
      isAtEnd = try drain(waitingMilliseconds: ChildProcess.pollMilliseconds)
      let output = takeOutput()
      if !output.isEmpty { heardSeconds = MonotonicClock.seconds() }
      rest += output
      var start = rest.startIndex
      while let end = rest[start...].firstIndex(of: UInt8(ascii: "\n")) {
        body(Array(rest[start..<end]))
        start = end + 1
      }
      rest.removeSubrange(..<start)
      if isCancelled() || MonotonicClock.seconds() - heardSeconds > silenceSeconds { send(SIGKILL) }
    }
    return try wait()
  }
}
