import Codecs
import Mutants
import StorageIO

/// What a worker does with a batch: look at the stored bytes -> decode -> hash -> compare, and for a file write.
struct GetBatch: Sendable {
  let plan: GetPlan
  let numbers: Range<Int>
  let parts: [(id: PartID, entry: PartEntry)]
  let index: Index
  let reader: SegmentReader

  /// What the lease holds when the parts are decoded.
  struct Decoded: Sendable {
    fileprivate(set) var losses: [PartLoss] = []
    /// By part: whether its bytes have to be written; those that are left out are there already, or are a hole.
    fileprivate(set) var isWritten: [Bool]
  }

  /// How the decoding of a part went, before its bytes are hashed.
  private struct Attempt {
    /// Where the record was read.
    let entry: PartEntry
    /// How many bytes are worth keeping if their MD5 is not right.
    let keptByteCount: Int
    /// Why the bytes are not to be trusted.
    let error: StoreError?
  }

  /// The bytes of the file that the lease is for: whole parts.
  private var leasedRange: Range<Int> {
    let first = plan.manifest.byteRange(ofPart: numbers.lowerBound)
    return first.lowerBound..<plan.manifest.byteRange(ofPart: numbers.upperBound - 1).upperBound
  }

  /// The bytes of the file that are wanted of this batch.
  private var wantedRange: Range<Int> { leasedRange.clamped(to: plan.byteRange) }
  var wantedByteCount: Int { wantedRange.count }

  /// Where the wanted bytes are in the lease.
  var wantedRangeInLease: Range<Int> { rangeInLease(wantedRange) }

  private func rangeInLease(_ range: Range<Int>) -> Range<Int> {
    range.lowerBound - leasedRange.lowerBound..<range.upperBound - leasedRange.lowerBound
  }

  private func rangeInLease(ofPart number: Int) -> Range<Int> {
    rangeInLease(plan.manifest.byteRange(ofPart: number))
  }

  // MARK: Decoding

  /// Decodes all parts, each to its place in the lease, and checks every one against its MD5.
  /// - Parameter partial: what may have some of the parts already; those that it has are not read from the store.
  /// - Returns: With the damaged parts; of these the lease has what could be salvaged, if that was asked for, and zeros.
  func decode(
    into lease: MemoryLease, _ tools: WorkerPool.Tools, reusing partial: File? = nil
  ) throws(StoreError) -> Decoded {
    var decoded = Decoded(isWritten: [Bool](repeating: true, count: parts.count))
    if let partial { decoded.isWritten = try isMissing(in: partial, readInto: lease) }
    var attempts: [(position: Int, attempt: Attempt)] = []
    for position in parts.indices where decoded.isWritten[position] {
      attempts.append((position, try decodePart(at: position, parts[position].entry, into: lease, tools)))
    }
    let ranges = attempts.map { rangeInLease(ofPart: numbers.lowerBound + $0.position) }
    let digests = lease.region.withBytes(0..<leasedRange.count) { MD5.digests(of: ranges, in: $0) }
    for ((position, firstAttempt), firstDigest) in zip(attempts, digests) {
      var (attempt, digest) = (firstAttempt, firstDigest)
      if digest != attempt.entry.digest, attempt.error == nil, let moved = try movedEntry(at: position, attempt.entry) {
        // Its old place was punched out between the look at its checksum and the decoder.
        attempt = try decodePart(at: position, moved, into: lease, tools)
        let range = rangeInLease(ofPart: numbers.lowerBound + position)
        digest = lease.region.withBytes(range) { MD5.digest(of: $0) }
      }
      let entry = attempt.entry
      var isHole = entry.codec == .zeros
      // Bytes with the right MD5 are the right bytes, however damaged the record around them is. Without salvage a
      // damaged record is an error all the same.
      let isRight = digest == entry.digest || Mutant.noDigestOnGet.isActive
      if !isRight || attempt.error != nil && !plan.salvages {
        let error =
          attempt.error
          ?? StoreError(.corrupt, "\(entry.place): stored MD5 \(entry.digest), bytes hash to \(digest)")
        decoded.losses += losses(ofPart: numbers.lowerBound + position, attempt, error)
        lease.region.withMutableBytes(rangeInLease(ofPart: numbers.lowerBound + position)) {
          $0.fillWithZeros(from: attempt.keptByteCount)
        }
        isHole = attempt.keptByteCount == 0
      }
      // In a partial file something else may be where the hole belongs.
      decoded.isWritten[position] = !isHole || partial != nil
    }
    return decoded
  }

