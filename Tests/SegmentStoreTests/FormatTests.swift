import Codecs
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Format") struct FormatTests {
  // MARK: What is written is read

  @Test("a superblock reads back as it was written")
  func superblock() throws {
    #expect(try Superblock(decoding: Samples.superblock.encoded()) == Samples.superblock)
  }

  @Test("a segment header reads back as it was written, with all counters")
  func segmentHeader() throws {
    let read = try SegmentHeader(decoding: Samples.segmentHeader.encoded())
    #expect(read == Samples.segmentHeader)
    #expect(read.counters.nextSequence == 5)
  }

  @Test("a record header reads back as it was written, whatever its kind and codec", arguments: 1...4, 0...255)
  func recordHeader(kind: Int, codec: Int) throws {
    var header = Samples.recordHeader
    header.kind = RecordKind(rawValue: UInt8(kind))
    header.codec = Codec(rawValue: UInt8(codec))
    if header.codec == .stored { header.storedByteCount = header.rawByteCount }
    if header.codec == .zeros { header.storedByteCount = 0 }
    #expect(try Samples.decodeRecord(header.encoded()) == header)
  }

  @Test("a record header whose lengths its codec cannot give is refused", arguments: [Codec.stored, .zeros])
  func recordLengths(codec: Codec) {
    var header = Samples.recordHeader
    header.codec = codec
    #expect(throws: FormatFailure.self) { try Samples.decodeRecord(header.encoded()) }
  }

  @Test("a footer trailer reads back as it was written")
  func footer() throws {
    let footer = Samples.footer
    #expect(
      try SegmentFooter(decodingTrailer: footer.encodedTrailer(), fileByteCount: Samples.footerFileByteCount) == footer)
  }

  @Test("a manifest reads back as it was written, whatever its name and extents", arguments: [0, 1, 2, 300])
  func manifest(extentCount: Int) throws {
    for nameByteCount in [1, 464, 4095] {
      let manifest = try Samples.manifest(extentCount: extentCount, nameByteCount: nameByteCount)
      let encoded = manifest.encoded()
      #expect(encoded.count == manifest.encodedByteCount)
      #expect(try Manifest(decoding: encoded) == manifest)
    }
  }

  @Test("every kind of index entry reads back under its key and in its table, and nowhere else")
  func entries() throws {
    func check<Entry: IndexEntry & Equatable>(_ entry: Entry) throws {
      let sealed = entry.sealed(under: [1, 2, 3], in: "table")
      #expect(try Entry(sealed: sealed, under: [1, 2, 3], in: "table") == entry)
      #expect(storeError { _ = try Entry(sealed: sealed, under: [1, 2, 4], in: "table") }?.code == .indexDamaged)
      #expect(storeError { _ = try Entry(sealed: sealed, under: [1, 2, 3], in: "other") }?.code == .indexDamaged)
    }
    try check(try Samples.fileEntry)
    try check(Samples.partEntry)
    try check(Samples.segmentEntry)
    try check(WriterEntry(startedNanoseconds: -5))
    try check(TombstoneEntry(location: Samples.location, manifestSegment: SegmentID(rawValue: 9), isCounted: true))
    try check(CommitEntry(location: Samples.location, liveFileCount: 3))
    try check(Marker())
    try check(Samples.segmentHeader.counters)
    try check(Samples.uuid)
  }

  // MARK: What is damaged is refused

  @Test("no flipped bit of a superblock goes unnoticed")
  func superblockBits() {
    everyBitFlip(of: Samples.superblock.encoded()) { (bytes) throws(FormatFailure) in
      _ = try Superblock(decoding: bytes)
    }
  }

  @Test("no flipped bit of a segment header goes unnoticed")
  func segmentHeaderBits() {
    everyBitFlip(of: Samples.segmentHeader.encoded()) { (bytes) throws(FormatFailure) in
      _ = try SegmentHeader(decoding: bytes)
    }
  }

  @Test("no flipped bit of a record header goes unnoticed")
  func recordHeaderBits() {
    everyBitFlip(of: Samples.recordHeader.encoded()) { (bytes) throws(FormatFailure) in
      _ = try Samples.decodeRecord(bytes)
    }
  }

  @Test("no flipped bit of a footer trailer goes unnoticed")
  func footerBits() {
    everyBitFlip(of: Samples.footer.encodedTrailer()) { (bytes) throws(FormatFailure) in
      _ = try SegmentFooter(decodingTrailer: bytes, fileByteCount: Samples.footerFileByteCount)
    }
  }

  @Test("no flipped bit of an index entry goes unnoticed, nor one of its key")
  func entryBits() throws {
    func check<Entry: IndexEntry>(_ entry: Entry) {
      let key: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 9]
      let sealed = entry.sealed(under: key, in: "table")
      everyBitFlip(of: sealed) { (bytes) throws(StoreError) in _ = try Entry(sealed: bytes, under: key, in: "table") }
      everyBitFlip(of: key) { (bytes) throws(StoreError) in _ = try Entry(sealed: sealed, under: bytes, in: "table") }
    }
    check(try Samples.fileEntry)
    check(Samples.partEntry)
    check(Samples.segmentEntry)
    check(CommitEntry(location: Samples.location, liveFileCount: 3))
    check(Marker())
  }

  @Test("bytes cut short or run on are refused", arguments: [0, 1, 7, 8, 63, 127, 4095, 4097])
  func lengths(byteCount: Int) {
    func cut(_ bytes: [UInt8]) -> [UInt8] {
      Array((bytes + [UInt8](repeating: 0, count: 8192)).prefix(byteCount))
    }
    #expect(throws: FormatFailure.self) { try Superblock(decoding: cut(Samples.superblock.encoded())) }
    #expect(throws: FormatFailure.self) { try SegmentHeader(decoding: cut(Samples.segmentHeader.encoded())) }
    #expect(throws: FormatFailure.self) {
      try SegmentFooter(decodingTrailer: cut(Samples.footer.encodedTrailer()), fileByteCount: 1 << 20)
    }
    #expect(throws: StoreError.self) {
      try PartEntry(sealed: cut(Samples.partEntry.sealed(under: [1], in: "table")), under: [1], in: "table")
    }
  }

  // MARK: What belongs elsewhere, or to the future

  @Test("a record that is found at another offset, in another segment or in another store is no record")
  func foreignRecord() {
    let header = Samples.recordHeader
    let bytes = header.encoded()
    let (segment, offset, prefix) = (header.segment, header.offset, header.storePrefix)
    let other = SegmentID(rawValue: segment.rawValue + 1)
    for (segment, offset, prefix) in [(other, offset, prefix), (segment, offset + 64, prefix), (segment, offset, 1)] {
      let failure = #expect(throws: FormatFailure.self) {
        try RecordHeader(decoding: bytes, segment: segment, offset: offset, storePrefix: prefix)
      }
      #expect(failure?.kind == .damaged)
    }
  }

  @Test("a newer version of anything is said to be newer, not damaged")
  func newerVersion() {
    let superblock = resealed(Samples.superblock.encoded()) { $0[8] = 2 }
    #expect(kind { () throws(FormatFailure) in _ = try Superblock(decoding: superblock) } == .newerVersion)
    let header = resealed(Samples.segmentHeader.encoded()) { $0[8] = 2 }
    #expect(kind { () throws(FormatFailure) in _ = try SegmentHeader(decoding: header) } == .newerVersion)
    // Even where the newer version keeps its checksum somewhere else.
    var unsealed = Samples.superblock.encoded()
    unsealed[8] = 2
    #expect(kind { () throws(FormatFailure) in _ = try Superblock(decoding: unsealed) } == .newerVersion)
  }

  @Test("an unknown incompatible feature is refused by its bit, an unknown compatible one is not", arguments: 0..<64)
  func features(bit: Int) throws {
    let compatible = 16 + bit / 8
    let incompatible = 24 + bit / 8
    for bytes in [Samples.superblock.encoded(), Samples.segmentHeader.encoded()] {
      let refused = resealed(bytes) { $0[incompatible] |= 1 << UInt8(bit % 8) }
      let accepted = resealed(bytes) { $0[compatible] |= 1 << UInt8(bit % 8) }
      if bytes.starts(with: Superblock.magic) {
        #expect(kind { () throws(FormatFailure) in _ = try Superblock(decoding: refused) } == .newerVersion)
        #expect(try Superblock(decoding: accepted) == Samples.superblock)
      } else {
        #expect(kind { () throws(FormatFailure) in _ = try SegmentHeader(decoding: refused) } == .newerVersion)
        #expect(try SegmentHeader(decoding: accepted) == Samples.segmentHeader)
      }
    }
  }

  @Test("reserved bytes that are used are refused, though the checksum is right")
  func reserved() {
    let superblock = resealed(Samples.superblock.encoded()) { $0[2000] = 1 }
    #expect(kind { () throws(FormatFailure) in _ = try Superblock(decoding: superblock) } == .damaged)
    let header = resealed(Samples.segmentHeader.encoded()) { $0[2000] = 1 }
    #expect(kind { () throws(FormatFailure) in _ = try SegmentHeader(decoding: header) } == .damaged)
    var record = Samples.recordHeader.encoded()
    record[127] = 1
    let checksum = CRC32C.checksum(of: record, from: 8, upTo: 128)
    for index in 0..<4 { record[4 + index] = UInt8(truncatingIfNeeded: checksum >> UInt32(8 * index)) }
    #expect(kind { () throws(FormatFailure) in _ = try Samples.decodeRecord(record) } == .newerVersion)
  }

  @Test(
    "sizes that no store can have are refused",
    arguments: [0, 1, 4096, (1 << 16) - 1, 1 << 15, 3 << 20, 1 << 33, Int.max])
  func segmentSizes(segmentByteCount: Int) {
    let superblock = Superblock(
      uuid: Samples.uuid, segmentByteCount: segmentByteCount, partByteCount: 4096, createdNanoseconds: 0)
    #expect(throws: FormatFailure.self) { try Superblock(decoding: superblock.encoded()) }
  }

  // MARK: -

  /// Decodes `bytes` with each of their bits flipped; all must be refused.
  private func everyBitFlip<E: Error>(of bytes: [UInt8], _ decode: ([UInt8]) throws(E) -> Void) {
    var acceptedBits: [Int] = []
    var flipped = bytes
    for bit in 0..<(bytes.count * 8) {
      flipped[bit / 8] ^= 1 << UInt8(bit % 8)
      do throws(E) {
        try decode(flipped)
        acceptedBits.append(bit)
      } catch {}
      flipped[bit / 8] ^= 1 << UInt8(bit % 8)
    }
    #expect(acceptedBits.isEmpty)
  }

  /// `bytes` after `change`, with the checksum at their end made right.
  private func resealed(_ bytes: [UInt8], _ change: (inout [UInt8]) -> Void) -> [UInt8] {
    var bytes = bytes
    change(&bytes)
    let checksum = CRC32C.checksum(of: bytes, upTo: bytes.count - 4)
    for index in 0..<4 { bytes[bytes.count - 4 + index] = UInt8(truncatingIfNeeded: checksum >> UInt32(8 * index)) }
    return bytes
  }

  private func kind(_ decode: () throws(FormatFailure) -> Void) -> FormatFailure.Kind? {
    do throws(FormatFailure) {
      try decode()
      return nil
    } catch {
      return error.kind
    }
  }
}
