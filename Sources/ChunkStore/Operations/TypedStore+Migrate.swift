import StorageIO

/// Migration: objects of one type become objects of another, under the same keys.
///
/// A type that changes gets a new version number, and the old one is kept under another name, such as `ReadingV1`; when a
/// store is opened, `migrate` is called for the keys of such objects. Each object is the old one or the new one at every
/// moment, after a crash too; handles to the old one then throw `.notFound`.
extension TypedStore {
  /// Replaces the object of `key`, whatever its kind, by one whose elements `convert` makes of the old ones.
  ///
  /// Elements of an array or ring that were never set, in pages that take no space, stay zeros and are not converted. One that
  /// is sealed is checked first; the new one is not sealed.
  /// - Returns: False when the object is of the new type already, or there is none.
  /// - Throws: `.wrongType` when it is of neither type; `.corrupt`, `.busy`, `.noSpace`, `.readOnly`; then it is as it was.
  /// - Complexity: O(elements that take space)
  @discardableResult
  public func migrate<Old: ChunkStorable, New: ChunkStorable>(
    _ key: ChunkKey, from old: Old.Type, to new: New.Type, durability: Durability = .synced,
    _ convert: (Old) throws(ChunkStoreError) -> New
  ) throws(ChunkStoreError) -> Bool {
    guard let object = try open(key) else { return false }
    if object.layout.fingerprint == New.layout.fingerprint { return false }
    _ = try existing(key, object.kind, Old.self)
    _ = try make(
      key, object.kind, New.self, elementCount: object.elementCount, durability, replaces: true,
      expecting: object
    ) { (made) throws(ChunkStoreError) in
      try copyElements(of: object, to: made, convert)
    }
    return true
  }

  /// By whoever holds the lock of the old object for writing; the new one is known to nobody yet.
  private func copyElements<Old: ChunkStorable, New: ChunkStorable>(
    of object: StoredObject, to made: StoredObject, _ convert: (Old) throws(ChunkStoreError) -> New
  ) throws(ChunkStoreError) {
    try object.verifySeal()
    let (source, target) = (object.map, made.map)
    let base = object.kind == .ring ? RingEnds.byteCount : 0
    let (oldStart, newStart) = (object.place.payloadOffset + base, made.place.payloadOffset + base)
    let (oldStride, newStride) = (MemoryLayout<Old>.stride, MemoryLayout<New>.stride)
    if base > 0 {
      try target.reserve(made.place.payloadOffset..<newStart)
      try target.write(
        try source.copy(object.place.payloadOffset..<(object.place.payloadOffset + 8)), at: made.place.payloadOffset)
    }
    let slotCount = object.kind == .ring ? RingEnds.slotCount(capacity: object.elementCount) : object.elementCount
    var runs = DataRuns(of: oldStart..<object.place.payload.upperBound, in: source)
    var next = 0
    while let run = try runs.next() {
      let first = max(next, (run.lowerBound - oldStart) / oldStride)
      next = min(slotCount, (run.upperBound - oldStart + oldStride - 1) / oldStride)
      for slot in first..<max(first, next) {
        let old = try source.mapping.withElements(
          of: Old.self, at: oldStart + slot * oldStride, count: 1, failure: source.failure
        ) { (elements) throws(ChunkStoreError) in elements[0] }
        let element = try convert(old)
        let offset = newStart + slot * newStride
        try target.reserve(offset..<(offset + MemoryLayout<New>.size))
        try target.write(ValueBytes.of(element), at: offset)
      }
    }
  }
}
