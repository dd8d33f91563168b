import Codecs
import StorageIO
import Synchronization

/// An object that is open: all handles to it share one, with the lock in it.
@usableFromInline final class StoredObject: Sendable {
  /// What moves with the object, or ends with it.
  private struct State {
    var place: ObjectPlace
    var map: ChunkMap
    var seal: HeaderSlot?
    /// Whether the sum of a seal was found right since the store was opened.
    var isVerified = false
    var isRemoved = false
  }

  /// Bytes that a borrower may touch until it gives them back.
  @usableFromInline struct Payload {
    @usableFromInline let map: ChunkMap
    /// In the chunk.
    @usableFromInline let offset: Int
  }

  let key: ChunkKey
  let kind: ObjectKind
  let layout: StructureLayout
  let layoutText: [UInt8]
  let createdNanoseconds: Int64
  @usableFromInline let elementCount: Int
  private let payloadByteCount: Int
  private let state: Mutex<State>
  private let lock: BorrowLock
  private let files: ChunkFiles
  private let lockTimeoutSeconds: Double
  /// Why nothing is written any more, if so.
  private let writability: Writability

  init(
    _ header: ObjectHeader, layout: StructureLayout, map: ChunkMap, _ context: ObjectContext
  ) {
    key = header.key
    kind = header.place.kind
    self.layout = layout
    layoutText = header.layoutText
    createdNanoseconds = header.createdNanoseconds
    elementCount = header.place.elementCount
    payloadByteCount = header.place.payloadByteCount
    state = Mutex(State(place: header.place, map: map, seal: header.seal.slot))
    lock = BorrowLock(gate: context.gate)
    files = context.files
    lockTimeoutSeconds = context.lockTimeoutSeconds
    writability = context.writability
  }

  var place: ObjectPlace { state.withLock { $0.place } }
  @usableFromInline var isSealed: Bool { state.withLock { $0.seal != nil } }
  var seal: HeaderSlot? { state.withLock { $0.seal } }
  var isRemoved: Bool { state.withLock { $0.isRemoved } }
  var entry: ObjectEntry { ObjectEntry(place: place, fingerprint: layout.fingerprint) }

  // MARK: Borrowing

  /// Lends the bytes for reading; a sealed object is checked by its sum the first time.
  @usableFromInline func beginReading() throws(ChunkStoreError) -> Payload {
    guard lock.lockForReading(seconds: lockTimeoutSeconds) else { throw busy("somebody writes to it") }
    do throws(ChunkStoreError) {
      let (payload, isUnverified) = try payload()
      if isUnverified { try verifySeal() }
      return payload
    } catch {
      lock.unlockReading()
      throw error
    }
  }

  @usableFromInline func endReading() { lock.unlockReading() }

  /// Lends the bytes for writing. Their blocks are reserved by ``reserve(_:of:)``.
  @usableFromInline func beginWriting() throws(ChunkStoreError) -> Payload {
    try lockForWriting()
    do throws(ChunkStoreError) {
      if isSealed { throw ChunkStoreError(.sealed, "'\(key)' is sealed: it can be read and deleted") }
      return try payload().0
    } catch {
      lock.unlockWriting()
      throw error
    }
  }

  @usableFromInline func endWriting(_ payload: Payload) {
    payload.map.noteChange()
    lock.unlockWriting()
  }

  /// Has the blocks of `range`, counted from the start of the payload, so that writing there meets no full disk.
  @usableFromInline func reserve(_ range: Range<Int>, of payload: Payload) throws(ChunkStoreError) {
    try payload.map.reserve((payload.offset + range.lowerBound)..<(payload.offset + range.upperBound))
  }

  /// Makes the bytes of `range` zeros, whole pages by giving them back.
  func clear(_ range: Range<Int>) throws(ChunkStoreError) {
    let payload = try beginWriting()
    defer { endWriting(payload) }
    let bytes = (payload.offset + range.lowerBound)..<(payload.offset + range.upperBound)
    let firstPage = bytes.lowerBound.roundedUp(toMultipleOf: pageByteCount)
    let lastPage = max(bytes.upperBound / pageByteCount * pageByteCount, firstPage)
    for edge in [
      bytes.lowerBound..<min(firstPage, bytes.upperBound), min(lastPage, bytes.upperBound)..<bytes.upperBound,
    ] {
      // Zeros may lie in a hole, and a write would need space; whatever else is there has its own.
      let isZero = try payload.map.withBytes(edge) { (bytes) throws(ChunkStoreError) in ZeroCheck.isAllZero(bytes) }
      if !isZero { try payload.map.write([UInt8](repeating: 0, count: edge.count), at: edge.lowerBound) }
    }
    try translating { () throws(SystemCallFailure) in try payload.map.punch(bytes) }
  }

