import Console
import StorageIO

/// That a memory limit holds: put, get, compact, rebuild and verify of the input where the kernel would kill a program that
/// takes more. Page cache counts there too, so the system has to take it back all the time; that is slower, and no target.
struct HardLimits: Sendable {
  enum Step: String, CaseIterable, Sendable { case put, get, verify, delete, compact, rebuild }

  struct Sample: Sendable {
    let limit: MemoryLimit
    let step: Step
    let figures: StepFigures
    /// Nil for one that was killed.
    let exitStatus: Int32?
    let peakByteCount: Int?
    let killCount: Int

    var isDone: Bool { exitStatus == 0 && killCount == 0 }
  }

  struct Outcome: Sendable {
    var samples: [Sample] = []
    /// Why nothing was tried.
    var reason: String?
  }

  /// Of a file that stays while the other one is deleted: what a compaction has to move.
  private static let smallByteCount = 256 << 10

  let input: FilePath
  let limits: [MemoryLimit]
  let run: BenchRun

  func measure() throws(BenchFailure) -> Outcome {
    var outcome = Outcome()
    do throws(BenchFailure) {
      try MemoryCgroup(limitByteCount: 64 << 20).remove()
    } catch {
      outcome.reason = error.message
      return outcome
    }
    let small = try run.makeSource("small", byteCount: HardLimits.smallByteCount)
    for limit in limits {
      for step in Step.allCases {
        let sample = try sample(step, limit, small)
        outcome.samples.append(sample)
        if step == .get, sample.isDone {
          try FileComparison.requireEqual(
            input, run.workspace.file("restored"), workerCount: run.settings.workerCount, run.interruption)
        }
        // What did not come to its end leaves nothing for the next step.
        if !sample.isDone { break }
      }
      try run.note(
        "hard limit of \(limit.text) and \(SweepResult.anonymousAllowanceByteCount >> 20) MiB: "
          + (outcome.samples.filter { $0.limit == limit }.allSatisfy(\.isDone) ? "all done" : "failed"))
      for name in ["store", "restored"] where try exists(name) { try run.workspace.remove(name) }
    }
    try run.workspace.remove("small")
    return outcome
  }

  private func sample(_ step: Step, _ limit: MemoryLimit, _ small: FilePath) throws(BenchFailure) -> Sample {
    let words: [[UInt8]] =
      switch step {
      case .put: ["put", "--name", "input", "--"].map(word) + [input.bytes]
      case .get: ["get", "input", "-o"].map(word) + [run.workspace.file("restored").bytes]
      case .delete: [word("delete"), word("input")]
      case .compact: ["compact", "--target", "1"].map(word)
      default: [word(step.rawValue)]
      }
    let store = run.workspace.file("store")
    if step == .delete {
      _ = try run.program.run(["put", "--name", "small", "--"], store: store, operands: [small.bytes])
    }
    let group = try MemoryCgroup(limitByteCount: limit.byteCount + SweepResult.anonymousAllowanceByteCount)
    let options = ["--store", store.description, "--memory", limit.text, "--no-progress"].map(word)
    let command = group.command(run.program.path.bytes, options + words)
    let sample: Result<Sample, BenchFailure>
    do throws(BenchFailure) {
      let measured = try run.interruption.run(command.program, command.arguments)
      sample = .success(
        Sample(
          limit: limit, step: step, figures: StepFigures(measured), exitStatus: measured.outcome.exitStatus,
          peakByteCount: try group.peakByteCount(), killCount: try group.killCount()))
    } catch {
      sample = .failure(error)
    }
    // Also after Ctrl-C: the program has ended, and nobody else would remove the group.
    try group.remove()
    return try sample.get()
  }

  private func exists(_ name: String) throws(BenchFailure) -> Bool {
    try BenchFailure.translating { () throws(SystemCallFailure) in try Tree.exists(run.workspace.file(name)) }
  }

  private func word(_ text: String) -> [UInt8] { Array(text.utf8) }
}
