import Foundation
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Recovery") struct RecoveryTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test("a store that nobody closed has every acknowledged file", arguments: WriteMode.allCases)
  func acknowledged(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration())
    var expected: [FileID: [UInt8]] = [:]
    for number in 0..<8 {
      let bytes = Corpus(seed: UInt64(number)).bytes(number * 90_001)
      expected[try fixture.put(bytes, as: "file \(number)").id] = bytes
    }
    for id in expected.keys.sorted().prefix(3) {
      try fixture.store.delete(id)
      expected[id] = nil
    }
    let image = try StoreFixture(opening: fixture.crashImage(), in: directory, mode.configuration())
    #expect(try image.store.allFiles().map(\.id) == expected.keys.sorted())
    for (id, bytes) in expected { #expect(try image.get(id) == bytes) }
    let highest = try #require(fixture.store.allFiles().last).id
    #expect(try image.put([1], as: "later").id > highest)
    try image.finish()
    try fixture.finish()
  }

  @Test(
    "a put that was cut short leaves nothing, and its ids are not used again", arguments: WriteMode.allCases,
    [1, 30, 130])
  func unacknowledgedPut(mode: WriteMode, batchCount: Int) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration())
    let kept = try fixture.put(noise(3000, seed: 1), as: "kept")
    let bytes = noise(batchCount * 65_536, seed: 2)
    let running = try RunningPut(fixture.store, in: directory, fed: bytes)
    let image = try StoreFixture(opening: fixture.crashImage(), in: directory, mode.configuration())
    #expect(try image.store.allFiles().map(\.id) == [kept.id])
    #expect(try image.store.statistics().partCount == 1)
    // Segments that held nothing but its parts are gone, the one that is left is cut off behind what counts.
    let files = try image.segmentFiles()
    #expect(files.count == 1)
    #expect(files.map(\.bytes.count) == (try image.segmentEntries().values.map(\.usedByteCount)))
    #expect(try image.put([1], as: "later").id.rawValue > kept.id.rawValue + 1)
    try image.finish()

    let stored = try running.finish()
    #expect(try fixture.get(stored.id) == bytes)
    try fixture.finish()
  }

  @Test("a second open after a crash finds nothing to do", arguments: WriteMode.allCases)
  func twice(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration())
    let gone = try fixture.put(noise(600_000, seed: 1), as: "gone")
    _ = try fixture.put(noise(600_000, seed: 2), as: "kept")
    try fixture.store.delete(gone.id)
    let running = try RunningPut(fixture.store, in: directory, fed: noise(40 * 65_536, seed: 3))
    let path = try fixture.crashImage()
    let first = try StoreFixture(opening: path, in: directory, mode.configuration())
    try first.finish()
    let before = try FilesOnDisk.contents(of: path)
    let second = try StoreFixture(opening: path, in: directory, mode.configuration())
    try second.finish()
    let after = try FilesOnDisk.contents(of: path)
    #expect(Set(before.keys) == Set(after.keys))
    for (name, bytes) in before where name != "index/lock.mdb" { #expect(after[name] == bytes, "\(name) changed") }
    try running.cancel()
    try fixture.finish()
  }

  @Test("opening a store that was closed well writes nothing")
  func nothingToDo() throws {
    let fixture = try StoreFixture(directory)
    let stored = try fixture.put(noise(10_000, seed: 1), as: "file")
    try fixture.store.close()
    let before = try FilesOnDisk.contents(of: fixture.path.description)
    try fixture.reopen()
    _ = try fixture.get(stored.id)
    try fixture.finish()
    let after = try FilesOnDisk.contents(of: fixture.path.description)
    for (name, bytes) in before where name != "index/lock.mdb" { #expect(after[name] == bytes, "\(name) changed") }
  }

  @Test("images taken at any moment of many puts are whole", arguments: WriteMode.allCases)
  func anyMoment(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration())
    let acknowledged = Monitor<[FileID: Int]>([:])
    let source = directory.path(of: "sources")
    let sources = (0..<8).map { noise($0 * 20_000 + 10, seed: UInt64($0)) }
    for (number, bytes) in sources.enumerated() { try FilesOnDisk.write(bytes, to: "\(source)\(number)") }
    let store = fixture.store
    let writers = BackgroundWork {
      try Watchdog.run(threads: 4) { thread in
        for round in 0..<10 {
          let number = (round * 4 + thread) % 8
          let file = FilePath("\(source)\(number)")
          let stored = try store.put(.file(file), as: fileName("\(number)"))
          acknowledged.withLock { $0[stored.id] = number }
        }
      }
    }
    for number in 0..<5 {
      _ = acknowledged.wait { $0.count >= (number + 1) * 6 ? true : nil }
      let before = acknowledged.withLock { $0 }
      let path = try fixture.liveImage("image \(number)")
      let image = try StoreFixture(opening: path, in: directory, mode.configuration())
      for file in try image.store.allFiles() {
        #expect(file.status == .ready)
        let content = try #require(Int(file.name.description))
        #expect(try image.get(file.id) == sources[content])
      }
      let found = Set(try image.store.allFiles().map(\.id))
      #expect(found.isSuperset(of: before.keys))
      try image.finish()
    }
    try writers.result()
    try fixture.finish()
  }

  @Test("segment files that the index has given up are removed, other files are left alone")
  func orphans() throws {
    let fixture = try StoreFixture(directory, configuration: WriteMode.mapped.configuration(workerCount: 1))
    let stored = try fixture.put(noise(5000, seed: 1), as: "file")
    let gone = try fixture.put(noise(3_000_000, seed: 2), as: "gone")
    let orphanID = try #require(try fixture.store.parts(of: gone.id, 400..<401).first).segment
    let bytes = try fileBytes(fixture.segmentPath(orphanID))
    try fixture.store.delete(gone.id)
    #expect(try fixture.segmentEntry(orphanID) == nil)
    // What a crash between the commit and the removal of the file leaves.
    let path = try fixture.crashImage()
    let orphan = "\(path)/segments/\(String(decoding: orphanID.fileName, as: UTF8.self))"
    let others = ["notes", "99.seg", "0000000000000001.seg.bak", "000000000000000x.seg"]
    try FilesOnDisk.write(bytes, to: orphan)
    for other in others { try FilesOnDisk.write([1], to: "\(path)/segments/\(other)") }
    let image = try StoreFixture(opening: path, in: directory)
    #expect(!FileManager.default.fileExists(atPath: orphan))
    for other in others { #expect(FileManager.default.fileExists(atPath: "\(path)/segments/\(other)")) }
    #expect(try image.get(stored.id) == noise(5000, seed: 1))
    try image.finish()
    try fixture.finish()
  }

  @Test("a segment that the index never made shows that the index is an older one; the segment is kept")
  func olderIndex() throws {
    let fixture = try StoreFixture(directory)
    _ = try fixture.put(noise(5000, seed: 1), as: "file")
    let path = try fixture.crashImage()
    let unknown = "\(path)/segments/0000000000000099.seg"
    try FilesOnDisk.write(noise(8192, seed: 2), to: unknown)
    #expect(storeError { _ = try Store(at: FilePath(path)) }?.code == .indexDamaged)
    #expect(try fileBytes(unknown) == noise(8192, seed: 2))
    try fixture.finish()
  }

  @Test("garbage behind the last record is cut off, and nothing is appended into it", arguments: WriteMode.allCases)
  func garbage(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration(workerCount: 1))
    let stored = try fixture.put(noise(5000, seed: 1), as: "file")
    let segment = try #require(try fixture.segments(of: stored).first)
    let used = try #require(try fixture.segmentEntry(segment)).usedByteCount
    let path = try fixture.crashImage()
    let file = "\(path)/segments/\(String(decoding: segment.fileName, as: UTF8.self))"
    // A whole record among the garbage: a part that the index never named.
    var record = Samples.recordHeader
    let uuid = try SegmentFile(file).header.uuid
    (record.segment, record.offset, record.storePrefix) = (segment, used + 4096, uuid.prefix)
    try FilesOnDisk.overwrite(file, at: used, with: noise(4096, seed: 9) + record.encoded() + noise(9000, seed: 10))
    let image = try StoreFixture(opening: path, in: directory, mode.configuration(workerCount: 1))
    #expect(try fileBytes(file).count == used)
    let later = try image.put(noise(20_000, seed: 2), as: "later")
    #expect(try image.get(stored.id) == noise(5000, seed: 1))
    #expect(try image.get(later.id) == noise(20_000, seed: 2))
    #expect(try image.store.parts(of: later.id, 0..<1).first?.offsetInSegment == used)
    try image.finish()
    let scanned = try SegmentFile(file).records().filter { $0.part == record.part && $0.file == record.file }
    #expect(scanned.isEmpty)
    try fixture.finish()
  }

  @Test("a roll-back that failed is made up for by the next open, even after a clean close")
  func failedRollBack() throws {
    let fixture = try StoreFixture(directory)
    _ = try fixture.put(noise(5000, seed: 1), as: "kept")
    try enterUnfinished(FileID(rawValue: 50), fixture)
    #expect(try fixture.store.file(FileID(rawValue: 50))?.status == .writing)
    try fixture.reopen()
    #expect(try fixture.store.file(FileID(rawValue: 50)) == nil)
    try fixture.finish()
  }

  /// Leaves a file as a put leaves it whose roll-back failed.
  private func enterUnfinished(_ id: FileID, _ fixture: StoreFixture) throws {
    let session = try fixture.store.writerSession()
    var entry = try Samples.fileEntry
    (entry.state, entry.writer, entry.isResumable) = (.writing, session.writer, false)
    entry.commit = Sequence(rawValue: 0)
    entry.manifest.extents = []
    (entry.manifest.partCount, entry.manifest.byteCount, entry.manifest.storedByteCount) = (0, 0, 0)
    entry.manifestLocation = RecordLocation(segment: SegmentID(rawValue: 0), offset: 0, recordByteCount: 0)
    let (files, written) = (try fixture.store.index.files, entry)
    try session.perform(
      IndexJob { (transaction, _) throws(StoreError) in
        try files.setWriting(id, written, in: transaction)
      })
    session.leaveToRecovery()
  }

  @Test("a delete that was cut short between two steps is finished by the next open")
  func cutDelete() throws {
    let fixture = try StoreFixture(directory)
    let kept = try fixture.put(noise(5000, seed: 1), as: "kept")
    var bytes = [UInt8](repeating: 0, count: 9000 * 4096)
    for offset in stride(from: 0, to: bytes.count, by: 9 * 4096) { bytes[offset] = 1 }
    let big = try fixture.put(bytes, as: "big")
    let session = try fixture.store.writerSession()
    let jobCount = Monitor(0)
    // The first step is durable, the second never begins.
    let reclamation = Reclamation(
      store: fixture.store,
      perform: { (job) throws(StoreError) in
        let number = jobCount.withLock { count in
          count += 1
          return count
        }
        if number > 1 { throw StoreError(.io, "cut short") }
        try session.perform(job)
      })
    try Burial(store: fixture.store, writer: session.writer, perform: reclamation.perform).bury([big.id])
    #expect(storeError { try reclamation.finish(big.id) }?.message == "cut short")
    #expect(try fixture.store.file(big.id)?.status == .deleting)
    #expect(storeError { _ = try fixture.get(big.id) }?.code == .notFound)
    let image = try StoreFixture(opening: fixture.crashImage(), in: directory)
    #expect(try image.store.allFiles().map(\.id) == [kept.id])
    #expect(try image.store.statistics().partCount == 2)
    try image.finish()
  }

  @Test("several that open a store after a crash at the same time agree")
  func concurrentOpens() async throws {
    let fixture = try StoreFixture(directory)
    let kept = try fixture.put(noise(5000, seed: 1), as: "kept")
    let running = try RunningPut(fixture.store, in: directory, fed: noise(80 * 65_536, seed: 2))
    let path = try fixture.crashImage()
    try running.cancel()
    try fixture.finish()
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<3 {
        group.addTask { [temporary = directory.path] in
          await #expect(processExitsWith: .success) { [path = path as String, temporary = temporary as String] in
            let store = try Store(at: FilePath(path))
            let file = "\(temporary)/source-\(UUID().uuidString)"
            try FilesOnDisk.write([1, 2, 3], to: file)
            _ = try store.put(.file(FilePath(file)), as: try FileName(Array("after".utf8)))
            try store.close()
          }
        }
      }
    }
    let image = try StoreFixture(opening: path, in: directory)
    #expect(try image.store.allFiles().count == 4)
    #expect(try image.get(kept.id) == noise(5000, seed: 1))
    try image.finish()
  }
}

