import LMDB
import StorageIO
import Synchronization

/// The one who places objects and makes changes durable: one thread at a time has the turn.
///
/// Changes are staged, which makes them visible to this process, and committed by a flush, many at a time. The order of a
/// flush is what recovery relies upon:
/// 1. bytes of objects are durable before a header stands before them,
/// 2. headers are durable before the index names them,
/// 3. the index no longer names an object before its header says that it is dead, and that is durable before its pages go.
final class StoreWriter: Sendable {
  enum Change {
    case store(StoredObject)
    case delete
  }

  struct State {
    var counters: ChunkCounters
    /// Where the next object goes; nil before the first.
    var newest: Newest?
    var changes: [ChunkKey: Change] = [:]
    /// Chunks that the index does not know yet.
    var newChunks: [ChunkID: ChunkEntry] = [:]
    /// Objects that were placed and never came into the index: replaced or deleted before the flush, or not finished. A
    /// flush that failed may have written their headers.
    var abandoned: [ObjectEntry] = []
    /// Where objects were placed since the last flush, used or not.
    var ends: [ChunkID: Int] = [:]
  }

  struct Newest {
    let map: ChunkMap
    var nextFreeOffset: Int
  }

  /// More changes than this are not kept waiting for a flush.
  static let maximumChangeCount = 4096
  /// Entries of one transaction that removes objects.
  static let burialCount = 512

  let superblock: ChunkSuperblock
  let index: ChunkIndex
  let files: ChunkFiles
  let context: ObjectContext
  let openObjects: OpenObjects
  let reserve: SpaceReserve
  private let isTaken = Monitor(false)
  let state: Mutex<State>

  init(
    superblock: ChunkSuperblock, index: ChunkIndex, context: ObjectContext, openObjects: OpenObjects,
    reserve: SpaceReserve
  ) throws(ChunkStoreError) {
    self.superblock = superblock
    self.index = index
    self.context = context
    self.openObjects = openObjects
    self.reserve = reserve
    let files = context.files
    self.files = files
    let (counters, entry) = try index.read { (transaction) throws(ChunkStoreError) in
      let counters = try index.counters(in: transaction)
      let entry: ChunkEntry? =
        counters.newestChunk == 0 ? nil : try transaction.entry(index.chunks, counters.newestChunk.indexKey)
      return (counters, entry)
    }
    var newest: Newest?
    if let entry {
      // One that is damaged is left as it is: objects go to another.
      do throws(ChunkStoreError) {
        let map = try files.map(ChunkID(rawValue: counters.newestChunk))
        newest = Newest(map: map, nextFreeOffset: entry.nextFreeOffset)
      } catch  where error.code == .corrupt {}
    }
    state = Mutex(State(counters: counters, newest: newest))
  }

  /// Runs `body` while no other thread places objects or flushes.
  func withTurn<R>(_ body: () throws(ChunkStoreError) -> R) throws(ChunkStoreError) -> R {
    try context.writability.check()
    let isMine: Void? = isTaken.wait(seconds: context.lockTimeoutSeconds) { isTaken in
      if isTaken { return nil }
      isTaken = true
      return ()
    }
    guard isMine != nil else {
      throw ChunkStoreError(.busy, "somebody else writes to the store; waited \(context.lockTimeoutSeconds) s")
    }
    defer { isTaken.withLock { $0 = false } }
    return try body()
  }

  func change(of key: ChunkKey) -> Change? { state.withLock { $0.changes[key] } }
  var hasChanges: Bool { state.withLock { !$0.changes.isEmpty } }

  // MARK: Placing objects, with the turn

  /// Makes an object at the head of the newest chunk; nobody knows of it yet. All of it is zeros, and the blocks of its
  /// first `reservedByteCount` bytes are there.
  func place(
    _ key: ChunkKey, _ kind: ObjectKind, layout: StructureLayout, elementCount: Int, payloadByteCount: Int,
    reservedByteCount: Int
  ) throws(ChunkStoreError) -> StoredObject {
    let text = Array(layout.description.utf8)
    let (place, map) = try findPlace(
      headerByteCount: ObjectHeader.byteCount(key: key, layoutText: text), kind, elementCount: elementCount,
      payloadByteCount: payloadByteCount, reservedByteCount: reservedByteCount)
    let header = ObjectHeader(
      storePrefix: files.storePrefix, place: place, key: key, layoutText: text,
      createdNanoseconds: Clock.wallNanoseconds())
    return StoredObject(header, layout: layout, map: map, context)
  }

