import LMDB
import StorageIO

/// Brings the index up to what the chunks hold. After a crash that is what lies behind the ends that the index knows; with
/// an index that is empty it is all, which makes a rebuild.
///
/// What has a header is whole, since its bytes were durable before: it is taken in, acknowledged or not. Of two objects
/// with one key the later one counts, and the other is buried. What is behind the last object becomes zeros again.
struct ChunkRecovery {
  let index: ChunkIndex
  let files: ChunkFiles
  /// Whether the index was made anew, and knows nothing: what cannot be read may then have been acknowledged.
  let isRebuild: Bool
  private(set) var findings: [ChunkFinding] = []
  /// The last chunk that was looked at from its start and that objects can be appended to.
  private var appendable: (chunk: ChunkID, byteCount: Int)?
  private static let transactionObjectCount = 512

  init(index: ChunkIndex, files: ChunkFiles, isRebuild: Bool) {
    self.index = index
    self.files = files
    self.isRebuild = isRebuild
  }

  /// Looks at every chunk that the index does not know, and behind the end of the newest.
  mutating func run() throws(ChunkStoreError) {
    let counters = try index.read { (transaction) throws(ChunkStoreError) in try index.counters(in: transaction) }
    for chunk in try files.all() {
      let entry: ChunkEntry? = try index.read { (transaction) throws(ChunkStoreError) in
        try transaction.entry(index.chunks, chunk.rawValue.indexKey)
      }
      if let entry, chunk.rawValue != counters.newestChunk || entry.nextFreeOffset >= entry.chunkByteCount { continue }
      try recover(chunk, known: entry)
    }
  }

  private mutating func recover(_ chunk: ChunkID, known: ChunkEntry?) throws(ChunkStoreError) {
    guard let map = try readable(chunk, known) else { return }
    let start = known?.nextFreeOffset ?? ChunkHeader.byteCount
    if known != nil, try map.nextData(from: start) == nil { return }
    var scan = ChunkScan(map, storePrefix: files.storePrefix, from: start)
    var livingCount = 0
    let findingCount = findings.count
    var batch: [ChunkScan.Found] = []
    while let found = try scan.next() {
      batch.append(found)
      if batch.count == ChunkRecovery.transactionObjectCount {
        livingCount += try adopt(batch, of: map)
        batch = []
      }
    }
    livingCount += try adopt(batch, of: map)
    if isRebuild, !scan.damages.isEmpty {
      findings += scan.damages.map { ChunkFinding(chunk: chunk, offset: $0.offset, message: $0.message) }
    }
    // Nothing of it is changed: whoever repairs it finds it as it was. But the newest chunk is written to.
    if isRebuild || known == nil, findings.count > findingCount { return }
    // Behind the end that the index knows, half of a header is one that was being written, and nobody was told. One before
    // an object that came to the disk whole stays where it is, and is a header no more: a rebuild would take it for damage.
    for damage in scan.damages where damage.offset < scan.end {
      try map.write([UInt8](repeating: 0, count: ObjectHeader.magic.count), at: damage.offset)
    }
    if !scan.damages.isEmpty { try translating { () throws(SystemCallFailure) in try map.sync() } }
    if known == nil && livingCount == 0 { return try remove(chunk) }
    try zero(map, from: scan.end)
    if known == nil { appendable = (chunk, map.byteCount) }
  }

  /// After a rebuild: has objects appended to the last chunk, if it is one of the usual size.
  func goOnWithLastChunk(ofByteCount chunkByteCount: Int) throws(ChunkStoreError) {
    guard let appendable, appendable.byteCount == chunkByteCount else { return }
    try index.write { (transaction) throws(ChunkStoreError) in
      var counters = try index.counters(in: transaction)
      counters.newestChunk = appendable.chunk.rawValue
      try index.setCounters(counters, in: transaction)
    }
  }

  /// The chunk in memory; nil when it is not one, which is a finding, or the leftover of one that was being made.
  private mutating func readable(_ chunk: ChunkID, _ known: ChunkEntry?) throws(ChunkStoreError) -> ChunkMap? {
    do throws(ChunkStoreError) { return try files.map(chunk) } catch  where error.code == .corrupt {
      if known == nil, try !holdsObjects(chunk) {
        try remove(chunk)
        return nil
      }
      findings.append(ChunkFinding(chunk: chunk, offset: 0, message: error.message))
      try index.write { (transaction) throws(ChunkStoreError) in
        try raiseCounters(object: 0, chunk: chunk, in: transaction)
      }
      return nil
    }
  }

