import StorageIO

/// Values, arrays and rings by key.
///
/// All of these throw `.wrongType`, which names both layouts, when the object of the key is of another type than the one
/// asked for; `.unusableType` for a type whose layout is not declared as it is; `.corrupt`, `.io`, `.indexDamaged`.
extension TypedStore {
  // MARK: Values

  /// Makes a value at the head of the newest chunk.
  /// - Throws: `.exists`, `.busy`, `.readOnly`; then nothing was made. `.noSpace`: the same, or, when it was the flush that found
  ///   no room, it is there for this process, and for good with the next flush that succeeds.
  public func new<Value: ChunkStorable>(
    _ key: ChunkKey, _ value: Value, durability: Durability = .synced
  ) throws(ChunkStoreError) -> StoredValue<Value> {
    StoredValue(try store(key, value, replaces: false, durability))
  }

  /// Stores a value under `key`, in the place of whatever object had it: all see the one or the other, and so does the
  /// store after a crash. Waits for those who use the object that is replaced.
  /// - Throws: `.busy`, `.noSpace`, `.readOnly`, as ``new(_:_:durability:)``.
  public func put<Value: ChunkStorable>(
    _ key: ChunkKey, _ value: Value, durability: Durability = .synced
  ) throws(ChunkStoreError) {
    _ = try store(key, value, replaces: true, durability)
  }

  /// A copy of the value of `key`; nil when there is none.
  @inlinable public func get<Value: ChunkStorable>(
    _ key: ChunkKey, as type: Value.Type = Value.self
  ) throws(ChunkStoreError) -> Value? {
    while let object = try find(key, .value, TypeShape(type)) {
      // One that was replaced since it was found has a successor, or none.
      do throws(ChunkStoreError) { return try StoredValue<Value>(object).get() } catch  where error.code == .notFound {}
    }
    return nil
  }

  /// A copy of the value of `key`, or `fallback` where there is none.
  @inlinable public func get<Value: ChunkStorable>(
    _ key: ChunkKey, default fallback: @autoclosure () -> Value
  ) throws(ChunkStoreError) -> Value {
    try get(key, as: Value.self) ?? fallback()
  }

  /// The value of `key`, to be read and changed in place.
  /// - Throws: `.notFound`.
  public func value<Value: ChunkStorable>(
    _ key: ChunkKey, as type: Value.Type = Value.self
  ) throws(ChunkStoreError) -> StoredValue<Value> {
    StoredValue(try existing(key, .value, Value.self))
  }

  // MARK: Arrays and rings

  /// Makes an array of `count` elements, all zeros, that take space when they are set.
  ///
  /// One that does not fit into a chunk gets a chunk of its own.
  /// - Throws: `.exists`, `.invalidArgument`, `.busy`, `.noSpace`, `.readOnly`, as ``new(_:_:durability:)``.
  public func newArray<Element: ChunkStorable>(
    _ key: ChunkKey, of type: Element.Type = Element.self, count: Int, durability: Durability = .synced
  ) throws(ChunkStoreError) -> FixedArray<Element> {
    guard count > 0 else { throw ChunkStoreError(.invalidArgument, "'\(key)': an array of \(count) elements") }
    return FixedArray(try make(key, .array, Element.self, elementCount: count, durability))
  }

  /// The array of `key`.
  /// - Throws: `.notFound`.
  public func array<Element: ChunkStorable>(
    _ key: ChunkKey, of type: Element.Type = Element.self
  ) throws(ChunkStoreError) -> FixedArray<Element> {
    FixedArray(try existing(key, .array, Element.self))
  }

  /// Makes an empty ring, which holds up to `capacity` elements.
  /// - Throws: As ``newArray(_:of:count:durability:)``.
  public func newRing<Element: ChunkStorable>(
    _ key: ChunkKey, of type: Element.Type = Element.self, capacity: Int, durability: Durability = .synced
  ) throws(ChunkStoreError) -> Ring<Element> {
    guard RingEnds.capacities.contains(capacity) else {
      throw ChunkStoreError(
        .invalidArgument, "'\(key)': a ring of \(capacity) elements; 1 to \(RingEnds.capacities.last ?? 1)")
    }
    return Ring(try make(key, .ring, Element.self, elementCount: capacity, durability))
  }

  /// The ring of `key`.
  /// - Throws: `.notFound`.
  public func ring<Element: ChunkStorable>(
    _ key: ChunkKey, of type: Element.Type = Element.self
  ) throws(ChunkStoreError) -> Ring<Element> {
    Ring(try existing(key, .ring, Element.self))
  }

  // MARK: Any object

  /// Removes the object of `key`. Its pages go back to the file system when the change is durable. Waits for those who use
  /// the object.
  /// - Returns: False when there was none.
  /// - Throws: `.busy`, `.readOnly`; then it is still there. `.noSpace`: it is gone for this process, and for good with the
  ///   next flush that succeeds.
  @discardableResult
  public func delete(_ key: ChunkKey, durability: Durability = .synced) throws(ChunkStoreError) -> Bool {
    let writer = try writer
    return try writer.withTurn { () throws(ChunkStoreError) in
      guard let object = try open(key) else { return false }
      try object.lockForWriting()
      object.markRemoved()
      object.unlockWriting()
      try writer.stage(key, .delete)
      if durability == .synced { try writer.flush() }
      return true
    }
  }

