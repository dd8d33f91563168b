import Foundation
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Resumed get") struct ResumedGetTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private var target: FilePath { FilePath(directory.path(of: "target")) }
  private var partial: String { directory.path(of: ".target.pfs-partial") }

  @Test("that was stopped leaves a partial file, from which the next one takes what is there")
  func resumed() throws {
    let (fixture, stored, bytes) = try prepared()
    try stop(stored, fixture)
    #expect(try fileBytes(partial).count > bytes.count)
    #expect(throws: SystemCallFailure.self) { try FileSystem.status(of: target) }
    // What the partial file has is not read from the store again: there it is damaged now.
    let present = try presentParts(stored, fixture)
    #expect(!present.isEmpty && present.count < stored.partCount)
    try damage(present, of: stored, fixture)
    try get(stored, fixture)
    #expect(try fileBytes(target.description) == bytes)
    try expectNothingElse()
    #expect(storeError { _ = try fixture.get(stored.id) }?.code == .corrupt)
    try fixture.store.delete(stored.id)
    try fixture.finish()
  }

  @Test("trusts nothing it finds", arguments: [61, 62, 63] as [UInt64])
  func damagedPartial(number: UInt64) throws {
    let seed = TestSeed("damaged partial file", default: number)
    var generator = seed.generator
    let (fixture, stored, bytes) = try prepared()
    for _ in 0..<10 {
      try stop(stored, fixture)
      for _ in 0..<20 {
        try FilesOnDisk.overwrite(
          partial, at: generator.below(bytes.count - 5000), with: generator.bytes(1 + generator.below(5000)))
      }
      try get(stored, fixture)
      #expect(try fileBytes(target.description) == bytes, "\(seed)")
      FilesOnDisk.remove(target.description)
      try expectNothingElse()
    }
    try fixture.finish()
  }

  @Test("starts over from what is of another version, another store, or cut short")
  func others() throws {
    let (fixture, stored, bytes) = try prepared()
    let other = try fixture.put(noise(bytes.count, seed: 9), as: "other")
    try stop(other, fixture)
    let before = try fileBytes(partial)
    try stop(stored, fixture)
    let after = try fileBytes(partial)
    #expect(after.count == before.count && after.suffix(48) != before.suffix(48), "the labels differ")
    for change in [
      { try FilesOnDisk.truncate(partial, to: bytes.count) }, { try FilesOnDisk.truncate(partial, to: 0) },
      { try FilesOnDisk.overwrite(partial, at: bytes.count + 10, with: [0xFF]) },
    ] as [() throws -> Void] {
      try stop(stored, fixture)
      try change()
      // A link to it stands for something that has the name by an accident: it keeps its bytes.
      let link = directory.path(of: "link")
      try FileManager.default.linkItem(atPath: partial, toPath: link)
      let linked = try fileBytes(link)
      try get(stored, fixture)
      #expect(try fileBytes(link) == linked)
      #expect(try fileBytes(target.description) == bytes)
      FilesOnDisk.remove(link)
      FilesOnDisk.remove(target.description)
      try expectNothingElse()
    }
    try fixture.finish()
  }

  @Test("does not write through what has the name of the partial file")
  func hostilePartial() throws {
    let (fixture, stored, bytes) = try prepared()
    let dear = directory.path(of: "dear")
    try FilesOnDisk.write([1, 2, 3], to: dear)
    try FileManager.default.createSymbolicLink(atPath: partial, withDestinationPath: dear)
    #expect(storeError { try get(stored, fixture) }?.code == .unusableFile)
    #expect(try fileBytes(dear) == [1, 2, 3])
    FilesOnDisk.remove(partial)
    try FilesOnDisk.makePipe(partial)
    #expect(storeError { try get(stored, fixture) }?.code == .unusableFile)
    FilesOnDisk.remove(partial)
    try FilesOnDisk.write([4], to: partial)
    try FileManager.default.setAttributes([.ownerAccountID: 1], ofItemAtPath: partial)
    #expect(storeError { try get(stored, fixture) }?.code == .unusableFile)
    FilesOnDisk.remove(partial)
    try get(stored, fixture)
    #expect(try fileBytes(target.description) == bytes)
    try fixture.finish()
  }

  @Test("is busy while another one writes the partial file")
  func locked() throws {
    let (fixture, stored, bytes) = try prepared()
    try stop(stored, fixture)
    do {
      let file = try File.open(FilePath(partial), .write)
      #expect(try file.lock())
      #expect(storeError { try get(stored, fixture) }?.code == .busy)
    }
    try get(stored, fixture)
    #expect(try fileBytes(target.description) == bytes)
    try fixture.finish()
  }

  @Test("of several to one target publishes the whole file, whoever wins")
  func several() throws {
    let (fixture, first, bytes) = try prepared()
    let second = try fixture.put(noise(bytes.count, seed: 10), as: "second")
    let store = fixture.store
    for _ in 0..<10 {
      try Watchdog.run(threads: 4) { number in
        var options = GetOptions()
        options.resumes = true
        do {
          let id = number % 2 == 0 ? first.id : second.id
          try store.get(id, to: .file(target, replacing: true), options)
        } catch let error as StoreError {
          #expect(error.code == .busy)
        }
      }
      let found = try fileBytes(target.description)
      #expect(found == bytes || found == noise(bytes.count, seed: 10))
    }
    try expectNothingElse()
    try fixture.finish()
  }

  @Test("of a damaged file leaves nothing, and one without it never does", arguments: [true, false])
  func leavesNothing(resumes: Bool) throws {
    let (fixture, stored, _) = try prepared()
    if !resumes {
      let cancellation = Cancellation()
      #expect(
        storeError {
          try fixture.store.get(stored.id, to: .file(target, replacing: false), cancellation: cancellation) { _ in
            cancellation.cancel()
          }
        }?.code == .cancelled)
      try expectNothingElse(besides: [])
    }
    try damage([3], of: stored, fixture)
    var options = GetOptions()
    options.resumes = resumes
    #expect(
      storeError { try fixture.store.get(stored.id, to: .file(target, replacing: false), options) }?.code == .corrupt)
    try expectNothingElse(besides: [])
    try fixture.store.delete(stored.id)
    try fixture.finish()
  }

  @Test("may salvage: what the partial file has is better than what the store has lost")
  func salvage() throws {
    let (fixture, stored, bytes) = try prepared()
    try stop(stored, fixture)
    let present = try presentParts(stored, fixture)
    let missing = try #require((0..<stored.partCount).first { !present.contains($0) })
    try damage(present + [missing], of: stored, fixture, with: [UInt8](repeating: 0, count: 200))
    // Where a hole belongs there is something else.
    try FilesOnDisk.overwrite(partial, at: missing * 4096, with: [1, 2, 3])
    var options = GetOptions()
    (options.resumes, options.salvages) = (true, true)
    let report = try fixture.store.get(stored.id, to: .file(target, replacing: false), options)
    let lost = missing * 4096..<(missing + 1) * 4096
    #expect(report.losses.map(\.byteRange) == [lost])
    var expected = bytes
    expected.replaceSubrange(lost, with: [UInt8](repeating: 0, count: 4096))
    #expect(try fileBytes(target.description) == expected)
    try fixture.store.delete(stored.id)
    try fixture.finish()
  }

  @Test("needs a whole file under a name, and a name of any length")
  func limits() throws {
    let (fixture, stored, bytes) = try prepared()
    var options = GetOptions()
    options.resumes = true
    let null = try File.open("/dev/null", .write)
    #expect(storeError { try fixture.store.get(stored.id, to: .stream(null), options) }?.code == .invalidArgument)
    options.byteRange = 0..<1
    #expect(
      storeError { try fixture.store.get(stored.id, to: .file(target, replacing: false), options) }?.code
        == .invalidArgument)
    options.byteRange = nil
    for length in [241, 242, 243, 255] {
      let long = directory.path(of: String(repeating: "n", count: length))
      try fixture.store.get(stored.id, to: .file(FilePath(long), replacing: false), options)
      #expect(try fileBytes(long) == bytes)
      FilesOnDisk.remove(long)
    }
    try expectNothingElse(besides: [])
    let empty = try fixture.put([], as: "empty")
    try get(empty, fixture)
    #expect(try fileBytes(target.description) == [])
    try fixture.finish()
  }

  // MARK: -

  private func prepared() throws -> (StoreFixture, StoredFile, [UInt8]) {
    let fixture = try StoreFixture(
      directory, configuration: WriteMode.mapped.configuration(memoryByteCount: 1 << 20, workerCount: 1))
    // Zeros in the middle: a hole in the file.
    let bytes = noise(100 * 4096, seed: 1) + [UInt8](repeating: 0, count: 20 * 4096) + noise(80 * 4096 + 5, seed: 2)
    return (fixture, try fixture.put(bytes, as: "file"), bytes)
  }

  private func get(_ file: StoredFile, _ fixture: StoreFixture, _ cancellation: Cancellation = Cancellation()) throws {
    var options = GetOptions()
    options.resumes = true
    try fixture.store.get(
      file.id, to: .file(target, replacing: false), options, cancellation: cancellation)
  }

  /// Begins a get and stops it when some parts are written.
  private func stop(_ file: StoredFile, _ fixture: StoreFixture) throws {
    let cancellation = Cancellation()
    var options = GetOptions()
    options.resumes = true
    let error = storeError {
      try fixture.store.get(
        file.id, to: .file(target, replacing: false), options, cancellation: cancellation
      ) { _ in cancellation.cancel() }
    }
    #expect(error?.code == .cancelled)
  }

  /// The parts whose bytes the partial file has.
  private func presentParts(_ file: StoredFile, _ fixture: StoreFixture) throws -> [Int] {
    let (found, bytes) = (try fileBytes(partial), try fixture.get(file.id))
    return (0..<file.partCount).filter { number in
      let range = number * 4096..<min((number + 1) * 4096, bytes.count)
      return found[range] == bytes[range]
    }
  }

  private func damage(
    _ numbers: [Int], of file: StoredFile, _ fixture: StoreFixture, with bytes: [UInt8] = [1, 2, 3, 4, 5]
  ) throws {
    let parts = try fixture.store.parts(of: file.id, 0..<file.partCount)
    for number in numbers {
      try FilesOnDisk.overwrite(
        fixture.segmentPath(parts[number].segment), at: parts[number].offsetInSegment, with: bytes)
    }
  }

  private func expectNothingElse(
    besides names: Set<String> = ["target"], sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let found = try FileManager.default.contentsOfDirectory(atPath: directory.path)
    let left = Set(found).subtracting(names.union(["store"]))
    #expect(left.isEmpty, sourceLocation: sourceLocation)
  }
}
