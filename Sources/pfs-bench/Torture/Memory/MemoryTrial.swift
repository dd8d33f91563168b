import CommandSupport
import Console
import SegmentStore
import StorageIO

/// One case: asks for the smallest limit, runs the operation under its own, and compares.
struct MemoryTrial: Sendable {
  /// What a process may have beyond the limit: the program itself, what LMDB keeps of a transaction, stacks, and what the
  /// system's memory allocator does not give back.
  static let allowanceByteCount = 8 << 20
  /// Each operation takes a fraction of a second where it goes on at all.
  private static let hangSeconds = 10.0
  /// For one that was killed while it was busy: perhaps the machine is.
  private static let patientSeconds = 90.0
  private static let refusalSeconds = 5.0
  private static let busyShare = 0.1

  private let run: TortureRun
  private let memoryCase: MemoryCase
  private let number: Int
  private let sources: MemorySources
  private let floors: MemoryFloors
  private let directory: FilePath

  init(
    _ run: TortureRun, _ memoryCase: MemoryCase, number: Int, _ sources: MemorySources, _ floors: MemoryFloors
  ) {
    self.run = run
    self.memoryCase = memoryCase
    self.number = number
    self.sources = sources
    self.floors = floors
    directory = run.workspace.file("case-\(number)")
  }

  private var operation: MemoryOperation { memoryCase.operation }
  private var key: String { "\(operation.rawValue) \(memoryCase.partByteCount) \(memoryCase.workerCount)" }
  private var output: FilePath { directory.appending("output") }

  func judge() throws(BenchFailure) {
    try BenchFailure.translating { () throws(SystemCallFailure) in try Directory.make(directory) }
    let store = try MemoryStore(
      at: directory.appending("store"), partByteCount: memoryCase.partByteCount, sources)
    if let floor = try floor(store) { try judge(store, floor) }
    try run.workspace.remove("case-\(number)")
    run.count("limits times operations")
  }

  /// The smallest limit in KiB, as the operation itself names it; nil where it does not.
  ///
  /// Whoever gives the limit that was named may be told another one, once: to open a store takes less than to verify
  /// while parts are stored.
  private func floor(_ store: MemoryStore) throws(BenchFailure) -> Int? {
    if let known = floors.known(key) { return known }
    let refusal = try start(store, kibibytes: 1)
    guard let first = refusedFor(refusal) else {
      record(.outcome, 1, "was not refused, with the smallest limit that works: \(ending(refusal))")
      return nil
    }
    let scratch = try MemoryStore(
      at: directory.appending("floor"), partByteCount: memoryCase.partByteCount, sources)
    let floor = refusedFor(try start(scratch, kibibytes: first)) ?? first
    if floor != first { run.count("smallest limits that were named in two steps") }
    try run.workspace.remove("case-\(number)/output", "case-\(number)/floor")
    floors.set(key, floor, isSharp: floor == first)
    return floor
  }

  private func judge(_ store: MemoryStore, _ floor: Int) throws(BenchFailure) {
    let kibibytes = memoryCase.step.kibibytes(floor: floor)
    var outcome = try start(store, kibibytes: kibibytes)
    if case .below = memoryCase.step { return checkRefusal(outcome, kibibytes, floor, store) }
    if outcome.signal == MemoryTrial.killSignal {
      let busySeconds = outcome.userSeconds + outcome.systemSeconds
      guard busySeconds > outcome.wallSeconds * MemoryTrial.busyShare else {
        return record(.hang, kibibytes, "stood still: \(busySeconds) s of processor time in \(outcome.wallSeconds) s")
      }
      run.count("killed while busy, and tried again")
      try run.workspace.remove("case-\(number)/output")
      outcome = try start(store, kibibytes: kibibytes, limitSeconds: MemoryTrial.patientSeconds)
      if outcome.signal == MemoryTrial.killSignal { return record(.hang, kibibytes, ending(outcome)) }
    }
    run.count("samples of memory", outcome.sampleCount)
    let excess = outcome.peakAnonymousByteCount - kibibytes << 10
    floors.note(excess: max(0, excess))
    if excess > MemoryTrial.allowanceByteCount {
      record(
        .outcome, kibibytes,
        "took \(outcome.peakAnonymousByteCount >> 10) KiB of anonymous memory, \(excess >> 10) KiB beyond its limit")
    }
    if outcome.exitStatus == 2, operation == .putBatch, error(outcome).contains("memory limit of") {
      // Each file of a batch takes a little until they are published.
      return run.count("batches refused for their number")
    }
    guard outcome.exitStatus == 0 else {
      return record(outcome.signal == nil ? .outcome : .crash, kibibytes, ending(outcome))
    }
    if let wrong = store.wrong(after: operation, sources, output: output, printed: outcome.standardOutput) {
      record(.inconsistent, kibibytes, wrong)
    }
    run.count("done")
  }

