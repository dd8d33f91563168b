import Glibc

/// Lets any thread wake the one that waits for standard input.
final class WakeUp: Sendable {
  /// What a wait ended with.
  enum Outcome {
    /// There is something to read, or the end.
    case input
    case woken
  }

  private let readEnd: Int32
  private let writeEnd: Int32

  /// Nil when the process has no descriptors left: then nobody is woken early.
  init?() {
    var ends: [Int32] = [-1, -1]
    // Safe: two entries, as the call wants.
    guard unsafe pipe(&ends) == 0 else { return nil }
    (readEnd, writeEnd) = (ends[0], ends[1])
    for end in ends {
      // These requests do not fail on a descriptor that is open.
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
      _ = fcntl(end, F_SETFL, O_NONBLOCK)
    }
  }

  deinit {
    close(readEnd)
    close(writeEnd)
  }

  /// Ends the wait that is going on, or the next one.
  func wake() {
    var byte: UInt8 = 1
    // Safe: one byte, which outlives the call. A full pipe wakes as well as one byte more.
    _ = unsafe write(writeEnd, &byte, 1)
  }

  /// Blocks until standard input can be read or somebody wakes this thread; the latter comes first.
  func wait() -> Outcome {
    while true {
      var requests = [
        pollfd(fd: StandardStream.input.rawValue, events: Int16(POLLIN), revents: 0),
        pollfd(fd: readEnd, events: Int16(POLLIN), revents: 0),
      ]
      // Safe: two entries, as the count says.
      let count = unsafe poll(&requests, 2, -1)
      if requests[1].revents != 0 {
        clear()
        return .woken
      }
      // Whatever poll has to say of the input, reading it will tell.
      if count > 0 || errno != EINTR { return .input }
    }
  }

  private func clear() {
    var bytes = [UInt8](repeating: 0, count: 64)
    // Safe: the count is that of the buffer.
    while unsafe read(readEnd, &bytes, 64) > 0 {}
  }
}
