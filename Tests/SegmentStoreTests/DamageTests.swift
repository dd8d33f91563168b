import Foundation
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Damage") struct DamageTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test("no flipped bit in a segment gives wrong bytes: the file it hits is corrupt, all others are exact")
  func flips() throws {
    let seed = TestSeed("flipped bits", default: 61)
    var generator = seed.generator
    let store = try DamagedStore(directory)
    var hitCount = 0
    for round in 0..<2000 {
      let (path, byteCount, segment) = store.segments[generator.below(store.segments.count)]
      // Every fourth in the first 128 bytes of a record, where a small change means most.
      let offset =
        round % 4 == 0
        ? min(byteCount - 1, store.recordOffsets[segment, default: [0]].randomElement(using: &generator) ?? 0)
          + generator.below(128)
        : generator.below(byteCount)
      guard offset < byteCount else { continue }
      let before = try FilesOnDisk.bytes(path, at: offset, byteCount: 1)
      try FilesOnDisk.overwrite(path, at: offset, with: [before[0] ^ (1 << UInt8(generator.below(8)))])
      let place = "\(seed), round \(round): segment \(segment) offset \(offset)"
      if let (file, part) = store.part(at: offset, of: segment) {
        hitCount += 1
        try store.expectCorrupt(file, part, place, toFile: round % 10 == 0)
        if round % 100 == 0 { try store.expectExact(except: file.id, place) }
      } else if round % 30 == 0 {
        try store.expectExact(except: nil, place)
      }
      try FilesOnDisk.overwrite(path, at: offset, with: before)
    }
    #expect(hitCount > 500)
    try store.expectExact(except: nil, "all mended")
    try store.fixture.finish()
  }

  @Test("every kind of damage to a part is found", arguments: WriteMode.allCases)
  func kinds(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration())
    let stored = try fixture.put(noise(5 * 4096, seed: 1), as: "file")
    let parts = try fixture.store.parts(of: stored.id, 0..<5)
    let other = parts[4]
    let path = fixture.segmentPath(parts[2].segment)
    let record = try FilesOnDisk.bytes(path, at: parts[2].offsetInSegment, byteCount: 128 + 4096)
    let foreign = try FilesOnDisk.bytes(
      fixture.segmentPath(other.segment), at: other.offsetInSegment, byteCount: 128 + 4096)
    let damages: [(String, [UInt8])] = [
      ("zeros", [UInt8](repeating: 0, count: record.count)), ("ones", [UInt8](repeating: 0xFF, count: record.count)),
      ("noise", noise(record.count, seed: 2)), ("another record", foreign),
      ("another payload", Array(record.prefix(128)) + foreign.suffix(4096)),
      ("a payload of zeros", Array(record.prefix(128)) + [UInt8](repeating: 0, count: 4096)),
      ("no header", [UInt8](repeating: 0, count: 128) + record.suffix(4096)),
    ]
    for (what, bytes) in damages {
      try FilesOnDisk.overwrite(path, at: parts[2].offsetInSegment, with: bytes)
      let error = storeError { _ = try fixture.get(stored.id) }
      #expect(error?.code == .corrupt, "\(what)")
      for place in ["'file' (id \(stored.id))", "part 2", "offset \(parts[2].offsetInSegment)"] {
        #expect(error?.message.contains(place) == true, "\(what): \(error?.message ?? "")")
      }
      #expect(storeError { _ = try fixture.store.streamedBytes(of: stored.id, in: directory) }?.code == .corrupt)
    }
    try FilesOnDisk.overwrite(path, at: parts[2].offsetInSegment, with: record)
    #expect(try fixture.get(stored.id) == noise(5 * 4096, seed: 1))
    try fixture.finish()
  }

  @Test("a damaged file can be deleted, and so can one whose segment is gone")
  func deletes() throws {
    let fixture = try StoreFixture(directory)
    let damaged = try fixture.put(noise(50_000, seed: 1), as: "damaged")
    let lost = try fixture.put(noise(900_000, seed: 2), as: "lost")
    let kept = try fixture.put(noise(900_000, seed: 3), as: "kept")
    let part = try #require(try fixture.store.parts(of: damaged.id, 0..<1).first)
    try FilesOnDisk.overwrite(fixture.segmentPath(part.segment), at: part.offsetInSegment, with: [1, 2, 3, 4, 5, 6, 7])
    try fixture.store.delete(damaged.id)
    try fixture.store.delete(lost.id)
    #expect(try fixture.get(kept.id) == noise(900_000, seed: 3))
    try fixture.finish()
  }

  @Test("a segment cut short costs the files behind the cut, and no process", arguments: WriteMode.allCases)
  func truncated(mode: WriteMode) throws {
    let store = try DamagedStore(directory, mode)
    let (path, byteCount, segment) = store.segments[0]
    try store.fixture.store.close()
    let whole = try fileBytes(path)
    for length in [byteCount - 1, byteCount / 2 + 77, byteCount / 3, 8192, 4097, 4096, 100, 0] {
      try FilesOnDisk.truncate(path, to: length)
      try store.fixture.reopen()
      for (file, bytes) in store.files {
        let end =
          try store.fixture.store.parts(of: file.id, 0..<file.partCount)
          .filter { $0.segment == segment }.map { $0.offsetInSegment + 128 + $0.storedByteCount }.max() ?? 0
        if end <= length {
          #expect(try store.fixture.get(file.id) == bytes, "cut at \(length)")
        } else {
          let error = storeError { _ = try store.fixture.get(file.id) }
          #expect(error?.code == .corrupt || error?.code == .io, "cut at \(length)")
          #expect(error?.message.contains("segment \(segment)") == true, "\(error?.message ?? "")")
        }
      }
      try store.fixture.store.close()
      try FilesOnDisk.write(whole, to: path)
    }
    try store.fixture.reopen()
    try store.fixture.finish()
  }

  @Test("a segment that is cut short while it is mapped is an error, not a signal", arguments: [0, 4096, 20_000])
  func truncatedMapping(length: Int) throws {
    // One worker, one segment: of several the first may hold so little that the cut does not reach it.
    let fixture = try StoreFixture(directory, configuration: WriteMode.mapped.configuration(workerCount: 1))
    let bytes = noise(300_000, seed: 1)
    let stored = try fixture.put(bytes, as: "file")
    #expect(try fixture.get(stored.id) == bytes)
    let path = fixture.segmentPath(try #require(try fixture.segments(of: stored).first))
    let (store, directory) = (fixture.store, directory)
    // While others read. Each of them gets all bytes or an error.
    let reader = BackgroundWork {
      try Watchdog.run(threads: 4) { _ in
        for _ in 0..<20 {
          do {
            let found = try store.bytes(of: stored.id, in: directory)
            #expect(found == bytes)
          } catch is StoreError {}
        }
      }
    }
    try FilesOnDisk.truncate(path, to: length)
    try reader.result()
    let error = storeError { _ = try fixture.get(stored.id) }
    #expect(error?.code == .corrupt || error?.code == .io)
    try store.close()
  }

  @Test("a segment that loses pages while it is appended to takes no more records", arguments: WriteMode.allCases)
  func truncatedAppender(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration(workerCount: 1))
    let first = try fixture.put(noise(5000, seed: 1), as: "first")
    let path = fixture.segmentPath(try #require(try fixture.segments(of: first).first))
    try FilesOnDisk.truncate(path, to: 0)
    // What is acknowledged from here on must be there, whatever became of the rest.
    var stored: [FileID: [UInt8]] = [:]
    for number in 0..<6 {
      let bytes = noise(6000, seed: UInt64(10 + number))
      do { stored[try fixture.put(bytes, as: "later").id] = bytes } catch let error as StoreError {
        #expect(error.code == .io || error.code == .durabilityUnknown)
      }
    }
    for (id, bytes) in stored { #expect(try fixture.get(id) == bytes, "acknowledged and lost") }
    do { try fixture.reopen() } catch is StoreError {
      // A close may say that not all was well; the next open works.
      try fixture.open()
    }
    for (id, bytes) in stored { #expect(try fixture.get(id) == bytes, "acknowledged and lost") }
    let last = try fixture.put(noise(6000, seed: 99), as: "last")
    #expect(try fixture.get(last.id) == noise(6000, seed: 99))
    try fixture.store.close()
  }

  @Test("a missing segment is named, and costs only the files in it")
  func missing() throws {
    let store = try DamagedStore(directory)
    let (path, _, segment) = store.segments[0]
    try store.fixture.store.close()
    FilesOnDisk.remove(path)
    try store.fixture.reopen()
    for (file, bytes) in store.files {
      if try store.fixture.segments(of: file).contains(segment) {
        let error = storeError { _ = try store.fixture.get(file.id) }
        #expect(error?.code == .corrupt)
        #expect(error?.message.contains("segment \(segment)") == true)
      } else {
        #expect(try store.fixture.get(file.id) == bytes)
      }
    }
    try store.fixture.store.close()
  }
}

/// A store of some files of every kind, and what lies where in its segments.
struct DamagedStore {
  let fixture: StoreFixture
  let files: [(file: StoredFile, bytes: [UInt8])]
  let segments: [(path: String, byteCount: Int, id: SegmentID)]
  let recordOffsets: [SegmentID: [Int]]
  private let parts: [SegmentID: [(range: Range<Int>, file: StoredFile, number: Int)]]
  private let directory: TemporaryDirectory

  init(_ directory: TemporaryDirectory, _ mode: WriteMode = .mapped) throws {
    self.directory = directory
    fixture = try StoreFixture(directory, configuration: mode.configuration(workerCount: 1))
    let contents = [
      noise(300_000, seed: 1), Corpus(seed: 2).bytes(200_000), [UInt8](repeating: 0, count: 40_000), [],
      noise(600_000, seed: 3), Corpus(seed: 4).bytes(150_000), noise(3, seed: 5),
    ]
    var files: [(StoredFile, [UInt8])] = []
    for (number, bytes) in contents.enumerated() { files.append((try fixture.put(bytes, as: "file \(number)"), bytes)) }
    // A hole in the middle.
    try fixture.store.delete(files.remove(at: 1).0.id)
    try fixture.reopen()
    var parts: [SegmentID: [(Range<Int>, StoredFile, Int)]] = [:]
    for (file, _) in files {
      for (number, part) in try fixture.store.parts(of: file.id, 0..<file.partCount).enumerated() {
        let end = part.offsetInSegment + RecordHeader.byteCount + part.storedByteCount
        parts[part.segment, default: []].append((part.offsetInSegment..<end, file, number))
      }
    }
    self.files = files
    self.parts = parts
    recordOffsets = parts.mapValues { $0.map(\.0.lowerBound) }
    segments = try fixture.segmentFiles().map { ($0.path, $0.bytes.count, $0.header.segment) }
  }

  /// The part whose header or payload holds the byte.
  func part(at offset: Int, of segment: SegmentID) -> (StoredFile, Int)? {
    parts[segment]?.first { $0.range.contains(offset) }.map { ($0.file, $0.number) }
  }

  func expectCorrupt(_ file: StoredFile, _ part: Int, _ place: String, toFile: Bool) throws {
    let target = directory.path(of: "target")
    let error = storeError {
      if toFile {
        try fixture.store.get(file.id, to: .file(FilePath(target), replacing: false))
      } else {
        try fixture.store.get(file.id, to: .stream(File.open("/dev/null", .write)))
      }
    }
    #expect(error?.code == .corrupt, "\(place)")
    let message = error?.message ?? ""
    for word in ["'\(file.name)'", "part \(part)", "segment ", "offset "] where !message.contains(word) {
      Issue.record("\(place): '\(word)' is not in: \(message)")
    }
    if toFile {
      let left = try FileManager.default.contentsOfDirectory(atPath: directory.path)
      #expect(left == ["store"], "\(place)")
    }
  }

  func expectExact(except damaged: FileID?, _ place: String) throws {
    for (file, bytes) in files where file.id != damaged {
      #expect(try fixture.get(file.id) == bytes, "\(place)")
    }
  }
}
