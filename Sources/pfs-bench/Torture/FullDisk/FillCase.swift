import SegmentStore
import StorageIO

/// A command on a disk with so many bytes free, and what can be done there then.
struct FillPoint: Hashable, Sendable {
  /// Levels are so far from each other.
  static let stepByteCount = 4096

  let kind: DiskKind
  let scenario: FaultScenario
  /// The steps that are free.
  let level: Int

  var text: String { "\(kind.rawValue) \(scenario.name) \(level)" }

  init(_ kind: DiskKind, _ scenario: FaultScenario, _ level: Int) {
    self.kind = kind
    self.scenario = scenario
    self.level = level
  }

  init?(_ text: String) {
    let words = text.split(separator: " ").map(String.init)
    guard words.count == 3, let kind = DiskKind(rawValue: words[0]),
      let scenario = FaultScenario.all.first(where: { $0.name == words[1] }), let level = Int(words[2]), level >= 0
    else { return nil }
    self.init(kind, scenario, level)
  }

  /// What must work however full the disk is.
  var alwaysWorks: Bool {
    switch scenario.effect {
    case .deletes, .compacts: true
    case .nothing: scenario.name != "get"
    default: false
    }
  }
}

/// One mounted disk and the stage on it.
final class FillDisk {
  let stage: FaultStage
  private let fileSystem: MountedFileSystem
  private let starts: FaultStarts
  /// Outside of the disk.
  private let copy: FilePath
  private let filler: FilePath
  /// Less is as good as returned: what the file system keeps for itself.
  private static let slackByteCount = 1 << 20

  init(_ kind: DiskKind, in directory: FilePath, _ bench: FaultBench) throws(BenchFailure) {
    starts = bench.starts
    fileSystem = try MountedFileSystem(kind, in: directory)
    stage = try bench.stage(in: fileSystem.root.appending("stage"))
    copy = directory.appending("copy")
    filler = fileSystem.root.appending("filler")
  }

  func unmount() throws(BenchFailure) { try fileSystem.unmount() }

  private func measureFree() throws(BenchFailure) -> Int {
    try BenchFailure.translating { () throws(SystemCallFailure) in try FileSystem.freeByteCount(at: fileSystem.root) }
  }

