import Console
import SegmentStore
import StorageIO

/// Readers that die while they look at the index: whoever comes next must give their slots back, since as long as they are
/// taken no page that was freed is used again, and when all are taken nobody can read.
struct DeadReaders: Sendable {
  private static let killedCount = 4
  /// Calls that the first look at the index makes; which of them is inside a transaction is found by trying.
  private static let firstCall = 3

  let run: TortureRun
  let stage: HistoryStage

  /// Kills some programs that read, has another one come, and looks at the slots.
  /// - Returns: What is wrong.
  func judge() throws(BenchFailure) -> String? {
    // Held open: LMDB begins with an empty table when nobody else uses the index.
    let store = try BenchFailure.translating { () throws(StoreError) in
      try Store(at: stage.store, HistoryStore.configuration(isMapped: true))
    }
    defer { withExtendedLifetime(store) {} }
    let library = try FaultLibrary.find()
    let fault = Fault(.kill, at: ["pread"], .once, path: "/index/data.mdb")
    let log = stage.scratch.appending("reader-log")
    for number in 0..<DeadReaders.killedCount {
      let environment = fault.environment(
        library, number: DeadReaders.firstCall + number, root: stage.store.description, log: log)
      _ = try list(environment)
      try library.requireLog(log)
    }
    run.count("slots of killed readers", try slots().count)
    let outcome = try list([:])
    guard outcome.exitStatus == 0 else {
      return "pfs list after readers were killed: exit status \(outcome.exitStatus ?? -1)"
    }
    let left = try slots()
    try BenchFailure.translating { () throws(StoreError) in try store.close() }
    return left.isEmpty ? nil : "the reader slots of the dead processes \(left) are still taken"
  }

  private func list(_ environment: [String: String]) throws(BenchFailure) -> ChildProcess.Outcome {
    let words = ["--store", stage.store.description, "list"].map { Array($0.utf8) }
    return try run.interruption.outcome(of: run.settings.pfs.bytes, words, environment: environment)
  }

  // LMDB 0.9, `struct MDB_txninfo`: two cache lines of its own, then a line for each reader: transaction, process, thread.
  private static let headerByteCount = 128
  private static let slotByteCount = 64
  private static let processOffset = 8

  /// The processes that hold a slot in `lock.mdb` and do not live.
  private func slots() throws(BenchFailure) -> [Int] {
    // By another process: if this one closed the file, its locks of the index would be gone.
    let table = stage.store.appending("index").appending("lock.mdb")
    let bytes = try run.interruption.outcome(of: Array("/bin/cat".utf8), [table.bytes]).standardOutput
    guard bytes.count >= DeadReaders.headerByteCount else {
      throw BenchFailure(.failed, "'\(table)' has \(bytes.count) bytes")
    }
    return try BenchFailure.translating { () throws(SystemCallFailure) in
      var dead: [Int] = []
      for start in stride(
        from: DeadReaders.headerByteCount, through: bytes.count - DeadReaders.slotByteCount,
        by: DeadReaders.slotByteCount)
      {
        let process: UInt32 = ByteReader(bytes).get(start + DeadReaders.processOffset)
        if process != 0, try !Tree.exists(FilePath("/proc/\(process)")) { dead.append(Int(process)) }
      }
      return dead
    }
  }
}
