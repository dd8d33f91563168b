import Glibc

/// The three streams every process starts with.
package enum StandardStream: Int32, Sendable {
  case input = 0
  case output = 1
  case error = 2

  var label: String {
    switch self {
    case .input: "standard input"
    case .output: "standard output"
    case .error: "standard error"
    }
  }
}

/// Writing to the standard streams, and what is known of the terminal behind them.
package enum StandardStreams {
  /// Puts something in the place of standard streams that are closed, so that no file that is opened later gets their
  /// numbers: it would be written to as if it were the terminal. What is put there refuses to be used, as a closed one
  /// does. To be called before anything is opened.
  package static func guardClosed() {
    for stream in [StandardStream.input, .output, .error] where fcntl(stream.rawValue, F_GETFD) == -1 {
      // The lowest free number is the one that is missing; opened in the direction in which it is not used.
      // Safe: a constant path.
      _ = unsafe open("/dev/null", stream == .input ? O_WRONLY : O_RDONLY)
    }
  }

  /// Writes all of `bytes`, without a buffer in between; blocks until the reader takes them.
  ///
  /// Lines of several threads stay whole on a terminal, in a file that was opened for appending, and in a pipe up to
  /// 4096 bytes, as each call is one write where the system takes it whole.
  /// - Throws: ``ConsoleFailure`` `.brokenPipe` if the reader has gone, `.system` for anything else, such as a full
  ///   disk; part of the bytes may have been written.
  package static func write(_ bytes: [UInt8], to stream: StandardStream) throws(ConsoleFailure) {
    var offset = 0
    while offset < bytes.count {
      // Safe: the buffer lives for the call and `offset` is below its end.
      let count = unsafe bytes.withUnsafeBytes { buffer in
        let rest = unsafe UnsafeRawBufferPointer(rebasing: buffer[offset...])
        return unsafe Glibc.write(stream.rawValue, rest.baseAddress, rest.count)
      }
      if count >= 0 {
        offset += count
        continue
      }
      switch errno {
      case EINTR: continue
      // Whoever shares the stream with us has made it non-blocking.
      case EAGAIN: waitUntilReady(stream, for: POLLOUT)
      case let number: throw ConsoleFailure(errorNumber: number, stream.label)
      }
    }
  }

  /// Writes `text` as UTF-8; see ``write(_:to:)-([UInt8],_)``.
  package static func write(_ text: String, to stream: StandardStream) throws(ConsoleFailure) {
    try write(Array(text.utf8), to: stream)
  }

  /// Whether the stream is a terminal.
  package static func isTerminal(_ stream: StandardStream) -> Bool { isatty(stream.rawValue) == 1 }

  /// The columns of the terminal behind `stream`; nil if it is none or does not say.
  package static func terminalWidth(_ stream: StandardStream = .error) -> Int? {
    var size = winsize()
    // Safe: this request fills one winsize, which outlives the call.
    let status = unsafe ioctl(stream.rawValue, UInt(TIOCGWINSZ), &size)
    return status == 0 && size.ws_col > 0 ? Int(size.ws_col) : nil
  }

  /// Whether somebody can still read what is written to `stream`; false for a pipe whose other end was closed.
  package static func hasReader(_ stream: StandardStream) -> Bool {
    var descriptor = pollfd(fd: stream.rawValue, events: Int16(POLLOUT), revents: 0)
    // Safe: one structure, which outlives the call; it does not block.
    return unsafe poll(&descriptor, 1, 0) <= 0 || descriptor.revents & Int16(POLLERR) == 0
  }

  /// Blocks until the stream can be read or written, or fails at the next attempt.
  static func waitUntilReady(_ stream: StandardStream, for event: Int32) {
    var descriptor = pollfd(fd: stream.rawValue, events: Int16(event), revents: 0)
    // Safe: one structure, which outlives the call. An interrupted wait only means an early attempt.
    _ = unsafe poll(&descriptor, 1, -1)
  }
}
