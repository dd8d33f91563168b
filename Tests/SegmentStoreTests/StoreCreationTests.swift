import Foundation
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Store creation") struct StoreCreationTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private var path: FilePath { FilePath(directory.path(of: "store")) }
  private var entries: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted() }
  }

  @Test(
    "a new store is empty, and only its owner can look into it, whatever the umask", arguments: [0o000, 0o022, 0o777])
  func modes(umask mask: Int) async throws {
    await #expect(processExitsWith: .success) { [path = path.description as String, mask = mask as Int] in
      umask(mode_t(mask))
      try Store.create(at: FilePath(path))
      let store = try Store(at: FilePath(path))
      #expect(try store.allFiles().isEmpty)
      // A segment, and whatever else the first put makes.
      _ = try store.put(.stream(File.open("/dev/null")), as: fileName("empty"))
      try store.checkInvariants()
      try store.close()
    }
    #expect(try FilesOnDisk.mode(path.description) == 0o700)
    for name in try FileManager.default.subpathsOfDirectory(atPath: path.description) {
      var isDirectory: ObjCBool = false
      _ = unsafe FileManager.default.fileExists(atPath: "\(path)/\(name)", isDirectory: &isDirectory)
      #expect(try FilesOnDisk.mode("\(path)/\(name)") == (isDirectory.boolValue ? 0o700 : 0o600), "\(name)")
    }
  }

  @Test("takes an empty directory, and makes the directories above it")
  func places() throws {
    try FileManager.default.createDirectory(atPath: path.description, withIntermediateDirectories: false)
    try Store.create(at: path)
    let deep = FilePath(directory.path(of: "a/b/c"))
    try Store.create(at: deep)
    for path in [path, deep] {
      let store = try Store(at: path)
      try store.checkInvariants()
      try store.close()
    }
    #expect(try entries == ["a", "store"])
  }

  @Test("refuses what is there already, and leaves it as it was")
  func occupied() throws {
    try Store.create(at: path)
    let before = try FilesOnDisk.contents(of: path.description)
    #expect(storeError { try Store.create(at: path) }?.code == .exists)
    #expect(try FilesOnDisk.contents(of: path.description) == before)

    let full = directory.path(of: "full")
    try FileManager.default.createDirectory(atPath: full, withIntermediateDirectories: false)
    try FilesOnDisk.write([1], to: "\(full)/file")
    #expect(storeError { try Store.create(at: FilePath(full)) }?.code == .exists)
    #expect(storeError { try Store.create(at: FilePath("\(full)/file")) }?.code == .exists)
    #expect(try fileBytes("\(full)/file") == [1])

    let link = directory.path(of: "link")
    let empty = directory.path(of: "empty")
    try FileManager.default.createDirectory(atPath: empty, withIntermediateDirectories: false)
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: empty)
    #expect(storeError { try Store.create(at: FilePath(link)) }?.code == .exists)
    #expect(try entries == ["empty", "full", "link", "store"])
  }

  @Test("refuses sizes that no store can have, and makes nothing")
  func sizes() throws {
    let wrong: [(Int, Int)] = [
      (0, 4096), (1 << 15, 4096), (3 << 20, 4096), (1 << 33, 4096), (1 << 20, 0), (1 << 20, 4095),
      (1 << 20, (1 << 19) + 1), (1 << 20, -1), (-1, 4096), (Int.max, 4096), (1 << 20, Int.max),
    ]
    for (segmentByteCount, partByteCount) in wrong {
      var options = Store.CreationOptions()
      (options.segmentByteCount, options.partByteCount) = (segmentByteCount, partByteCount)
      #expect(storeError { try Store.create(at: path, options) }?.code == .invalidArgument)
    }
    for name in ["", "/", ".", "..", "a/.."] {
      #expect(storeError { try Store.create(at: FilePath(name)) }?.code == .invalidArgument, "'\(name)'")
    }
    #expect(try entries.isEmpty)
  }

  @Test("many who make the same store at once: one does, the others are told")
  func race() throws {
    let path = path
    let outcomes = Monitor<[StoreError.Code?]>([])
    try Watchdog.run(threads: 8) { _ in
      do throws(StoreError) {
        try Store.create(at: path)
        outcomes.withLock { $0.append(nil) }
      } catch {
        outcomes.withLock { $0.append(error.code) }
      }
    }
    #expect(outcomes.withLock { $0 }.count { $0 == nil } == 1)
    #expect(outcomes.withLock { $0 }.count { $0 == .exists } == 7)
    #expect(try entries == ["store"])
    let store = try Store(at: path)
    try store.checkInvariants()
    try store.close()
  }

  @Test(
    "a full disk leaves no store and nothing else", .enabled(if: SmallFileSystem.isAvailable, "needs root to mount"),
    arguments: [
      "size=16k", "size=64k", "size=1m", "size=4m", "nr_inodes=2", "nr_inodes=3", "nr_inodes=5",
    ])
  func fullDisk(options: String) throws {
    let mountPoint = directory.path(of: "mount")
    try FileManager.default.createDirectory(atPath: mountPoint, withIntermediateDirectories: false)
    let small = try SmallFileSystem(options, on: mountPoint)
    let error = storeError { try Store.create(at: FilePath("\(small.path)/store")) }
    #expect(error?.code == .noSpace, "\(error?.message ?? "")")
    #expect(try FileManager.default.contentsOfDirectory(atPath: small.path).isEmpty)
  }

  @Test("whose STORE is lost is asked of its segments: what most of them say, each under its own number")
  func lostSuperblock() throws {
    try Store.create(at: path)
    let own = try StoreDirectory(opening: path).superblock.uuid
    FilesOnDisk.remove("\(path)/STORE")
    func write(_ uuid: StoreUUID, _ number: UInt64, as name: UInt64) throws {
      let header = SegmentHeader(
        uuid: uuid, segment: SegmentID(rawValue: number), segmentByteCount: 1 << 20, createdNanoseconds: 5,
        writer: WriterID(rawValue: 1), counters: Counters())
      let name = String(decoding: SegmentID(rawValue: name).fileName, as: UTF8.self)
      try FilesOnDisk.write(header.encoded(), to: "\(path)/segments/\(name)")
    }
    let (misnamed, other) = (try StoreUUID(), try StoreUUID())
    for number in 10..<20 as Range<UInt64> { try write(misnamed, number + 1, as: number) }
    for number in 1...3 as ClosedRange<UInt64> { try write(other, number, as: number) }
    for number in 4...7 as ClosedRange<UInt64> { try write(own, number, as: number) }
    #expect(try StoreDirectory.salvaging(path) { _ in }.superblock.uuid == own)
  }

  @Test("what is no store is said to be none")
  func notAStore() throws {
    #expect(storeError { _ = try Store(at: path) }?.code == .noStore)
    #expect(storeError { _ = try Store(at: FilePath(directory.path)) }?.code == .notAStore)
    try Store.create(at: path)
    let superblock = try fileBytes("\(path)/STORE")
    let damages: [([UInt8], StoreError.Code)] = [
      ([], .notAStore), (Array("something else".utf8), .notAStore), (Array(superblock.dropLast()), .corrupt),
      (superblock + [0], .corrupt), (Array(superblock.prefix(100)) + [1] + superblock.dropFirst(101), .corrupt),
      (Array(superblock.prefix(8)) + [2] + superblock.dropFirst(9), .newerFormat),
    ]
    for (bytes, code) in damages {
      try FilesOnDisk.write(bytes, to: "\(path)/STORE")
      #expect(storeError { _ = try Store(at: path) }?.code == code)
    }
    try FilesOnDisk.write(superblock, to: "\(path)/STORE")
    try FileManager.default.removeItem(atPath: "\(path)/segments")
    #expect(storeError { _ = try Store(at: path) }?.code == .notAStore)
  }
}
