import StorageIO
import Synchronization

/// Commands on a disk that fails: blocks that cannot be read, writes and flushes that are refused, and power that is lost
/// between two writes.
struct FaultyDiskSweep: Sendable {
  let run: TortureRun
  let bench: FaultBench
  private let images: [FaultScenario.Start: DiskImage]

  /// Why there can be none here; nil when there can.
  static func obstacle() throws(BenchFailure) -> String? {
    if let obstacle = try DiskKind.ext4.obstacle() { return obstacle }
    let hasFUSE = try BenchFailure.translating { () throws(SystemCallFailure) in try Tree.exists("/dev/fuse") }
    return hasFUSE ? nil : "there is no /dev/fuse"
  }

  init(_ run: TortureRun, _ bench: FaultBench) throws(BenchFailure) {
    self.run = run
    self.bench = bench
    var images: [FaultScenario.Start: DiskImage] = [:]
    for start in FaultScenario.Start.allCases {
      images[start] = try DiskImage.ext4(in: run.workspace.path) { (root) throws(BenchFailure) in
        try bench.stage(in: root.appending("stage")).reset(to: bench.starts.image(start))
      }
    }
    self.images = images
  }

  // MARK: Reads

  func meetBadBlocks(share: Double) throws(BenchFailure) {
    guard let image = images[.plain] else { return }
    let found = Mutex<[BadBlocks.Block]>([])
    try withDisks(image) { (disk, stage, _) throws(BenchFailure) in
      try disk.mount()
      let blocks = try BadBlocks.blocks(of: stage.store)
      found.withLock { $0 = blocks }
    } each: { (_, _, _) throws(BenchFailure) in
      false
    }
    let blocks = run.shuffled(found.withLock { $0 })
    run.count("bad blocks: there are", blocks.count)
    run.count("bad blocks: tried", 0)
    let queue = CaseQueue(blocks)
    try withDisks(image) { (disk, _, _) throws(BenchFailure) in
      try disk.mount()
    } each: { (disk, stage, copy) throws(BenchFailure) in
      let bad = BadBlocks(disk: disk, stage: stage, state: bench.starts.state(.plain), copy: copy)
      guard let block = queue.next(), try run.nextCase(share: share) != nil else {
        try record("after all bad blocks", "") { () throws(CaseFailure) in try bad.checkWhole() }
        return false
      }
      try meet(block, bad)
      return true
    }
  }

  private func meet(_ block: BadBlocks.Block, _ bad: BadBlocks) throws(BenchFailure) {
    let place = "block at \(block.fileOffset) of \(block.file)"
    try record("\(place) cannot be read", "disk-read \(block.file) \(block.fileOffset)") { () throws(CaseFailure) in
      if try bad.run(block) { run.count("bad blocks: met") }
    }
    run.count("bad blocks: tried")
  }

  // MARK: Writes

  func meetBadWrites(share: Double) throws(BenchFailure) {
    guard let image = images[.plain] else { return }
    let found = Mutex<[BadWritePoint]>([])
    try withDisks(image, workerCount: 1) { (disk, stage, copy) throws(BenchFailure) in
      let writes = badWrites(disk, stage, copy)
      for scenario in FaultScenario.writing {
        let counts = try writes.counts(scenario)
        for (isFlush, count) in [(false, counts.writes), (true, counts.flushes)] {
          for number in 0..<count {
            for isSticky in [false, true] {
              let point = BadWritePoint(scenario, isFlush: isFlush, isSticky: isSticky, number + 1)
              found.withLock { $0.append(point) }
            }
          }
        }
      }
    } each: { (_, _, _) throws(BenchFailure) in
      false
    }
    let points = run.shuffled(found.withLock { $0 })
    run.count("bad writes and flushes: there are", points.count)
    run.count("bad writes and flushes: tried", 0)
    let queue = CaseQueue(points)
    try withDisks(image) { (_, _, _) throws(BenchFailure) in
    } each: { (disk, stage, copy) throws(BenchFailure) in
      guard let point = queue.next(), try run.nextCase(share: share) != nil else { return false }
      try meet(point, badWrites(disk, stage, copy))
      return true
    }
  }

  private func badWrites(_ disk: FaultyFileSystem, _ stage: FaultStage, _ copy: FilePath) -> BadWrites {
    BadWrites(disk: disk, stage: stage, images: images, starts: bench.starts, copy: copy)
  }

