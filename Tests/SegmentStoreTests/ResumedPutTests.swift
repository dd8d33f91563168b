import Foundation
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Resumed put") struct ResumedPutTests {
  private static let byteCount = 4_000_000
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test("keep what was stored when they are interrupted, and then store the rest only", arguments: WriteMode.allCases)
  func interrupted(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration())
    let bytes = noise(ResumedPutTests.byteCount, seed: 1)
    let id = try interrupt(bytes, in: fixture)
    try fixture.reopen()
    let kept = try #require(try fixture.store.file(id))
    #expect(kept.status == .writing)
    #expect((1_000_000..<ResumedPutTests.byteCount).contains(kept.byteCount))
    try fixture.store.checkInvariants()
    let before = try appendedByteCount(fixture)
    let stored = try put(bytes, in: fixture)
    #expect(stored.id == id)
    #expect(stored.createdNanoseconds == kept.createdNanoseconds)
    // Each part has a header; what is not 4096 bytes long rounds up.
    let rest = (ResumedPutTests.byteCount - kept.byteCount) / 4096 * (4096 + 128)
    #expect(try appendedByteCount(fixture) - before < rest + 100_000)
    #expect(try fixture.get(id) == bytes)
    #expect(try fixture.store.allFiles().map(\.id) == [id])
    #expect(try fixture.put(bytes, as: "plain").etag == stored.etag)
    try fixture.finish()
  }

  @Test func `of one file of a batch begin anew, and leave no account of it behind`() throws {
    let fixture = try StoreFixture(directory)
    let bytes = noise(ResumedPutTests.byteCount, seed: 5)
    let source = directory.path(of: "source")
    try Data(bytes).write(to: URL(fileURLWithPath: source))
    let name = try FileName(Array("file".utf8))
    let group = fixture.store.beginGroup()
    let id = try group.put(.file(FilePath(source)), as: name)
    // A crash before the batch is published.
    let image = try fixture.crashImage()
    group.rollBack()
    var configuration = fixture.configuration
    configuration.resumedNames.insert(name)
    let store = try Store(at: FilePath(image), configuration)
    let stored = try store.put(.file(FilePath(source)), as: name, resuming)
    #expect(stored.id > id)
    #expect(try store.bytes(of: stored.id, in: directory) == bytes)
    try store.checkInvariants()
    try store.close()
    try fixture.finish()
  }

  @Test func `leave one manifest of a file, however often they were cut short`() throws {
    let fixture = try StoreFixture(directory)
    let bytes = noise(ResumedPutTests.byteCount, seed: 6)
    let id = try interrupt(bytes, in: fixture)
    _ = try put(bytes, in: fixture)
    try fixture.reopen()
    let manifests = try fixture.segmentFiles().flatMap { try $0.records() }.filter { $0.kind == .manifest }
    #expect(manifests.map(\.file) == [id])
    try fixture.finish()
  }

  enum Change: String, CaseIterable, Sendable {
    case oneByte, shorter, partSize
  }

  @Test("begin anew when the source or the part size is another one", arguments: Change.allCases)
  func changed(change: Change) throws {
    let fixture = try StoreFixture(directory)
    var bytes = noise(ResumedPutTests.byteCount, seed: 1)
    let id = try interrupt(bytes, in: fixture)
    var options = resuming
    switch change {
    case .oneByte: bytes[500_000] ^= 1
    case .shorter: bytes.removeLast(bytes.count - 100_000)
    case .partSize: options.partByteCount = 8192
    }
    let stored = try put(bytes, in: fixture, options)
    #expect(stored.id > id)
    #expect(try fixture.get(stored.id) == bytes)
    #expect(try fixture.store.allFiles().map(\.id) == [stored.id])
    try fixture.finish()
  }

  @Test func `go on with a source that has only grown`() throws {
    let fixture = try StoreFixture(directory)
    let bytes = noise(ResumedPutTests.byteCount + 100_000, seed: 1)
    let id = try interrupt(Array(bytes.prefix(ResumedPutTests.byteCount)), in: fixture)
    #expect(try put(bytes, in: fixture).id == id)
    #expect(try fixture.get(id) == bytes)
    try fixture.finish()
  }

  @Test func `can be interrupted again and again, and in a hole`() throws {
    let fixture = try StoreFixture(directory)
    var bytes = [UInt8](repeating: 0, count: ResumedPutTests.byteCount)
    bytes.replaceSubrange(0..<1_000_000, with: noise(1_000_000, seed: 4))
    var ids: Set<FileID> = []
    for moment in [1_100_000, 2_000_000, 3_900_000] {
      ids.insert(try interrupt(bytes, in: fixture, after: moment))
      try fixture.reopen()
    }
    let stored = try put(bytes, in: fixture)
    #expect(ids == [stored.id])
    #expect(try fixture.get(stored.id) == bytes)
    try fixture.finish()
  }

  @Test("store nothing again that is there already, as it is", arguments: [0, 1, 4096, 100_000])
  func idempotent(byteCount: Int) throws {
    let fixture = try StoreFixture(directory)
    var bytes = noise(byteCount, seed: 2)
    let first = try put(bytes, in: fixture)
    let before = try appendedByteCount(fixture)
    #expect(try put(bytes, in: fixture).id == first.id)
    // Whatever part size is asked for: the bytes are the same.
    var options = resuming
    options.partByteCount = 16_384
    #expect(try put(bytes, in: fixture, options).id == first.id)
    #expect(try appendedByteCount(fixture) == before)
    bytes.append(1)
    #expect(try put(bytes, in: fixture).id > first.id)
    try fixture.finish()
  }

  @Test func `become the newest version, also when another was stored meanwhile`() throws {
    let fixture = try StoreFixture(directory)
    let bytes = noise(ResumedPutTests.byteCount, seed: 1)
    let id = try interrupt(bytes, in: fixture)
    let other = try fixture.put(noise(1000, seed: 2), as: "file")
    #expect(try fixture.store.file(id)?.status == .writing, "a plain put leaves it alone")
    let stored = try put(bytes, in: fixture)
    #expect(stored.id > other.id)
    #expect(try fixture.store.files(named: fileName("file")).map(\.id) == [other.id, stored.id])
    #expect(try fixture.store.allFiles().count == 2)
    try fixture.finish()
  }

  @Test func `that were interrupted can be deleted by their id`() throws {
    let fixture = try StoreFixture(directory)
    let id = try interrupt(noise(ResumedPutTests.byteCount, seed: 1), in: fixture)
    try fixture.reopen()
    try fixture.store.delete(id)
    #expect(try fixture.store.allFiles().isEmpty)
    #expect(try fixture.store.statistics().liveByteCount == 0)
    try fixture.finish()
  }

  @Test func `are gone on with by one at a time`() throws {
    let fixture = try StoreFixture(directory, configuration: WriteMode.mapped.configuration(lockTimeoutSeconds: 0))
    let bytes = noise(ResumedPutTests.byteCount, seed: 1)
    let id = try interrupt(bytes, in: fixture)
    let lock = try fixture.store.locks.acquire(.file(id), .exclusive, timeoutSeconds: 0)
    #expect(storeError { _ = try put(bytes, in: fixture) }?.code == .busy)
    withExtendedLifetime(lock) {}
    _ = lock
    try fixture.finish()
  }

  @Test("are refused for streams and in groups")
  func refused() throws {
    let fixture = try StoreFixture(directory)
    let error = storeError {
      let null = try File.open("/dev/null")
      _ = try fixture.store.put(.stream(null), as: fileName("file"), resuming)
    }
    #expect(error?.code == .invalidArgument)
    let path = directory.path(of: "source")
    try FilesOnDisk.write([1], to: path)
    let group = fixture.store.beginGroup()
    #expect(
      storeError { try group.put(.file(FilePath(path)), as: fileName("file"), resuming) }?.code == .invalidArgument)
    try fixture.finish()
  }

  @Test("adopt a plain put whose process died, if they are what opens the store next", arguments: [true, false])
  func adopted(isResumed: Bool) throws {
    let fixture = try StoreFixture(directory)
    let fed = noise(40 * 65_536, seed: 2)
    let running = try RunningPut(fixture.store, in: directory, fed: fed)
    let name = try #require(try fixture.store.allFiles().first).name
    let image = try fixture.crashImage("abandoned")
    try running.cancel()
    try fixture.finish()
    var configuration = Store.Configuration()
    if isResumed { configuration.resumedNames.insert(name) }
    let opened = try StoreFixture(opening: image, in: directory, configuration)
    let kept = try opened.store.allFiles()
    #expect(kept.map(\.status) == (isResumed ? [.writing] : []))
    let source = directory.path(of: "fed")
    try FilesOnDisk.write(fed, to: source)
    let stored = try opened.store.put(.file(FilePath(source)), as: name, resuming)
    if isResumed { #expect(stored.id == kept.first?.id) }
    #expect(try opened.get(stored.id) == fed)
    try opened.finish()
  }

  // MARK: -

  private var resuming: PutOptions {
    var options = PutOptions()
    options.resumes = true
    return options
  }

  /// Begins to store `bytes` and stops in the middle.
  /// - Returns: The id of what was kept.
  private func interrupt(
    _ bytes: [UInt8], in fixture: StoreFixture, after byteCount: Int = 2_000_000
  ) throws -> FileID {
    let cancellation = Cancellation()
    let done = Monitor(0)
    let path = directory.path(of: "interrupted")
    try FilesOnDisk.write(bytes, to: path)
    let error = storeError {
      _ = try fixture.store.put(
        .file(FilePath(path)), as: fileName("file"), resuming, cancellation: cancellation,
        progress: { count in
          let isEnough = done.withLock { done in
            done += count
            return done >= byteCount
          }
          if isEnough { cancellation.cancel() }
        })
    }
    #expect(error?.code == .cancelled)
    #expect(error?.message.contains("kept") == true, "\(String(describing: error))")
    let writing = try fixture.store.allFiles().filter { $0.status == .writing }
    #expect(writing.count == 1)
    return try #require(writing.first).id
  }

  private func put(_ bytes: [UInt8], in fixture: StoreFixture, _ options: PutOptions? = nil) throws -> StoredFile {
    try fixture.store.put(bytes, as: "file", options ?? resuming, in: directory)
  }

  /// All that was ever appended to the segments that are there.
  private func appendedByteCount(_ fixture: StoreFixture) throws -> Int {
    let statistics = try fixture.store.statistics()
    return statistics.liveByteCount + statistics.deadByteCount + statistics.punchedByteCount
  }
}
