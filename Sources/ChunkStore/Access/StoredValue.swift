import StorageIO

/// A value in a chunk, read and changed in place.
///
/// A handle may be used from any thread, and stays good when the object is moved. When the object was deleted or replaced
/// every call throws `.notFound`.
public struct StoredValue<Value: ChunkStorable>: Sendable {
  @usableFromInline let object: StoredObject

  @usableFromInline init(_ object: StoredObject) { self.object = object }

  public var key: ChunkKey { object.key }
  /// Whether the value can no longer be changed, and is checked against its sum when it is first read.
  public var isSealed: Bool { object.isSealed }

  /// A copy of the value.
  @inlinable public func get() throws(ChunkStoreError) -> Value {
    try withValue { (value) throws(ChunkStoreError) in value }
  }

  /// Calls `body` with the value where it lies. Waits for a writer, at most the lock timeout of the store.
  /// - Throws: `.busy`, `.notFound`, `.io` when the chunk was cut short or cannot be read, `.corrupt` for a sealed value that
  ///   is not what was sealed; what `body` throws.
  @inlinable public func withValue<R>(
    _ body: (borrowing Value) throws(ChunkStoreError) -> R
  ) throws(ChunkStoreError) -> R {
    let payload = try object.beginReading()
    defer { object.endReading() }
    return try payload.map.mapping.withElements(
      of: Value.self, at: payload.offset, count: 1, failure: payload.map.failure
    ) { (elements) throws(ChunkStoreError) in try body(elements[0]) }
  }

  /// Calls `body` with the value where it lies, to change it. Waits for all others, at most the lock timeout of the store.
  ///
  /// The change is durable with the next flush. A process that dies meanwhile may leave half of it; seal, or put a new
  /// value, where that matters.
  /// - Throws: As ``withValue(_:)``, and `.sealed`, `.readOnly`; after `.io` the value is undefined.
  @inlinable public func update<R>(
    _ body: (inout Value) throws(ChunkStoreError) -> R
  ) throws(ChunkStoreError) -> R {
    let payload = try object.beginWriting()
    defer { object.endWriting(payload) }
    return try payload.map.mapping.withMutableElements(
      of: Value.self, at: payload.offset, count: 1, failure: payload.map.failure
    ) { (elements) throws(ChunkStoreError) in try body(&elements[0]) }
  }
}