  /// Too small a limit: refused at once, with the smallest, and nothing was done.
  private func checkRefusal(
    _ outcome: ChildProcess.Outcome, _ kibibytes: Int, _ floor: Int, _ store: MemoryStore
  ) {
    run.count("refused")
    if outcome.exitStatus == 0, !floors.isSharp(key) {
      // What was named is enough for as many workers as there may be; with fewer of them less may do.
      return run.count("done with less than was named")
    }
    guard let named = refusedFor(outcome), named > kibibytes, named <= floor else {
      return record(.outcome, kibibytes, "was not refused for less than \(floor) KiB: \(ending(outcome))")
    }
    if outcome.wallSeconds > MemoryTrial.refusalSeconds && outcome.userSeconds > 1 {
      record(.hang, kibibytes, "was refused only after \(outcome.wallSeconds) s")
    }
    do throws(StoreError) {
      if let finding = try store.finding() { record(.inconsistent, kibibytes, "after a refusal: \(finding)") }
    } catch {
      record(.unopenable, kibibytes, "after a refusal: \(error)")
    }
  }

  private static let killSignal: Int32 = 9

  // MARK: The process

  private func start(
    _ store: MemoryStore, kibibytes: Int, limitSeconds: Double = MemoryTrial.hangSeconds
  ) throws(BenchFailure) -> ChildProcess.Outcome {
    var program = run.settings.pfs.bytes
    var words =
      [
        "--store", store.path.description, "--memory", "\(kibibytes)KiB", "--workers", "\(memoryCase.workerCount)",
        "--no-progress",
      ] + operation.words(sources, output: output.description)
    if operation.isOfThreads {
      program = try BenchFailure.translating { () throws(ConsoleFailure) in try ProgramFile.path() }
      words = [
        "torture", MemoryWorker.name, store.path.description, sources.directory.description, output.description,
        "\(kibibytes)", "\(memoryCase.workerCount)", operation == .threads ? "mapped" : "unmapped",
      ]
    }
    return try run.interruption.outcome(
      of: program, words.map { Array($0.utf8) }, environment: ["SWIFT_BACKTRACE": "enable=no"], samplingMilliseconds: 1,
      limitSeconds: limitSeconds)
  }

  /// The KiB that a refusal names; nil for what is none.
  private func refusedFor(_ outcome: ChildProcess.Outcome) -> Int? {
    guard outcome.exitStatus == 2 else { return nil }
    let marker = "the smallest that works here is "
    return error(outcome).firstRange(of: marker).flatMap { range in
      Int(error(outcome)[range.upperBound...].prefix { $0.isNumber })
    }
  }

  private func error(_ outcome: ChildProcess.Outcome) -> String {
    String(decoding: outcome.standardError.suffix(1000), as: UTF8.self)
  }

  private func ending(_ outcome: ChildProcess.Outcome) -> String {
    let ending = outcome.exitStatus.map { "exit status \($0)" } ?? "signal \(outcome.signal ?? 0)"
    return "\(ending) after \(FixedPoint.text(outcome.wallSeconds, decimals: 1)) s: \(error(outcome))"
  }

  private func record(_ kind: Violation.Kind, _ kibibytes: Int, _ message: String) {
    run.record(
      Violation(
        kind: kind,
        message:
          "\(operation.rawValue), parts of \(memoryCase.partByteCount) bytes, \(memoryCase.workerCount) workers, "
          + "limit \(kibibytes) KiB: \(message)", replay: run.replay(memoryCase.text)))
  }
}
