import Codecs
import LMDB
import Mutants
import StorageIO

/// A part to be checked: where it lies, what its record must say, and whose it is.
struct CheckedPart: Sendable {
  let id: PartID
  let entry: PartEntry
  let file: FileID
  let number: Int
}

/// Checks parts by the batch, on the workers: header against index, CRC32C of the stored bytes, and unless it is to be
/// fast, decoded against the MD5.
///
/// What does not match is looked at again in the index before it is reported: a file that is being deleted loses its
/// bytes first.
final class PartCheck {
  private typealias Result = (parts: [CheckedPart], damages: [PartDamage])

  private let run: VerificationRun
  /// Nil when the segments are all there is: damage then goes to `uncertain`.
  private let index: Index?
  private let window: BatchWindow<Result>
  private var submittedCount = 0
  private var collectedCount = 0
  /// Places that are reached when so many batches have been collected.
  private var marks: [(batchCount: Int, position: VerificationPosition)] = []
  private var waiting: [CheckedPart] = []
  private var waitingRawByteCount = 0
  private let batchByteCount: Int

  /// Without decoding, a batch is bounded by what it is worth to hand it to a worker.
  private static let fastBatchByteCount = 16 << 20
  private static let maximumBatchPartCount = 512

  /// Told of damage of which only the index could say whether it matters.
  var uncertain: (Finding) throws(StoreError) -> Void = { (_) throws(StoreError) in }

  init(_ run: VerificationRun, _ index: Index?) throws(StoreError) {
    self.run = run
    self.index = index
    let store = run.store
    window = BatchWindow(workers: store.workers, budget: store.budget)
    let partByteCount = store.superblock.partByteCount
    batchByteCount =
      run.options.isFast
      ? PartCheck.fastBatchByteCount
      : try store.batchPartCount(partByteCount: partByteCount, scratchByteCount: 0) * partByteCount
  }

  /// Checks a part, together with others that come after it.
  func add(_ part: CheckedPart) throws(StoreError) {
    let byteCount = part.entry.rawByteCount
    if !waiting.isEmpty,
      waitingRawByteCount + byteCount > batchByteCount
        || waiting.count == PartCheck.maximumBatchPartCount
    {
      try submit()
    }
    waiting.append(part)
    waitingRawByteCount += byteCount
  }

  /// Says that all parts before `position` were added.
  func mark(_ position: VerificationPosition) throws(StoreError) {
    try submit()
    marks.append((submittedCount, position))
    passMarks()
  }

  /// Waits for all that was added.
  func finish() throws(StoreError) {
    try submit()
    while !window.isEmpty { try collect() }
  }

  /// Waits for the workers and forgets the rest.
  func abandon() { window.drain() }

  private func submit() throws(StoreError) {
    guard !waiting.isEmpty else { return }
    let parts = waiting
    let rawByteCount = waitingRawByteCount
    waiting = []
    waitingRawByteCount = 0
    try run.pace.wait(for: parts.reduce(0) { $0 + $1.entry.recordByteCount }, run.cancellation)
    while !window.hasRoom { try collect() }
    let lease = try lease(rawByteCount)
    let reader = run.store.reader
    try window.submit { (tools) throws(StoreError) in
      (parts, try PartBatchCheck(parts: parts, reader: reader).run(lease, tools))
    }
    submittedCount += 1
  }

  /// Memory to decode a batch into; nil when it is not to be decoded, or is one part that no memory here holds.
  private func lease(_ byteCount: Int) throws(StoreError) -> MemoryLease? {
    if run.options.isFast { return nil }
    if byteCount > batchByteCount {
      do throws(StoreError) {
        _ = try run.store.batchPartCount(partByteCount: byteCount, scratchByteCount: 0)
      } catch {
        run.note("a part of \(byteCount) bytes was not decoded: \(error.message)")
        return nil
      }
    }
    let wanted = MemoryPlan.leaseByteCount(needed: max(1, byteCount), whole: max(byteCount, batchByteCount))
    while true {
      if let lease = try window.lease(wanted, run.cancellation) { return lease }
      try collect()
    }
  }

  private func collect() throws(StoreError) {
    let (parts, damages) = try window.collect()
    collectedCount += 1
    for damage in damages { try judge(parts[damage.position], damage) }
    run.advance(parts.reduce(0) { $0 + $1.entry.recordByteCount })
    passMarks()
  }

  private func passMarks() {
    while let mark = marks.first, mark.batchCount <= collectedCount {
      marks.removeFirst()
      run.reached(mark.position)
    }
  }

  /// Reports damage of a part that the index still has in this place, of a file that is not being deleted.
  private func judge(_ part: CheckedPart, _ damage: PartDamage) throws(StoreError) {
    var finding = Finding(
      .part, damage.message, file: part.file, partNumber: part.number, part: part.id, segment: part.entry.segment,
      offset: part.entry.offset)
    guard let index else { return try uncertain(finding) }
    do throws(StoreError) {
      let name = try index.read { (transaction) throws(StoreError) -> FileName? in
        guard try index.parts.part(part.id, in: transaction)?.location == part.entry.location,
          let entry = try index.files.file(part.file, in: transaction), entry.state != .deleting
        else { return nil }
        return entry.manifest.name
      }
      guard let name else { return }
      finding.name = name
    } catch {
      // What the index cannot say is said without it.
    }
    run.report(finding)
  }
}

/// What is wrong with one part of a batch.
struct PartDamage: Sendable {
  let position: Int
  let message: String
}

/// What a worker does with a batch: look at the stored bytes -> decode -> hash -> compare.
struct PartBatchCheck: Sendable {
  let parts: [CheckedPart]
  let reader: SegmentReader

  /// - Parameter lease: Room for all parts; nil: they are not decoded.
  func run(_ lease: MemoryLease?, _ tools: WorkerPool.Tools) throws(StoreError) -> [PartDamage] {
    var damages: [PartDamage] = []
    var decoded: [(position: Int, range: Range<Int>)] = []
    var end = 0
    for (position, part) in parts.enumerated() {
      let range = end..<(end + part.entry.rawByteCount)
      do throws(StoreError) {
        try reader.withPayload(of: part.id, part.entry) { (payload) throws(StoreError) in
          guard let lease else { return }
          try lease.region.withMutableBytes(range) { (destination) throws(StoreError) in
            do throws(CodecFailure) {
              try tools.decoder.decode(payload, with: part.entry.codec, into: &destination)
            } catch {
              throw StoreError(error)
            }
          }
          decoded.append((position, range))
          end = range.upperBound
        }
      } catch  where error.isDamage {
        damages.append(PartDamage(position: position, message: place(part).removed(from: error.message)))
      }
    }
    guard let lease, end > 0, !Mutant.noDigestOnVerify.isActive else { return damages }
    let digests = lease.region.withBytes(0..<end) { MD5.digests(of: decoded.map(\.range), in: $0) }
    for (digest, (position, _)) in zip(digests, decoded) where digest != parts[position].entry.digest {
      let message = "stored MD5 \(parts[position].entry.digest), bytes hash to \(digest)"
      damages.append(PartDamage(position: position, message: message))
    }
    return damages
  }

  /// What the reader's messages begin with, and a finding says by itself.
  private func place(_ part: CheckedPart) -> String {
    "segment \(part.entry.segment) offset \(part.entry.offset): "
  }
}

extension String {
  /// `text` without this at its start.
  fileprivate func removed(from text: String) -> String {
    text.hasPrefix(self) ? String(text.dropFirst(count)) : text
  }
}
