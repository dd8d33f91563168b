import StorageIO

/// Where an object is and how large: what the header in the chunk and the entry of the index agree upon.
struct ObjectPlace: Hashable, Sendable {
  /// Rises with every object that is made or moved: of two with the same key the higher one counts.
  var object: UInt64
  var chunk: ChunkID
  /// Of the header, in the chunk.
  var offset: Int
  var headerByteCount: Int
  var kind: ObjectKind
  /// The number of elements; for a ring, the most that it holds.
  var elementCount: Int
  var payloadByteCount: Int

  var payloadOffset: Int { offset + headerByteCount }
  var payload: Range<Int> { payloadOffset..<(payloadOffset + payloadByteCount) }
  /// Up to where the next object may begin.
  var range: Range<Int> {
    offset..<(payloadOffset + payloadByteCount).roundedUp(toMultipleOf: ChunkFormat.objectAlignment)
  }

  /// Whether the object can lie in a chunk of `chunkByteCount` bytes, without overflow.
  func fits(in chunkByteCount: Int) -> Bool {
    offset >= ChunkHeader.byteCount && offset % ChunkFormat.objectAlignment == 0 && offset < chunkByteCount
      && headerByteCount >= ObjectHeader.fixedByteCount && headerByteCount % ChunkFormat.objectAlignment == 0
      && headerByteCount <= chunkByteCount - offset && payloadByteCount >= 0 && elementCount >= 0
      && payloadByteCount <= chunkByteCount - offset - headerByteCount
  }
}

/// What stands before the bytes of an object: all that a rebuild of the index needs.
struct ObjectHeader: Sendable {
  static let fixedByteCount = 128
  static let magic = Array("PFSO".utf8)
  /// The longest header, in bytes.
  static let maximumByteCount = fixedByteCount + 64 + ChunkKey.byteCounts.upperBound + (33 << 10)

  let storePrefix: UInt64
  let place: ObjectPlace
  let key: ChunkKey
  /// The text of the layout, as the object was stored with.
  let layoutText: [UInt8]
  let createdNanoseconds: Int64
  var seal: HeaderSlot.State
  var death: HeaderSlot.State

  enum Offset {
    static let magic = 0
    static let version = magic + 4
    static let kind = version + 2
    static let headerByteCount = kind + 2
    static let keyByteCount = headerByteCount + 4
    static let layoutByteCount = keyByteCount + 2
    static let storePrefix = layoutByteCount + 2
    static let chunk = storePrefix + 8
    static let offset = chunk + 8
    static let object = offset + 8
    static let payloadByteCount = object + 8
    static let elementCount = payloadByteCount + 8
    static let created = elementCount + 8
    static let reserved = created + 8
    static let checksum = 92
    /// Outside the checksum, in one sector each: written once, in place.
    static let seal = 96
    static let death = 112
    static let key = ObjectHeader.fixedByteCount
  }

  static func byteCount(key: ChunkKey, layoutText: [UInt8]) -> Int {
    (fixedByteCount + key.bytes.count + layoutText.count).roundedUp(toMultipleOf: ChunkFormat.objectAlignment)
  }

  func encoded() -> [UInt8] {
    var writer = ByteWriter(byteCount: place.headerByteCount)
    writer.put(ObjectHeader.magic, at: Offset.magic)
    writer.put(UInt16(ChunkFormat.version), at: Offset.version)
    writer.put(place.kind.rawValue, at: Offset.kind)
    writer.put(UInt32(place.headerByteCount), at: Offset.headerByteCount)
    writer.put(UInt16(key.bytes.count), at: Offset.keyByteCount)
    writer.put(UInt16(layoutText.count), at: Offset.layoutByteCount)
    writer.put(storePrefix, at: Offset.storePrefix)
    writer.put(place.chunk.rawValue, at: Offset.chunk)
    writer.put(UInt64(place.offset), at: Offset.offset)
    writer.put(place.object, at: Offset.object)
    writer.put(UInt64(place.payloadByteCount), at: Offset.payloadByteCount)
    writer.put(UInt64(place.elementCount), at: Offset.elementCount)
    writer.put(createdNanoseconds, at: Offset.created)
    writer.put(key.bytes, at: Offset.key)
    writer.put(layoutText, at: Offset.key + key.bytes.count)
    writer.put(ObjectHeader.sum(of: writer.bytes), at: Offset.checksum)
    if let slot = seal.slot { writer.put(slot.encoded(for: place.object), at: Offset.seal) }
    if let slot = death.slot { writer.put(slot.encoded(for: place.object), at: Offset.death) }
    return writer.bytes
  }

  /// Of all but the checksum itself and the slots.
  private static func sum(of bytes: [UInt8]) -> UInt32 {
    checksum(Array(bytes[fixedByteCount...]), continuing: checksum(Array(bytes[..<Offset.checksum])))
  }

