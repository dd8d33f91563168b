/// All that a sweep measured, and what follows from it.
///
/// Who goes first matters, most of all in a virtual machine, where a page that was freed a moment ago is filled again
/// in far less time than one that the host has to provide: see ``Spread/init(balancing:)``.
struct SweepResult: Sendable {
  /// A target of the project, and how one figure stands to it.
  struct Verdict: Hashable, Sendable {
    let target: String
    let limit: String
    let value: Double
    let bound: Double
    let isMet: Bool
    /// `ratio`, `bytes` or `commands`.
    let unit: String
  }

  /// The least share of the bare work's speed.
  static let leastShareOfBare = 0.85
  /// The least share of the largest limit's speed that the smallest limit has.
  static let leastShareOfLargestLimit = 0.80
  /// What a process may take beyond its limit: code and tables that do not grow with the work.
  static let anonymousAllowanceByteCount = 16 << 20

  let inputByteCount: Int
  let limits: [MemoryLimit]
  let samples: [SweepSample]
  let hardLimits: HardLimits.Outcome

  func samples(at limit: MemoryLimit) -> [SweepSample] { samples.filter { sample in sample.limit == limit } }

  /// MB (1,000,000 bytes) of input a second.
  func megabytesPerSecond(_ figures: StepFigures) -> Double { Double(inputByteCount) / 1e6 / figures.wallSeconds }

  func speed(_ step: SweepStep, at limit: MemoryLimit) -> Spread? {
    Spread(samples(at: limit).map { sample in megabytesPerSecond(step.figures(sample.pfs)) })
  }

  func bareSpeed(_ step: SweepStep) -> Spread? {
    Spread(samples.map { sample in megabytesPerSecond(step.figures(sample.bare)) })
  }

  /// The speed of pfs as a share of the bare work's beside it; ratios first, then their median.
  func shareOfBare(_ step: SweepStep, at limit: MemoryLimit) -> Spread? {
    balanced(limit) { sample in step.figures(sample.bare).wallSeconds / step.figures(sample.pfs).wallSeconds }
  }

  /// The processor time of the bare work as a share of what pfs took beside it: as ``shareOfBare(_:at:)``, but blind to
  /// waiting, and to others who use the machine.
  func processorShareOfBare(_ step: SweepStep, at limit: MemoryLimit) -> Spread? {
    balanced(limit) { sample in
      step.figures(sample.bare).processorSeconds / step.figures(sample.pfs).processorSeconds
    }
  }

  /// The speed at `limit` as a share of the speed at the largest limit in the same run.
  func shareOfLargestLimit(_ step: SweepStep, at limit: MemoryLimit) -> Spread? {
    guard let largest = limits.max(by: { $0.byteCount < $1.byteCount }) else { return nil }
    return balanced(limit) { sample in
      let other = samples(at: largest).first { other in other.runNumber == sample.runNumber } ?? sample
      return step.figures(other.pfs).wallSeconds / step.figures(sample.pfs).wallSeconds
    }
  }

  /// The ratios at `limit`.
  private func balanced(_ limit: MemoryLimit, _ ratio: (SweepSample) -> Double) -> Spread? {
    Spread(balancing: samples(at: limit).map { sample in (ratio(sample), sample.bareWasFirst) })
  }

  func hardLimit(_ step: HardLimits.Step, at limit: MemoryLimit) -> HardLimits.Sample? {
    hardLimits.samples.first { $0.limit == limit && $0.step == step }
  }

  /// The share of the machine that everything else took while something was measured.
  func othersShare(processorCount: Int) -> Double {
    let steps = samples.flatMap { [$0.pfs.put, $0.pfs.get, $0.bare.put, $0.bare.get] }
    let wallSeconds = steps.reduce(0) { $0 + $1.wallSeconds }
    return steps.reduce(0) { $0 + $1.othersSeconds } / (wallSeconds * Double(processorCount))
  }

  func peakAnonymousByteCount(at limit: MemoryLimit) -> Int {
    samples(at: limit).flatMap { [$0.pfs.put, $0.pfs.get] }.map(\.peakAnonymousByteCount).max() ?? 0
  }

  var verdicts: [Verdict] {
    var verdicts: [Verdict] = []
    for step in SweepStep.allCases {
      for limit in limits {
        guard let share = shareOfBare(step, at: limit) else { continue }
        verdicts.append(
          SweepResult.atLeast(
            SweepResult.leastShareOfBare, share, "\(step.rawValue) against bare zlib", limit.text))
      }
    }
    if let smallest = limits.min(by: { $0.byteCount < $1.byteCount }),
      let largest = limits.max(by: { $0.byteCount < $1.byteCount }), smallest.byteCount < largest.byteCount
    {
      for step in SweepStep.allCases {
        guard let share = shareOfLargestLimit(step, at: smallest) else { continue }
        verdicts.append(
          SweepResult.atLeast(
            SweepResult.leastShareOfLargestLimit, share, "\(step.rawValue) against --memory \(largest.text)",
            smallest.text))
      }
    }
    for limit in limits {
      let bound = limit.byteCount + SweepResult.anonymousAllowanceByteCount
      let peak = peakAnonymousByteCount(at: limit)
      verdicts.append(
        Verdict(
          target: "peak RssAnon, limit + 16 MiB", limit: limit.text, value: Double(peak), bound: Double(bound),
          isMet: peak <= bound, unit: "bytes"))
    }
    for limit in limits {
      let steps = hardLimits.samples.filter { $0.limit == limit }
      if steps.isEmpty { continue }
      let doneCount = steps.count(where: \.isDone)
      verdicts.append(
        Verdict(
          target: "commands that end well where the kernel allows no more than the limit and 16 MiB", limit: limit.text,
          value: Double(doneCount), bound: Double(HardLimits.Step.allCases.count),
          isMet: doneCount == HardLimits.Step.allCases.count, unit: "commands"))
    }
    return verdicts
  }

  private static func atLeast(_ bound: Double, _ share: Spread, _ target: String, _ limit: String) -> Verdict {
    Verdict(
      target: target, limit: limit, value: share.median, bound: bound, isMet: share.median >= bound, unit: "ratio")
  }
}
