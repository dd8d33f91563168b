import LMDB
import StorageIO

/// Making changes durable. All of it by the thread that has the turn.
extension StoreWriter {
  /// Makes all that was changed durable: bytes of objects, and which objects there are.
  ///
  /// After a failure the changes are still staged, and the next flush may succeed; after a failed sync none does.
  func flush() throws(ChunkStoreError) {
    do throws(ChunkStoreError) { try flushOnce() } catch  where error.code == .noSpace {
      // To delete on a full disk takes some room.
      try translating { () throws(SystemCallFailure) in try reserve.release() }
      try flushOnce()
    }
    reserve.refill()
  }

  private func flushOnce() throws(ChunkStoreError) {
    try context.writability.check()
    let staged = state.withLock { $0 }
    try syncChanged()
    // What a flush that met a full disk has left dying is buried by the next.
    if staged.changes.isEmpty && staged.newChunks.isEmpty && staged.abandoned.isEmpty { return try bury() }
    try writeHeaders(of: staged)
    do throws(SystemCallFailure) { if !staged.newChunks.isEmpty { try files.syncNames() } } catch {
      throw context.writability.end(error)
    }
    try commit(staged)
    state.withLock { state in
      state.changes = [:]
      state.newChunks = [:]
      state.abandoned = []
      state.ends = [:]
    }
    // From here on look-ups find in the index what they found staged.
    for case (let key, .delete) in staged.changes { openObjects.replace(key, with: nil) }
    try bury()
  }

  /// Makes the bytes written so far durable.
  func syncChanged() throws(ChunkStoreError) {
    for map in files.changed.takeAll() {
      do throws(SystemCallFailure) { try map.sync() } catch { throw context.writability.end(error) }
    }
  }

  private func writeHeaders(of staged: State) throws(ChunkStoreError) {
    for case .store(let object) in staged.changes.values {
      let place = object.place
      let header = ObjectHeader(
        storePrefix: files.storePrefix, place: place, key: object.key, layoutText: object.layoutText,
        createdNanoseconds: object.createdNanoseconds, seal: object.seal.map { .written($0) } ?? .empty)
      try object.map.write(header.encoded(), at: place.offset)
    }
    for (chunk, end) in staged.ends {
      try files.map(chunk).write(EndHint(nextFreeOffset: end).encoded(), at: ChunkHeader.endHintOffset)
    }
    try syncChanged()
  }

  /// Names the objects in the index, and notes those that they replace as dying.
  private func commit(_ staged: State) throws(ChunkStoreError) {
    try index.write { (transaction) throws(ChunkStoreError) in
      var accounts = ChunkAccounts(index: index, newChunks: staged.newChunks)
      for (key, change) in staged.changes.sorted(by: { $0.key < $1.key }) {
        if let old: ObjectEntry = try transaction.entry(index.objects, key.bytes) {
          try transaction.put(index.dying, old.place.object.indexKey, old)
          try accounts.remove(old.place, in: transaction)
        }
        switch change {
        case .store(let object):
          let entry = object.entry
          try transaction.put(index.objects, key.bytes, entry)
          try accounts.add(entry.place, in: transaction)
        case .delete: try transaction.remove(index.objects, key.bytes)
        }
      }
      for object in staged.abandoned { try transaction.put(index.dying, object.place.object.indexKey, object) }
      for (chunk, end) in staged.ends { try accounts.extend(chunk, to: end, in: transaction) }
      try accounts.write(in: transaction)
      try index.setCounters(staged.counters, in: transaction)
    }
  }

  // MARK: Burial

  /// Ends what the index no longer names: marks it dead where it lies, gives its pages back, and removes chunks in which
  /// nothing is left. Whatever a crash leaves of it the next open goes on with; what a bad disk keeps it from, later ones.
  func bury() throws(ChunkStoreError) {
    var last: [UInt8]?
    while true {
      let dying: [(key: [UInt8], entry: ObjectEntry)] = try index.read { (transaction) throws(ChunkStoreError) in
        try transaction.page(index.dying, after: last, limit: StoreWriter.burialCount)
      }
      guard let end = dying.last?.key else { return }
      last = end
      var marked: [(key: [UInt8], entry: ObjectEntry)] = []
      for object in dying {
        do throws(ChunkStoreError) {
          try markDead(object.entry.place)
          marked.append(object)
        } catch  where error.code == .io {}
      }
      try syncChanged()
      for object in marked { try punch(object.entry.place) }
      if !marked.isEmpty { try remove(marked) }
    }
  }

  private func punch(_ place: ObjectPlace) throws(ChunkStoreError) {
    guard let map = try findReadable(place.chunk), place.range.upperBound <= map.byteCount else { return }
    // Where no hole can be made the space stays until the whole chunk goes.
    do throws(SystemCallFailure) { try map.punch(StoreWriter.bytesToPunch(of: place)) } catch
      where error.isNotSupported
    {} catch {
      throw ChunkStoreError(error)
    }
  }

