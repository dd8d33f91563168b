import StorageIO

/// Restores one file: plan -> look up -> decode -> hash -> compare -> write; the mirror of `PutPipeline`.
///
/// Runs on the caller's thread, which plans, leases memory and, for a stream, writes; batches of parts are worked on
/// by the pool. After the first damage nothing more is written, but all is looked at, so that the error can tell of all
/// that is damaged; a get that salvages writes what there is.
struct GetPipeline {
  let store: Store
  let options: GetOptions
  let cancellation: Cancellation
  let progress: @Sendable (Int) -> Void

  /// Restores `id`, whose entry was read under its shared lock.
  /// - Returns: What a get that salvages could not vouch for; nothing otherwise.
  func run(_ id: FileID, _ entry: FileEntry, to target: GetTarget) throws(StoreError) -> LossReport {
    let plan = try GetPlan(id, entry.manifest, options, store)
    switch target {
    case .stream(let stream):
      return try restore(plan) { (lease, range) throws(StoreError) in try write(lease, range, toStream: stream) }
    case .receiver(let receive):
      return try restore(plan) { (lease, range) throws(StoreError) in
        try lease.region.withBytes(range) { (bytes) throws(StoreError) in try receive(bytes) }
      }
    case .file(let path, let replacing):
      let directory = try translatingUser { () throws(SystemCallFailure) in try Directory.open(path.parent) }
      return try restore(plan, toFile: path.lastComponent, directory, replacing)
    case .entry(let name, let directory, let replacing):
      return try restore(plan, toFile: name, directory, replacing)
    }
  }

  private func restore(
    _ plan: GetPlan, toFile name: [UInt8], _ directory: Directory, _ replacing: Bool
  ) throws(StoreError) -> LossReport {
    if !replacing { try checkAbsent(name, directory) }
    let output = try output(plan, name, directory, replacing)
    do throws(StoreError) {
      let report = try restore(plan, to: output)
      try cancellation.check()
      do throws(SystemCallFailure) {
        try output.publish(
          byteCount: plan.byteRange.count, mode: plan.manifest.mode,
          modifiedNanoseconds: plan.manifest.modifiedNanoseconds)
      } catch {
        throw error.isExists ? exists(name, directory) : StoreError(user: error)
      }
      return report
    } catch {
      output.drop(keepsPartial: error.losses == nil)
      throw error
    }
  }

  private func output(
    _ plan: GetPlan, _ name: [UInt8], _ directory: Directory, _ replacing: Bool
  ) throws(StoreError) -> OutputFile {
    if options.resumes {
      guard options.byteRange == nil else {
        throw StoreError(.invalidArgument, "only a get of a whole file can be gone on with")
      }
      let partial = PartialFile(name, in: directory, store: store.superblock.uuid, file: plan.id, plan.manifest)
      return try partial.open(replacing: replacing)
    }
    return try translatingUser { () throws(SystemCallFailure) in
      try OutputFile(name, in: directory, replacing: replacing)
    }
  }

  /// Workers write the parts where they belong; parts of zeros and lost ones stay holes.
  private func restore(_ plan: GetPlan, to output: OutputFile) throws(StoreError) -> LossReport {
    var report = LossReport()
    let isHopeless = Monitor(false)
    let (salvages, progress) = (options.salvages, progress)
    // In a file that is gone on with something else may be where the hole belongs.
    try forEachBatch(plan, skippingHoles: !output.isResumed) { (batch, lease, tools) throws(StoreError) in
      let decoded = try batch.decode(into: lease, tools, reusing: output.isResumed ? output.file : nil)
      if !salvages && !decoded.losses.isEmpty { isHopeless.withLock { $0 = true } }
      if !isHopeless.withLock({ $0 }) { try batch.write(decoded, from: lease, to: output.file) }
      progress(batch.wantedByteCount)
      return decoded.losses
    } collect: { losses in
      for loss in losses { report.add(loss) }
    }
    try check(report, plan)
    return report
  }

  /// This thread hands the batches to `write` in order, each when it is verified.
  private func restore(
    _ plan: GetPlan, inOrder write: (MemoryLease, Range<Int>) throws(StoreError) -> Void
  ) throws(StoreError) -> LossReport {
    if options.resumes { throw StoreError(.invalidArgument, "what was written to a stream cannot be gone on with") }
    var report = LossReport()
    try forEachBatch(plan) { (batch, lease, tools) throws(StoreError) in
      (batch, lease, try batch.decode(into: lease, tools).losses)
    } collect: { (batch, lease, losses) throws(StoreError) in
      for loss in losses { report.add(loss) }
      if report.isEmpty || options.salvages {
        try write(lease, batch.wantedRangeInLease)
      }
      progress(batch.wantedByteCount)
    }
    try check(report, plan)
    return report
  }

