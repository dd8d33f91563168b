import CommandSupport
import Console
import StorageIO

/// A store with one large file: a range of it, rebuild with and without footers, and verify.
struct LargeFile: Sendable {
  static let leastByteCount = 2 * BenchCorpus.sectionByteCount
  private static let rangeByteCount = 1 << 20

  let byteCount: Int
  let run: BenchRun
  private let corpus: BenchCorpus

  private var store: FilePath { run.workspace.file("large") }

  init(byteCount: Int, run: BenchRun) {
    self.byteCount = byteCount
    self.run = run
    corpus = BenchCorpus(.compressible, seed: run.settings.seed)
  }

  func measure(into figures: inout FigureSet) throws(BenchFailure) {
    let hasRange = try run.program.has(option: "--range", of: "get")
    let hasVerify = try run.program.has(option: "--fast", of: "verify")
    declare(in: &figures, hasRange: hasRange, hasVerify: hasVerify)
    try prepare()
    let segments = try SegmentFiles(of: store)
    for runNumber in 1...run.settings.runCount {
      if hasRange { try measureRange(runNumber, &figures) }
      try measureSearch(runNumber, segments, &figures)
      // Last, so that the index says of every segment what its footer does.
      try measureRebuild(runNumber, segments, &figures)
      try measureVerify(runNumber, segments, &figures, hasVerify: hasVerify)
      try run.note("run \(runNumber)/\(run.settings.runCount), \(ByteSize.text(segments.byteCount)) of segments: done")
    }
    try run.workspace.remove("large")
  }

  private func declare(in figures: inout FigureSet, hasRange: Bool, hasVerify: Bool) {
    figures.declare(
      Figure(
        "range", "'pfs get --range' of 1 MiB out of \(ByteSize.text(byteCount)), warm", .milliseconds,
        beside: "out of \(ByteSize.text(BenchCorpus.sectionByteCount))", target: .atMost(20),
        skipReason: hasRange ? nil : "this pfs has no 'get --range'"))
    figures.declare(
      Figure("rebuild_footers", "'pfs rebuild' from footers, cold", .gigabytesPerSecond, target: .atLeast(5)))
    figures.declare(
      Figure(
        "rebuild_search", "'pfs rebuild' without footers, cold", .gigabytesPerSecond, beside: "read(2), one thread",
        target: .atLeastRatio(0.8)))
    figures.declare(
      Figure(
        "verify_fast", "'pfs verify --fast', cached", .gigabytesPerSecond, beside: "memory copy",
        target: .atLeastRatio(0.7), skipReason: hasVerify ? nil : "this pfs has no 'verify --fast'"))
    // What verify cannot do without, in the two ways that there are.
    figures.declare(
      Figure("checksum_mapped", "CRC-32C of mapped segments, cached", .gigabytesPerSecond, beside: "memory copy"))
    figures.declare(
      Figure("checksum_read", "CRC-32C of segments read(2), cached", .gigabytesPerSecond, beside: "memory copy"))
  }

  private func prepare() throws(BenchFailure) {
    try run.requireSpace(byteCount + byteCount / 2)
    try run.note("making and storing \(ByteSize.text(byteCount))")
    for (name, byteCount) in [("small", BenchCorpus.sectionByteCount), ("large-file", byteCount)] {
      let file = run.workspace.file(name)
      try corpus.write(byteCount, to: file, workerCount: run.settings.workerCount, run.interruption)
      _ = try run.program.run(
        ["put", "--codec", "zlib", "--level", "1", "--part-size", "1MiB", "--"], store: store, operands: [file.bytes])
      try run.workspace.remove(name)
    }
  }

  // MARK: Range

  private func measureRange(_ runNumber: Int, _ figures: inout FigureSet) throws(BenchFailure) {
    // Another place in each run.
    let lastSection = byteCount / BenchCorpus.sectionByteCount - 1
    let speeds = try alternating(
      runNumber,
      { () throws(BenchFailure) in
        try rangeMilliseconds("large-file", section: lastSection * runNumber / run.settings.runCount, &figures)
      }, { () throws(BenchFailure) in try rangeMilliseconds("small", section: 0, &figures) })
    figures.add("range", run: runNumber, speeds)
  }

