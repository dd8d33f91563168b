import CommandSupport
import Console
import StagingFS
import StorageIO

/// The rows of `pfs-bench staging`.
struct StagingComparison: Sendable {
  private struct Row: Sendable {
    let name: String
    let title: String
    let work: StagingCase
    let isAdopting: Bool
    let threadCount: Int
    /// Against D-MemFS.
    let target: Double
  }

  let largeByteCount: Int
  let threadCount: Int
  let peer: DMemFSPeer
  let run: BenchRun

  private var rows: [Row] {
    let large = StagingCase(
      kind: .stream, count: largeByteCount / StagingCase.largePieceByteCount * StagingCase.largePieceByteCount,
      pieceByteCount: StagingCase.largePieceByteCount, readCount: 1)
    let size = ByteSize.text(largeByteCount)
    let works: [(name: String, title: String, work: StagingCase, adoptings: [Bool], target: Double)] = [
      ("small_files", "300 small files", .smallFiles, [true, false], 10),
      ("stream", "16 MiB stream", .stream, [true, false], 1),
      ("random", "16 MiB random access", .random, [false], 1),
      ("large_stream", "\(size) stream", large, [true, false], 1),
      ("many_files", "10,000 files, random read", .manyFiles, [true, false], 10),
      ("deep_tree", "50-level tree", .deepTree, [true, false], 1),
    ]
    return [1, threadCount].flatMap { threads in
      works.flatMap { work in
        // D-MemFS needs the memory too, for all threads together.
        let isLarge = work.name == "large_stream" && threads > 1
        return (isLarge ? [] : work.adoptings).map { isAdopting in
          Row(
            name: work.name + (isAdopting ? "_adopted" : "_copied") + (threads > 1 ? "_threads" : ""),
            title: "\(work.title), \(isAdopting ? "adopted" : "copied")" + (threads > 1 ? ", \(threads) threads" : ""),
            work: work.work, isAdopting: isAdopting, threadCount: threads,
            target: threads > 1 ? max(4, work.target) : work.target)
        }
      }
    }
  }

  func measure(into figures: inout FigureSet) throws(BenchFailure) {
    for row in rows {
      let isBytes = row.work.kind == .stream || row.work.kind == .random
      figures.declare(
        Figure(
          row.name, row.title, isBytes ? .gigabytesPerSecond : .filesPerSecond,
          beside: peer.isThere ? peer.title : nil, target: peer.isThere ? .atLeastRatio(row.target) : nil,
          skipReason: peer.isThere ? nil : "beside D-MemFS: \(peer.problem)"))
    }
    figures.declare(
      Figure(
        "copying_write", "\(ByteSize.text(largeByteCount)) written by copies", .gigabytesPerSecond,
        beside: "memory copy", target: .atLeastRatio(0.6)))
    for runNumber in 1...run.settings.runCount {
      for row in rows {
        try run.interruption.check()
        if peer.isThere {
          let speeds = try alternating(
            runNumber, { () throws(BenchFailure) in try speed(of: row) },
            { () throws(BenchFailure) in
              scaled(row, seconds: try peer.seconds(row.work, threadCount: row.threadCount))
            })
          figures.add(row.name, run: runNumber, speeds)
        } else {
          figures.add(row.name, run: runNumber, try speed(of: row))
        }
      }
      try measureCopies(runNumber, into: &figures)
      try run.note("run \(runNumber)/\(run.settings.runCount) done")
    }
  }

  private func scaled(_ row: Row, seconds: Double) -> Double {
    let work = Double(row.work.workCount * row.threadCount) / seconds
    return row.work.kind == .stream || row.work.kind == .random ? work / 1e9 : work
  }

  private func speed(of row: Row) throws(BenchFailure) -> Double {
    // One tree for all repetitions, here as in the peer: what is measured is a tree in use.
    let tree = try BenchFailure.translating { () throws(StagingError) in
      try StagingFileSystem(quota: 64 << 20 + (row.work.count + (64 << 20)) * row.threadCount)
    }
    var shortest = Double.infinity
    for _ in 0..<row.work.repetitionCount {
      shortest = min(shortest, try seconds(of: row, tree))
      try BenchFailure.translating { () throws(StagingError) in try tree.removeTree(.root) }
    }
    return scaled(row, seconds: shortest)
  }

  private func seconds(of row: Row, _ tree: StagingFileSystem) throws(BenchFailure) -> Double {
    let shares = try BenchFailure.translating { () throws(StagingError) in
      var shares: [StagingWork] = []
      for thread in 0..<row.threadCount {
        shares.append(try StagingWork(row.work, tree, isAdopting: row.isAdopting, thread: thread))
      }
      return shares
    }
    let start = MonotonicClock.seconds()
    if shares.count == 1 {
      _ = try BenchFailure.translating { () throws(StagingError) in try shares[0].run() }
    } else {
      try ParallelWork.run(count: shares.count, workerCount: shares.count, { () throws(BenchFailure) in }) {
        (_: Void, number) throws(BenchFailure) in
        _ = try BenchFailure.translating { () throws(StagingError) in try shares[number].run() }
      }
    }
    return MonotonicClock.seconds() - start
  }

  /// Copying writes of distinct buffers into a tree that has had that much before, beside copies between regions of memory.
  private func measureCopies(_ runNumber: Int, into figures: inout FigureSet) throws(BenchFailure) {
    let byteCount = largeByteCount / StagingCase.largePieceByteCount * StagingCase.largePieceByteCount
    let buffers = (0..<64).map { [UInt8](repeating: UInt8($0), count: StagingCase.largePieceByteCount) }
    let copy = try MemoryCopy(byteCount, workerCount: 1)
    let tree = try BenchFailure.translating { () throws(StagingError) in
      try StagingFileSystem(quota: byteCount + (64 << 20))
    }
    func write() throws(BenchFailure) -> Double {
      let start = MonotonicClock.seconds()
      try BenchFailure.translating { () throws(StagingError) in
        let handle = try tree.open("/stream", .write)
        for number in 0..<(byteCount / StagingCase.largePieceByteCount) { try handle.write(buffers[number % 64]) }
        try handle.close()
      }
      let seconds = MonotonicClock.seconds() - start
      try BenchFailure.translating { () throws(StagingError) in try tree.remove("/stream") }
      return Double(byteCount) / 1e9 / seconds
    }
    _ = try write()
    figures.add(
      "copying_write", run: runNumber,
      try alternating(
        runNumber, { () throws(BenchFailure) in try write() },
        { () throws(BenchFailure) in Double(byteCount) / 1e9 / (try copy.seconds(run.interruption)) }))
  }
}
