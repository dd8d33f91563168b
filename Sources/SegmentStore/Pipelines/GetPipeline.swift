import Codecs
import StorageIO

/// Restores one file: plan -> look up -> decode -> hash -> compare -> write; the mirror of `PutPipeline`.
///
/// Runs on the caller's thread, which plans, leases memory and, for a stream, writes; batches of parts are worked on
/// by the pool.
struct GetPipeline {
  let store: Store
  let cancellation: Cancellation
  let progress: @Sendable (Int) -> Void

  /// Restores `id`, whose entry was read under its shared lock.
  func run(_ id: FileID, _ entry: FileEntry, to target: GetTarget) throws(StoreError) {
    let plan = try GetPlan(id, entry.manifest, store)
    switch target {
    case .stream(let stream): try restore(plan, toStream: stream)
    case .file(let path, let replacing):
      let directory: Directory
      do throws(SystemCallFailure) { directory = try Directory.open(path.parent) } catch {
        throw StoreError(user: error)
      }
      try restore(plan, entry, toFile: path.lastComponent, directory, replacing)
    case .entry(let name, let directory, let replacing):
      try restore(plan, entry, toFile: name, directory, replacing)
    }
  }

  private func restore(
    _ plan: GetPlan, _ entry: FileEntry, toFile name: [UInt8], _ directory: Directory, _ replacing: Bool
  ) throws(StoreError) {
    if !replacing { try checkAbsent(name, directory) }
    let output: OutputFile
    do throws(SystemCallFailure) {
      output = try OutputFile(name, in: directory, replacing: replacing)
    } catch {
      throw StoreError(user: error)
    }
    do throws(StoreError) {
      try restore(plan, toFile: output.file)
      try cancellation.check()
      do throws(SystemCallFailure) {
        try output.file.truncate(to: plan.manifest.byteCount)
        try output.publish(mode: entry.manifest.mode, modifiedNanoseconds: entry.manifest.modifiedNanoseconds)
      } catch {
        throw error.isExists ? exists(name, directory) : StoreError(user: error)
      }
    } catch {
      output.drop()
      throw error
    }
  }

  /// Workers write the parts where they belong; parts of zeros stay holes.
  private func restore(_ plan: GetPlan, toFile file: File) throws(StoreError) {
    let window = BatchWindow<Void>(workers: store.workers, budget: store.budget)
    defer { window.drain() }
    var nextNumber = 0
    while true {
      try cancellation.check()
      if let numbers = plan.batch(from: nextNumber), window.hasRoom,
        let lease = try window.lease(plan.leaseByteCount(numbers), cancellation)
      {
        nextNumber = numbers.upperBound
        let work = try batchWork(plan, numbers)
        let progress = progress
        try window.submit { (tools) throws(StoreError) in
          try work.decode(into: lease, tools)
          try work.write(from: lease, to: file)
          progress(work.byteCount)
        }
      } else if !window.isEmpty {
        try window.collect()
      } else {
        return
      }
    }
  }

  /// This thread writes the batches in order, each when it is verified.
  private func restore(_ plan: GetPlan, toStream stream: File) throws(StoreError) {
    let window = BatchWindow<(work: GetBatchWork, lease: MemoryLease)>(workers: store.workers, budget: store.budget)
    defer { window.drain() }
    var nextNumber = 0
    while true {
      try cancellation.check()
      if let numbers = plan.batch(from: nextNumber), window.hasRoom,
        let lease = try window.lease(plan.leaseByteCount(numbers), cancellation)
      {
        nextNumber = numbers.upperBound
        let work = try batchWork(plan, numbers)
        try window.submit { (tools) throws(StoreError) in
          try work.decode(into: lease, tools)
          return (work, lease)
        }
      } else if !window.isEmpty {
        let (work, lease) = try window.collect()
        try write(work, from: lease, toStream: stream)
        progress(work.byteCount)
      } else {
        return
      }
    }
  }

