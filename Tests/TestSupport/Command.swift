import Foundation
import Glibc

/// A program to run, with all that it sees: arguments and names in any bytes, environment, directory and streams.
///
/// Foundation's Process cannot pass arguments that are not UTF-8, so this uses posix_spawn(3) itself.
public struct Command: Sendable {
  /// Where the program reads from.
  public enum Input: Sendable {
    /// An empty file.
    case nothing
    /// A file with these bytes.
    case bytes(Data)
    /// The file with this name.
    case file(BytePath)
    /// A pipe that the test writes to, and ends.
    case pipe
  }

  /// Where the program writes its results.
  public enum Output: Sendable {
    /// A file in memory, to be looked at when the program has ended.
    case captured
    /// A file that is made for it.
    case file(BytePath)
    /// A pipe that the test reads, or not.
    case pipe
  }

  public let executable: BytePath
  public let arguments: [[UInt8]]
  public var environment: [String: String]
  public var workingDirectory: BytePath
  public var input = Input.nothing
  public var output = Output.captured

  public init(
    _ executable: BytePath, _ arguments: [any CommandArgument], environment: [String: String],
    workingDirectory: BytePath
  ) {
    self.executable = executable
    self.arguments = arguments.map(\.argumentBytes)
    self.environment = environment
    self.workingDirectory = workingDirectory
  }

  /// Runs the program to its end. One that does not end in time is killed, which fails the test.
  public func run(timeoutSeconds: Double = RunningCommand.timeoutSeconds) throws -> CommandResult {
    try start().wait(timeoutSeconds: timeoutSeconds)
  }

  /// Starts the program.
  public func start() throws -> RunningCommand {
    var streams = Streams()
    defer { streams.closeChildEnds() }
    do {
      try streams.open(self)
      let child = try spawn(streams)
      return RunningCommand(
        name: commandLine, child: ChildProcess(id: child), input: streams.inputWriter,
        output: streams.outputReader, capturedOutput: streams.capturedOutput,
        capturedError: streams.capturedError)
    } catch {
      streams.closeParentEnds()
      throw error
    }
  }

  /// The program and its arguments, for messages.
  var commandLine: String {
    ([executable.lastComponent] + arguments).map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ")
  }

  private func spawn(_ streams: Streams) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    // Every descriptor of this process is closed on exec; these three are copies that are not.
    posix_spawn_file_actions_adddup2(&actions, streams.input, 0)
    posix_spawn_file_actions_adddup2(&actions, streams.output, 1)
    posix_spawn_file_actions_adddup2(&actions, streams.error, 2)
    try GNUCalls.addDirectory(workingDirectory, to: &actions)

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    for signal in [SIGPIPE, SIGINT, SIGTERM, SIGHUP] { sigaddset(&signals, signal) }
    posix_spawnattr_setsigdefault(&attributes, &signals)
    // A process group of its own: what reaches the test from the keyboard does not reach the program.
    let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP
    posix_spawnattr_setflags(&attributes, Int16(flags))

    let variables = environment.map { Array("\($0.key)=\($0.value)".utf8) }
    var id: pid_t = 0
    let code = withPointers([executable.bytes] + arguments) { argumentPointers in
      withPointers(variables) { variablePointers in
        executable.withCString { posix_spawn(&id, $0, &actions, &attributes, argumentPointers, variablePointers) }
      }
    }
    guard code == 0 else { throw TestFailure("posix_spawn \(executable): \(String(cString: strerror(code)))") }
    return id
  }

  /// Calls `body` with an array of C strings that ends with a null pointer, as exec(2) wants it.
  private func withPointers<R>(
    _ texts: [[UInt8]], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> R
  ) -> R {
    let copies: [UnsafeMutablePointer<CChar>?] = texts.map { BytePath(bytes: $0).withCString { strdup($0) } } + [nil]
    defer { copies.forEach { free($0) } }
    return copies.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { preconditionFailure("an array with a null pointer at least") }
      return body(base)
    }
  }
}

/// The descriptors of the streams of a program that is being started: its own ends, and those of the test.
private struct Streams {
  private(set) var input: Int32 = -1
  private(set) var output: Int32 = -1
  private(set) var error: Int32 = -1
  private(set) var inputWriter: Int32 = -1
  private(set) var outputReader: Int32 = -1
  private(set) var capturedOutput: Int32 = -1
  private(set) var capturedError: Int32 = -1

  mutating func open(_ command: Command) throws {
    switch command.input {
    case .nothing: input = try BytePath("/dev/null").open(O_RDONLY)
    case .file(let path): input = try path.open(O_RDONLY)
    case .pipe: (input, inputWriter) = try GNUCalls.pipe()
    case .bytes(let data):
      input = try GNUCalls.memoryFile()
      guard writeAll(data, to: input), lseek(input, 0, SEEK_SET) == 0 else { throw TestFailure("no input") }
    }
    switch command.output {
    case .captured:
      output = try GNUCalls.memoryFile()
      capturedOutput = try duplicate(output)
    case .file(let path): output = try path.open(O_WRONLY | O_CREAT | O_TRUNC)
    case .pipe: (outputReader, output) = try GNUCalls.pipe()
    }
    error = try GNUCalls.memoryFile()
    capturedError = try duplicate(error)
  }

  func closeChildEnds() { [input, output, error].filter { $0 >= 0 }.forEach { close($0) } }

  func closeParentEnds() {
    [inputWriter, outputReader, capturedOutput, capturedError].filter { $0 >= 0 }.forEach { close($0) }
  }

  private func duplicate(_ descriptor: Int32) throws -> Int32 {
    let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
    guard copy >= 0 else { throw TestFailure("fcntl: \(String(cString: strerror(errno)))") }
    return copy
  }
}
