import StorageIO

/// What a compaction has done.
public struct CompactionSummary: Hashable, Sendable {
  public var movedObjectCount = 0
  /// Of the objects that were moved, with their headers.
  public var movedByteCount = 0
  public var removedChunkCount = 0
  /// Objects that stayed where they are because somebody used them.
  public var busyObjectCount = 0
}

extension TypedStore {
  /// Moves live objects out of chunks of which little is alive, and removes those chunks. Handles stay good.
  ///
  /// What was deleted has given back its whole pages already; this gives back the rest, and files. A crash at any moment
  /// leaves each object in one place, whole.
  /// - Parameter liveShare: chunks are emptied of whose used bytes less than this share is alive, 0 to 1.
  /// - Throws: `.busy`, `.noSpace`, `.readOnly`, `.io`, and so on: what was moved so far stays moved.
  public func compact(liveShare: Double = 0.5) throws(ChunkStoreError) -> CompactionSummary {
    let writer = try writer
    return try writer.withTurn { () throws(ChunkStoreError) in
      try writer.flush()
      var compaction = Compaction(store: self, writer: writer, index: try index)
      try compaction.run(liveShare: liveShare)
      return compaction.summary
    }
  }
}

/// One compaction, by the thread that has the turn.
private struct Compaction {
  let store: TypedStore
  let writer: StoreWriter
  let index: ChunkIndex
  private(set) var summary = CompactionSummary()

  init(store: TypedStore, writer: StoreWriter, index: ChunkIndex) {
    self.store = store
    self.writer = writer
    self.index = index
  }

  mutating func run(liveShare: Double) throws(ChunkStoreError) {
    for (chunk, entry) in try entries() where chunk.rawValue != writer.state.withLock({ $0.counters.newestChunk }) {
      let usedByteCount = entry.nextFreeOffset - ChunkHeader.byteCount
      guard Double(entry.liveByteCount) < liveShare * Double(usedByteCount) || entry.liveObjectCount == 0 else {
        continue
      }
      if entry.liveObjectCount > 0 {
        // One that is damaged stays for whoever wants to see what is in it.
        do throws(ChunkStoreError) { try empty(chunk) } catch  where error.code == .corrupt || error.code == .io {
          continue
        }
        try writer.flush()
      }
      try writer.removeEmptied([chunk])
      let isLeft: ChunkEntry? = try index.read { (transaction) throws(ChunkStoreError) in
        try transaction.entry(index.chunks, chunk.rawValue.indexKey)
      }
      if isLeft == nil { summary.removedChunkCount += 1 }
    }
  }

  private func entries() throws(ChunkStoreError) -> [(ChunkID, ChunkEntry)] {
    let page: [(key: [UInt8], entry: ChunkEntry)] = try index.read { (transaction) throws(ChunkStoreError) in
      try index.checkSum(of: index.chunks, in: transaction)
      return try transaction.page(index.chunks, limit: .max)
    }
    return page.compactMap { key, entry in UInt64(indexKey: key).map { (ChunkID(rawValue: $0), entry) } }
  }

  /// Moves every object out that the index names in the chunk.
  private mutating func empty(_ chunk: ChunkID) throws(ChunkStoreError) {
    let map = try store.context.files.map(chunk)
    var scan = ChunkScan(map, storePrefix: store.context.files.storePrefix, from: ChunkHeader.byteCount)
    while let found = try scan.next() {
      guard found.header.death == .empty, let entry = try index.object(found.header.key),
        entry.place == found.header.place,
        let object = try store.open(found.header.key), object.place == entry.place
      else { continue }
      do throws(ChunkStoreError) { try object.lockForWriting() } catch  where error.code == .busy {
        summary.busyObjectCount += 1
        continue
      }
      defer { object.unlockWriting() }
      try move(object, from: map)
    }
  }

  /// To the head of the newest chunk, by whoever holds the lock of the object for writing.
  private mutating func move(_ object: StoredObject, from map: ChunkMap) throws(ChunkStoreError) {
    let old = object.place
    let (place, target) = try writer.findPlace(
      headerByteCount: old.headerByteCount, old.kind, elementCount: old.elementCount,
      payloadByteCount: old.payloadByteCount, reservedByteCount: 0)
    do throws(ChunkStoreError) {
      try ObjectCopy.copy(old.payload, of: map, to: place.payloadOffset, of: target)
    } catch {
      writer.abandon(ObjectEntry(place: place, fingerprint: object.layout.fingerprint))
      throw error
    }
    object.move(to: place, in: target)
    try writer.stage(object.key, .store(object))
    summary.movedObjectCount += 1
    summary.movedByteCount += old.range.count
  }
}
