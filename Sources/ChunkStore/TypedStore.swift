import StorageIO
import Synchronization

public typealias FilePath = StorageIO.FilePath

/// A store of typed objects in mapped chunk files: values, arrays and rings that are used where they lie, by key.
///
/// Any thread may call, several at once. One process at a time has a store open for writing, or any number have it open for
/// reading. Open a store once in a process, share the object, and ``close()`` it: what was flushed is safe without.
///
/// Calls that change which objects there are take `durability`: `.synced`, and the change survives a loss of power when
/// the call returns; `.staged`, and it does so with the next ``flush()``, at the latest ``close()``.
public final class TypedStore: Sendable {
  public struct Configuration: Hashable, Sendable {
    /// Whether the store can be read only; nothing is then written, not even to put right what a crash left.
    public var isReadOnly = false
    /// How long a call waits for an object, or for the store, that somebody else uses.
    public var lockTimeoutSeconds = 10.0

    public init() {}
  }

  /// When a change is durable.
  public enum Durability: Hashable, Sendable {
    /// When the call returns.
    case synced
    /// With the next flush.
    case staged
  }

  public let path: FilePath
  /// The size of a chunk, unless one object needs a larger one for itself.
  public var chunkByteCount: Int { superblock.chunkByteCount }
  /// What of the chunks could not be read when the store was opened for writing after a crash.
  public let openFindings: [ChunkFinding]

  let superblock: ChunkSuperblock
  let context: ObjectContext
  let openObjects = OpenObjects()
  private let opened: Mutex<Opened?>

  /// What goes when the store is closed.
  private struct Opened {
    let index: ChunkIndex
    /// Nil in a store that is open for reading.
    let writer: StoreWriter?
    let lock: ByteLock
  }

  // MARK: Opening and closing

  /// Makes a store in the directory `path`, which must not exist or be empty; whole and durable, or not at all.
  /// - Parameter chunkByteCount: 64 KiB to 1 TiB; takes disk space only as far as it is used.
  /// - Throws: `.exists`, `.invalidArgument`, `.noSpace`, `.io`.
  public static func create(at path: FilePath, chunkByteCount: Int = 64 << 20) throws(ChunkStoreError) {
    try TypedStoreDirectory.create(at: path, chunkByteCount: chunkByteCount)
  }

  /// Opens the store in the directory `path`. For writing, what a process that died has left behind is put right first.
  /// - Throws: `.noStore`, `.notAStore`, `.newerFormat`, `.indexDamaged`, `.busy`, `.corrupt`, `.noSpace`, `.io`.
  public init(at path: FilePath, _ configuration: Configuration = Configuration()) throws(ChunkStoreError) {
    self.path = path
    let directory = try TypedStoreDirectory(opening: path)
    superblock = directory.superblock
    let lock = try directory.lock(
      configuration.isReadOnly ? .shared : .exclusive, timeoutSeconds: configuration.lockTimeoutSeconds)
    let files = try directory.openChunks(isWritable: !configuration.isReadOnly)
    context = ObjectContext(
      files: files, gate: Monitor(()), lockTimeoutSeconds: configuration.lockTimeoutSeconds,
      writability: Writability(configuration.isReadOnly ? .readOnlyStore(path) : nil))
    let index = try directory.openIndex()
    var writer: StoreWriter?
    var findings: [ChunkFinding] = []
    if !configuration.isReadOnly {
      (writer, findings) = try TypedStore.recover(superblock, index, context, openObjects, SpaceReserve(in: path))
    }
    openFindings = findings
    opened = Mutex(Opened(index: index, writer: writer, lock: lock))
  }

  /// Puts right what a process that died has left behind, and begins to write.
  private static func recover(
    _ superblock: ChunkSuperblock, _ index: ChunkIndex, _ context: ObjectContext, _ openObjects: OpenObjects,
    _ reserve: SpaceReserve
  ) throws(ChunkStoreError) -> (StoreWriter, [ChunkFinding]) {
    func attempt() throws(ChunkStoreError) -> (StoreWriter, [ChunkFinding]) {
      var recovery = ChunkRecovery(index: index, files: context.files, isRebuild: false)
      try recovery.run()
      let writer = try StoreWriter(
        superblock: superblock, index: index, context: context, openObjects: openObjects, reserve: reserve)
      try writer.bury()
      return (writer, recovery.findings)
    }
    do throws(ChunkStoreError) { return try attempt() } catch  where error.code == .noSpace {
      try translating { () throws(SystemCallFailure) in try reserve.release() }
      return try attempt()
    }
  }

  deinit {
    // What fails here was not acknowledged as durable.
    do throws(ChunkStoreError) { try close() } catch {}
  }

