import StorageIO

/// A value of an index table: fields, then a checksum over table, key and fields, so that a flipped bit is no other entry.
protocol ChunkIndexEntry {
  static var byteCount: Int { get }
  func fields() -> [UInt8]
  init?(_ reader: ByteReader)
}

extension ChunkIndexEntry {
  func sealed(under key: [UInt8], in table: String) -> [UInt8] {
    let fields = fields()
    var writer = ByteWriter(byteCount: fields.count + 4)
    writer.put(fields, at: 0)
    writer.put(Self.sum(fields, key, table), at: fields.count)
    return writer.bytes
  }

  init(sealed bytes: [UInt8], under key: [UInt8], in table: String) throws(ChunkStoreError) {
    guard bytes.count == Self.byteCount + 4 else {
      throw ChunkStoreError(index: "table \(table): an entry of \(bytes.count) bytes, not \(Self.byteCount + 4)")
    }
    let fields = Array(bytes.dropLast(4))
    let stored: UInt32 = ByteReader(bytes).get(Self.byteCount)
    let computed = Self.sum(fields, key, table)
    guard stored == computed, let entry = Self(ByteReader(fields)) else {
      throw ChunkStoreError(index: "table \(table): stored CRC32C \(hex(stored)), the entry gives \(hex(computed))")
    }
    self = entry
  }

  private static func sum(_ fields: [UInt8], _ key: [UInt8], _ table: String) -> UInt32 {
    checksum(fields, continuing: checksum(key, continuing: checksum(Array(table.utf8))))
  }
}

/// Tables `objects` and `dying`.
struct ObjectEntry: ChunkIndexEntry, Hashable {
  var place: ObjectPlace
  let fingerprint: Fingerprint

  private enum Offset {
    static let object = 0
    static let chunk = object + 8
    static let offset = chunk + 8
    static let headerByteCount = offset + 8
    static let kind = headerByteCount + 4
    static let elementCount = kind + 4
    static let payloadByteCount = elementCount + 8
    static let fingerprint = payloadByteCount + 8
    static let end = fingerprint + Fingerprint.byteCount
  }

  static let byteCount = Offset.end

  init(place: ObjectPlace, fingerprint: Fingerprint) {
    self.place = place
    self.fingerprint = fingerprint
  }

  func fields() -> [UInt8] {
    var writer = ByteWriter(byteCount: Offset.end)
    writer.put(place.object, at: Offset.object)
    writer.put(place.chunk.rawValue, at: Offset.chunk)
    writer.put(UInt64(place.offset), at: Offset.offset)
    writer.put(UInt32(place.headerByteCount), at: Offset.headerByteCount)
    writer.put(UInt32(place.kind.rawValue), at: Offset.kind)
    writer.put(UInt64(place.elementCount), at: Offset.elementCount)
    writer.put(UInt64(place.payloadByteCount), at: Offset.payloadByteCount)
    writer.put(fingerprint.bytes, at: Offset.fingerprint)
    return writer.bytes
  }

  init?(_ reader: ByteReader) {
    guard let kind = ObjectKind(rawValue: UInt8(clamping: reader.get(Offset.kind, as: UInt32.self))) else { return nil }
    place = ObjectPlace(
      object: reader.get(Offset.object), chunk: ChunkID(rawValue: reader.get(Offset.chunk)),
      offset: Int(clamping: reader.get(Offset.offset, as: UInt64.self)),
      headerByteCount: Int(reader.get(Offset.headerByteCount, as: UInt32.self)), kind: kind,
      elementCount: Int(clamping: reader.get(Offset.elementCount, as: UInt64.self)),
      payloadByteCount: Int(clamping: reader.get(Offset.payloadByteCount, as: UInt64.self)))
    fingerprint = Fingerprint(bytes: reader.get(Offset.fingerprint, byteCount: Fingerprint.byteCount))
    // A place is used in arithmetic: only one that fits into some chunk comes out.
    guard place.fits(in: ChunkFormat.maximumChunkByteCount) else { return nil }
  }
}

