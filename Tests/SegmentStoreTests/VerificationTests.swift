import Foundation
import LMDB
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Verification") struct VerificationTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  // MARK: Segments

  @Test(
    "finds every flipped bit that something needs, names it in its place, and nothing else", arguments: [false, true])
  func flips(isFast: Bool) throws {
    let seed = TestSeed("flips in segments", default: 81)
    var generator = seed.generator
    let reference = try Reference(directory)
    let kinds = Set(reference.places.map(\.what))
    #expect(kinds.count == 10, "\(kinds)")
    for what in kinds.sorted() {
      let places = reference.places.filter { $0.what == what }
      for round in 0..<(isFast ? 3 : 6) {
        let place = places[generator.below(places.count)]
        let offset = place.range.lowerBound + generator.below(place.range.count)
        let path = reference.fixture.segmentPath(place.segment)
        let before = try FilesOnDisk.bytes(path, at: offset, byteCount: 1)
        try FilesOnDisk.overwrite(path, at: offset, with: [before[0] ^ (1 << UInt8(generator.below(8)))])
        let found = try findings(in: reference.fixture.store, isFast: isFast)
        try FilesOnDisk.overwrite(path, at: offset, with: before)
        let context = "\(seed), round \(round): \(what), segment \(place.segment) offset \(offset): \(found)"
        guard let expected = place.expected else {
          #expect(found.isEmpty, "\(context)")
          continue
        }
        #expect(found.count == 1, "\(context)")
        #expect(found.first?.kind == expected.kind, "\(context)")
        #expect(found.first?.file == expected.file && found.first?.name == expected.name, "\(context)")
        #expect(found.first?.part == expected.part && found.first?.partNumber == expected.partNumber, "\(context)")
        #expect(found.first?.segment == place.segment && found.first?.offset == expected.offset, "\(context)")
      }
    }
    try reference.fixture.finish()
  }

  @Test("without an index finds damaged payloads of files that are there, and not those of deleted ones")
  func withoutIndex() throws {
    let reference = try Reference(directory)
    try reference.fixture.store.close()
    var configuration = Store.Configuration()
    configuration.opensIndex = false
    let alone = try Store(at: reference.fixture.path, configuration)
    #expect(try findings(in: alone).isEmpty)
    for what in ["part payload", "dead part payload", "manifest payload"] {
      let place = try #require(reference.places.first { $0.what == what })
      let path = reference.fixture.segmentPath(place.segment)
      let before = try FilesOnDisk.bytes(path, at: place.range.lowerBound, byteCount: 1)
      try FilesOnDisk.overwrite(path, at: place.range.lowerBound, with: [before[0] ^ 4])
      let found = try findings(in: alone)
      #expect(found.map(\.kind) == (place.expected.map { [$0.kind] } ?? []), "\(what): \(found)")
      #expect(found.first?.file == place.expected?.file)
      try FilesOnDisk.overwrite(path, at: place.range.lowerBound, with: before)
    }
    try alone.close()
    try reference.fixture.open()
    try reference.fixture.finish()
  }

  @Test("one file: all its damaged parts are found, not only the first, and no damage of others")
  func oneFile() throws {
    let fixture = try StoreFixture(directory)
    let hit = try fixture.put(noise(40 * 4096, seed: 1), as: "hit")
    let other = try fixture.put(noise(40 * 4096, seed: 2), as: "other")
    let damaged = [3, 17, 39]
    var before: [(String, Int, [UInt8])] = []
    for number in damaged {
      let part = try #require(try fixture.store.parts(of: hit.id, number..<(number + 1)).first)
      let place = (fixture.segmentPath(part.segment), part.offsetInSegment + 200)
      before.append((place.0, place.1, try FilesOnDisk.bytes(place.0, at: place.1, byteCount: 1)))
      try FilesOnDisk.overwrite(place.0, at: place.1, with: [before[before.count - 1].2[0] ^ 1])
    }
    var found: [Finding] = []
    _ = try fixture.store.verify(file: hit.id) { if case .finding(let finding) = $0 { found.append(finding) } }
    #expect(found.compactMap(\.partNumber).sorted() == damaged)
    #expect(found.allSatisfy { $0.file == hit.id && $0.kind == .part })
    found = []
    _ = try fixture.store.verify(file: other.id) { if case .finding(let finding) = $0 { found.append(finding) } }
    #expect(found.isEmpty)
    for (path, offset, bytes) in before { try FilesOnDisk.overwrite(path, at: offset, with: bytes) }
    try fixture.finish()
  }

  @Test("a segment that is cut or gone costs the records behind the cut, each of which is named")
  func lostSegment() throws {
    let fixture = try StoreFixture(directory, configuration: WriteMode.mapped.configuration(workerCount: 1))
    let stored = try fixture.put(noise(2 << 20, seed: 1), as: "file")
    try fixture.reopen()
    let parts = try fixture.store.parts(of: stored.id, 0..<stored.partCount)
    let segment = parts[0].segment
    let path = fixture.segmentPath(segment)
    let whole = try fileBytes(path)
    for length in [0, 5000, 300_000] {
      try FilesOnDisk.truncate(path, to: length)
      let found = try findings(in: fixture.store)
      let lost = parts.indices.filter {
        parts[$0].segment == segment && parts[$0].offsetInSegment + 128 + parts[$0].storedByteCount > length
      }
      #expect(found.filter { $0.kind == .part }.compactMap(\.partNumber).sorted() == lost, "cut at \(length)")
      #expect(found.contains { $0.kind == .segment && $0.segment == segment })
      try FilesOnDisk.write(whole, to: path)
    }
    FilesOnDisk.remove(path)
    let lost = parts.indices.filter { parts[$0].segment == segment }
    #expect(try findings(in: fixture.store).compactMap(\.partNumber).sorted() == lost)
    try FilesOnDisk.write(whole, to: path)
    try fixture.finish()
  }

  @Test("goes on at a place, stops at one, and says which places are settled")
  func positions() throws {
    let fixture = try StoreFixture(directory, configuration: WriteMode.mapped.configuration(workerCount: 1))
    let stored = try fixture.put(noise(4 << 20, seed: 1), as: "file")
    try fixture.reopen()
    let parts = try fixture.store.parts(of: stored.id, 0..<stored.partCount)
    let segments = Set(parts.map(\.segment)).sorted()
    for segment in segments {
      let part = try #require(parts.first { $0.segment == segment })
      try flip(fixture.segmentPath(segment), at: part.offsetInSegment + 300)
    }
    var options = VerificationOptions()
    options.scope = .segments
    options.start = VerificationPosition(segment: segments[2], offset: 0)
    var found: [SegmentID] = []
    var reached: [VerificationPosition] = []
    let summary = try fixture.store.verify(options) { event in
      if case .finding(let finding) = event, let segment = finding.segment { found.append(segment) }
      if case .reached(let position) = event { reached.append(position) }
    }
    #expect(found.sorted() == Array(segments[2...]))
    #expect(reached.last == .start && summary.stoppedAt == nil)
    #expect(reached.dropLast() == reached.dropLast().sorted { $0.segment < $1.segment }[...])
    // Behind the damaged part of the first one: it is counted and not read again.
    options.start = VerificationPosition(segment: segments[0], offset: parts[0].offsetInSegment + 8192)
    #expect(try findings(in: fixture.store, options).compactMap(\.segment).sorted() == Array(segments[1...]))
    options.maximumSeconds = 0
    let stopped = try fixture.store.verify(options) { _ in }
    #expect(stopped.stoppedAt?.segment == segments[0])
    for segment in segments {
      let part = try #require(parts.first { $0.segment == segment })
      try flip(fixture.segmentPath(segment), at: part.offsetInSegment + 300)
    }
    try fixture.finish()
  }

  private func flip(_ path: String, at offset: Int) throws {
    let before = try FilesOnDisk.bytes(path, at: offset, byteCount: 1)
    try FilesOnDisk.overwrite(path, at: offset, with: [before[0] ^ 8])
  }
}

