import CommandSupport
import Console
import StorageIO

/// The pfs that is measured, as a program: the same that a user runs.
struct PFSProgram: Sendable {
  let path: FilePath
  let workerCount: Int
  let interruption: Interruption

  /// What `--version` says.
  func version() throws(BenchFailure) -> String {
    let version = try run(["--version"])
    let text = String(decoding: version.outcome.standardOutput, as: UTF8.self)
    return text.split(separator: "\n").first.map(String.init) ?? "unknown"
  }

  /// Whether this pfs has the command, with that option.
  func has(option: String, of command: String) throws(BenchFailure) -> Bool {
    let help = try interruption.run(path.bytes, ["help", command].map(word))
    return help.outcome.exitStatus == 0 && String(decoding: help.outcome.standardOutput, as: UTF8.self).contains(option)
  }

  /// Runs a command on `store`, which must succeed; `operands` are paths, or what else need not be text.
  func run(
    _ words: [String], store: FilePath, workerCount: Int? = nil, operands: [[UInt8]] = []
  ) throws(BenchFailure) -> ProgramRun {
    let workers = word("\(workerCount ?? self.workerCount)")
    let options = [word("--store"), store.bytes, word("--workers"), workers, word("--no-progress")]
    return try run(options + words.map(word) + operands)
  }

  /// Stores `file` in the new store `store`; returns what it took and the id.
  func put(
    _ file: FilePath, store: FilePath, limit: MemoryLimit
  ) throws(BenchFailure) -> (figures: StepFigures, id: String) {
    // Said in full, so that no configuration file has a say in it.
    let how = [
      "put", "--codec", "zlib", "--level", "\(BareWork.level)", "--part-size", "\(BareWork.partByteCount)", "--",
    ]
    let run = try run(options(store, limit) + how.map(word) + [file.bytes])
    let line = String(decoding: run.outcome.standardOutput, as: UTF8.self)
    let id = line.prefix { $0 != "\t" }
    guard !id.isEmpty, id.allSatisfy({ $0 >= "0" && $0 <= "9" }) else {
      throw BenchFailure(.failed, "'pfs put' gave no id but '\(DisplayName.escaped(line))'")
    }
    return (StepFigures(run), String(id))
  }

  /// Restores the file `id` to `output`, which must not exist.
  func get(
    _ id: String, store: FilePath, output: FilePath, limit: MemoryLimit
  ) throws(BenchFailure) -> StepFigures {
    StepFigures(try run(options(store, limit) + [word("get"), word("-o"), output.bytes, word(id)]))
  }

  private func options(_ store: FilePath, _ limit: MemoryLimit) -> [[UInt8]] {
    [
      word("--store"), store.bytes, word("--memory"), word(limit.text), word("--workers"), word("\(workerCount)"),
      word("--no-progress"),
    ]
  }

  private func word(_ text: String) -> [UInt8] { Array(text.utf8) }

  private func run(_ arguments: [String]) throws(BenchFailure) -> ProgramRun {
    try run(arguments.map(word))
  }

  private func run(_ arguments: [[UInt8]]) throws(BenchFailure) -> ProgramRun {
    let run = try interruption.run(path.bytes, arguments)
    try requireSuccess(run.outcome, "\(path) \(arguments.map { DisplayName.escaped($0) }.joined(separator: " "))")
    return run
  }
}

/// - Throws: `.failed`, or `.different` where the program says that bytes are damaged, with what the program wrote to
///   standard error.
func requireSuccess(_ outcome: ChildProcess.Outcome, _ command: String) throws(BenchFailure) {
  guard outcome.exitStatus != 0 else { return }
  let ending = outcome.exitStatus.map { "exit status \($0)" } ?? "signal \(outcome.signal ?? 0)"
  let lines = String(decoding: outcome.standardError, as: UTF8.self).split(separator: "\n")
  let said = lines.last.map { ": \(DisplayName.escaped(String($0)))" } ?? ""
  throw BenchFailure(outcome.exitStatus == 3 ? .different : .failed, "'\(command)' ended with \(ending)\(said)")
}
