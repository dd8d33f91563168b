import Foundation
import Glibc

/// A program that was started. It is killed when the last reference goes.
public final class RunningCommand {
  /// How long a program may take before the test fails: far more than any needs.
  public static let timeoutSeconds = 120.0

  private let name: String
  private let child: ChildProcess
  private var input: Int32
  private var output: Int32
  private let capturedOutput: Int32
  private let capturedError: Int32

  init(
    name: String, child: ChildProcess, input: Int32, output: Int32, capturedOutput: Int32, capturedError: Int32
  ) {
    self.name = name
    self.child = child
    self.input = input
    self.output = output
    self.capturedOutput = capturedOutput
    self.capturedError = capturedError
  }

  deinit {
    closeInput()
    closeOutput()
    if hasEnded == nil { kill() }
    for descriptor in [capturedOutput, capturedError] where descriptor >= 0 { close(descriptor) }
  }

  // MARK: Its end

  /// Waits for the end of the program. One that does not end in time is killed, which fails the test.
  public func wait(timeoutSeconds: Double = RunningCommand.timeoutSeconds) throws -> CommandResult {
    guard let end = child.wait(until: Date(timeIntervalSinceNow: timeoutSeconds)) else {
      kill()
      throw TestFailure("'\(name)' did not end within \(timeoutSeconds) s; standard error: '\(errorSoFar())'")
    }
    return result(end)
  }

  /// Waits for the end of the program, and looks at its anonymous memory every millisecond.
  /// - Returns: The result and the highest RssAnon that was seen, in bytes.
  public func waitWatchingMemory() throws -> (result: CommandResult, peakByteCount: Int) {
    let deadline = Date(timeIntervalSinceNow: RunningCommand.timeoutSeconds)
    var peak = 0
    while Date() < deadline {
      if let end = child.wait(until: Date(timeIntervalSinceNow: 0.001)) { return (result(end), peak) }
      peak = max(peak, anonymousByteCount() ?? 0)
    }
    return (try wait(timeoutSeconds: 0), peak)
  }

  /// Whether the program is still there.
  public var isRunning: Bool { hasEnded == nil }

  private var hasEnded: ChildProcess.End? { child.wait(until: .distantPast) }

  private func result(_ end: ChildProcess.End) -> CommandResult {
    let (exitStatus, signal): (Int?, Int32?) =
      switch end {
      case .exit(let status): (status, nil)
      case .signal(let signal): (nil, signal)
      }
    return CommandResult(
      name: name, exitStatus: exitStatus, signal: signal, standardOutput: contents(of: capturedOutput),
      standardError: contents(of: capturedError))
  }

  // MARK: Signals

  /// Sends a signal; nothing happens when the program has ended.
  public func send(_ signal: Int32) { _ = child.send(signal) }

  /// Ends the program at once, as `kill -9` does, and waits until it is gone.
  public func kill() {
    send(SIGKILL)
    _ = child.wait(until: Date(timeIntervalSinceNow: RunningCommand.timeoutSeconds))
  }

  /// Stops the program where it is, and waits until all its threads stand still.
  public func stop() throws {
    send(SIGSTOP)
    try TestSupport.wait(for: "'\(name)' to stop") { self.states.allSatisfy { $0 == "T" } }
  }

  /// Lets a stopped program go on.
  public func resume() { send(SIGCONT) }

  // MARK: Pipes

  /// Writes to the program's standard input, which must be a pipe; blocks when the pipe is full.
  public func write(_ data: Data) throws {
    guard writeAll(data, to: input) else { throw TestFailure("write: \(String(cString: strerror(errno)))") }
  }

  /// Ends the program's standard input.
  public func closeInput() {
    guard input >= 0 else { return }
    close(input)
    input = -1
  }

  /// Writes `data` and ends the input from a thread of its own, for a program whose output the test reads meanwhile.
  public func feed(_ data: Data) {
    let descriptor = input
    input = -1
    Thread.detachNewThread {
      // The program may leave early; the test sees that by other means.
      _ = writeAll(data, to: descriptor)
      close(descriptor)
    }
  }

  /// Reads from the program's standard output, which must be a pipe, up to its end or to `byteCount` bytes.
  public func readOutput(upTo byteCount: Int = .max) throws -> Data {
    var data = Data()
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while data.count < byteCount {
      let count = read(output, &chunk, min(chunk.count, byteCount - data.count))
      guard count >= 0 else { throw TestFailure("read: \(String(cString: strerror(errno)))") }
      guard count > 0 else { break }
      data.append(contentsOf: chunk[..<count])
    }
    return data
  }

  /// Stops reading: the program's next write fails.
  public func closeOutput() {
    guard output >= 0 else { return }
    close(output)
    output = -1
  }

  /// What the program has written to standard error until now.
  public func errorSoFar() -> String { String(decoding: contents(of: capturedError), as: UTF8.self) }

  // MARK: What the kernel says of it

  /// The bytes that the program has read by read(2) and its kin; nil when it has ended.
  public var readByteCount: Int? { number(after: "rchar:", in: "io") }

  /// Whether it has ended, or waits for a lock on a file that somebody else holds.
  public var hasEndedOrWaitsForLock: Bool {
    guard hasEnded == nil, let locks = text(of: BytePath("/proc/locks")) else { return true }
    return locks.split(separator: "\n").contains { line in
      let words = line.split(separator: " ")
      return words.contains("->") && words.contains(Substring("\(child.id)"))
    }
  }

  private func anonymousByteCount() -> Int? { number(after: "RssAnon:", in: "status").map { $0 << 10 } }

  private func number(after key: String, in file: String) -> Int? {
    guard let text = text(of: processDirectory / file) else { return nil }
    let line = text.split(separator: "\n").first { $0.hasPrefix(key) }
    return line?.dropFirst(key.count).split(whereSeparator: { $0 == " " || $0 == "\t" }).first.flatMap { Int($0) }
  }

  /// The state of each thread, a letter; empty when the program has ended.
  private var states: [String] {
    let tasks = processDirectory / "task"
    guard let names = entryNames(of: tasks) else { return [] }
    return names.compactMap { name in
      // The name of the program stands in parentheses and may hold anything.
      text(of: tasks / name / "stat")?.split(separator: ")").last?.split(separator: " ").first.map { String($0) }
    }
  }

  private var processDirectory: BytePath { BytePath("/proc/\(child.id)") }

  private func entryNames(of directory: BytePath) -> [[UInt8]]? {
    do { return try directory.entryNames() } catch { return nil }
  }

  private func text(of path: BytePath) -> String? {
    // What cannot be read belongs to a process or thread that has ended.
    do { return String(decoding: try path.read(), as: UTF8.self) } catch { return nil }
  }

  private func contents(of descriptor: Int32) -> Data {
    guard descriptor >= 0 else { return Data() }
    var data = Data()
    var chunk = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      // Not the position that the program writes at, which is shared.
      let count = pread(descriptor, &chunk, chunk.count, off_t(data.count))
      guard count > 0 else { return data }
      data.append(contentsOf: chunk[..<count])
    }
  }
}

/// Looks at `condition` again and again until it holds; fails the test when it does not within `timeoutSeconds`.
public func wait(
  for purpose: String, timeoutSeconds: Double = 60, until condition: () throws -> Bool
) throws {
  let deadline = Date(timeIntervalSinceNow: timeoutSeconds)
  while try !condition() {
    guard Date() < deadline else { throw TestFailure("waited \(timeoutSeconds) s in vain for \(purpose)") }
    usleep(500)
  }
}
