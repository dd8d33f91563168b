import Foundation
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Put group") struct PutGroupTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test("shows none of its files before it is published, and then all", arguments: WriteMode.allCases)
  func publish(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration())
    let group = fixture.store.beginGroup()
    let sizes = [0, 10, 4096, 300_000, 3_000_000]
    for (number, size) in sizes.enumerated() { try put(number, size, into: group) }
    #expect(try fixture.store.files(named: fileName("file 1")).isEmpty)
    #expect(try fixture.store.allFiles().map(\.status) == sizes.map { _ in .writing })
    let ids = try group.publish()
    #expect(ids.count == sizes.count)
    for (number, id) in ids.enumerated() {
      #expect(try fixture.store.file(id)?.name == fileName("file \(number)"))
      #expect(try fixture.get(id) == noise(sizes[number], seed: UInt64(number)))
    }
    // Each can be deleted for itself, and the commit record goes with the last.
    for id in ids { try fixture.store.delete(id) }
    #expect(try fixture.store.statistics().liveByteCount < 1024)
    #expect(try group.publish().isEmpty)
    try fixture.finish()
  }

  @Test func `leaves nothing of its files when it is rolled back`() throws {
    let fixture = try StoreFixture(directory)
    let kept = try fixture.put(noise(100, seed: 5), as: "kept")
    let group = fixture.store.beginGroup()
    for number in 0..<10 { try put(number, 50_000, into: group) }
    group.rollBack()
    #expect(try fixture.store.allFiles().map(\.id) == [kept.id])
    try fixture.finish()
  }

  @Test func `that was neither published nor rolled back is rolled back by the next open`() throws {
    let fixture = try StoreFixture(directory)
    let group = fixture.store.beginGroup()
    for number in 0..<10 { try put(number, 50_000, into: group) }
    try fixture.reopen()
    #expect(try fixture.store.allFiles().isEmpty)
    try fixture.finish()
  }

  @Test func `loses only the file that cannot be stored, until it is rolled back`() throws {
    let fixture = try StoreFixture(directory)
    let group = fixture.store.beginGroup()
    try put(1, 1000, into: group)
    let error = storeError { try group.put(.file("/nowhere/at all"), as: fileName("missing")) }
    #expect(error?.code == .unusableFile)
    try put(2, 1000, into: group)
    #expect(try group.publish().count == 2)
    try fixture.finish()
  }

  @Test func `refuses more files than its memory can publish, and publishes as many as that`() throws {
    var configuration = Store.Configuration()
    configuration.memoryByteCount = 1 << 20
    configuration.workerCount = 1
    let fixture = try StoreFixture(directory, configuration: configuration)
    let group = fixture.store.beginGroup()
    let most = group.maximumFileCount
    #expect((20...128).contains(most))
    for number in 0..<most { try put(number, 1, into: group) }
    let error = storeError { try put(most, 1, into: group) }
    #expect(error?.code == .memoryLimitTooSmall)
    #expect(error?.message.contains("more than \(most) files") == true)
    #expect(try group.publish().count == most)
    #expect(fixture.store.budget.peakByteCount <= 1 << 20)
    try fixture.finish()
  }

  @Test func `with a tree fails for what cannot be stored in it`() throws {
    let fixture = try StoreFixture(directory)
    let tree = directory.path(of: "tree")
    try FileManager.default.createDirectory(atPath: "\(tree)/inner", withIntermediateDirectories: true)
    for number in 0..<20 { try FilesOnDisk.write(noise(100, seed: 1), to: "\(tree)/inner/\(number)") }
    let group = fixture.store.beginGroup()
    try group.putTree(FilePath(tree), as: fileName("tree"))
    #expect(try group.publish().count == 20)
    try FileManager.default.createSymbolicLink(atPath: "\(tree)/link", withDestinationPath: "nowhere")
    let error = storeError { try group.putTree(FilePath(tree), as: fileName("tree")) }
    #expect(error?.code == .unusableFile)
    group.rollBack()
    #expect(try fixture.store.allFiles().count == 20)
    try fixture.finish()
  }

  @Test("is all there or not at all when the process is killed around its publication")
  func killed() async throws {
    let seed = TestSeed("killed group", default: 43)
    var generator = seed.generator
    let fixture = try StoreFixture(directory)
    try fixture.store.close()
    for round in 0..<8 {
      let spinCount = generator.below(60_000)
      await #expect(processExitsWith: .signal(SIGKILL)) {
        [path = fixture.path.description as String, spinCount = spinCount as Int, round = round as Int] in
        let store = try Store(at: FilePath(path))
        let group = store.beginGroup()
        let source = "\(path)-source"
        for number in 0..<20 {
          try FilesOnDisk.write(noise(number * 500, seed: UInt64(number)), to: source)
          try group.put(.file(FilePath(source)), as: fileName("\(round)-\(number)"))
        }
        let count = Monitor(0)
        let killer = BackgroundWork {
          for _ in 0..<spinCount { count.withLock { $0 += 1 } }
          kill(getpid(), SIGKILL)
        }
        _ = try group.publish()
        try killer.result()
      }
      try fixture.open()
      let found = try fixture.store.allFiles().filter { $0.name.description.hasPrefix("\(round)-") }
      #expect(found.isEmpty || found.count == 20, "\(seed), round \(round): \(found.count) files")
      #expect(found.allSatisfy { $0.status == .ready })
      try fixture.finish()
    }
  }

  private func put(_ number: Int, _ byteCount: Int, into group: PutGroup) throws {
    let path = directory.path(of: "source")
    try FilesOnDisk.write(noise(byteCount, seed: UInt64(number)), to: path)
    try group.put(.file(FilePath(path)), as: fileName("file \(number)"))
  }
}