/// What a verification finds.
func findings(in store: Store, isFast: Bool = false) throws -> [Finding] {
  var options = VerificationOptions()
  options.isFast = isFast
  return try findings(in: store, options)
}

func findings(in store: Store, _ options: VerificationOptions) throws -> [Finding] {
  var found: [Finding] = []
  let summary = try store.verify(options) { if case .finding(let finding) = $0 { found.append(finding) } }
  #expect(summary.findingCount == found.count)
  return found
}

/// A store with everything in it that a verification tells apart, and where it is.
private struct Reference {
  struct Place {
    let what: String
    let segment: SegmentID
    let range: Range<Int>
    /// What a flip here must be told as; nil where nothing needs the bytes.
    let expected: Finding?
  }

  let fixture: StoreFixture
  private(set) var places: [Place] = []

  init(_ directory: TemporaryDirectory) throws {
    fixture = try StoreFixture(directory, configuration: WriteMode.mapped.configuration(workerCount: 1))
    let dead = try fixture.put(Corpus(seed: 9).bytes(9000), as: "dead")
    for (number, bytes) in [noise(700_000, seed: 1), Corpus(seed: 2).bytes(200_000), noise(900_000, seed: 3)]
      .enumerated()
    {
      _ = try fixture.put(bytes, as: "file \(number)")
    }
    // Its manifest stays, and keeps the tombstone.
    try fixture.store.delete(dead.id)
    try fixture.reopen()
    for file in try fixture.segmentFiles() { try add(file) }
  }

  private mutating func add(_ file: SegmentFile) throws {
    let segment = file.header.segment
    func place(_ what: String, _ range: Range<Int>, _ expected: Finding?) {
      places.append(Place(what: what, segment: segment, range: range, expected: expected))
    }
    place("segment header", 0..<4096, Finding(.segment, "", segment: segment, offset: 0))
    if let footer = try file.footer() {
      let trailer = file.bytes.count - SegmentFooter.trailerByteCount
      place("footer", footer.tableOffset..<file.bytes.count, Finding(.segment, "", segment: segment, offset: trailer))
    }
    for record in try file.records() {
      let payload = (record.offset + 128)..<(record.offset + 128 + record.storedByteCount)
      if payload.upperBound < record.location.end {
        place("zeros behind a payload", payload.upperBound..<record.location.end, nil)
      }
      let stored = try fixture.store.file(record.file)
      let header = record.offset..<(record.offset + 128)
      if record.kind == .tombstone {
        place("tombstone", header, Finding(.tombstone, "", at: record.location, file: record.file))
      } else if record.kind == .commit {
        let isLive = try fixture.journalLocations().contains(record.location)
        if isLive { place("commit", header.lowerBound..<payload.upperBound, Finding(.commit, "", at: record.location)) }
      } else if let stored {
        var expected = Finding(
          record.kind == .part ? .part : .manifest, "", at: record.location, file: stored.id, name: stored.name)
        if record.kind == .part {
          expected.part = record.part
          expected.partNumber = record.partNumber
        }
        place("\(record.kind) header", header, expected)
        if !payload.isEmpty { place("\(record.kind) payload", payload, expected) }
      } else if record.kind == .part, !payload.isEmpty {
        place("dead part payload", payload, nil)
      }
    }
  }
}
