import CommandSupport
import Console
import SegmentStore
import StorageIO

/// Segments out of which every other small file was punched, beside segments that were never punched and have as much
/// alive: how long it takes to read all of it, and to unlink them.
struct PunchedSegments: Sendable {
  /// As many records to a segment: half as many holes.
  private static let recordCount = 1024

  let settings: ChurnSettings
  let run: BenchRun

  func measure(into figures: inout FigureSet) throws(BenchFailure) {
    let live = ByteSize.text(settings.liveByteCount)
    figures.declare(
      Figure("read_punched", "get of \(live) out of punched segments, cold", .gigabytesPerSecond, beside: "unpunched"))
    figures.declare(
      Figure("unlink_punched", "unlink of punched segments, \(live) alive", .milliseconds, beside: "unpunched"))
    figures.declare(Figure("punched_extents", "extents of a punched segment", .extents))
    let fileByteCount = max(ChurnSettings.smallFileByteCount, settings.segmentByteCount / PunchedSegments.recordCount)
    let source = try run.makeSource("source", byteCount: fileByteCount)
    let fileCount = settings.liveByteCount / fileByteCount
    for runNumber in 1...run.settings.runCount {
      let punched = try ChurnedStore("punched", settings, run)
      let ids = try punched.put(source, count: 2 * fileCount)
      for (number, id) in ids.enumerated() where number % 2 == 1 { try punched.delete(id) }
      let whole = try ChurnedStore("whole", settings, run)
      let wholeIDs = try whole.put(source, count: fileCount)
      let keptIDs = ids.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
      try run.syncFileSystem()
      let speeds = try alternating(
        runNumber, { () throws(BenchFailure) in try readSpeed(punched, keptIDs, fileByteCount) },
        { () throws(BenchFailure) in try readSpeed(whole, wholeIDs, fileByteCount) })
      figures.add("read_punched", run: runNumber, speeds)
      try punched.close()
      try whole.close()
      figures.add("punched_extents", run: runNumber, try mostExtents(of: punched))
      try run.syncFileSystem()
      let times = try alternating(
        runNumber, { () throws(BenchFailure) in try unlinkMilliseconds(punched) },
        { () throws(BenchFailure) in try unlinkMilliseconds(whole) })
      figures.add("unlink_punched", run: runNumber, times)
      try run.workspace.remove("punched", "whole")
      try run.note(
        "run \(runNumber)/\(run.settings.runCount), punched: unlink \(FixedPoint.text(times.value, decimals: 1)) ms, "
          + "unpunched: \(FixedPoint.text(times.peer, decimals: 1)) ms")
    }
    try run.workspace.remove("source")
  }

  /// GB a second, of files.
  private func readSpeed(_ store: ChurnedStore, _ ids: [FileID], _ byteCount: Int) throws(BenchFailure) -> Double {
    try SegmentFiles(of: store.path).forgetCached()
    let output = try ChurnedStore.nowhere()
    let start = MonotonicClock.seconds()
    for id in ids {
      try run.interruption.check()
      try store.get(id, to: output)
    }
    return Double(ids.count * byteCount) / 1e9 / (MonotonicClock.seconds() - start)
  }

  private func segments(of store: ChurnedStore) throws(SystemCallFailure) -> (directory: Directory, names: [[UInt8]]) {
    let directory = try Directory.open(store.path.appending("segments"))
    return (directory, try directory.entries())
  }

  private func mostExtents(of store: ChurnedStore) throws(BenchFailure) -> Double {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      let (directory, names) = try segments(of: store)
      var most = 0
      for name in names { most = max(most, try directory.open(name, []).extentCount() ?? 0) }
      return Double(most)
    }
  }

  /// The time for all of them, made durable.
  private func unlinkMilliseconds(_ store: ChurnedStore) throws(BenchFailure) -> Double {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      let (directory, names) = try segments(of: store)
      let start = MonotonicClock.seconds()
      for name in names { try directory.removeFile(name) }
      try directory.sync()
      return (MonotonicClock.seconds() - start) * 1000
    }
  }
}