  /// Makes an object unchangeable, with a sum that is checked when it is first read after the store was opened. Durable on
  /// return. Waits for those who use the object.
  /// - Throws: `.notFound`, `.busy`, `.readOnly`.
  /// - Complexity: O(bytes of the object), but for its holes.
  public func seal(_ key: ChunkKey) throws(ChunkStoreError) {
    let writer = try writer
    try writer.withTurn { () throws(ChunkStoreError) in
      guard let object = try open(key) else { throw ChunkStoreError(.notFound, "no object '\(key)'") }
      if object.isSealed { return }
      // Its header is in the chunk then.
      try writer.flush()
      try object.lockForWriting()
      defer { object.unlockWriting() }
      try writer.syncChanged()
      let slot = HeaderSlot(value: try object.payloadSum())
      let place = object.place
      try object.map.write(slot.encoded(for: place.object), at: place.offset + ObjectHeader.Offset.seal)
      try writer.syncChanged()
      object.markSealed(slot)
    }
  }

  // MARK: Inside

  private func store<Value: ChunkStorable>(
    _ key: ChunkKey, _ value: Value, replaces: Bool, _ durability: Durability
  ) throws(ChunkStoreError) -> StoredObject {
    let byteCount = MemoryLayout<Value>.size
    return try make(
      key, .value, Value.self, elementCount: 1, durability, replaces: replaces, reservedByteCount: byteCount
    ) { (object) throws(ChunkStoreError) in
      try object.map.write(ValueBytes.of(value), at: object.place.payloadOffset)
    }
  }

  /// Makes an object, fills it, and stages it in the place of the one that it replaces.
  /// - Parameter expected: what the caller wants to replace; another object in its place is `.busy`.
  func make<Element: ChunkStorable>(
    _ key: ChunkKey, _ kind: ObjectKind, _ type: Element.Type, elementCount: Int, _ durability: Durability,
    replaces: Bool = false, reservedByteCount: Int = 0, expecting expected: StoredObject? = nil,
    filling fill: (StoredObject) throws(ChunkStoreError) -> Void = { (_) throws(ChunkStoreError) in }
  ) throws(ChunkStoreError) -> StoredObject {
    try key.check()
    let shape = TypeShape(type)
    try shape.check()
    let layout = shape.layout
    guard let byteCount = ObjectShape.payloadByteCount(kind, layout.type, elementCount: elementCount) else {
      throw ChunkStoreError(
        .invalidArgument, "'\(key)': \(elementCount) elements of \(MemoryLayout<Element>.stride) bytes")
    }
    let writer = try writer
    return try writer.withTurn { () throws(ChunkStoreError) in
      let old = try open(key)
      if old != nil && !replaces { throw ChunkStoreError(.exists, "there is an object '\(key)' already") }
      guard expected == nil || expected === old else {
        throw ChunkStoreError(.busy, "'\(key)' was replaced by somebody else meanwhile")
      }
      try old?.lockForWriting()
      defer { old?.unlockWriting() }
      let object = try writer.place(
        key, kind, layout: layout, elementCount: elementCount, payloadByteCount: byteCount,
        reservedByteCount: reservedByteCount)
      do throws(ChunkStoreError) { try fill(object) } catch {
        writer.abandon(object.entry)
        throw error
      }
      old?.markRemoved()
      try writer.stage(key, .store(object))
      if durability == .synced { try writer.flush() }
      return object
    }
  }

  func existing<Element: ChunkStorable>(
    _ key: ChunkKey, _ kind: ObjectKind, _ type: Element.Type
  ) throws(ChunkStoreError) -> StoredObject {
    guard let object = try find(key, kind, TypeShape(type)) else {
      throw ChunkStoreError(.notFound, "no object '\(key)'")
    }
    return object
  }

  /// The object of `key`, which is of this kind and type; nil when there is none.
  @usableFromInline func find(
    _ key: ChunkKey, _ kind: ObjectKind, _ shape: TypeShape
  ) throws(ChunkStoreError) -> StoredObject? {
    guard let object = try open(key) else { return nil }
    try shape.check()
    guard object.kind == kind, object.layout.fingerprint == shape.layout.fingerprint else {
      throw ChunkStoreError(
        .wrongType,
        "'\(key)' is stored as \(object.kind) of \(object.layout), asked for as \(kind) of \(shape.layout)")
    }
    return object
  }
}

/// What a type says of itself, and what it is.
@usableFromInline struct TypeShape {
  let layout: StructureLayout
  private let memory: (byteCount: Int, alignment: Int, strideByteCount: Int)
  private let name: @Sendable () -> String

  @usableFromInline init<Element: ChunkStorable>(_ type: Element.Type) {
    layout = type.layout
    memory = (MemoryLayout<Element>.size, MemoryLayout<Element>.alignment, MemoryLayout<Element>.stride)
    name = { "\(Element.self)" }
  }

  /// Throws when values of the type cannot be stored.
  func check() throws(ChunkStoreError) {
    if let problem = layout.problem { throw ChunkStoreError(.unusableType, "\(name()): \(problem)") }
    guard memory == (layout.byteCount, layout.alignment, layout.strideByteCount) else {
      throw ChunkStoreError(.unusableType, "\(name()): its layout is that of another type: \(layout)")
    }
  }
}
