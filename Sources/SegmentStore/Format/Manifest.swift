import Codecs
import StorageIO

/// A run of part ids that follow one another in a file.
struct PartExtent: Hashable, Sendable {
  static let byteCount = Offset.end
  let first: PartID
  let count: Int

  enum Offset {
    static let first = 0
    static let count = first + 8
    static let end = count + 8

    static let fields = FormatField.list(["first": first, "count": count], end: end)
  }
}

/// One file as the payload of its manifest record has it, and as the index keeps it.
struct Manifest: Hashable, Sendable {
  var byteCount: Int
  var storedByteCount: Int
  var createdNanoseconds: Int64
  var modifiedNanoseconds: Int64
  var mode: UInt32
  var partByteCount: Int
  var partCount: Int
  /// MD5 of the parts' MD5s in order, as S3 multipart uploads have it.
  var etagDigest: MD5Digest
  var name: FileName
  var extents: [PartExtent]

  enum Offset {
    static let byteCount = 0
    static let storedByteCount = byteCount + 8
    static let created = storedByteCount + 8
    static let modified = created + 8
    static let mode = modified + 8
    static let partByteCount = mode + 4
    static let partCount = partByteCount + 4
    static let extentCount = partCount + 4
    static let etagDigest = extentCount + 4
    static let nameByteCount = etagDigest + MD5Digest.byteCount
    static let reserved = nameByteCount + 2
    static let name = reserved + 6

    static let fields = FormatField.list(
      [
        "byteCount": byteCount, "storedByteCount": storedByteCount, "created": created, "modified": modified,
        "mode": mode, "partByteCount": partByteCount, "partCount": partCount, "extentCount": extentCount,
        "etagDigest": etagDigest, "nameByteCount": nameByteCount, "reserved": reserved,
      ], end: name)
  }

  var encodedByteCount: Int { Offset.name + name.bytes.count + extents.count * PartExtent.byteCount }

  func encoded() -> [UInt8] {
    var writer = ByteWriter(byteCount: encodedByteCount)
    writer.put(UInt64(byteCount), at: Offset.byteCount)
    writer.put(UInt64(storedByteCount), at: Offset.storedByteCount)
    writer.put(createdNanoseconds, at: Offset.created)
    writer.put(modifiedNanoseconds, at: Offset.modified)
    writer.put(mode, at: Offset.mode)
    writer.put(UInt32(partByteCount), at: Offset.partByteCount)
    writer.put(UInt32(partCount), at: Offset.partCount)
    writer.put(UInt32(extents.count), at: Offset.extentCount)
    writer.put(etagDigest.bytes, at: Offset.etagDigest)
    writer.put(UInt16(name.bytes.count), at: Offset.nameByteCount)
    writer.put(name.bytes, at: Offset.name)
    for (index, extent) in extents.enumerated() {
      let offset = Offset.name + name.bytes.count + index * PartExtent.byteCount
      writer.put(extent.first.rawValue, at: offset + PartExtent.Offset.first)
      writer.put(UInt64(extent.count), at: offset + PartExtent.Offset.count)
    }
    return writer.bytes
  }

  init(
    byteCount: Int, storedByteCount: Int, createdNanoseconds: Int64, modifiedNanoseconds: Int64, mode: UInt32,
    partByteCount: Int, partCount: Int, etagDigest: MD5Digest, name: FileName, extents: [PartExtent]
  ) {
    self.byteCount = byteCount
    self.storedByteCount = storedByteCount
    self.createdNanoseconds = createdNanoseconds
    self.modifiedNanoseconds = modifiedNanoseconds
    self.mode = mode
    self.partByteCount = partByteCount
    self.partCount = partCount
    self.etagDigest = etagDigest
    self.name = name
    self.extents = extents
  }