  private func write(_ work: GetBatchWork, from lease: MemoryLease, toStream stream: File) throws(StoreError) {
    // In pieces that a pipe which is said to be writable takes at once, so that an interrupt is noticed when its reader
    // has stopped reading.
    let pieceByteCount = try streamPieceByteCount(stream)
    var start = 0
    while start < work.byteCount {
      let end = min(start + pieceByteCount, work.byteCount)
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
    do throws(SystemCallFailure) { return try stream.status().kind == .file ? 1 << 20 : 4096 } catch {
      throw StoreError(user: error)
    }
  }

  private func batchWork(_ plan: GetPlan, _ numbers: Range<Int>) throws(StoreError) -> GetBatchWork {
    let index = try store.index
    let parts = try index.read { (transaction) throws(StoreError) in
      try index.parts.parts(numbers, of: plan.manifest, in: transaction)
    }
    return GetBatchWork(plan: plan, numbers: numbers, parts: parts, reader: store.reader)
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

/// How a get divides a file.
struct GetPlan: Sendable {
  let id: FileID
  let manifest: Manifest
  private let batchPartCount: Int

  init(_ id: FileID, _ manifest: Manifest, _ store: Store) throws(StoreError) {
    self.id = id
    self.manifest = manifest
    let most = try store.batchPartCount(partByteCount: manifest.longestPartByteCount, scratchByteCount: 0)
    let share = (manifest.partCount + store.workers.workerCount - 1) / store.workers.workerCount
    batchPartCount = max(1, min(most, share))
  }

  /// The part numbers of the batch that starts with part `number`; nil behind the last part.
  func batch(from number: Int) -> Range<Int>? {
    number < manifest.partCount ? number..<min(number + batchPartCount, manifest.partCount) : nil
  }

  /// The memory for a batch.
  func leaseByteCount(_ numbers: Range<Int>) -> Int {
    let first = manifest.byteRange(ofPart: numbers.lowerBound)
    let last = manifest.byteRange(ofPart: numbers.upperBound - 1)
    return MemoryPlan.leaseByteCount(
      needed: last.upperBound - first.lowerBound, whole: batchPartCount * manifest.longestPartByteCount)
  }
}

extension Manifest {
  /// What the longest part decodes to: less than the part size in a file of one short part.
  var longestPartByteCount: Int { max(1, min(partByteCount, byteCount)) }
}

/// What a worker does with a batch: look at the stored bytes -> decode -> hash -> compare, and for a file write.
struct GetBatchWork: Sendable {
  let plan: GetPlan
  let numbers: Range<Int>
  let parts: [(id: PartID, entry: PartEntry)]
  let reader: SegmentReader

  private var start: Int { plan.manifest.byteRange(ofPart: numbers.lowerBound).lowerBound }
  var byteCount: Int { plan.manifest.byteRange(ofPart: numbers.upperBound - 1).upperBound - start }

  /// Decodes all parts, each to its place in the lease, and checks every one against its MD5.
  func decode(into lease: MemoryLease, _ tools: WorkerPool.Tools) throws(StoreError) {
    var ranges: [Range<Int>] = []
    ranges.reserveCapacity(parts.count)
    for (number, part) in zip(numbers, parts) {
      let bytes = plan.manifest.byteRange(ofPart: number)
      guard bytes.count == part.entry.rawByteCount else {
        throw StoreError(
          .corrupt, "\(place(number, part.entry)): \(part.entry.rawByteCount) bytes, \(bytes.count) expected")
      }
      let range = (bytes.lowerBound - start)..<(bytes.upperBound - start)
      do throws(StoreError) {
        try reader.withPayload(of: part.id, part.entry) { (payload) throws(StoreError) in
          try lease.region.withMutableBytes(range) { (destination) throws(StoreError) in
            do throws(CodecFailure) {
              try tools.decoder.decode(payload, with: part.entry.codec, into: &destination)
            } catch {
              throw StoreError(.corrupt, "segment \(part.entry.segment) offset \(part.entry.offset): \(error)")
            }
          }
        }
      } catch {
        throw error.within("'\(plan.manifest.name)' (id \(plan.id)) part \(number)")
      }
      ranges.append(range)
    }
    let digests = lease.region.withBytes(0..<byteCount) { MD5.digests(of: ranges, in: $0) }
    for (index, digest) in digests.enumerated() where digest != parts[index].entry.digest {
      throw StoreError(
        .corrupt,
        "\(place(numbers.lowerBound + index, parts[index].entry)): stored MD5 \(parts[index].entry.digest), bytes "
          + "hash to \(digest)")
    }
  }

  /// Writes runs of parts in one piece each; zeros are left out, since the file is a hole there.
  func write(from lease: MemoryLease, to file: File) throws(StoreError) {
    var index = 0
    while index < parts.count {
      if parts[index].entry.codec == .zeros {
        index += 1
        continue
      }
      var end = index
      while end < parts.count, parts[end].entry.codec != .zeros { end += 1 }
      let first = plan.manifest.byteRange(ofPart: numbers.lowerBound + index).lowerBound
      let last = plan.manifest.byteRange(ofPart: numbers.lowerBound + end - 1).upperBound
      do throws(SystemCallFailure) {
        try lease.region.withBytes((first - start)..<(last - start)) { (bytes) throws(SystemCallFailure) in
          try file.write(bytes, at: first)
        }
      } catch {
        throw StoreError(user: error)
      }
      // So that the sync at the end finds little to do.
      file.startWriteback(first..<last)
      index = end
    }
  }

  private func place(_ number: Int, _ entry: PartEntry) -> String {
    "'\(plan.manifest.name)' (id \(plan.id)) part \(number): segment \(entry.segment) offset \(entry.offset)"
  }
}