  /// - Returns: Whether the fault came.
  @discardableResult private func meet(_ point: BadWritePoint, _ writes: BadWrites) throws(BenchFailure) -> Bool {
    var isMet = false
    let place = "\(point.isFlush ? "flush" : "write") \(point.number) of the disk fails"
    try record("\(point.scenario.name): \(place)\(point.isSticky ? ", and all later ones" : "")", point.text) {
      () throws(CaseFailure) in
      let outcome = try writes.run(point)
      isMet = outcome.isMet
      if isMet { run.count("bad writes and flushes: met") }
      if !outcome.isFileSystemSound { run.count("bad writes and flushes: broke the file system itself") }
    }
    run.count("bad writes and flushes: tried")
    return isMet
  }

  // MARK: Power

  func meetPowerLoss(share: Double) throws(BenchFailure) {
    guard let image = images[PowerLoss.start] else { return }
    try PowerLoss(run, bench, image).meet(share: share)
  }

  // MARK: Again

  /// Whether it was a case of a faulty disk.
  func replay(_ text: String) throws(BenchFailure) -> Bool {
    guard let image = images[.plain] else { return false }
    if let point = BadWritePoint(text) {
      try withDisks(image, workerCount: 1) { (disk, stage, copy) throws(BenchFailure) in
        if try !meet(point, badWrites(disk, stage, copy)) {
          run.recordUnmet("'--replay \(text)': the fault was not met: the disk got fewer of them")
        }
      } each: { (_, _, _) throws(BenchFailure) in
        false
      }
      return true
    }
    let words = text.split(separator: " ")
    if words.count == 2, words[0] == PowerLoss.prefix, let number = Int(words[1]), number >= 0,
      let image = images[PowerLoss.start]
    {
      try PowerLoss(run, bench, image).replay(number)
      return true
    }
    guard words.count == 3, words[0] == "disk-read", let offset = Int(words[2]), offset >= 0 else { return false }
    let file = String(words[1])
    try withDisks(image, workerCount: 1) { (disk, stage, copy) throws(BenchFailure) in
      try disk.mount()
      let bad = BadBlocks(disk: disk, stage: stage, state: bench.starts.state(.plain), copy: copy)
      let blocks = try BadBlocks.blocks(of: stage.store).filter { $0.file == file && $0.fileOffset == offset }
      for block in blocks { try meet(block, bad) }
      if blocks.isEmpty { run.recordUnmet("'--replay \(text)': there is no such block") }
    } each: { (_, _, _) throws(BenchFailure) in
      false
    }
    return true
  }

  // MARK: Around

  /// Calls `body` until it gives false, on several threads, each with a faulty disk, a stage on it, and a path outside.
  private func withDisks(
    _ image: DiskImage, workerCount: Int? = nil,
    begin: @escaping @Sendable (FaultyFileSystem, FaultStage, FilePath) throws(BenchFailure) -> Void,
    each body: @escaping @Sendable (FaultyFileSystem, FaultStage, FilePath) throws(BenchFailure) -> Bool
  ) throws(BenchFailure) {
    let workerCount = workerCount ?? run.settings.workerCount
    try ParallelWork.run(count: workerCount, workerCount: workerCount) { () throws(BenchFailure) in
    } _: { (_: Void, worker) throws(BenchFailure) in
      let directory = run.workspace.file("disk-\(worker)")
      let disk = try FaultyFileSystem(in: directory, image)
      let copy = directory.appending("copy")
      let stage = try bench.stage(in: disk.root.appending("stage"), isThere: true)
      try begin(disk, stage, copy)
      while try body(disk, stage, copy) {}
      try disk.close()
      try BenchFailure.translating { () throws(SystemCallFailure) in try Tree.remove(directory) }
    }
  }

  private func record(
    _ place: String, _ replay: String, _ body: () throws(CaseFailure) -> Void
  ) throws(BenchFailure) {
    do throws(CaseFailure) { try body() } catch {
      switch error {
      case .harness(let failure): throw failure
      case .promise(let kind, let message):
        run.record(Violation(kind: kind, message: "\(place): \(message)", replay: run.replay(replay)))
      }
    }
  }
}
