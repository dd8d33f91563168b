import CommandSupport
import Console
import SegmentStore
import StorageIO

/// What a compaction moves in a second, beside a copy of a file of as many bytes, both durable at their ends.
struct CompactionSpeed: Sendable {
  private static let pieceByteCount = 1 << 20

  let settings: ChurnSettings
  let run: BenchRun

  func measure(into figures: inout FigureSet) throws(BenchFailure) {
    let large = ThinnedStore.Shape.largeFiles(settings)
    try measure(large, "compaction_large", "in parts of \(ByteSize.text(large.largeByteCount))", into: &figures)
    try measure(.manyFiles, "compaction", "in parts of 3 and 96 KiB", into: &figures)
  }

  private func measure(
    _ shape: ThinnedStore.Shape, _ name: String, _ parts: String, into figures: inout FigureSet
  ) throws(BenchFailure) {
    figures.declare(
      Figure(
        name, "compaction of \(ByteSize.text(settings.liveByteCount)) \(parts)", .gigabytesPerSecond,
        beside: "file copy and sync", target: .atLeastRatio(0.6)))
    for runNumber in 1...run.settings.runCount {
      let store = try ThinnedStore(settings, shape, run)
      try store.thinOut()
      let original = try run.makeSource("original", byteCount: settings.liveByteCount)
      let speeds = try alternating(
        runNumber,
        { () throws(BenchFailure) in
          let start = MonotonicClock.seconds()
          let movedByteCount = try store.store.compact(to: 1).movedByteCount
          guard movedByteCount > 0 else { throw BenchFailure(.failed, "the compaction found nothing to move") }
          return Double(movedByteCount) / 1e9 / (MonotonicClock.seconds() - start)
        }, { () throws(BenchFailure) in try copySpeed(original) })
      figures.add(name, run: runNumber, speeds)
      try store.remove()
      try run.workspace.remove("original", "copy")
      try run.note(
        "run \(runNumber)/\(run.settings.runCount), \(name): \(FixedPoint.text(speeds.value, decimals: 2)) GB/s, "
          + "copy: \(FixedPoint.text(speeds.peer, decimals: 2)) GB/s")
    }
  }

  /// GB a second.
  private func copySpeed(_ original: FilePath) throws(BenchFailure) -> Double {
    let byteCount = settings.liveByteCount
    let start = MonotonicClock.seconds()
    try BenchFailure.translating { () throws(SystemCallFailure) in
      let (from, to) = (try File.open(original), try File.open(run.workspace.file("copy"), [.write, .createNew]))
      let region = try MemoryRegion(byteCount: CompactionSpeed.pieceByteCount)
      for offset in stride(from: 0, to: byteCount, by: CompactionSpeed.pieceByteCount) {
        let count = try region.withMutableBytes(0..<CompactionSpeed.pieceByteCount) {
          (bytes) throws(SystemCallFailure) in try from.read(into: &bytes, at: offset)
        }
        try region.withBytes(0..<count) { (bytes) throws(SystemCallFailure) in try to.write(bytes, at: offset) }
      }
      try to.sync()
    }
    return Double(byteCount) / 1e9 / (MonotonicClock.seconds() - start)
  }
}