  private func removeFiller() throws(BenchFailure) {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      try Tree.remove(filler)
      // What was removed is free when that is on the disk.
      try Directory.open(fileSystem.root).sync()
    }
  }

  /// Takes all but `byteCount` bytes.
  private func fill(leaving byteCount: Int) throws(BenchFailure) {
    try removeFiller()
    let root = fileSystem.root
    try BenchFailure.translating { () throws(SystemCallFailure) in
      let file = try File.open(filler, [.write, .createNew])
      var size = 0
      var piece = Int.max
      while piece >= FillPoint.stepByteCount {
        let wanted = (try FileSystem.freeByteCount(at: root) - byteCount) & ~(FillPoint.stepByteCount - 1)
        piece = min(piece, wanted)
        guard piece >= FillPoint.stepByteCount else { break }
        do throws(SystemCallFailure) {
          try file.allocate(size..<size + piece)
          size += piece
        } catch  where error.isNoSpace {
          // The file system takes some for its own records of the file.
          piece = (piece / 2) & ~(FillPoint.stepByteCount - 1)
        }
      }
    }
  }

  /// Runs the command with so much free; nothing is checked.
  private func ending(of point: FillPoint) throws(BenchFailure) -> TortureProgram.Ending {
    try removeFiller()
    try stage.reset(to: starts.image(point.scenario.start))
    try fill(leaving: point.level * FillPoint.stepByteCount)
    return try stage.run(point.scenario)
  }

  /// The first level at which the command is known to succeed.
  func need(_ kind: DiskKind, _ scenario: FaultScenario) throws(BenchFailure) -> Int {
    var (low, high) = (0, 4096)
    while low < high {
      let middle = (low + high) / 2
      if try ending(of: FillPoint(kind, scenario, middle)).succeeded { high = middle } else { low = middle + 1 }
    }
    return low
  }

  // MARK: What must hold

  /// - Returns: Whether the command succeeded.
  func run(_ point: FillPoint) throws(CaseFailure) -> Bool {
    let (stage, scenario, fileSystem) = (stage, point.scenario, fileSystem)
    let (ending, emptyByteCount) = try CaseFailure.harness { () throws(BenchFailure) in
      try removeFiller()
      try stage.reset(to: starts.image(scenario.start))
      try BenchFailure.translating { () throws(SystemCallFailure) in try Directory.open(fileSystem.root).sync() }
      let freeByteCount = try measureFree()
      return (try self.ending(of: point), freeByteCount)
    }
    do throws(CaseFailure) {
      try checkEnding(ending, point)
      var start = starts.state(scenario.start)
      try checkFull(ending, scenario, &start)
      try CaseFailure.harness { () throws(BenchFailure) in try removeFiller() }
      try checkEmpty(ending, scenario, start, emptyByteCount)
    } catch {
      guard case .promise(let kind, let message) = error else { throw error }
      throw .promise(kind, "\(ending): \(message)")
    }
    return ending.succeeded
  }

  private func checkEnding(_ ending: TortureProgram.Ending, _ point: FillPoint) throws(CaseFailure) {
    if ending.isTooLong { throw .promise(.hang, "it took more than \(TortureProgram.limitSeconds) s") }
    if let signal = ending.outcome.signal { throw .promise(.crash, "it died of signal \(signal)") }
    let statuses: Set<Int32> = point.alwaysWorks ? [0] : [0, 6]
    try CaseFailure.demand(
      statuses.contains(ending.outcome.exitStatus ?? -1), .outcome, "expected exit status \(statuses.sorted())")
  }

  /// What was there can be read, and deleted with no byte free.
  private func checkFull(
    _ ending: TortureProgram.Ending, _ scenario: FaultScenario, _ start: inout StoreState
  ) throws(CaseFailure) {
    if scenario.start == .withoutIndex && !ending.succeeded { return }
    guard start.files.values.contains("kept") else { return }
    let (stage, copy) = (stage, copy)
    let path = String(decoding: copy.bytes, as: UTF8.self)
    let (listed, got, deleted) = try CaseFailure.harness { () throws(BenchFailure) in
      let listed = try stage.run(["list"])
      let got = try stage.run(["get", "--force", "kept", "-o", path])
      try fill(leaving: 0)
      return (listed, got, try stage.run(["delete", "doomed"]))
    }
    try CaseFailure.demand(listed.succeeded, .outcome, "on the full disk \(listed)")
    try CaseFailure.demand(got.succeeded, .outcome, "on the full disk \(got)")
    let bytes = try CaseFailure.harness { () throws(SystemCallFailure) in try Tree.bytes(of: copy) }
    try CaseFailure.demand(bytes == stage.sources.contents["kept"], .wrongBytes, "the restored file differs")
    guard start.files.values.contains("doomed") else { return }
    if case .deletes = scenario.effect { return }
    try CaseFailure.demand(deleted.succeeded, .outcome, "with no byte free \(deleted)")
    start.files = start.files.filter { $0.value != "doomed" }
  }

  /// With room again: all is as it was said, and what was taken is back.
  private func checkEmpty(
    _ ending: TortureProgram.Ending, _ scenario: FaultScenario, _ start: StoreState, _ emptyByteCount: Int
  ) throws(CaseFailure) {
    let (stage, copy) = (stage, copy)
    let isMade = try CaseFailure.harness { () throws(SystemCallFailure) in try Tree.exists(stage.store) }
    if !isMade {
      let again = try CaseFailure.harness { () throws(BenchFailure) in try stage.run(FaultScenario.initialize) }
      try CaseFailure.demand(scenario.effect == .makes && again.succeeded, .unopenable, "with room again \(again)")
    }
    let inspection = StoreInspection(store: stage.store, copy: copy, sources: stage.sources)
    try inspection.open(isRebuiltIfDamaged: scenario.effect == .rebuilds && !ending.succeeded)
    let state = try inspection.state()
    try EffectCheck(scenario: scenario, start: start).check(state, after: ending)
    _ = try inspection.probe(state.with(lastID: start.lastID))
    guard !ending.succeeded, scenario.effect != .makes else { return }
    let freeByteCount = try CaseFailure.harness { () throws(BenchFailure) in
      try removeFiller()
      return try measureFree()
    }
    try CaseFailure.demand(
      freeByteCount >= emptyByteCount - FillDisk.slackByteCount, .inconsistent,
      "space is not given back: \(freeByteCount) bytes are free, \(emptyByteCount) were before")
  }
}