  init(
    storePrefix: UInt64, place: ObjectPlace, key: ChunkKey, layoutText: [UInt8], createdNanoseconds: Int64,
    seal: HeaderSlot.State = .empty
  ) {
    self.storePrefix = storePrefix
    self.place = place
    self.key = key
    self.layoutText = layoutText
    self.createdNanoseconds = createdNanoseconds
    self.seal = seal
    death = .empty
  }

  /// The length that the first bytes of a header claim; nil when they are of no header.
  static func claimedByteCount(_ bytes: [UInt8]) -> Int? {
    guard bytes.count >= fixedByteCount, bytes.starts(with: magic) else { return nil }
    let count = Int(ByteReader(bytes).get(Offset.headerByteCount, as: UInt32.self))
    let isPossible = (fixedByteCount...maximumByteCount).contains(count) && count % ChunkFormat.objectAlignment == 0
    return isPossible ? count : nil
  }

  /// - Parameters:
  ///   - bytes: as many as ``claimedByteCount(_:)`` says.
  ///   - chunkByteCount: of the chunk that they were read from.
  init(decoding bytes: [UInt8], chunkByteCount: Int) throws(FormatFailure) {
    guard bytes.count >= ObjectHeader.fixedByteCount, bytes.starts(with: ObjectHeader.magic) else {
      throw FormatFailure(.damaged, "no object begins here")
    }
    let reader = ByteReader(bytes)
    let (computed, stored) = (ObjectHeader.sum(of: bytes), reader.get(Offset.checksum, as: UInt32.self))
    guard computed == stored else {
      throw FormatFailure(.damaged, "header: stored CRC32C \(hex(stored)), bytes give \(hex(computed))")
    }
    guard reader.get(Offset.version, as: UInt16.self) <= ChunkFormat.version else {
      throw FormatFailure(.newerVersion, "an object of a newer format")
    }
    let keyByteCount = Int(reader.get(Offset.keyByteCount, as: UInt16.self))
    let layoutByteCount = Int(reader.get(Offset.layoutByteCount, as: UInt16.self))
    guard let kind = ObjectKind(rawValue: reader.get(Offset.kind)), ChunkKey.byteCounts.contains(keyByteCount),
      Offset.key + keyByteCount + layoutByteCount <= bytes.count
    else { throw FormatFailure(.damaged, "header: kind or lengths that cannot be") }
    place = ObjectPlace(
      object: reader.get(Offset.object), chunk: ChunkID(rawValue: reader.get(Offset.chunk)),
      offset: Int(clamping: reader.get(Offset.offset, as: UInt64.self)), headerByteCount: bytes.count, kind: kind,
      elementCount: Int(clamping: reader.get(Offset.elementCount, as: UInt64.self)),
      payloadByteCount: Int(clamping: reader.get(Offset.payloadByteCount, as: UInt64.self)))
    guard place.fits(in: chunkByteCount), reader.get(Offset.headerByteCount, as: UInt32.self) == bytes.count else {
      throw FormatFailure(.damaged, "header: an object that does not fit into its chunk")
    }
    storePrefix = reader.get(Offset.storePrefix)
    key = ChunkKey(bytes: reader.get(Offset.key, byteCount: keyByteCount))
    layoutText = reader.get(Offset.key + keyByteCount, byteCount: layoutByteCount)
    createdNanoseconds = reader.get(Offset.created)
    seal = HeaderSlot.state(reader.get(Offset.seal, byteCount: HeaderSlot.byteCount), object: place.object)
    death = HeaderSlot.state(reader.get(Offset.death, byteCount: HeaderSlot.byteCount), object: place.object)
  }
}

/// Sixteen bytes of an object header that are written in place, once, after it: they lie in one sector, which a device
/// writes whole or not at all.
struct HeaderSlot: Hashable, Sendable {
  static let byteCount = 16

  enum State: Hashable, Sendable {
    /// Never written.
    case empty
    case written(HeaderSlot)
    case damaged

    var slot: HeaderSlot? {
      if case .written(let slot) = self { slot } else { nil }
    }
  }

  /// For a seal, the sum of the payload.
  let value: UInt32

  func encoded(for object: UInt64) -> [UInt8] {
    var writer = ByteWriter(byteCount: HeaderSlot.byteCount)
    writer.put(UInt32(1), at: 0)
    writer.put(value, at: 4)
    writer.put(HeaderSlot.sum(Array(writer.bytes[..<12]), object), at: 12)
    return writer.bytes
  }

  static func state(_ bytes: [UInt8], object: UInt64) -> State {
    if bytes.allSatisfy({ $0 == 0 }) { return .empty }
    let reader = ByteReader(bytes)
    guard reader.get(0, as: UInt32.self) == 1, reader.get(12, as: UInt32.self) == sum(Array(bytes[..<12]), object)
    else { return .damaged }
    return .written(HeaderSlot(value: reader.get(4)))
  }

  private static func sum(_ bytes: [UInt8], _ object: UInt64) -> UInt32 {
    var writer = ByteWriter(byteCount: 8)
    writer.put(object, at: 0)
    return checksum(bytes, continuing: checksum(writer.bytes))
  }
}
