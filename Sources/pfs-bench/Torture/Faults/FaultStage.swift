import Console
import SegmentStore
import StorageIO

/// Where one worker has its store: brought into the state that a scenario starts with, again and again.
final class FaultStage {
  let directory: FilePath
  let store: FilePath
  /// Where gets write to.
  let output: FilePath
  let log: FilePath
  let sources: FaultSources
  let program: TortureProgram
  private let library: FaultLibrary

  init(
    in directory: FilePath, _ sources: FaultSources, _ program: TortureProgram, _ library: FaultLibrary,
    isThere: Bool = false
  ) throws(BenchFailure) {
    self.directory = directory
    store = directory.appending("store")
    output = directory.appending("out")
    log = directory.appending("calls.log")
    self.sources = sources
    self.program = program
    self.library = library
    if !isThere { try BenchFailure.translating { () throws(SystemCallFailure) in try Directory.make(directory) } }
  }

  /// Removes what is there and writes `image`, unless there is to be no store.
  func reset(to image: StoreImage?) throws(BenchFailure) {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      for name in try Tree.names(in: directory) { try Tree.remove(directory.appending(name)) }
      try Directory.make(output)
      try image?.write(to: store)
    }
  }

  /// Runs the command of a scenario without any fault.
  func run(_ scenario: FaultScenario) throws(BenchFailure) -> TortureProgram.Ending {
    try run(scenario.arguments)
  }

  func run(_ arguments: [String]) throws(BenchFailure) -> TortureProgram.Ending {
    try program.run(arguments.map(expand), store: store)
  }

  /// Runs it with `fault` at the call `number`.
  /// - Returns: How it ended, and the calls that counted.
  func run(
    _ arguments: [String], _ fault: Fault, number: Int
  ) throws(BenchFailure) -> (ending: TortureProgram.Ending, calls: [LoggedCall]) {
    try BenchFailure.translating { () throws(SystemCallFailure) in try Tree.remove(log) }
    let root = String(decoding: directory.parent.lastComponent + [UInt8(ascii: "/")], as: UTF8.self)
    let ending = try program.run(
      arguments.map(expand), store: store,
      environment: fault.environment(library, number: number, root: root, log: log))
    try library.requireLog(log)
    let calls = try BenchFailure.translating { () throws(SystemCallFailure) in try LoggedCall.all(in: log) }
    return (ending, calls)
  }

  private func expand(_ argument: String) -> [UInt8] { FaultStage.expand(argument, sources, directory) }

  /// `@NAME` is the path of a source, `@out...` one in `directory`.
  static func expand(_ argument: String, _ sources: FaultSources, _ directory: FilePath) -> [UInt8] {
    guard argument.hasPrefix("@") else { return Array(argument.utf8) }
    let name = argument.dropFirst()
    if name.hasPrefix("out") { return directory.appending(String(name)).bytes }
    return sources.path(String(name)).bytes
  }
}

/// The pfs that is tortured.
struct TortureProgram: Sendable {
  /// How a command ended.
  struct Ending: Sendable, CustomStringConvertible {
    let arguments: String
    let outcome: ChildProcess.Outcome
    let isTooLong: Bool

    var output: [Substring] { text(outcome.standardOutput) }
    var errorText: String { String(decoding: outcome.standardError, as: UTF8.self) }
    /// Nothing is known of what is on the device: then that is what is said, whatever the cause.
    var isUnknown: Bool { outcome.exitStatus == 1 && errorText.contains("is not known") }
    var succeeded: Bool { outcome.exitStatus == 0 }

    /// The ids and names of the files that it said were done.
    var acknowledged: [(id: UInt64, name: String)] {
      output.compactMap { line in
        let words = line.split(separator: "\t", omittingEmptySubsequences: false)
        guard words.count >= 2, let id = UInt64(words[0]), let name = words.last else { return nil }
        return (id, String(name))
      }
    }

    var description: String {
      let ending = outcome.exitStatus.map { "exit status \($0)" } ?? "signal \(outcome.signal ?? 0)"
      // All of it: the reason stands above the advice.
      let said = errorText.isEmpty ? "" : ": " + errorText.split(separator: "\n").joined(separator: " / ")
      return "'\(arguments)' ended with \(ending)\(said)"
    }

    private func text(_ bytes: [UInt8]) -> [Substring] {
      // A line that was cut short was not printed.
      let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
      return Array(lines.dropLast())
    }
  }

  /// A command that takes longer hangs.
  static let limitSeconds = 60.0

  let path: FilePath
  let interruption: Interruption
  var workerCount = 1

  /// - Parameter limitSeconds: after this time it is killed; nil: when it hangs.
  func run(
    _ arguments: [[UInt8]], store: FilePath, environment: [String: String] = [:], limitSeconds: Double? = nil
  ) throws(BenchFailure) -> Ending {
    let options = [
      "--memory", "64MiB", "--workers", "\(workerCount)", "--no-progress", "--lock-timeout", "30s", "--config",
      "/dev/null",
    ]
    let all = [Array("--store".utf8), store.bytes] + options.map { Array($0.utf8) } + arguments
    var environment = environment
    // A crash must not wait for a backtrace.
    environment["SWIFT_BACKTRACE"] = "enable=no"
    let outcome = try interruption.outcome(
      of: path.bytes, all, environment: environment, samplingMilliseconds: 50,
      limitSeconds: limitSeconds ?? TortureProgram.limitSeconds)
    let words = arguments.map { word in String(decoding: word, as: UTF8.self) }
    return Ending(
      arguments: words.joined(separator: " "), outcome: outcome,
      isTooLong: limitSeconds == nil && outcome.wallSeconds > TortureProgram.limitSeconds)
  }
}