  /// Sets a place aside, with the blocks of the header and of `reservedByteCount` bytes behind it.
  func findPlace(
    headerByteCount: Int, _ kind: ObjectKind, elementCount: Int, payloadByteCount: Int, reservedByteCount: Int
  ) throws(ChunkStoreError) -> (ObjectPlace, ChunkMap) {
    var place = ObjectPlace(
      object: state.withLock { $0.counters.nextObject }, chunk: ChunkID(rawValue: 0), offset: 0,
      headerByteCount: headerByteCount, kind: kind, elementCount: elementCount, payloadByteCount: payloadByteCount)
    let room = try room(for: place.range.count)
    place.chunk = room.map.id
    place.offset = room.nextFreeOffset
    do throws(ChunkStoreError) {
      try room.map.reserve(place.offset..<(place.payloadOffset + reservedByteCount))
    } catch {
      discard(room.map.id)
      throw error
    }
    let (chunk, end) = (place.chunk, place.range.upperBound)
    state.withLock { state in
      state.counters.nextObject += 1
      state.ends[chunk] = end
      if state.newest?.map.id == chunk { state.newest?.nextFreeOffset = end }
    }
    return (place, room.map)
  }

  /// A chunk with room for `byteCount` bytes: the newest, a new one, or one of its own for an object that fits into none.
  private func room(for byteCount: Int) throws(ChunkStoreError) -> Newest {
    if let newest = state.withLock({ $0.newest }), byteCount <= newest.map.byteCount - newest.nextFreeOffset {
      return newest
    }
    let isOrdinary = byteCount <= superblock.chunkByteCount - ChunkHeader.byteCount
    let chunkByteCount =
      isOrdinary
      ? superblock.chunkByteCount : (ChunkHeader.byteCount + byteCount).roundedUp(toMultipleOf: ChunkHeader.byteCount)
    guard chunkByteCount <= ChunkFormat.maximumChunkByteCount else {
      throw ChunkStoreError(.invalidArgument, "an object of \(byteCount) bytes: more than a file can have")
    }
    let id = ChunkID(rawValue: state.withLock { $0.counters.nextChunk })
    let map = try files.create(id, byteCount: chunkByteCount)
    let newest = Newest(map: map, nextFreeOffset: ChunkHeader.byteCount)
    state.withLock { state in
      state.counters.nextChunk += 1
      state.newChunks[id] = ChunkEntry(chunkByteCount: chunkByteCount)
      if isOrdinary {
        state.counters.newestChunk = id.rawValue
        state.newest = newest
      }
    }
    return newest
  }

  /// Removes the chunk of an object that could not be placed, if it was made for that one alone.
  private func discard(_ chunk: ChunkID) {
    let isUnused = state.withLock { state in
      state.newest?.map.id != chunk && state.ends[chunk] == nil && state.newChunks.removeValue(forKey: chunk) != nil
    }
    // A file that stays is one that the next open does not know, and removes.
    if isUnused { do throws(SystemCallFailure) { try files.remove(chunk) } catch {} }
  }

  /// Notes that an object was placed in vain: the next flush gives its space back.
  func abandon(_ object: ObjectEntry) { state.withLock { $0.abandoned.append(object) } }

  /// Notes a change, which this process sees from now on and the next flush makes durable.
  func stage(_ key: ChunkKey, _ change: Change) throws(ChunkStoreError) {
    var abandoned: ObjectEntry?
    if case .store(let object)? = self.change(of: key) {
      if case .store(let next) = change, next === object {} else { abandoned = object.entry }
    }
    let changeCount = state.withLock { [abandoned] state in
      if let abandoned { state.abandoned.append(abandoned) }
      state.changes[key] = change
      return state.changes.count + state.abandoned.count
    }
    switch change {
    case .store(let object): openObjects.replace(key, with: object)
    case .delete: openObjects.replace(key, with: nil)
    }
    if changeCount >= StoreWriter.maximumChangeCount { try flush() }
  }
}