  /// A header goes whole or stays whole: what a rebuild finds of half of one it takes for damage.
  private static func bytesToPunch(of place: ObjectPlace) -> Range<Int> {
    let firstPage = place.offset.roundedUp(toMultipleOf: pageByteCount)
    let lastPage = place.range.upperBound / pageByteCount * pageByteCount
    let isWhole = firstPage == place.offset && place.payloadOffset <= lastPage || place.payloadOffset <= firstPage
    return isWhole ? place.range : place.payloadOffset..<place.range.upperBound
  }

  private func markDead(_ place: ObjectPlace) throws(ChunkStoreError) {
    guard let map = try findReadable(place.chunk), place.range.upperBound <= map.byteCount else { return }
    // What a burial that was cut short has punched already is not written to again.
    let magic = try map.copy(place.offset..<(place.offset + ObjectHeader.magic.count))
    guard magic == ObjectHeader.magic else { return }
    try map.write(HeaderSlot(value: 0).encoded(for: place.object), at: place.offset + ObjectHeader.Offset.death)
  }

  /// The chunk, unless its file is missing or damaged: what is gone needs no burial.
  private func findReadable(_ chunk: ChunkID) throws(ChunkStoreError) -> ChunkMap? {
    do throws(ChunkStoreError) { return try files.find(chunk) } catch  where error.code == .corrupt { return nil }
  }

  /// Forgets buried objects, and removes chunks in which nothing lives.
  private func remove(_ buried: [(key: [UInt8], entry: ObjectEntry)]) throws(ChunkStoreError) {
    try index.write { (transaction) throws(ChunkStoreError) in
      for (key, _) in buried { try transaction.remove(index.dying, key) }
    }
    try removeEmptied(Set(buried.map(\.entry.place.chunk)).sorted())
  }

  /// Removes those of the chunks that have nothing left, of what lives and of what is to be buried.
  func removeEmptied(_ chunks: [ChunkID]) throws(ChunkStoreError) {
    let newest = state.withLock { $0.counters.newestChunk }
    let emptied = try index.read { (transaction) throws(ChunkStoreError) -> [ChunkID] in
      let dying: [(key: [UInt8], entry: ObjectEntry)] = try transaction.page(index.dying, limit: .max)
      var emptied: [ChunkID] = []
      for chunk in chunks where chunk.rawValue != newest {
        let entry: ChunkEntry? = try transaction.entry(index.chunks, chunk.rawValue.indexKey)
        if entry?.liveObjectCount == 0, !dying.contains(where: { $0.entry.place.chunk == chunk }) {
          emptied.append(chunk)
        }
      }
      return emptied
    }
    if emptied.isEmpty { return }
    try index.write { (transaction) throws(ChunkStoreError) in
      for chunk in emptied { try transaction.remove(index.chunks, chunk.rawValue.indexKey) }
    }
    // A crash before this leaves files of dead objects, which the next open finds and removes.
    try translating { () throws(SystemCallFailure) in
      for chunk in emptied { try files.remove(chunk) }
      try files.syncNames()
    }
  }
}

/// What changes in the table of chunks in one transaction.
struct ChunkAccounts {
  private let index: ChunkIndex
  private var entries: [ChunkID: ChunkEntry] = [:]

  init(index: ChunkIndex, newChunks: [ChunkID: ChunkEntry] = [:]) {
    self.index = index
    entries = newChunks
  }

  /// Makes sure that the chunk has an entry.
  mutating func enter(
    _ chunk: ChunkID, byteCount: Int, in transaction: borrowing WriteTransaction
  ) throws(ChunkStoreError) {
    if try entry(chunk, in: transaction) == nil { entries[chunk] = ChunkEntry(chunkByteCount: byteCount) }
  }

  mutating func add(_ place: ObjectPlace, in transaction: borrowing WriteTransaction) throws(ChunkStoreError) {
    guard var entry = try entry(place.chunk, in: transaction) else {
      throw ChunkStoreError(index: "table chunks: no entry for chunk \(place.chunk)")
    }
    entry.liveObjectCount += 1
    entry.liveByteCount += place.range.count
    entries[place.chunk] = entry
  }

  mutating func remove(_ place: ObjectPlace, in transaction: borrowing WriteTransaction) throws(ChunkStoreError) {
    // A chunk that is lost may have no entry.
    guard var entry = try entry(place.chunk, in: transaction) else { return }
    entry.liveObjectCount = max(0, entry.liveObjectCount - 1)
    entry.liveByteCount = max(0, entry.liveByteCount - place.range.count)
    entries[place.chunk] = entry
  }

  mutating func extend(
    _ chunk: ChunkID, to end: Int, in transaction: borrowing WriteTransaction
  ) throws(ChunkStoreError) {
    guard var entry = try entry(chunk, in: transaction) else { return }
    entry.nextFreeOffset = max(entry.nextFreeOffset, end)
    entries[chunk] = entry
  }

  func write(in transaction: borrowing WriteTransaction) throws(ChunkStoreError) {
    for (chunk, entry) in entries.sorted(by: { $0.key < $1.key }) {
      try transaction.put(index.chunks, chunk.rawValue.indexKey, entry)
    }
  }

  private func entry(
    _ chunk: ChunkID, in transaction: borrowing WriteTransaction
  ) throws(ChunkStoreError) -> ChunkEntry? {
    if let entry = entries[chunk] { return entry }
    return try transaction.entry(index.chunks, chunk.rawValue.indexKey)
  }
}
