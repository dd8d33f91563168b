import StorageIO

/// The newest elements of a sequence, at most as many as fit; one more at an end drops the one at the other end.
///
/// A handle may be used from any thread, and stays good when the object is moved. When the object was deleted or replaced
/// every call throws `.notFound`. A process that dies while it adds an element leaves the ring with it or without it; a loss of
/// power may leave zeros or older elements in the place of those that were added since the last flush.
public struct Ring<Element: ChunkStorable>: Sendable {
  @usableFromInline let object: StoredObject
  /// The most elements that it holds.
  public let capacity: Int

  init(_ object: StoredObject) {
    self.object = object
    capacity = object.elementCount
  }

  public var key: ChunkKey { object.key }
  /// Whether the ring can no longer be changed, and is checked against its sum when it is first read.
  public var isSealed: Bool { object.isSealed }

  /// The number of elements that it holds.
  public var count: Int {
    get throws(ChunkStoreError) {
      let payload = try object.beginReading()
      defer { object.endReading() }
      return try ends(in: payload).count
    }
  }

  /// Adds an element behind the last one. Of a full ring the first one goes.
  /// - Throws: `.busy`, `.notFound`, `.noSpace`, `.sealed`, `.readOnly`, `.io`, `.corrupt`; then nothing was added.
  public func append(_ element: Element) throws(ChunkStoreError) {
    try add(element) { ends, slotCount in
      (slot: (ends.first + ends.count) % slotCount, drops: (ends.first + 1) % slotCount, grows: ends.first)
    }
  }

  /// Adds an element before the first one. Of a full ring the last one goes.
  /// - Throws: As ``append(_:)``.
  public func prepend(_ element: Element) throws(ChunkStoreError) {
    try add(element) { ends, slotCount in
      let slot = (ends.first + slotCount - 1) % slotCount
      return (slot: slot, drops: slot, grows: slot)
    }
  }

  /// A copy of the element at `position`, counted from the first; nil when there are not so many.
  public func element(at position: Int) throws(ChunkStoreError) -> Element? {
    let payload = try object.beginReading()
    defer { object.endReading() }
    let ends = try ends(in: payload)
    guard (0..<ends.count).contains(position) else { return nil }
    return try withSlots(of: payload) { (slots) throws(ChunkStoreError) in
      slots[(ends.first + position) % slots.count]
    }
  }

  /// Calls `body` with each element from the first to the last, in one borrow.
  public func forEach(_ body: (Element) throws(ChunkStoreError) -> Void) throws(ChunkStoreError) {
    try visit { (slots, ends) throws(ChunkStoreError) in
      for position in 0..<ends.count { try body(slots[(ends.first + position) % slots.count]) }
    }
  }

  /// The same from the last to the first.
  public func forEachReversed(_ body: (Element) throws(ChunkStoreError) -> Void) throws(ChunkStoreError) {
    try visit { (slots, ends) throws(ChunkStoreError) in
      for position in (0..<ends.count).reversed() { try body(slots[(ends.first + position) % slots.count]) }
    }
  }

  // MARK: Inside

  private func visit(
    _ body: (Span<Element>, RingEnds) throws(ChunkStoreError) -> Void
  ) throws(ChunkStoreError) {
    let payload = try object.beginReading()
    defer { object.endReading() }
    let ends = try ends(in: payload)
    try withSlots(of: payload) { (slots) throws(ChunkStoreError) in try body(slots, ends) }
  }

  /// Writes the element to the slot that is always free, then both ends at once: nothing is seen of it before.
  private func add(
    _ element: Element, _ plan: (RingEnds, Int) -> (slot: Int, drops: Int, grows: Int)
  ) throws(ChunkStoreError) {
    let payload = try object.beginWriting()
    defer { object.endWriting(payload) }
    let ends = try ends(in: payload)
    let plan = plan(ends, RingEnds.slotCount(capacity: capacity))
    let offset = RingEnds.byteCount + plan.slot * MemoryLayout<Element>.stride
    try object.reserve(0..<RingEnds.byteCount, of: payload)
    try object.reserve(offset..<(offset + MemoryLayout<Element>.stride), of: payload)
    try payload.map.mapping.withMutableElements(
      of: Element.self, at: payload.offset + offset, count: 1, failure: payload.map.failure
    ) { (slot) throws(ChunkStoreError) in slot[0] = element }
    let isFull = ends.count == capacity
    let next = RingEnds(first: isFull ? plan.drops : plan.grows, count: isFull ? capacity : ends.count + 1)
    try payload.map.mapping.withMutableElements(
      of: UInt64.self, at: payload.offset, count: 1, failure: payload.map.failure
    ) { (word) throws(ChunkStoreError) in word[0] = next.word }
  }

  private func ends(in payload: StoredObject.Payload) throws(ChunkStoreError) -> RingEnds {
    let word = try payload.map.mapping.withElements(
      of: UInt64.self, at: payload.offset, count: 1, failure: payload.map.failure
    ) { (word) throws(ChunkStoreError) in word[0] }
    guard let ends = RingEnds(word: word, capacity: capacity) else {
      throw ChunkStoreError(.corrupt, "'\(key)': a ring of \(capacity) elements cannot have ends \(hex(word))")
    }
    return ends
  }

  private func withSlots<R>(
    of payload: StoredObject.Payload, _ body: (Span<Element>) throws(ChunkStoreError) -> R
  ) throws(ChunkStoreError) -> R {
    try payload.map.mapping.withElements(
      of: Element.self, at: payload.offset + RingEnds.byteCount, count: RingEnds.slotCount(capacity: capacity),
      failure: payload.map.failure, body)
  }
}

/// Where a ring begins and how long it is: one word, so that it changes at once.
struct RingEnds: Hashable {
  /// What is set aside for it before the slots, in bytes.
  static let byteCount = 64
  static let capacities = 1...Int(UInt32.max - 1)

  let first: Int
  let count: Int

  init(first: Int, count: Int) {
    self.first = first
    self.count = count
  }

  init?(word: UInt64, capacity: Int) {
    first = Int(word >> 32)
    count = Int(word & 0xFFFF_FFFF)
    guard first < RingEnds.slotCount(capacity: capacity), count <= capacity else { return nil }
  }

  var word: UInt64 { UInt64(first) << 32 | UInt64(count) }

  /// One more than there are elements, to write to before an element is dropped.
  static func slotCount(capacity: Int) -> Int { capacity + 1 }
}