  init(decoding bytes: [UInt8]) throws(FormatFailure) {
    guard bytes.count >= Offset.name else {
      throw FormatFailure(.damaged, "manifest of \(bytes.count) bytes, at least \(Offset.name) expected")
    }
    let reader = ByteReader(bytes)
    let extentCount = Int(reader.get(Offset.extentCount, as: UInt32.self))
    let nameByteCount = Int(reader.get(Offset.nameByteCount, as: UInt16.self))
    let expected = Offset.name + nameByteCount + extentCount * PartExtent.byteCount
    guard bytes.count == expected, reader.isZero(Offset.reserved..<Offset.name) else {
      throw FormatFailure(.damaged, "manifest of \(bytes.count) bytes, its counts say \(expected)")
    }
    var extents: [PartExtent] = []
    extents.reserveCapacity(extentCount)
    var total = 0
    for index in 0..<extentCount {
      let offset = Offset.name + nameByteCount + index * PartExtent.byteCount
      let count: UInt64 = reader.get(offset + PartExtent.Offset.count)
      let first: UInt64 = reader.get(offset + PartExtent.Offset.first)
      guard count > 0, count <= UInt64(Format.maximumPartCount), first > 0, first <= .max - count else {
        throw FormatFailure(.damaged, "manifest: extent \(index) of \(count) parts from part \(first)")
      }
      extents.append(PartExtent(first: PartID(rawValue: first), count: Int(count)))
      total += Int(count)
    }
    self.init(
      byteCount: Int(clamping: reader.get(Offset.byteCount, as: UInt64.self)),
      storedByteCount: Int(clamping: reader.get(Offset.storedByteCount, as: UInt64.self)),
      createdNanoseconds: reader.get(Offset.created), modifiedNanoseconds: reader.get(Offset.modified),
      mode: reader.get(Offset.mode), partByteCount: Int(reader.get(Offset.partByteCount, as: UInt32.self)),
      partCount: Int(reader.get(Offset.partCount, as: UInt32.self)),
      etagDigest: MD5Digest(bytes: reader.get(Offset.etagDigest, byteCount: MD5Digest.byteCount)),
      name: try FileName(decoding: reader.get(Offset.name, byteCount: nameByteCount)), extents: extents)
    guard partByteCount >= Format.minimumPartByteCount, partByteCount <= 1 << 30, total >= partCount else {
      throw FormatFailure(
        .damaged, "manifest: \(partCount) parts of \(partByteCount) bytes in extents that hold \(total)")
    }
    // Multiplied, not divided, so that every part but the last is full; neither factor exceeds 32 bits.
    guard byteCount <= partCount * partByteCount, partCount == 0 || byteCount > (partCount - 1) * partByteCount
    else { throw FormatFailure(.damaged, "manifest: \(byteCount) bytes do not fill \(partCount) parts") }
    // No part is stored in more bytes than it has.
    guard storedByteCount <= byteCount else {
      throw FormatFailure(.damaged, "manifest: \(byteCount) bytes stored in \(storedByteCount)")
    }
  }

  /// The bytes of the file that part `number` holds.
  func byteRange(ofPart number: Int) -> Range<Int> {
    let start = number * partByteCount
    return start..<min(start + partByteCount, byteCount)
  }

  var etag: String { "\(etagDigest)-\(partCount)" }
}

/// The name a file is stored under: bytes, 1 ... 4,095 of them, none of them NUL. Nothing else is asked of it, so what
/// is written to a file system under such a name is checked then.
public struct FileName: Hashable, Sendable, CustomStringConvertible {
  public let bytes: [UInt8]

  /// - Throws: `.invalidArgument` when the bytes cannot be a name.
  public init(_ bytes: [UInt8]) throws(StoreError) {
    do throws(FormatFailure) {
      try self.init(decoding: bytes)
    } catch {
      throw StoreError(.invalidArgument, error.description)
    }
  }

  init(decoding bytes: [UInt8]) throws(FormatFailure) {
    guard Format.nameByteCounts.contains(bytes.count), !bytes.contains(0) else {
      throw FormatFailure(
        .damaged,
        bytes.contains(0) ? "a name has no NUL byte" : "a name has 1 to 4095 bytes, this one has \(bytes.count)")
    }
    self.bytes = bytes
  }

  /// For messages; bytes that are not UTF-8 are replaced.
  public var description: String { String(decoding: bytes, as: UTF8.self) }
}
