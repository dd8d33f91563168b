import CommandSupport
import Console
import SegmentStore
import StorageIO

/// Runs a workload in this process, on the real engine, and writes a mark before and after each operation.
///
/// Marks, one line and one write each: `begin N`; `done N [ID...] [part=ID] [moved=BYTES]` with the ids of the files that were stored
/// or deleted, the highest part id among them, and what a compaction moved; `failed N WHY` when the operation failed as it was meant to; before, between and
/// behind them others that say nothing of what is stored.
struct WorkloadRun {
  static let table = OptionTable([
    OptionTable.Option("store", value: "DIR", help: "Made by the workload's init, or there already."),
    OptionTable.Option("marks", value: "FILE", help: "Where the marks go; sources are written beside it."),
    OptionTable.Option("seed", value: "N", help: "Where the workload names none; default 1."),
    OptionTable.Option("workload", value: "TEXT", help: "[SEED/]OPERATION,OPERATION..."),
  ])

  private let workload: Workload
  private let marks: File
  private let actor: WorkloadActor
  private var expectation: Expectation

  /// The part `torture act` of this program.
  static func act(_ arguments: [[UInt8]]) throws(BenchFailure) {
    let (store, marks, workload) = try BenchFailure.translating { () throws(UsageError) in
      let options = try OptionParser.parse(arguments, table: table, stopsAtFirstOperand: false)
      guard let store = options.value(of: "store"), let marks = options.value(of: "marks"),
        let text = try options.text(of: "workload")
      else { throw UsageError(.missingValue, "torture act: give --store, --marks and --workload") }
      let seed = try options.integer(of: "seed", in: 0...Int.max) ?? 1
      return (FilePath(bytes: store), FilePath(bytes: marks), (seed: UInt64(seed), text: text))
    }
    var run = try WorkloadRun(
      store: store, marks: marks, try Workload(parsing: workload.text, seed: workload.seed))
    try run.perform()
  }

  private init(store: FilePath, marks: FilePath, _ workload: Workload) throws(BenchFailure) {
    self.workload = workload
    self.marks = try BenchFailure.translating { () throws(SystemCallFailure) in
      try File.open(marks, [.write, .create])
    }
    actor = WorkloadActor(
      path: store, sourcePath: FilePath(bytes: marks.bytes + Array(".source".utf8)), workload: workload)
    expectation = Expectation(workload)
  }

  /// - Throws: `.different` when an operation does not end as it must.
  private mutating func perform() throws(BenchFailure) {
    if workload.operations.first != .initialize {
      try mark("open")
      try require("open", actor.open)
      try mark("opened")
    }
    for (number, operation) in workload.operations.enumerated() {
      try mark("begin \(number)")
      let place = "operation \(number), \(operation.text)"
      do throws(WorkloadActor.Failure) {
        let done = try actor.perform(number, expectation)
        if operation.mustFail { throw .broken("succeeded, and must fail") }
        do throws(BenchFailure) { try mark("done \(number)\(done)") } catch { throw .stopped(error) }
      } catch {
        switch error {
        case .broken(let message): throw BenchFailure(.different, "\(place): \(message)")
        case .stopped(let failure): throw failure
        case .store(let error):
          guard isMeant(error, operation) else {
            throw BenchFailure(.different, "\(place): \(error.code): \(error)")
          }
          try mark("failed \(number) \(error.code)")
        }
      }
    }
    try mark("close")
    try require("close", actor.close)
    try mark("closed")
  }

  private func require(_ step: String, _ body: () throws(StoreError) -> Void) throws(BenchFailure) {
    do throws(StoreError) { try body() } catch {
      throw BenchFailure(.different, "\(step): \(error.code): \(error)")
    }
  }

  /// Whether the operation had to fail, and so.
  private func isMeant(_ error: StoreError, _ operation: StoreOperation) -> Bool {
    switch operation {
    case .cancelled, .interrupted: error.code == .cancelled
    case .failing: error.code == .unusableFile
    case .delete(let name), .get(let name): error.code == .notFound && expectation.newest(name) == nil
    default: false
    }
  }

  private mutating func mark(_ text: String) throws(BenchFailure) {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      try Array("\(text)\n".utf8).withRawSpan { (bytes) throws(SystemCallFailure) in try marks.writeNext(bytes) }
    }
    try expectation.apply(mark: text)
  }
}
