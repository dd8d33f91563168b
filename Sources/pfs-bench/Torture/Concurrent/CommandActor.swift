import CommandSupport
import Console
import SegmentStore
import StorageIO

/// One thread of a history that runs the real `pfs` for each operation.
final class CommandActor {
  private(set) var events: [HistoryEvent] = []
  private(set) var violations: [(kind: Violation.Kind, message: String)] = []
  private(set) var operationCount = 0
  /// Indexes that were made anew while nobody else had the store open.
  private(set) var rebuildCount = 0
  /// By compactions.
  private(set) var movedByteCount = 0

  private let stage: HistoryStage
  private let number: Int
  private let pfs: FilePath
  private let interruption: Interruption
  private var generator: SplitMix64

  init(_ stage: HistoryStage, number: Int, pfs: FilePath, _ interruption: Interruption) {
    self.stage = stage
    self.number = number
    self.pfs = pfs
    self.interruption = interruption
    generator = stage.generator(ofActor: number)
  }

  func act(count: Int) throws(BenchFailure) {
    for _ in 0..<count {
      operationCount += 1
      switch generator.below(22) {
      case ..<2: try compact()
      case ..<8: try put()
      case ..<12: try get()
      case ..<16: try delete()
      case ..<19: try list()
      case ..<20: try expectDone(run("verify", "--quiet"))
      default: try rebuild()
      }
    }
  }

  private func put() throws(BenchFailure) {
    let content = UInt64(stage.caseNumber) << 32 | UInt64(number) << 24 | UInt64(operationCount) << 4
    let name = anyName()
    let source = stage.scratch.appending("cli-in-\(number)")
    try BenchFailure.translating { () throws(SystemCallFailure) in
      let file = try File.open(source, [.write, .create])
      try file.truncate(to: 0)
      try file.write(HistoryContent.bytes(content, byteCount: 16 + generator.below(9000)), at: 0)
    }
    let run = try run("put", "--name", name, source.description)
    guard expectDone(run), let id = firstNumber(run) else { return }
    note(run, .added([StoredVersion(name: name, id: id, content: content)]))
  }

  /// The newest version at one moment, and its bytes at a later one.
  private func get() throws(BenchFailure) {
    let name = anyName()
    let output = stage.scratch.appending("cli-out-\(number)")
    let run = try run("--json", "get", name, "--force", "-o", output.description)
    if run.status == 4 { return note(run, .newest([NewestVersion(name: name, id: nil)])) }
    guard expectDone(run), let id = member("id", run) else { return }
    let bytes = try BenchFailure.translating { () throws(SystemCallFailure) in
      let file = try File.open(output)
      return try file.bytes(at: 0, byteCount: try file.status().byteCount)
    }
    guard let content = HistoryContent.number(of: bytes) else {
      violations.append((.wrongBytes, "pfs get \(name): \(bytes.count) bytes that were never stored"))
      return
    }
    note(run, .newest([NewestVersion(name: name, id: id)]))
    note(run, .present(id, content: content), isSecondHalf: true)
  }

  private func delete() throws(BenchFailure) {
    let name = anyName()
    let run = try run("delete", name)
    if run.status == 4 { return note(run, .newest([NewestVersion(name: name, id: nil)])) }
    guard expectDone(run), let id = firstNumber(run) else { return }
    note(run, .newest([NewestVersion(name: name, id: id)]))
    note(run, .removed(id), isSecondHalf: true)
  }

  /// One page of the index, so that it is one moment.
  private func list() throws(BenchFailure) {
    let run = try run("list")
    guard expectDone(run) else { return }
    var ids: [Int] = []
    for line in run.output.split(separator: "\n") {
      let fields = line.split(separator: "\t")
      if fields.count > 2, fields[1] == "ready", let id = Int(fields[0]) { ids.append(id) }
    }
    note(run, .all(ids))
  }

  private func compact() throws(BenchFailure) {
    let run = try run("--json", "compact", "--target", "1")
    if expectDone(run), let byteCount = member("moved", run) { movedByteCount += byteCount }
  }

  /// Refused while anybody has the store open; otherwise nothing may change by it.
  private func rebuild() throws(BenchFailure) {
    let run = try run("--lock-timeout", "0s", "rebuild")
    if run.status == 5 { return }
    if expectDone(run) { rebuildCount += 1 }
  }

  // MARK: Helpers of all of them

  private struct Run {
    let words: [String]
    let invoked: Int64
    let returned: Int64
    let status: Int32?
    let signal: Int32?
    let output: String
    let error: String
  }

  private func run(_ words: String...) throws(BenchFailure) -> Run {
    let invoked = Clock.monotonicNanoseconds()
    let arguments = ["--store", stage.store.description, "--no-progress", "--workers", "2"] + words
    let outcome = try interruption.run(
      pfs.bytes, arguments.map { Array($0.utf8) }, environment: ["SWIFT_BACKTRACE": "enable=no"]
    ).outcome
    return Run(
      words: words, invoked: invoked, returned: Clock.monotonicNanoseconds(), status: outcome.exitStatus,
      signal: outcome.signal, output: String(decoding: outcome.standardOutput, as: UTF8.self),
      error: String(decoding: outcome.standardError, as: UTF8.self))
  }

  @discardableResult private func expectDone(_ run: Run) -> Bool {
    if run.status == 0 { return true }
    let what = "pfs \(run.words.joined(separator: " "))"
    if let signal = run.signal {
      violations.append((.crash, "\(what): signal \(signal): \(run.error)"))
    } else {
      let kind: Violation.Kind = run.status == 3 ? .inconsistent : run.status == 5 ? .hang : .outcome
      violations.append((kind, "\(what): exit status \(run.status ?? -1): \(run.error)"))
    }
    return false
  }

  private func note(_ run: Run, _ step: HistoryStep, isSecondHalf: Bool = false) {
    events.append(
      HistoryEvent(
        thread: number, invokedNanoseconds: run.invoked, returnedNanoseconds: run.returned, step: step,
        isSecondHalf: isSecondHalf))
  }

  private func anyName() -> String { stage.names[generator.below(HistoryStage.nameCount)] }

  private func firstNumber(_ run: Run) -> Int? {
    let number = Int(run.output.prefix { $0.isNumber })
    if number == nil { violations.append((.outcome, "pfs \(run.words[0]) gave no id but '\(run.output)'")) }
    return number
  }

  /// The number of a member of the one JSON object that was printed.
  private func member(_ name: String, _ run: Run) -> Int? {
    let number = run.output.firstRange(of: "\"\(name)\":").flatMap { range in
      Int(run.output[range.upperBound...].drop { $0 == " " }.prefix { $0.isNumber })
    }
    if number == nil { violations.append((.outcome, "pfs \(run.words[0]) gave no \(name) but '\(run.output)'")) }
    return number
  }
}