  private func rangeMilliseconds(
    _ name: String, section: Int, _ figures: inout FigureSet
  ) throws(BenchFailure) -> Double {
    // Not on the border of a part; and what is got there is known.
    let offset = 1_500_000
    let expected = Array(corpus.section(section)[offset..<(offset + LargeFile.rangeByteCount)])
    let start = section * BenchCorpus.sectionByteCount + offset
    // The first one, which warms, is not counted.
    _ = try range(name, start, expected)
    return try ManyParts.median { () throws(BenchFailure) in
      let get = try range(name, start, expected)
      figures.watch(get)
      return get.outcome.wallSeconds * 1000
    }
  }

  private func range(_ name: String, _ start: Int, _ expected: [UInt8]) throws(BenchFailure) -> ProgramRun {
    let range = "\(start)-\(start + expected.count - 1)"
    let get = try run.program.run(["get", name, "--range", range, "-o", "-"], store: store)
    guard get.outcome.standardOutput == expected else {
      throw BenchFailure(.different, "'pfs get --range \(range)': the bytes are not those that were stored")
    }
    return get
  }

  // MARK: Rebuild

  private func measureSearch(
    _ runNumber: Int, _ segments: SegmentFiles, _ figures: inout FigureSet
  ) throws(BenchFailure) {
    try segments.cutFooters()
    let speeds = try alternating(
      runNumber,
      { () throws(BenchFailure) in
        segments.gigabytesPerSecond(
          try rebuildSeconds(segments, searching: segments.count, &figures))
      },
      { () throws(BenchFailure) in
        try segments.forgetCached()
        return segments.gigabytesPerSecond(try segments.readSeconds(workerCount: 1, run.interruption))
      })
    figures.add("rebuild_search", run: runNumber, speeds)
    try segments.restoreFooters()
  }

  private func measureRebuild(
    _ runNumber: Int, _ segments: SegmentFiles, _ figures: inout FigureSet
  ) throws(BenchFailure) {
    let seconds = try rebuildSeconds(segments, searching: segments.count - segments.sealedCount, &figures)
    figures.add("rebuild_footers", run: runNumber, segments.gigabytesPerSecond(seconds))
  }

  /// - Parameter searchedCount: of how many segments every byte has to be read.
  private func rebuildSeconds(
    _ segments: SegmentFiles, searching searchedCount: Int, _ figures: inout FigureSet
  ) throws(BenchFailure) -> Double {
    try segments.forgetCached()
    let rebuild = try run.program.run(["--json", "rebuild"], store: store)
    figures.watch(rebuild)
    let line = String(decoding: rebuild.outcome.standardOutput, as: UTF8.self)
    let label = "\"searched_segments\":"
    let digits = line.firstRange(of: label).map { line[$0.upperBound...].prefix(while: \.isNumber) }
    guard digits.flatMap({ Int($0) }) == searchedCount else {
      throw BenchFailure(.failed, "'pfs rebuild' was to search \(searchedCount) segments, and says: \(line)")
    }
    return rebuild.outcome.wallSeconds
  }

  // MARK: Verify

  private func measureVerify(
    _ runNumber: Int, _ segments: SegmentFiles, _ figures: inout FigureSet, hasVerify: Bool
  ) throws(BenchFailure) {
    let workerCount = run.settings.workerCount
    let interruption = run.interruption
    // Nothing is left to be read from the disk.
    _ = try segments.readSeconds(workerCount: workerCount, interruption)
    let copy = try MemoryCopy(segments.byteCount, workerCount: workerCount)
    func measure(_ name: String, _ seconds: () throws(BenchFailure) -> Double) throws(BenchFailure) {
      let speeds = try alternating(
        runNumber, { () throws(BenchFailure) in segments.gigabytesPerSecond(try seconds()) },
        { () throws(BenchFailure) in segments.gigabytesPerSecond(try copy.seconds(interruption)) })
      figures.add(name, run: runNumber, speeds)
    }
    if hasVerify {
      try measure("verify_fast") { () throws(BenchFailure) in
        let verify = try run.program.run(["verify", "--fast"], store: store)
        figures.watch(verify)
        return verify.outcome.wallSeconds
      }
    }
    try measure("checksum_mapped") { () throws(BenchFailure) in
      try segments.mappedChecksumSeconds(workerCount: workerCount, interruption)
    }
    try measure("checksum_read") { () throws(BenchFailure) in
      try segments.readSeconds(workerCount: workerCount, checksums: true, interruption)
    }
  }
}
