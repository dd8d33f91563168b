import CommandSupport
import Console
import StorageIO

/// Measures puts and gets at each limit, each beside the bare work, several times over.
struct Sweep: Sendable {
  let settings: SweepSettings
  let input: FilePath
  let inputByteCount: Int
  let run: BenchRun

  /// Runs everything; the order of limits is turned by one from run to run, so that a machine that gets slower or
  /// faster favours none. In odd runs pfs goes first, in even ones the bare work: see ``SweepResult``.
  func measure() throws(BenchFailure) -> SweepResult {
    var samples: [SweepSample] = []
    for runNumber in 1...settings.common.runCount {
      for position in settings.limits.indices {
        let index = (position + runNumber - 1) % settings.limits.count
        let bareIsFirst = runNumber.isMultiple(of: 2)
        let sample = try sample(runNumber, settings.limits[index], bareIsFirst: bareIsFirst)
        samples.append(sample)
        try run.note(line(sample))
      }
    }
    let hardLimits = try HardLimits(input: input, limits: settings.limits, run: run).measure()
    return SweepResult(
      inputByteCount: inputByteCount, limits: settings.limits, samples: samples, hardLimits: hardLimits)
  }

  private func sample(
    _ runNumber: Int, _ limit: MemoryLimit, bareIsFirst: Bool
  ) throws(BenchFailure) -> SweepSample {
    let firstBare = bareIsFirst ? try measureBare() : nil
    let pfs = try measurePFS(limit)
    let bare = if let firstBare { firstBare } else { try measureBare() }
    return SweepSample(runNumber: runNumber, limit: limit, bareWasFirst: bareIsFirst, pfs: pfs, bare: bare)
  }

  private func measurePFS(_ limit: MemoryLimit) throws(BenchFailure) -> RoundTripFigures {
    let store = run.workspace.file("store")
    let output = run.workspace.file("restored")
    let (put, id) = try run.program.put(input, store: store, limit: limit)
    let storedByteCount = try run.workspace.byteCount(of: "store")
    let get = try run.program.get(id, store: store, output: output, limit: limit)
    try FileComparison.requireEqual(input, output, workerCount: settings.common.workerCount, run.interruption)
    try run.workspace.remove("store", "restored")
    return RoundTripFigures(put: put, get: get, storedByteCount: storedByteCount)
  }

  private func measureBare() throws(BenchFailure) -> RoundTripFigures {
    let streams = run.workspace.file("streams")
    let output = run.workspace.file("inflated")
    let put = StepFigures(try run.bare(.zlib, "put", input, streams))
    let storedByteCount = try run.workspace.byteCount(of: "streams")
    let get = StepFigures(try run.bare(.zlib, "get", streams, output))
    try FileComparison.requireEqual(input, output, workerCount: settings.common.workerCount, run.interruption)
    try run.workspace.remove("streams", "streams.table", "inflated")
    return RoundTripFigures(put: put, get: get, storedByteCount: storedByteCount)
  }

  private func line(_ sample: SweepSample) -> String {
    func speed(_ figures: StepFigures) -> String {
      FixedPoint.text(Double(inputByteCount) / 1e6 / figures.wallSeconds, decimals: 0)
    }
    return
      "run \(sample.runNumber)/\(settings.common.runCount), \(sample.limit.text): put \(speed(sample.pfs.put)) MB/s "
      + "(bare \(speed(sample.bare.put))), get \(speed(sample.pfs.get)) MB/s (bare \(speed(sample.bare.get)))"
  }
}
