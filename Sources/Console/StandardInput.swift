import Glibc
import Synchronization

/// Lines from standard input, for scripts; reads ahead, so that nothing else may read the stream too.
package enum StandardInput {
  /// The longest line that is accepted, in bytes.
  package static let maximumLineByteCount = 1 << 20

  private struct State {
    /// What was read and not yet given out, from `offset` on.
    var buffer: [UInt8] = []
    var offset = 0
    var hasEnded = false
  }

  private static let state = Mutex(State())
  private static let wakeUp = WakeUp()
  private static let isStopped = Atomic(false)
  private static let chunkByteCount = 64 << 10

  /// The next line as bytes, without its newline, or nil at the end; the last line need not end in a newline.
  ///
  /// Blocks until a line is there. One thread at a time reads; others wait for it.
  /// - Throws: ``ConsoleFailure`` `.tooLarge` for a line longer than ``maximumLineByteCount`` (nothing can be read
  ///   after that), `.system` if reading fails.
  package static func readLine() throws(ConsoleFailure) -> [UInt8]? {
    try state.withLock { (state) throws(ConsoleFailure) in
      if isStopped.load(ordering: .acquiring) { return nil }
      var searchedOffset = state.offset
      while true {
        if let end = state.buffer[searchedOffset...].firstIndex(of: UInt8(ascii: "\n")) {
          let line = Array(state.buffer[state.offset..<end])
          state.offset = end + 1
          return line
        }
        searchedOffset = state.buffer.count
        if isStopped.load(ordering: .acquiring) { return nil }
        if state.hasEnded {
          let rest = Array(state.buffer[state.offset...])
          state.offset = state.buffer.count
          return rest.isEmpty ? nil : rest
        }
        guard state.buffer.count - state.offset <= maximumLineByteCount else {
          throw ConsoleFailure(.tooLarge, "standard input: a line is longer than \(maximumLineByteCount) bytes")
        }
        searchedOffset -= state.offset
        state.buffer.removeFirst(state.offset)
        state.offset = 0
        let chunk = try readChunk()
        state.hasEnded = chunk.isEmpty
        state.buffer += chunk
      }
    }
  }

  /// Ends the input here: ``readLine()`` gives what it has read ahead no more, and nil. For any thread.
  package static func stop() {
    isStopped.store(true, ordering: .releasing)
    wakeUp?.wake()
  }

  /// The next bytes, empty at the end.
  private static func readChunk() throws(ConsoleFailure) -> [UInt8] {
    while true {
      if let wakeUp, wakeUp.wait() == .woken { return [] }
      var errorNumber: Int32 = 0
      // Safe: at most the capacity is read, and exactly what was read counts as initialised.
      let chunk = unsafe [UInt8](unsafeUninitializedCapacity: chunkByteCount) { buffer, count in
        let readCount = unsafe read(StandardStream.input.rawValue, buffer.baseAddress, chunkByteCount)
        errorNumber = readCount < 0 ? errno : 0
        count = max(0, readCount)
      }
      switch errorNumber {
      case 0: return chunk
      case EINTR: continue
      case EAGAIN: StandardStreams.waitUntilReady(.input, for: POLLIN)
      default: throw ConsoleFailure(errorNumber: errorNumber, StandardStream.input.label)
      }
    }
  }
}