/// Table `chunks`.
struct ChunkEntry: ChunkIndexEntry, Hashable {
  /// Of the file.
  let chunkByteCount: Int
  /// Where the next object would begin; what lies behind holds nothing that counts.
  var nextFreeOffset: Int
  var liveObjectCount = 0
  /// Of live objects, with their headers.
  var liveByteCount = 0

  static let byteCount = 32

  init(chunkByteCount: Int) {
    self.chunkByteCount = chunkByteCount
    nextFreeOffset = ChunkHeader.byteCount
  }

  func fields() -> [UInt8] {
    var writer = ByteWriter(byteCount: ChunkEntry.byteCount)
    writer.put(UInt64(chunkByteCount), at: 0)
    writer.put(UInt64(nextFreeOffset), at: 8)
    writer.put(UInt64(liveObjectCount), at: 16)
    writer.put(UInt64(liveByteCount), at: 24)
    return writer.bytes
  }

  init?(_ reader: ByteReader) {
    chunkByteCount = Int(clamping: reader.get(0, as: UInt64.self))
    nextFreeOffset = Int(clamping: reader.get(8, as: UInt64.self))
    liveObjectCount = Int(clamping: reader.get(16, as: UInt64.self))
    liveByteCount = Int(clamping: reader.get(24, as: UInt64.self))
    guard (ChunkHeader.byteCount...ChunkFormat.maximumChunkByteCount).contains(chunkByteCount),
      (ChunkHeader.byteCount...chunkByteCount).contains(nextFreeOffset), liveByteCount <= chunkByteCount
    else { return nil }
  }
}

/// Table `meta`, key `counters`.
struct ChunkCounters: ChunkIndexEntry, Hashable {
  var nextObject: UInt64 = 1
  var nextChunk: UInt64 = 1
  /// The chunk that objects are appended to; 0 for none.
  var newestChunk: UInt64 = 0

  static let byteCount = 24

  init() {}

  func fields() -> [UInt8] {
    var writer = ByteWriter(byteCount: ChunkCounters.byteCount)
    writer.put(nextObject, at: 0)
    writer.put(nextChunk, at: 8)
    writer.put(newestChunk, at: 16)
    return writer.bytes
  }

  init?(_ reader: ByteReader) {
    nextObject = reader.get(0)
    nextChunk = reader.get(8)
    newestChunk = reader.get(16)
  }
}

/// Table `meta`, key `store`: whose index it is.
struct ChunkStoreIdentity: ChunkIndexEntry, Hashable {
  let uuid: [UInt8]

  static let byteCount = 16

  init(uuid: [UInt8]) { self.uuid = uuid }
  func fields() -> [UInt8] { uuid }
  init?(_ reader: ByteReader) { uuid = reader.bytes }
}

/// Table `meta`, key `sums`: what the other tables sum up to, so that entries that are missing are missed.
struct ChunkIndexSums: ChunkIndexEntry, Hashable {
  /// Of the transaction that wrote this.
  var transactionNumber: UInt64
  private(set) var counts: [UInt64]
  private(set) var digests: [UInt64]

  static let byteCount = 8 + 16 * ChunkIndex.summedTableNames.count

  init(transactionNumber: UInt64) {
    self.transactionNumber = transactionNumber
    counts = ChunkIndex.summedTableNames.map { _ in 0 }
    digests = counts
  }

  func fields() -> [UInt8] {
    var writer = ByteWriter(byteCount: ChunkIndexSums.byteCount)
    writer.put(transactionNumber, at: 0)
    for number in counts.indices {
      writer.put(counts[number], at: 8 + 16 * number)
      writer.put(digests[number], at: 16 + 16 * number)
    }
    return writer.bytes
  }

  init?(_ reader: ByteReader) {
    transactionNumber = reader.get(0)
    counts = ChunkIndex.summedTableNames.indices.map { reader.get(8 + 16 * $0) }
    digests = ChunkIndex.summedTableNames.indices.map { reader.get(16 + 16 * $0) }
  }

  mutating func add(entryCount: UInt64, digest: UInt64, at number: Int) {
    counts[number] &+= entryCount
    digests[number] &+= digest
  }
}