  private func check(_ report: LossReport, _ plan: GetPlan) throws(StoreError) {
    guard report.isEmpty || options.salvages else { throw StoreError(damaged: plan.manifest.name, plan.id, report) }
  }

  /// Has the workers do `work` with each batch, and hands what comes of it to `collect` on this thread, in order.
  private func forEachBatch<Result: Sendable>(
    _ plan: GetPlan, skippingHoles: Bool = false,
    work: @escaping @Sendable (GetBatch, MemoryLease, WorkerPool.Tools) throws(StoreError) -> Result,
    collect: (Result) throws(StoreError) -> Void
  ) throws(StoreError) {
    let window = BatchWindow<Result>(workers: store.workers, budget: store.budget)
    defer { window.drain() }
    var nextNumber = plan.partNumbers.lowerBound
    while true {
      try cancellation.check()
      if skippingHoles, window.hasRoom { nextNumber = try holeEnd(plan, from: nextNumber) }
      if let numbers = plan.batch(from: nextNumber), window.hasRoom,
        let lease = try window.lease(plan.leaseByteCount(numbers), cancellation)
      {
        nextNumber = numbers.upperBound
        let batch = try batch(plan, numbers)
        let isLast = numbers.upperBound == plan.partNumbers.upperBound
        try window.submit(isLast: isLast) { (tools) throws(StoreError) in try work(batch, lease, tools) }
      } else if !window.isEmpty {
        try collect(try window.collect())
      } else {
        return
      }
    }
  }

  /// The end of the parts from `number` on that are nothing but zeros, and so a hole in the output: the MD5 in the index
  /// says so, and their records are looked at, here, without memory for what they decode to.
  private func holeEnd(_ plan: GetPlan, from number: Int) throws(StoreError) -> Int {
    var end = number
    var pagePartCount = 1
    while end < plan.partNumbers.upperBound {
      let numbers = end..<min(end + pagePartCount, plan.partNumbers.upperBound)
      let index = try store.index
      let parts = try index.read { (transaction) throws(StoreError) in
        try index.parts.parts(numbers, of: plan.manifest, in: transaction)
      }
      for (number, part) in zip(numbers, parts) {
        let bytes = plan.manifest.byteRange(ofPart: number)
        guard part.entry.state == .live, part.entry.codec == .zeros, part.entry.rawByteCount == bytes.count,
          part.entry.digest == store.zeroDigests.digest(of: bytes.count)
        else { return end }
        // One whose record is damaged is looked at with its batch, which knows what to say.
        do throws(StoreError) { try store.reader.withPayload(of: part.id, part.entry) { (_) in } } catch { return end }
        progress(bytes.clamped(to: plan.byteRange).count)
        end = number + 1
      }
      pagePartCount = GetPipeline.holePagePartCount
      try cancellation.check()
    }
    return end
  }

  private static let holePagePartCount = 1024

  private func write(_ lease: MemoryLease, _ range: Range<Int>, toStream stream: File) throws(StoreError) {
    // In pieces that a pipe which is said to be writable takes at once, so that an interrupt is noticed when its reader
    // has stopped reading.
    let pieceByteCount = try streamPieceByteCount(stream)
    var start = range.lowerBound
    while start < range.upperBound {
      let end = min(start + pieceByteCount, range.upperBound)
      try lease.region.withBytes(start..<end) { (bytes) throws(StoreError) in
        do throws(SystemCallFailure) {
          guard try stream.waitWritable(unless: { cancellation.isCancelled }) else { return }
          try stream.writeNext(bytes)
        } catch {
          throw StoreError(user: error)
        }
      }
      try cancellation.check()
      start = end
    }
  }

  /// A pipe that can be written to takes a page, for which it has room, without waiting for its reader; for more it
  /// might wait, and then nothing ends the wait. A regular file does not wait for anybody.
  private func streamPieceByteCount(_ stream: File) throws(StoreError) -> Int {
    try translatingUser { () throws(SystemCallFailure) in try stream.status().kind == .file ? 1 << 20 : 4096 }
  }

  private func batch(_ plan: GetPlan, _ numbers: Range<Int>) throws(StoreError) -> GetBatch {
    let index = try store.index
    let parts = try index.read { (transaction) throws(StoreError) in
      try index.parts.parts(numbers, of: plan.manifest, in: transaction)
    }
    return GetBatch(plan: plan, numbers: numbers, parts: parts, index: index, reader: store.reader)
  }

  private func checkAbsent(_ name: [UInt8], _ directory: Directory) throws(StoreError) {
    do throws(SystemCallFailure) { _ = try directory.status(of: name) } catch {
      if error.isNotFound { return }
      throw StoreError(user: error)
    }
    throw exists(name, directory)
  }

  private func exists(_ name: [UInt8], _ directory: Directory) -> StoreError {
    StoreError(
      .exists, "'\(directory.path.appending(name))': exists already; nothing was written",
      advice: "choose another place with -o, or overwrite it with --force")
  }
}