  @usableFromInline func lockForWriting() throws(ChunkStoreError) {
    try writability.check()
    guard lock.lockForWriting(seconds: lockTimeoutSeconds) else { throw busy("somebody uses it") }
    if isRemoved {
      lock.unlockWriting()
      throw removed
    }
  }

  func unlockWriting() { lock.unlockWriting() }

  private func payload() throws(ChunkStoreError) -> (Payload, isUnverified: Bool) {
    try writability.checkOpen()
    let (current, isRemoved, isUnverified) = state.withLock { state in
      (
        Payload(map: state.map, offset: state.place.payloadOffset), state.isRemoved,
        state.seal != nil && !state.isVerified
      )
    }
    if isRemoved { throw removed }
    guard current.map.mapping.isFaulted else { return (current, isUnverified) }
    // What a lost page left behind is not used again; whether the page is back the access shows.
    let map = try files.map(current.map.id)
    state.withLock { $0.map = map }
    return (Payload(map: map, offset: current.offset), isUnverified)
  }

  private func busy(_ reason: String) -> ChunkStoreError {
    ChunkStoreError(.busy, "'\(key)': \(reason); waited \(lockTimeoutSeconds) s")
  }

  private var removed: ChunkStoreError { ChunkStoreError(.notFound, "'\(key)' was deleted or replaced") }

  // MARK: Changes of the whole, by whoever holds the lock for writing

  func markRemoved() { state.withLock { $0.isRemoved = true } }

  func markSealed(_ slot: HeaderSlot) {
    state.withLock { state in
      state.seal = slot
      state.isVerified = true
    }
  }

  /// The object is in another place from now on.
  func move(to place: ObjectPlace, in map: ChunkMap) {
    state.withLock { state in
      state.place = place
      state.map = map
    }
  }

  var map: ChunkMap { state.withLock { $0.map } }

  /// The sum of the payload as it is now.
  func payloadSum() throws(ChunkStoreError) -> UInt32 {
    let (payload, _) = try payload()
    return try PayloadSum.sum(of: payload.offset..<(payload.offset + payloadByteCount), in: payload.map)
  }

  /// Reads all that can be checked.
  func verify() throws(ChunkStoreError) {
    state.withLock { $0.isVerified = false }
    _ = try beginReading()
    endReading()
  }

  /// Holds the bytes of a sealed object against its sum.
  func verifySeal() throws(ChunkStoreError) {
    guard let expected = seal?.value else { return }
    let found = try payloadSum()
    guard found == expected else {
      let place = place
      throw ChunkStoreError(
        .corrupt,
        "'\(key)', chunk \(place.chunk) offset \(place.payloadOffset): "
          + "sealed with CRC32C \(hex(expected)), its bytes give \(hex(found))")
    }
    state.withLock { $0.isVerified = true }
  }
}

/// What all open objects of a store share.
struct ObjectContext: Sendable {
  let files: ChunkFiles
  let gate: Monitor<Void>
  let lockTimeoutSeconds: Double
  let writability: Writability
}

/// Whether a store may be written to, and read.
final class Writability: Sendable {
  private let isClosed = Atomic(false)
  private let refusal: Mutex<ChunkStoreError?>

  init(_ refusal: ChunkStoreError?) { self.refusal = Mutex(refusal) }

  func check() throws(ChunkStoreError) {
    if let refusal = refusal.withLock({ $0 }) { throw refusal }
  }

  /// Ends all use: the store was closed, and another process may have it.
  func close(_ path: FilePath) {
    let error = ChunkStoreError(.invalidArgument, "'\(path)': the store is closed")
    refusal.withLock { $0 = error }
    isClosed.store(true, ordering: .releasing)
  }

  /// Throws when the store was closed.
  func checkOpen() throws(ChunkStoreError) {
    if isClosed.load(ordering: .acquiring) { try check() }
  }

  /// Ends all writing: a sync failed, and the kernel has forgotten which pages it was about.
  func end(_ failure: SystemCallFailure) -> ChunkStoreError {
    let error = ChunkStoreError(
      .durabilityUnknown, "\(failure); whether earlier changes are on the device is not known",
      advice: "check the device, then open the store again: it then shows what is durable")
    refusal.withLock { $0 = $0 ?? error }
    return error
  }
}