  /// Flushes, and lets go of the store. Later calls throw, those of handles too. Call it when no borrow is left.
  /// - Throws: What kept changes from being durable; the store is closed all the same.
  public func close() throws(ChunkStoreError) {
    guard
      let ending = opened.withLock({ opened in
        let ending = opened
        opened = nil
        return ending
      })
    else { return }
    defer {
      context.writability.close(path)
      withExtendedLifetime(ending) {}
    }
    guard let writer = ending.writer else { return }
    try writer.withTurn { () throws(ChunkStoreError) in try writer.flush() }
  }

  /// Makes all that was changed durable: objects that were made, replaced or deleted, and bytes that were changed in place
  /// by borrows that have ended.
  /// - Throws: `.noSpace`, `.busy`: nothing is lost, and may be tried again; `.durabilityUnknown`, and the process writes no
  ///   more; `.readOnly`.
  public func flush() throws(ChunkStoreError) {
    let writer = try writer
    try writer.withTurn { () throws(ChunkStoreError) in try writer.flush() }
  }

  // MARK: Inside

  var index: ChunkIndex {
    get throws(ChunkStoreError) { try current.index }
  }

  var writer: StoreWriter {
    get throws(ChunkStoreError) {
      guard let writer = try current.writer else { throw ChunkStoreError.readOnlyStore(path) }
      return writer
    }
  }

  private var current: Opened {
    get throws(ChunkStoreError) {
      guard let current = opened.withLock({ $0 }) else {
        throw ChunkStoreError(.invalidArgument, "'\(path)': the store is closed")
      }
      return current
    }
  }

  /// The object of `key`, open; nil when there is none.
  func open(_ key: ChunkKey) throws(ChunkStoreError) -> StoredObject? {
    while true {
      let stamp: UInt64
      switch openObjects.find(key) {
      case .found(let object): return object
      case .missing(let current): stamp = current
      }
      try key.check()
      let current = try current
      if case .delete? = current.writer?.change(of: key) { return nil }
      guard let entry = try current.index.object(key) else { return nil }
      do throws(ChunkStoreError) {
        let object = try read(key, entry)
        if let object = openObjects.insert(object, stamp: stamp) { return object }
      } catch {
        // Unless it was moved or removed meanwhile, it is damaged.
        if case .missing(stamp) = openObjects.find(key) { throw error }
      }
    }
  }

  /// Reads the header of an object, and holds it against what the index says.
  private func read(_ key: ChunkKey, _ entry: ObjectEntry) throws(ChunkStoreError) -> StoredObject {
    let place = entry.place
    func damage(_ message: String) -> ChunkStoreError {
      ChunkStoreError(.corrupt, "'\(key)', chunk \(place.chunk) offset \(place.offset): \(message)")
    }
    let map = try context.files.map(place.chunk)
    guard place.fits(in: map.byteCount) else { throw damage("it does not fit into the chunk") }
    let bytes = try map.copy(place.offset..<place.payloadOffset)
    let header: ObjectHeader
    do throws(FormatFailure) { header = try ObjectHeader(decoding: bytes, chunkByteCount: map.byteCount) } catch {
      throw damage(error.message)
    }
    guard header.place == place, header.key == key, header.storePrefix == context.files.storePrefix else {
      throw damage("there is object \(header.place.object) '\(header.key)', \(place.object) expected")
    }
    guard header.seal != .damaged, header.death == .empty else {
      throw damage(header.seal == .damaged ? "its seal cannot be read" : "it is marked as deleted, and in the index")
    }
    guard let layout = LayoutText.parse(header.layoutText), layout.fingerprint == entry.fingerprint,
      ObjectShape.isPossible(place, layout)
    else { throw damage("its layout cannot be read, or is not the one in the index") }
    return StoredObject(header, layout: layout, map: map, context)
  }
}

/// How many bytes objects have.
enum ObjectShape {
  /// The bytes of an object, or nil when there are too many.
  static func payloadByteCount(_ kind: ObjectKind, _ type: FieldType, elementCount: Int) -> Int? {
    let (slotCount, base) =
      kind == .ring ? (RingEnds.slotCount(capacity: elementCount), RingEnds.byteCount) : (elementCount, 0)
    let (byteCount, overflowed) = slotCount.multipliedReportingOverflow(by: type.strideByteCount)
    return overflowed || byteCount > ChunkFormat.maximumChunkByteCount ? nil : base + byteCount
  }

  /// Whether an object that came from disk has the bytes that its kind and layout ask for.
  static func isPossible(_ place: ObjectPlace, _ layout: StructureLayout) -> Bool {
    guard place.kind != .ring || RingEnds.capacities.contains(place.elementCount) else { return false }
    guard place.kind != .value || place.elementCount == 1 else { return false }
    return payloadByteCount(place.kind, layout.type, elementCount: place.elementCount) == place.payloadByteCount
  }
}