  /// Decodes one part. Where it cannot be read as the index said, the index is asked again: the part may have moved.
  private func decodePart(
    at position: Int, _ expected: PartEntry, into lease: MemoryLease, _ tools: WorkerPool.Tools
  ) throws(StoreError) -> Attempt {
    let id = parts[position].id
    var entry = expected
    let bytes = plan.manifest.byteRange(ofPart: numbers.lowerBound + position)
    while true {
      do throws(StoreError) {
        guard bytes.count == entry.rawByteCount else {
          throw StoreError(.corrupt, "\(entry.place): \(entry.rawByteCount) bytes, \(bytes.count) expected")
        }
        try reader.withPayload(of: id, entry) { (payload) throws(StoreError) in
          try lease.region.withMutableBytes(rangeInLease(bytes)) { (destination) throws(StoreError) in
            do throws(CodecFailure) {
              try tools.decoder.decode(payload, with: entry.codec, into: &destination)
            } catch {
              throw StoreError(error).within(entry.place)
            }
          }
        }
        return Attempt(entry: entry, keptByteCount: plan.salvages ? bytes.count : 0, error: nil)
      } catch  where error.isDamage {
        if let current = try currentEntry(of: id), current.location != entry.location {
          entry = current
        } else {
          let keptByteCount = plan.salvages ? try salvage(id, entry, into: lease, rangeInLease(bytes), tools) : 0
          return Attempt(entry: entry, keptByteCount: keptByteCount, error: error)
        }
      }
    }
  }

  /// Where the part is now, if that is another place.
  private func movedEntry(at position: Int, _ entry: PartEntry) throws(StoreError) -> PartEntry? {
    guard let current = try currentEntry(of: parts[position].id), current.location != entry.location else { return nil }
    return current
  }

  private func currentEntry(of id: PartID) throws(StoreError) -> PartEntry? {
    try index.read { (transaction) throws(StoreError) in try index.parts.part(id, in: transaction) }
  }

  /// Decodes what there is of a damaged part, as far as that goes; zeros follow.
  /// - Returns: How many bytes are worth keeping if their MD5 is not right: none under the header of another record.
  private func salvage(
    _ id: PartID, _ entry: PartEntry, into lease: MemoryLease, _ range: Range<Int>, _ tools: WorkerPool.Tools
  ) throws(StoreError) -> Int {
    do throws(StoreError) {
      let keptByteCount = try reader.withRemains(of: id, entry) { (payload, isOfPart) throws(StoreError) in
        try lease.region.withMutableBytes(range) { (destination) throws(StoreError) in
          do throws(CodecFailure) {
            let byteCount = try tools.decoder.decodeStart(of: payload, with: entry.codec, into: &destination)
            return isOfPart ? byteCount : 0
          } catch {
            throw StoreError(error)
          }
        }
      }
      if let keptByteCount { return keptByteCount }
    } catch  where error.isDamage {}
    lease.region.withMutableBytes(range) { $0.fillWithZeros() }
    return 0
  }

  private func losses(ofPart number: Int, _ attempt: Attempt, _ error: StoreError) -> [PartLoss] {
    let bytes = plan.manifest.byteRange(ofPart: number)
    let end = bytes.lowerBound + attempt.keptByteCount
    let kinds: [(PartLoss.Kind, Range<Int>)] = [
      (.unverified, bytes.lowerBound..<end), (.lost, end..<bytes.upperBound),
    ]
    return kinds.map { ($0, $1.clamped(to: plan.byteRange)) }.filter { !$1.isEmpty }
      .map { (kind, range) in PartLoss(kind, range, ofPart: number, attempt.entry, error) }
  }

  /// Reads what `partial` has in the place of the batch.
  /// - Returns: By part, whether it has other bytes than those of the part.
  private func isMissing(in partial: File, readInto lease: MemoryLease) throws(StoreError) -> [Bool] {
    let byteCount = leasedRange.count
    let readByteCount: Int
    do throws(SystemCallFailure) {
      readByteCount = try lease.region.withMutableBytes(0..<byteCount) { (bytes) throws(SystemCallFailure) in
        try partial.read(into: &bytes, at: leasedRange.lowerBound)
      }
    } catch {
      throw StoreError(user: error)
    }
    guard readByteCount == byteCount else { return parts.map { _ in true } }
    if Mutant.believePartialFile.isActive { return parts.map { _ in false } }
    let digests = lease.region.withBytes(0..<byteCount) { MD5.digests(of: numbers.map(rangeInLease(ofPart:)), in: $0) }
    return zip(parts, digests).map { part, digest in part.entry.digest != digest }
  }

  // MARK: Writing

  /// Writes runs of parts in one piece each, where they belong in a file that begins with the first wanted byte.
  func write(_ decoded: Decoded, from lease: MemoryLease, to file: File) throws(StoreError) {
    var position = 0
    while position < parts.count {
      if !decoded.isWritten[position] {
        position += 1
        continue
      }
      var end = position
      while end < parts.count, decoded.isWritten[end] { end += 1 }
      let first = plan.manifest.byteRange(ofPart: numbers.lowerBound + position).lowerBound
      let last = plan.manifest.byteRange(ofPart: numbers.lowerBound + end - 1).upperBound
      let run = (first..<last).clamped(to: plan.byteRange)
      let start = run.lowerBound - plan.byteRange.lowerBound
      do throws(SystemCallFailure) {
        try lease.region.withBytes(rangeInLease(run)) { (bytes) throws(SystemCallFailure) in
          try file.write(bytes, at: start)
        }
      } catch {
        throw StoreError(user: error)
      }
      // So that the sync at the end finds little to do.
      file.startWriteback(start..<start + run.count)
      position = end
    }
  }
}
