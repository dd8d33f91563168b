import StorageIO

/// Finds the objects of a chunk from its bytes alone, in the order in which they were stored.
///
/// An object is followed by the next one; where none begins, the scan goes on by the alignment of objects, over what was
/// punched or damaged. Bytes of objects cannot pass for a header: it carries the store, the chunk and its own place.
struct ChunkScan {
  struct Found {
    let header: ObjectHeader
    let layout: StructureLayout?
  }

  /// Where a header begins that cannot be read.
  struct Damage {
    let offset: Int
    let message: String
  }

  let map: ChunkMap
  let storePrefix: UInt64
  private(set) var offset: Int
  /// Behind the last object so far.
  private(set) var end: Int
  private(set) var damages: [Damage] = []
  /// Whether there is an object of another store, of another chunk or from another place.
  private(set) var hasStrangers = false
  private static let windowByteCount = 1 << 20

  init(_ map: ChunkMap, storePrefix: UInt64, from offset: Int) {
    self.map = map
    self.storePrefix = storePrefix
    self.offset = offset
    end = offset
  }

  mutating func next() throws(ChunkStoreError) -> Found? {
    while offset <= map.byteCount - ObjectHeader.fixedByteCount {
      if let found = try header(at: offset) {
        offset = found.header.place.range.upperBound
        end = offset
        return found
      }
      offset += ChunkFormat.objectAlignment
      guard let candidate = try nextCandidate() else { break }
      offset = candidate
    }
    offset = map.byteCount
    return nil
  }

  /// The next place from `offset` on where the magic bytes of an object stand, or what else only a header has: so that one
  /// whose first bytes are damaged is missed.
  private func nextCandidate() throws(ChunkStoreError) -> Int? {
    var start = offset
    while start <= map.byteCount - ObjectHeader.fixedByteCount {
      guard let data = try map.nextData(from: start) else { return nil }
      start = max(start, data / ChunkFormat.objectAlignment * ChunkFormat.objectAlignment)
      let end = min(start + ChunkScan.windowByteCount, map.byteCount)
      let magic = try map.withBytes(start..<end) { (bytes) throws(ChunkStoreError) -> Int? in
        bytes.firstOffset(of: ObjectHeader.magic, stride: ChunkFormat.objectAlignment)
      }
      let shift = ObjectHeader.Offset.storePrefix
      let prefix = try map.withBytes((start + shift)..<min(end + shift, map.byteCount)) {
        (bytes) throws(ChunkStoreError) -> Int? in
        bytes.firstOffset(of: prefixBytes, stride: ChunkFormat.objectAlignment)
      }
      if let found = [magic, prefix].compactMap({ $0 }).min() { return start + found }
      start = end.roundedUp(toMultipleOf: ChunkFormat.objectAlignment)
    }
    return nil
  }

  private mutating func header(at offset: Int) throws(ChunkStoreError) -> Found? {
    let start = try map.copy(offset..<(offset + ObjectHeader.fixedByteCount))
    guard start.starts(with: ObjectHeader.magic) else {
      // Behind an object there is another one, or zeros: of one that was given up, or of half a header that a recovery met.
      if !start.starts(with: [0, 0, 0, 0]), offset == end || isOfThisPlace(start, offset) {
        damages.append(Damage(offset: offset, message: "a header that does not begin as one does"))
      }
      return nil
    }
    guard let byteCount = ObjectHeader.claimedByteCount(start), byteCount <= map.byteCount - offset else {
      damages.append(Damage(offset: offset, message: "a header of a length that cannot be"))
      return nil
    }
    let header: ObjectHeader
    let bytes = try map.copy(offset..<(offset + byteCount))
    do throws(FormatFailure) { header = try ObjectHeader(decoding: bytes, chunkByteCount: map.byteCount) } catch {
      damages.append(Damage(offset: offset, message: error.message))
      return nil
    }
    // A copy of a header in the bytes of some object says where it was copied from.
    guard isOfThisPlace(start, offset) else {
      hasStrangers = true
      return nil
    }
    return Found(header: header, layout: LayoutText.parse(header.layoutText))
  }

  /// Whether the first bytes of a header say that it belongs where it is.
  private func isOfThisPlace(_ start: [UInt8], _ offset: Int) -> Bool {
    let reader = ByteReader(start)
    return reader.get(ObjectHeader.Offset.storePrefix, as: UInt64.self) == storePrefix
      && reader.get(ObjectHeader.Offset.chunk, as: UInt64.self) == map.id.rawValue
      && reader.get(ObjectHeader.Offset.offset, as: UInt64.self) == UInt64(offset)
  }

  private var prefixBytes: [UInt8] {
    var writer = ByteWriter(byteCount: 8)
    writer.put(storePrefix, at: 0)
    return writer.bytes
  }
}
