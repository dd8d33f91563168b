import Foundation
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Killed processes") struct KillTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test(
    "what a killed process had acknowledged is there, what it had not is whole or gone", arguments: WriteMode.allCases)
  func killed(mode: WriteMode) async throws {
    let seed = TestSeed("killed processes", default: 41)
    let fixture = try StoreFixture(directory, configuration: mode.configuration())
    try fixture.store.close()
    var model = StoreModel()
    for round in 0..<6 {
      let log = directory.path(of: "log \(round)")
      try FilesOnDisk.write([], to: log)
      await #expect(processExitsWith: .signal(SIGKILL)) {
        [
          path = fixture.path.description as String, log = log as String, seed = seed.value + UInt64(round) as UInt64,
          mode = mode.rawValue as String, known = model.ids as [UInt64]
        ] in
        try KilledWriter(path: path, log: log, seed: seed, mode: mode).run(known)
      }
      let lines = try String(decoding: fileBytes(log), as: UTF8.self).split(separator: "\n").map(String.init)
      let image = try StoreFixture(opening: fixture.path.description, in: directory, mode.configuration())
      try model.check(lines, image, "\(seed) + \(round)")
      try image.finish()
    }
  }
}

extension KillTests {
  @Test("a process that is killed while it recovers leaves a store that the next one recovers")
  func killedRecovery() async throws {
    let seed = TestSeed("killed recovery", default: 42)
    var generator = seed.generator
    let path = try abandonedStore()
    for round in 0..<3 {
      let image = directory.path(of: "image \(round)")
      try FileManager.default.copyItem(atPath: path, toPath: image)
      // From before the open to after the recovery, which takes some milliseconds.
      let spinCount = generator.below(round == 0 ? 2000 : 400_000)
      await #expect(processExitsWith: .signal(SIGKILL)) { [image = image as String, spinCount = spinCount as Int] in
        let count = Monitor(0)
        let killer = BackgroundWork {
          for _ in 0..<spinCount { count.withLock { $0 += 1 } }
          kill(getpid(), SIGKILL)
        }
        let store = try Store(at: FilePath(image))
        try killer.result()
        try store.close()
      }
      let opened = try StoreFixture(opening: image, in: directory)
      #expect(try opened.store.allFiles().map(\.name.description) == ["kept"], "\(seed), round \(round)")
      #expect(try opened.get(opened.store.allFiles()[0].id) == noise(5000, seed: 1))
      try opened.finish()
      FilesOnDisk.removeTree(image)
    }
  }

  /// A store whose writer died with one file half stored, in the index and beyond it, and one half deleted.
  private func abandonedStore() throws -> String {
    let fixture = try StoreFixture(directory)
    _ = try fixture.put(noise(5000, seed: 1), as: "kept")
    // Two steps of a delete.
    var bytes = [UInt8](repeating: 0, count: 4500 * 4096)
    for offset in stride(from: 0, to: bytes.count, by: 9 * 4096) { bytes[offset] = 1 }
    let big = try fixture.put(bytes, as: "big")
    let running = try RunningPut(fixture.store, in: directory, fed: noise(100 * 65_536, seed: 2))
    // The first step is durable, the second never begins.
    let session = try fixture.store.writerSession()
    try Burial(store: fixture.store, writer: session.writer, perform: session.perform).bury([big.id])
    #expect(try fixture.store.file(big.id)?.status == .deleting)
    let image = try fixture.crashImage("abandoned")
    try running.cancel()
    session.leaveToRecovery()
    try fixture.store.close()
    return image
  }
}

/// What must be in a store, by what its writers said.
private struct StoreModel {
  private var files: [FileID: String] = [:]

  var ids: [UInt64] { files.keys.map(\.rawValue).sorted() }

  /// Takes over the log of a process that was killed, and compares.
  mutating func check(_ log: [String], _ image: StoreFixture, _ seed: String) throws {
    var uncertain: Set<FileID> = []
    for line in log {
      let words = line.split(separator: " ").map(String.init)
      let id = FileID(rawValue: try #require(UInt64(words[1])))
      switch words[0] {
      case "stored": files[id] = words[2]
      case "deleting": uncertain.insert(id)
      case "deleted":
        files[id] = nil
        uncertain.remove(id)
      default: Issue.record("\(line)")
      }
    }
    let found = try image.store.allFiles()
    for file in found {
      #expect(file.status == .ready)
      // A put that was done but not yet acknowledged may be there, and then it is whole.
      #expect(try image.get(file.id) == KilledWriter.content(file.name.description), "\(seed), file \(file.id)")
      if let name = files[file.id] { #expect(file.name.description == name, "\(seed)") }
    }
    let foundIDs = Set(found.map(\.id))
    for id in files.keys where !foundIDs.contains(id) {
      #expect(uncertain.contains(id), "\(seed): file \(id) was acknowledged and is gone")
    }
    // At most as many as threads were cut off between the commit and the acknowledgement.
    let unknown = foundIDs.subtracting(files.keys)
    #expect(unknown.count <= KilledWriter.threadCount, "\(seed): files \(unknown.sorted())")
    files = Dictionary(uniqueKeysWithValues: found.map { ($0.id, $0.name.description) })
  }
}

/// The process that is killed: stores and deletes on some threads, and logs before and after.
private struct KilledWriter: Sendable {
  static let threadCount = 3
  let path: String
  let log: String
  let seed: UInt64
  let mode: String

  /// The content of a file follows from its name: "seed-size".
  static func content(_ name: String) -> [UInt8] {
    let numbers = name.split(separator: "-").compactMap { UInt64($0) }
    return Corpus(seed: numbers[0]).bytes(Int(numbers[1]))
  }

  func run(_ known: [UInt64]) throws {
    let mode = try #require(WriteMode(rawValue: mode))
    let store = try Store(at: FilePath(path), mode.configuration())
    var generator = SeededGenerator(seed: seed)
    // The kill comes at some byte of some put, or at some delete, and then a moment later.
    let countdown = Monitor(200_000 + generator.below(3_000_000))
    let spinCount = generator.below(200_000)
    let tick: @Sendable (Int) -> Void = { count in
      let isOver = countdown.withLock { left in
        left -= count
        return left <= 0
      }
      guard isOver else { return }
      for _ in 0..<spinCount where countdown.withLock({ $0 > 0 }) { return }
      kill(getpid(), SIGKILL)
    }
    let ids = Monitor(known)
    try Watchdog.run(threads: KilledWriter.threadCount) { thread in
      var generator = SeededGenerator(seed: seed * 1000 + UInt64(thread))
      let source = "\(log)-source-\(thread)"
      while true {
        if generator.below(3) > 0 {
          let name = "\(generator.below(1000))-\([0, 10, 5000, 70_000, 400_000][generator.below(5)])"
          try FilesOnDisk.write(KilledWriter.content(name), to: source)
          let stored = try store.put(.file(FilePath(source)), as: fileName(name), progress: tick)
          try FilesOnDisk.appendLine("stored \(stored.id) \(name)", to: log)
          ids.withLock { $0.append(stored.id.rawValue) }
        } else if let id = ids.withLock({ $0.isEmpty ? nil : $0.remove(at: 0) }) {
          try FilesOnDisk.appendLine("deleting \(id)", to: log)
          tick(20_000)
          try store.delete(FileID(rawValue: id))
          try FilesOnDisk.appendLine("deleted \(id)", to: log)
        }
      }
    }
  }
}
