import CommandSupport
import Glibc
import Synchronization

/// A command line that a shell runs, and its standard output as a pipe to read from.
///
/// The output is what comes until the shell ends: a process that it leaves behind may hold its standard output open for
/// as long as it likes. So a thread relays the bytes, and ends the pipe when there is nothing more from the command
/// itself. Standard error is this process's; there is no standard input.
///
/// The command runs in a process group of its own: Ctrl-C reaches this process alone, which then ends the group.
package final class CommandOutput: Sendable {
  package enum Ending: Hashable, Sendable {
    case exited(Int32)
    case signalled(Int32)
  }

  /// To be read by, and closed by, the caller.
  package let reading: Int32
  private let identifier: pid_t
  /// Once the shell was waited for, its number may belong to somebody else.
  private let ending = Mutex<Ending?>(nil)
  private static let relayByteCount = 64 << 10
  private static let tickMilliseconds: Int32 = 100
  /// How long a command that was asked to end may take for it.
  private static let graceSeconds = 10.0

  /// Starts `/bin/sh -c commandLine`.
  /// - Throws: ``ConsoleFailure`` `.invalidPath` for a zero byte in it, `.system`.
  package init(_ commandLine: [UInt8]) throws(ConsoleFailure) {
    let command = try ChildOutputs.makePipe()
    let relay: ChildOutputs.Pipe
    do throws(ConsoleFailure) { relay = try ChildOutputs.makePipe() } catch {
      command.close()
      throw error
    }
    do throws(ConsoleFailure) {
      identifier = try ChildStart.spawn(
        Array("/bin/sh".utf8), [Array("-c".utf8), commandLine], output: command.writing, error: nil, leadsGroup: true)
    } catch {
      command.close()
      relay.close()
      throw error
    }
    close(command.writing)
    reading = relay.reading
    do throws(ConsoleFailure) {
      try BackgroundThread.start { [self] in
        relayBytes(from: command.reading, to: relay.writing)
        close(command.reading)
        close(relay.writing)
      }
    } catch {
      close(command.reading)
      relay.close()
      end()
      throw error
    }
  }

  /// How the shell ended, once it has; looked for until `isCancelled` says to stop, which is asked ten times a second.
  package func wait(unless isCancelled: () -> Bool) throws(ConsoleFailure) -> Ending? {
    var pauseMilliseconds: Int32 = 1
    while true {
      if let ending = try look() { return ending }
      if isCancelled() { return nil }
      _ = poll(nil, 0, pauseMilliseconds)
      pauseMilliseconds = min(pauseMilliseconds * 2, CommandOutput.tickMilliseconds)
    }
  }

  /// Ends the command and what it has started, if the shell still runs, and waits for it: politely first, and after some
  /// seconds by force.
  package func end() {
    signalGroup(SIGTERM)
    // One that was stopped would not hear it.
    signalGroup(SIGCONT)
    let deadline = MonotonicClock.seconds() + CommandOutput.graceSeconds
    do throws(ConsoleFailure) {
      if try wait(unless: { MonotonicClock.seconds() > deadline }) != nil { return }
      signalGroup(SIGKILL)
      _ = try wait(unless: { false })
    } catch {
      // It cannot be waited for, so it is no child any more.
    }
  }

  private func signalGroup(_ signal: Int32) {
    ending.withLock { ending in
      // As long as the shell was not waited for, the group is the one that was made for it.
      if ending == nil { _ = kill(-identifier, signal) }
    }
  }

  /// Waits for the shell if it has ended.
  private func look() throws(ConsoleFailure) -> Ending? {
    try ending.withLock { (ending) throws(ConsoleFailure) in
      if let ending { return ending }
      var status: Int32 = 0
      // Safe: the status outlives the call.
      let found = unsafe waitpid(identifier, &status, WNOHANG)
      if found == 0 || (found < 0 && errno == EINTR) { return nil }
      guard found == identifier else { throw ConsoleFailure(errorNumber: errno, "waiting for the command") }
      // The layout of the status: the signal in seven bits, a flag, the exit status above.
      let signal = status & 0x7F
      ending = signal == 0 ? .exited((status >> 8) & 0xFF) : .signalled(signal)
      return ending
    }
  }

  private var hasEnded: Bool {
    do throws(ConsoleFailure) { return try look() != nil } catch { return true }
  }

  // MARK: On the thread that relays

  private func relayBytes(from source: Int32, to target: Int32) {
    var chunk = [UInt8](repeating: 0, count: CommandOutput.relayByteCount)
    var nextLook = MonotonicClock.seconds()
    while true {
      if MonotonicClock.seconds() >= nextLook {
        if hasEnded { return relayRest(from: source, to: target, &chunk) }
        nextLook = MonotonicClock.seconds() + Double(CommandOutput.tickMilliseconds) / 1000
      }
      var request = pollfd(fd: source, events: Int16(POLLIN), revents: 0)
      // Safe: one entry, as the count says.
      guard unsafe poll(&request, 1, CommandOutput.tickMilliseconds) > 0 else { continue }
      guard relayOnce(from: source, to: target, &chunk, atMost: chunk.count) > 0 else { return }
    }
  }

  /// What was in the pipe when the shell had ended; what others write from then on is not the command's.
  private func relayRest(from source: Int32, to target: Int32, _ chunk: inout [UInt8]) {
    var left: Int32 = 0
    // Safe: the number outlives the call, which fills it.
    guard unsafe ioctl(source, UInt(FIONREAD), &left) == 0 else { return }
    while left > 0 {
      let count = relayOnce(from: source, to: target, &chunk, atMost: min(chunk.count, Int(left)))
      guard count > 0 else { return }
      left -= Int32(count)
    }
  }

  /// - Returns: The bytes relayed; 0 at the end of the source, or when nobody reads the target any more.
  private func relayOnce(from source: Int32, to target: Int32, _ chunk: inout [UInt8], atMost limit: Int) -> Int {
    // Safe: the buffer outlives the calls, and no count exceeds its size; so below.
    let count = unsafe chunk.withUnsafeMutableBytes { buffer in
      CommandOutput.retrying { unsafe read(source, buffer.baseAddress, limit) }
    }
    guard count > 0 else { return 0 }
    var done = 0
    while done < count {
      let written = unsafe chunk.withUnsafeBytes { buffer in
        CommandOutput.retrying { unsafe write(target, buffer.baseAddress.map { unsafe $0 + done }, count - done) }
      }
      guard written > 0 else { return 0 }
      done += written
    }
    return count
  }

  private static func retrying(_ call: () -> Int) -> Int {
    while true {
      let result = call()
      if result >= 0 || errno != EINTR { return result }
    }
  }
}
