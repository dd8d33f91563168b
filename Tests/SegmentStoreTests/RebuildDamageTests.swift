import Codecs
import Foundation
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Rebuild of a damaged store") struct RebuildDamageTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test("costs what the damage hits, says so, and invents nothing", arguments: [true, false])
  func flips(keepsFooters: Bool) throws {
    let seed = TestSeed("damaged records", default: 311)
    var generator = seed.generator
    let reference = try ReferenceStore(directory, keepsFooters: keepsFooters)
    for segment in reference.segments {
      // One record of each kind, at a place in each of its fields and anywhere in its payload.
      for kind in [RecordKind.part, .manifest, .commit, .tombstone] {
        guard let record = segment.records.filter({ $0.kind == kind }).randomElement(using: &generator) else {
          continue
        }
        var places = [0, 4, 8, 20, 30, 50, 70, 120].map { $0 + generator.below(4) }
        if record.storedByteCount > 0 { places += [128, 128 + generator.below(record.storedByteCount)] }
        for place in Set([places[generator.below(places.count)], places[places.count - 1]]) {
          let isHeader = place < RecordHeader.byteCount
          try reference.check("\(seed): \(kind) at \(record.offset) + \(place)", hits: reference.files(in: record)) {
            try segment.flip(at: record.offset + place)
          } mustReport: {
            // A footer stands for the headers, and for the payloads of parts.
            segment.footer == nil || (!isHeader && kind != .part)
          }
        }
      }
    }
  }

  @Test("reads on behind a damaged footer, header or padding and loses nothing")
  func harmless() throws {
    let reference = try ReferenceStore(directory, keepsFooters: true)
    for segment in reference.segments {
      var places = [0, 8, 33, 50, 100, 4092]
      if let footer = segment.footer {
        places = [4, footer.tableOffset, footer.tableOffset + 200, segment.bytes.count - 64, segment.bytes.count - 30]
      }
      if let short = segment.records.first(where: { $0.storedByteCount % 64 != 0 }) {
        places.append(short.offset + 128 + short.storedByteCount)
      }
      for place in places {
        try reference.check("segment \(segment.id) at \(place)", hits: []) { try segment.flip(at: place) }
      }
    }
  }

  @Test("of segments that are cut short keeps what lies before the cut")
  func truncated() throws {
    let seed = TestSeed("cut segments", default: 312)
    var generator = seed.generator
    let reference = try ReferenceStore(directory, keepsFooters: true)
    for segment in reference.segments {
      let count = segment.bytes.count
      for length in [0, 1, 4095, 4096, 4097, 4096 + 128, count / 2 + generator.below(999), count - 64, count - 1] {
        let cut = segment.records.filter { $0.offset + RecordHeader.byteCount + $0.storedByteCount > length }
        let hits = Set(cut.flatMap { reference.files(in: $0) })
        // Where a record begins, and nothing is known of a footer, a file may well end.
        let leavesNoTrace = segment.records.contains { $0.offset == length }
        let place = "\(seed): segment \(segment.id) cut at \(length)"
        try reference.check(place, hits: hits, leavesNoTrace: leavesNoTrace) {
          try FilesOnDisk.truncate(segment.path, to: length)
        }
      }
    }
  }

  @Test("of segments with pages of zeros keeps the other records")
  func zeroedPages() throws {
    let seed = TestSeed("zeroed pages", default: 313)
    var generator = seed.generator
    let reference = try ReferenceStore(directory, keepsFooters: false)
    for segment in reference.segments {
      for _ in 0..<5 {
        let start = generator.below(segment.bytes.count / 4096) * 4096
        let count = min(4096 * (1 + generator.below(4)), segment.bytes.count - start)
        let gone = segment.records.filter { $0.offset < start + count && $0.offset + $0.recordByteCount > start }
        let hits = Set(gone.flatMap { reference.files(in: $0) })
        try reference.check("\(seed): segment \(segment.id), \(count) zeros at \(start)", hits: hits) {
          try FilesOnDisk.overwrite(segment.path, at: start, with: [UInt8](repeating: 0, count: count))
        }
      }
    }
  }

  @Test("of swapped, missing and foreign segments takes nothing for what it is not, and removes nothing")
  func misplaced() throws {
    let reference = try ReferenceStore(directory, keepsFooters: true)
    let (first, second) = (reference.segments[0], reference.segments[1])
    let everything = Set(reference.segments.flatMap { $0.records.flatMap { reference.files(in: $0) } })
    try reference.check("swapped", hits: everything) {
      try FilesOnDisk.write(second.bytes, to: first.path)
      try FilesOnDisk.write(first.bytes, to: second.path)
    } afterwards: { (findings: [Finding]) throws in
      #expect(findings.count { $0.kind == .segment } >= 2)
      // Who gives them their names back has everything again.
      #expect(try fileBytes("\(second.path).unknown") == first.bytes)
      #expect(try fileBytes("\(first.path).unknown") == second.bytes)
    }
    for segment in reference.segments {
      let hits = Set(segment.records.flatMap { reference.files(in: $0) })
      try reference.check("segment \(segment.id) missing", hits: hits, leavesNoTrace: true) {
        FilesOnDisk.remove(segment.path)
      }
    }
    let strangers = try StoreFixture(directory, at: "strangers")
    _ = try strangers.put(noise(100_000, seed: 9), as: "stranger")
    try strangers.finish()
    let foreign = try fileBytes("\(strangers.segmentsPath)/\(strangers.segmentNames[0])")
    let place = reference.fixture.segmentPath(SegmentID(rawValue: 77))
    let makers: [(String, () throws -> Void)] = [
      ("foreign", { try FilesOnDisk.write(foreign, to: place) }),
      ("garbage", { try FilesOnDisk.write(noise(50_000, seed: 1), to: place) }),
      ("pipe", { try FilesOnDisk.makePipe(place) }),
      ("link", { try FileManager.default.createSymbolicLink(atPath: place, withDestinationPath: first.path) }),
      ("directory", { try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false) }),
    ]
    for (what, make) in makers {
      try reference.check("a \(what)", hits: []) {
        try make()
      } afterwards: { (findings: [Finding]) throws in
        #expect(findings.map(\.kind) == [.segment], "a \(what)")
        #expect(try FilesOnDisk.exists("\(place).unknown"), "a \(what) was removed")
        // A number that was seen is not given out, even if nothing came of it.
        #expect(try IndexDump(reference.fixture.store).counters.nextSegment > 77)
      }
    }
  }

  @Test("refuses, and sets nothing aside, where STORE is of another store than all segments")
  func foreignStoreFile() throws {
    let fixture = try StoreFixture(directory)
    let stored = try fixture.put(noise(9000, seed: 1), as: "file")
    try fixture.store.close()
    let other = try StoreFixture(directory, at: "other")
    try other.finish()
    let own = try fileBytes("\(fixture.path)/STORE")
    let names = try fixture.segmentNames
    try FilesOnDisk.write(fileBytes("\(other.path)/STORE"), to: "\(fixture.path)/STORE")
    let error = storeError { _ = try Store.rebuild(at: fixture.path) }
    #expect(error?.code == .corrupt && error?.advice != nil, "\(String(describing: error))")
    #expect(try fixture.segmentNames == names)
    try FilesOnDisk.write(own, to: "\(fixture.path)/STORE")
    #expect(try fixture.rebuildClosed().findings.isEmpty)
    #expect(try fixture.get(stored.id) == noise(9000, seed: 1))
    try fixture.finish()
  }

  @Test("says that the high-water file is damaged, and mends it", arguments: [true, false])
  func damagedHighWater(isMissing: Bool) throws {
    let fixture = try StoreFixture(directory)
    let stored = try fixture.put(noise(9000, seed: 1), as: "file")
    let path = fixture.store.highWater.path.description
    try fixture.store.close()
    if isMissing { FilesOnDisk.remove(path) } else { try FilesOnDisk.write(noise(1024, seed: 2), to: path) }
    let (summary, findings) = try fixture.rebuildClosed()
    #expect(findings.map(\.kind) == [.storeFile] && summary.findingCount == 1, "\(findings)")
    #expect(try fixture.get(stored.id) == noise(9000, seed: 1))
    #expect(try fixture.rebuild().findings.isEmpty)
    try fixture.store.close()
  }

  @Test("of a segment whose footer is gone between two reads looks for the rest of its records")
  func vanishingFooter() throws {
    let reference = try ReferenceStore(directory, keepsFooters: true)
    let segment = try #require(reference.segments.first { $0.footer != nil })
    let footer = try #require(segment.footer)
    let prefix = segment.header.uuid.prefix
    let segments = try Directory.open(FilePath(reference.fixture.segmentsPath))
    func offsets(_ contents: SegmentContents) throws(StoreError) -> [Int] {
      var found: [Int] = []
      try contents.forEachRecord { (record) throws(StoreError) in found.append(record.offset) }
      return found
    }
    let expected = try offsets(SegmentContents(segment.id, in: segments, storePrefix: prefix))
    let contents = try SegmentContents(segment.id, in: segments, storePrefix: prefix)
    try FilesOnDisk.truncate(segment.path, to: footer.tableOffset)
    #expect(try offsets(contents) == expected)
    #expect(contents.footer == nil)
  }

  @Test("renames what is no segment before the new index is in place, so that no recovery removes it")
  func strangersFirst() throws {
    let fixture = try StoreFixture(directory)
    _ = try fixture.put(noise(9000, seed: 1), as: "file")
    try fixture.store.close()
    let stranger = fixture.segmentPath(SegmentID(rawValue: 9))
    try FilesOnDisk.write(noise(5000, seed: 2), to: stranger)
    // A directory in the place of the index: it cannot be replaced.
    FilesOnDisk.removeTree("\(fixture.path)/index")
    try FileManager.default.createDirectory(
      atPath: "\(fixture.path)/index/data.mdb", withIntermediateDirectories: true)
    #expect(storeError { _ = try Store.rebuild(at: fixture.path) } != nil)
    #expect(try fileBytes("\(stranger).unknown") == noise(5000, seed: 2))
    FilesOnDisk.removeTree("\(fixture.path)/index")
    #expect(try fixture.rebuildClosed().findings.isEmpty)
    try fixture.finish()
  }

  @Test("takes the intact one of two copies of a part, whichever segment it is in", arguments: [true, false])
  func copies(firstIsDamaged: Bool) throws {
    let reference = try ReferenceStore(directory, keepsFooters: true)
    let segment = reference.segments[0]
    let record = try #require(segment.records.first { $0.kind == .part && !reference.files(in: $0).isEmpty })
    let copy = try reference.copy(record, of: segment, into: SegmentID(rawValue: 90))
    try reference.check("a copy in another segment", hits: []) {
      try FilesOnDisk.write(copy, to: reference.fixture.segmentPath(SegmentID(rawValue: 90)))
      if firstIsDamaged {
        try segment.flip(at: record.offset + 130)
      } else {
        try FilesOnDisk.overwrite(
          reference.fixture.segmentPath(SegmentID(rawValue: 90)), at: 4096 + 130, with: [1, 2, 3, 4])
      }
    }
  }

  @Test("with the highest numbers there are does not overflow", arguments: ["segment header", "record"])
  func highest(place: String) throws {
    let reference = try ReferenceStore(directory, keepsFooters: false)
    let segment = try #require(reference.segments.last)
    var made: [UInt8] = []
    if place == "record" {
      var record = try #require(segment.records.last)
      (record.kind, record.codec, record.offset, record.storedByteCount) = (.tombstone, .stored, segment.bytes.count, 0)
      record.rawByteCount = 0
      record.storedChecksum = 0
      record.sequence = Sequence(rawValue: .max)
      record.part = PartID(rawValue: 0)
      record.file = FileID(rawValue: .max)
      record.digest = [UInt8]().withRawSpan { MD5.digest(of: $0) }
      made = segment.bytes + record.encoded()
    } else {
      var counters = Counters()
      for path in [\Counters.nextFile, \.nextPart, \.nextSegment, \.nextWriter, \.nextSequence] {
        counters[keyPath: path] = .max
      }
      let header = SegmentHeader(
        uuid: segment.header.uuid, segment: segment.id, segmentByteCount: 1 << 20, createdNanoseconds: 5,
        writer: WriterID(rawValue: .max), counters: counters)
      made = header.encoded() + segment.bytes.dropFirst(SegmentHeader.byteCount)
    }
    try reference.check("\(place)", hits: []) {
      try FilesOnDisk.write(made, to: segment.path)
    } afterwards: { (_: [Finding]) throws in
      // No number is left to give out; that is an error, not a number that was used.
      #expect(storeError { _ = try reference.fixture.put([1], as: "later") } != nil)
    }
  }

  @Test("finds nothing in segments of a store, this one or another, that are stored in it as files")
  func nested() throws {
    let reference = try ReferenceStore(directory, keepsFooters: true)
    var options = PutOptions()
    options.encoding = .stored
    options.partByteCount = 65_536
    // As an archive has them: one file behind the other, at multiples of 512.
    var archive: [UInt8] = []
    for segment in reference.segments {
      archive += [UInt8](repeating: 0x74, count: 512) + segment.bytes
      archive += [UInt8](repeating: 0, count: (512 - archive.count % 512) % 512)
    }
    for bytes in reference.segments.map(\.bytes) + [archive] {
      let stored = try reference.fixture.put(bytes, as: "segments", options)
      reference.files[stored.id] = (stored.name, bytes)
    }
    try reference.remember(keepsFooters: true)
    let expected = try IndexDump(reference.fixture.store)
    for destroysFooters in [false, true] {
      try reference.check("stored segments, footers destroyed: \(destroysFooters)", hits: []) {
        if destroysFooters { try reference.fixture.destroyFooters() }
      } afterwards: { (_: [Finding]) throws in
        let dump = try IndexDump(reference.fixture.store)
        #expect(dump.files == expected.files)
        #expect(dump.parts == expected.parts)
      }
    }
  }
}