  /// Whether there is an object, or what is left of one, in a file that cannot be read as a chunk: one that was cut short, or
  /// came from another place. Of a chunk that was being made the first page is durable before any object is.
  private func holdsObjects(_ chunk: ChunkID) throws(ChunkStoreError) -> Bool {
    guard let map = try files.mapAsItIs(chunk) else { return false }
    var scan = ChunkScan(map, storePrefix: files.storePrefix, from: ChunkHeader.byteCount)
    return try scan.next() != nil || !scan.damages.isEmpty || scan.hasStrangers
  }

  /// Takes objects in, in one transaction.
  /// - Returns: How many of them live.
  private mutating func adopt(_ batch: [ChunkScan.Found], of map: ChunkMap) throws(ChunkStoreError) -> Int {
    var usable: [(key: ChunkKey, entry: ObjectEntry)] = []
    for found in batch {
      let place = found.header.place
      if found.header.death == .damaged {
        findings.append(
          ChunkFinding(chunk: map.id, offset: place.offset, message: "a mark of deletion that cannot be read"))
      }
      guard found.header.death == .empty else { continue }
      guard let layout = found.layout else {
        findings.append(ChunkFinding(chunk: map.id, offset: place.offset, message: "a layout that cannot be read"))
        continue
      }
      usable.append((found.header.key, ObjectEntry(place: place, fingerprint: layout.fingerprint)))
    }
    let living = usable
    try index.write { (transaction) throws(ChunkStoreError) in
      var accounts = ChunkAccounts(index: index)
      try accounts.enter(map.id, byteCount: map.byteCount, in: transaction)
      for (key, object) in living {
        let old: ObjectEntry? = try transaction.entry(index.objects, key.bytes)
        if let old, old.place.object >= object.place.object {
          if old.place != object.place { try transaction.put(index.dying, object.place.object.indexKey, object) }
          continue
        }
        if let old {
          try transaction.put(index.dying, old.place.object.indexKey, old)
          try accounts.remove(old.place, in: transaction)
        }
        try transaction.put(index.objects, key.bytes, object)
        try accounts.add(object.place, in: transaction)
      }
      if let end = batch.last?.header.place.range.upperBound {
        try accounts.extend(map.id, to: end, in: transaction)
      }
      try accounts.write(in: transaction)
      try raiseCounters(object: batch.map(\.header.place.object).max() ?? 0, chunk: map.id, in: transaction)
    }
    return living.count
  }

  private func raiseCounters(
    object: UInt64, chunk: ChunkID, in transaction: borrowing WriteTransaction
  ) throws(ChunkStoreError) {
    var counters = try index.counters(in: transaction)
    counters.nextObject = max(counters.nextObject, object + 1)
    counters.nextChunk = max(counters.nextChunk, chunk.rawValue + 1)
    try index.setCounters(counters, in: transaction)
  }

  /// Makes what lies behind the last object zeros, as objects to come expect it.
  private func zero(_ map: ChunkMap, from end: Int) throws(ChunkStoreError) {
    guard end < map.byteCount, try map.nextData(from: end) != nil else { return }
    do throws(SystemCallFailure) {
      let file = try files.directory.open(map.id.fileName, [.write, .noFollow])
      do throws(SystemCallFailure) { try file.deallocate(end..<map.byteCount) } catch  where error.isNotSupported {
        try writeZeros(file, end..<map.byteCount)
      }
      map.forgetSpace(from: end)
      try file.syncData()
    } catch {
      throw ChunkStoreError(error)
    }
  }

  private func writeZeros(_ file: File, _ range: Range<Int>) throws(SystemCallFailure) {
    let zeros = [UInt8](repeating: 0, count: 1 << 20)
    var offset = range.lowerBound
    while offset < range.upperBound {
      let count = min(zeros.count, range.upperBound - offset)
      try file.write(Array(zeros[..<count]), at: offset)
      offset += count
    }
  }

  private func remove(_ chunk: ChunkID) throws(ChunkStoreError) {
    try index.write { (transaction) throws(ChunkStoreError) in
      try transaction.remove(index.chunks, chunk.rawValue.indexKey)
      try raiseCounters(object: 0, chunk: chunk, in: transaction)
    }
    try translating { () throws(SystemCallFailure) in
      try files.remove(chunk)
      try files.syncNames()
    }
  }
}

/// Something in a chunk that cannot be read, whatever it was.
public struct ChunkFinding: Hashable, Sendable, CustomStringConvertible {
  public let chunk: ChunkID
  /// In the file of the chunk, in bytes.
  public let offset: Int
  public let message: String

  public var description: String { "chunk \(chunk) offset \(offset): \(message)" }
}
