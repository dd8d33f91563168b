import StorageIO

/// What is known of an object without its type.
public struct ObjectSummary: Sendable {
  public let key: ChunkKey
  public let kind: ObjectKind
  /// Of a ring, the most that it holds.
  public let elementCount: Int
  /// Of its elements, all of them, set or not.
  public let byteCount: Int
  public let layout: StructureLayout
  public let createdNanoseconds: Int64
  /// Whether it can no longer be changed. What is not sealed has no sum: damage to its elements is not noticed.
  public let isSealed: Bool
  public let chunk: ChunkID
  /// Of its first element, in the file of the chunk.
  public let offset: Int
}

/// A chunk file.
public struct ChunkSummary: Hashable, Sendable {
  public let chunk: ChunkID
  /// Of the file; holes take no space.
  public let byteCount: Int
  /// Where the next object would begin.
  public let nextFreeOffset: Int
  public let objectCount: Int
  /// Of its objects, with their headers, holes among them.
  public let liveByteCount: Int
}

/// Keys, objects and chunks, listed. In a store that is open for writing these flush what is staged first.
extension TypedStore {
  /// Keys in order, at most `limit` of them.
  /// - Parameters:
  ///   - prefix: what they begin with; empty for all.
  ///   - after: the key behind which to go on.
  /// - Complexity: O(log n + limit)
  public func keys(
    prefix: ChunkKey = "", after: ChunkKey? = nil, limit: Int = 1000
  ) throws(ChunkStoreError) -> [ChunkKey] {
    guard limit > 0, prefix.bytes.count <= ChunkKey.byteCounts.upperBound else { return [] }
    let after = after == "" ? nil : after
    try after?.check()
    let index = try settledIndex()
    let page: [(key: [UInt8], entry: ObjectEntry)] = try index.read { (transaction) throws(ChunkStoreError) in
      try index.checkSum(of: index.objects, in: transaction)
      if let after, prefix <= after {
        return try transaction.page(index.objects, after: after.bytes, limit: limit)
      }
      return try transaction.page(index.objects, from: prefix.bytes.isEmpty ? nil : prefix.bytes, limit: limit)
    }
    return page.lazy.map(\.key).prefix { $0.starts(with: prefix.bytes) }.map { ChunkKey(bytes: $0) }
  }

  /// The number of objects.
  public func objectCount() throws(ChunkStoreError) -> Int {
    try settledIndex().objectCount()
  }

  /// What is known of the object of `key`; nil when there is none.
  public func object(_ key: ChunkKey) throws(ChunkStoreError) -> ObjectSummary? {
    guard let object = try open(key) else { return nil }
    let place = object.place
    return ObjectSummary(
      key: key, kind: object.kind, elementCount: object.elementCount, byteCount: place.payloadByteCount,
      layout: object.layout, createdNanoseconds: object.createdNanoseconds, isSealed: object.isSealed,
      chunk: place.chunk, offset: place.payloadOffset)
  }

  /// The chunks, in order.
  /// - Complexity: O(chunks)
  public func chunks() throws(ChunkStoreError) -> [ChunkSummary] {
    let index = try settledIndex()
    return try index.read { (transaction) throws(ChunkStoreError) in
      try index.checkSum(of: index.chunks, in: transaction)
      let entries: [(key: [UInt8], entry: ChunkEntry)] = try transaction.page(index.chunks, after: nil, limit: .max)
      return entries.compactMap { key, entry in
        UInt64(indexKey: key).map {
          ChunkSummary(
            chunk: ChunkID(rawValue: $0), byteCount: entry.chunkByteCount, nextFreeOffset: entry.nextFreeOffset,
            objectCount: entry.liveObjectCount, liveByteCount: entry.liveByteCount)
        }
      }
    }
  }

  /// The index, with nothing staged beside it.
  private func settledIndex() throws(ChunkStoreError) -> ChunkIndex {
    if context.files.isWritable {
      let writer = try writer
      if writer.hasChanges {
        try writer.withTurn { () throws(ChunkStoreError) in try writer.flush() }
      }
    }
    return try index
  }
}
