import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Hostile manifests") struct HostileManifestTests {
  /// The offsets of the counts in an encoded manifest, with their widths in bytes.
  private static let counts: [(offset: Int, byteCount: Int)] = [
    (0, 8), (8, 8), (36, 4), (40, 4), (44, 4), (64, 2),
  ]

  @Test("a manifest whose counts contradict each other is refused", arguments: [0, 1, 2, 3, 5])
  func lyingCount(field: Int) throws {
    let manifest = try Samples.manifest(extentCount: 2, nameByteCount: 9)
    let (offset, byteCount) = HostileManifestTests.counts[field]
    for value: UInt64 in [0, 1 << 31, 0xFFFF_FFFF, .max, 1 << 63] {
      var bytes = manifest.encoded()
      for index in 0..<byteCount { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
      // The bytes stored may be none: a file of zeros.
      if field == 1 && value == 0 { continue }
      #expect(throws: FormatFailure.self, "field at \(offset) set to \(value)") { try Manifest(decoding: bytes) }
    }
  }

  @Test("extents that are empty, name part 0, run over or hold too few parts are refused")
  func extents() throws {
    for (first, count): (UInt64, Int) in [(0, 4), (1, 3), (.max - 2, 4), (.max, 1)] {
      var manifest = try Samples.manifest(extentCount: 2, nameByteCount: 9)
      manifest.extents = [PartExtent(first: PartID(rawValue: first), count: count)]
      #expect(throws: FormatFailure.self, "\(count) parts from \(first)") { try Manifest(decoding: manifest.encoded()) }
    }
    var empty = try Samples.manifest(extentCount: 2, nameByteCount: 9)
    empty.extents.append(PartExtent(first: PartID(rawValue: 50), count: 0))
    #expect(throws: FormatFailure.self) { try Manifest(decoding: empty.encoded()) }
  }

  @Test("names that cannot be are refused: empty, with NUL, longer than 4,095 bytes")
  func names() throws {
    let manifest = try Samples.manifest(extentCount: 1, nameByteCount: 9)
    var nul = manifest.encoded()
    nul[75] = 0
    #expect(throws: FormatFailure.self) { try Manifest(decoding: nul) }
    for byteCount in [0, 4096, 65_535] {
      #expect(throws: FormatFailure.self) { try FileName(decoding: [UInt8](repeating: 97, count: byteCount)) }
      #expect(storeError { _ = try FileName([UInt8](repeating: 97, count: byteCount)) }?.code == .invalidArgument)
    }
    #expect(storeError { _ = try FileName([97, 0, 97]) }?.code == .invalidArgument)
  }

  @Test("no mutation of a manifest traps, and what is accepted holds together")
  func mutations() throws {
    let seed = TestSeed("manifest mutations", default: 20_260_101)
    var generator = seed.generator
    let originals = try [0, 1, 2, 7].map { try Samples.manifest(extentCount: $0, nameByteCount: 1 + $0 * 3).encoded() }
    var acceptedCount = 0
    var brokenRounds: [Int] = []
    for round in 0..<100_000 {
      var bytes = originals[round % originals.count]
      mutate(&bytes, &generator)
      guard let manifest = try? Manifest(decoding: bytes) else { continue }
      acceptedCount += 1
      // What every user of a manifest computes must not trap, and reach no further than the file.
      let parts = manifest.partIDs(0..<min(manifest.partCount, 5000))
      let end = manifest.partCount == 0 ? 0 : manifest.byteRange(ofPart: manifest.partCount - 1).upperBound
      if parts.count != min(manifest.partCount, 5000) || end != manifest.byteCount
        || manifest.storedByteCount > manifest.byteCount || manifest.encoded() != bytes
      {
        brokenRounds.append(round)
      }
    }
    #expect(brokenRounds.isEmpty, "\(seed)")
    #expect(acceptedCount > 0, "no mutation was accepted: the test says nothing")
  }

  @Test("no mutation of a file entry with a right checksum traps or is taken for another file")
  func entryMutations() throws {
    let seed = TestSeed("file entry mutations", default: 20_260_102)
    var generator = seed.generator
    let fields = try Samples.fileEntry.fields()
    for _ in 0..<20_000 {
      var bytes = fields
      mutate(&bytes, &generator)
      guard let entry = try? FileEntry(decoding: bytes) else { continue }
      // Encoding it again must not trap either.
      _ = entry.fields()
    }
  }

  /// One to four changes: a bit, a byte, a count set to an extreme, bytes cut off, doubled or shifted.
  private func mutate(_ bytes: inout [UInt8], _ generator: inout SeededGenerator) {
    for _ in 0..<(1 + generator.below(4)) where !bytes.isEmpty {
      switch generator.below(6) {
      case 0: bytes[generator.below(bytes.count)] ^= 1 << UInt8(generator.below(8))
      case 1: bytes[generator.below(bytes.count)] = UInt8(generator.below(256))
      case 2:
        let (offset, byteCount) = HostileManifestTests.counts[generator.below(6)]
        let value: UInt64 = [0, 1, .max, 1 << 63, 1 << 31, generator.next()][generator.below(6)]
        for index in 0..<byteCount where offset + index < bytes.count {
          bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index))
        }
      case 3: bytes.removeLast(1 + generator.below(bytes.count))
      case 4: bytes += bytes.suffix(16)
      default:
        let start = generator.below(bytes.count)
        bytes.replaceSubrange(start..<start, with: generator.bytes(16))
      }
    }
  }
}
