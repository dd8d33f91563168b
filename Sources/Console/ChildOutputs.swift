import Glibc
import Synchronization

/// The two pipes that a child process writes to, and what came out of them.
final class ChildOutputs: Sendable {
  struct Pipe: Sendable {
    let reading: Int32
    let writing: Int32

    func close() {
      Glibc.close(reading)
      Glibc.close(writing)
    }
  }

  private struct State {
    var isWritable = true
    var isOpen = [true, true]
    var kept: [[UInt8]] = [[], []]
    var chunk = [UInt8](repeating: 0, count: 4096)
  }

  let output: Pipe
  let error: Pipe
  private let state = Mutex(State())

  init() throws(ConsoleFailure) {
    output = try ChildOutputs.makePipe()
    do throws(ConsoleFailure) { error = try ChildOutputs.makePipe() } catch {
      close(output.reading)
      close(output.writing)
      throw error
    }
  }

  deinit {
    closeWritingEnds()
    close(output.reading)
    close(error.reading)
  }

  /// Leaves the writing ends to the child, so that they close when it ends.
  func closeWritingEnds() {
    state.withLock { state in
      guard state.isWritable else { return }
      close(output.writing)
      close(error.writing)
      state.isWritable = false
    }
  }

  /// Takes what is there to be read, after waiting for it.
  /// - Returns: Whether both pipes have come to their end.
  func drain(waitingMilliseconds: Int32) throws(ConsoleFailure) -> Bool {
    // A closed one is given to poll as -1, which it passes over.
    let isOpen = state.withLock { state in state.isOpen }
    guard isOpen.contains(true) else { return true }
    var requests = zip([output, error], isOpen).map { pipe, isOpen in
      pollfd(fd: isOpen ? pipe.reading : -1, events: Int16(POLLIN), revents: 0)
    }
    // Safe: two entries, as the count says.
    let readyCount = unsafe poll(&requests, 2, waitingMilliseconds)
    guard readyCount >= 0 || errno == EINTR else { throw ConsoleFailure(errorNumber: errno, "waiting for output") }
    guard readyCount > 0 else { return false }
    return try state.withLock { (state) throws(ConsoleFailure) in
      for index in requests.indices where requests[index].revents != 0 {
        // Safe: the buffer outlives the call and its size is given.
        let count = unsafe read(requests[index].fd, &state.chunk, state.chunk.count)
        if count < 0 && errno != EINTR { throw ConsoleFailure(errorNumber: errno, "reading output") }
        if count == 0 { state.isOpen[index] = false }
        let room = ChildProcess.keptByteCount - state.kept[index].count
        if count > 0 { state.kept[index] += state.chunk[..<min(count, room)] }
      }
      return !state.isOpen.contains(true)
    }
  }

  /// Takes what has come from standard output since the last time.
  func takeOutput() -> [UInt8] {
    state.withLock { state in
      defer { state.kept[0] = [] }
      return state.kept[0]
    }
  }

  func kept() -> (output: [UInt8], error: [UInt8]) {
    state.withLock { state in (state.kept[0], state.kept[1]) }
  }

  /// A pipe that only the child that it is given to inherits.
  static func makePipe() throws(ConsoleFailure) -> Pipe {
    var ends: [Int32] = [-1, -1]
    // Safe: two entries, as the call wants.
    guard unsafe pipe(&ends) == 0 else { throw ConsoleFailure(errorNumber: errno, "making a pipe") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return Pipe(reading: ends[0], writing: ends[1])
  }
}