extension StoreFixture {
  /// A crash image of a store that is being written to, deletes excepted: the index as one snapshot has it, and then
  /// the segments, which hold at least what it names.
  func liveImage(_ name: String) throws -> String {
    let copy = directory.path(of: name)
    let files = FileManager.default
    try files.createDirectory(atPath: "\(copy)/index", withIntermediateDirectories: true)
    let index = try store.index
    let source = "\(path)/index/data.mdb"
    // While the snapshot is held, no page that it or a later commit names is used again.
    try index.read { (_) throws(StoreError) in
      do { try files.copyItem(atPath: source, toPath: "\(copy)/index/data.mdb") } catch {
        throw StoreError(.io, "\(error)")
      }
    }
    try copyTree(path.description, to: copy, except: ["index"])
    return copy
  }

  /// Reads each file to where it ends then: Foundation's copy waits for ever for the bytes of one that was cut meanwhile.
  private func copyTree(_ source: String, to copy: String, except names: Set<String> = []) throws {
    let files = FileManager.default
    try files.createDirectory(atPath: copy, withIntermediateDirectories: true)
    for name in try files.contentsOfDirectory(atPath: source) where !names.contains(name) {
      if try FileSystem.status(of: FilePath("\(source)/\(name)")).kind == .directory {
        try copyTree("\(source)/\(name)", to: "\(copy)/\(name)")
      } else {
        try FilesOnDisk.write(fileBytes("\(source)/\(name)"), to: "\(copy)/\(name)")
      }
    }
  }
}
