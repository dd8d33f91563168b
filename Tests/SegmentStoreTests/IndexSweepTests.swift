import Foundation
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

/// LMDB has no checksums: by itself it reports one in two hundred of the flipped bits that matter.
///
/// With `PFS_TEST_SWEEP=all` in the environment, a bit of every byte is flipped.
@Suite("Damaged index pages") struct IndexSweepTests {
  let directory: TemporaryDirectory
  /// The index as it was before the last changes.
  private var olderIndexPath: String { directory.path(of: "older") }
  /// The index of a store to which the same was done.
  private var foreignIndexPath: String { directory.path(of: "foreign") }

  init() throws { directory = try TemporaryDirectory(isInMemory: true) }

  @Test("a flipped bit is harmless or named, for those who read and those who write", arguments: [false, true])
  func flippedBits(writes: Bool) async throws {
    let seed = TestSeed("flipped bits, \(writes ? "writing" : "reading")", default: 91)
    let log = directory.path(of: "log")
    try await sweep(writes ? .writing : .reading, seed.value, log, try reference())
    let lines = try report(log)
    #expect(lines.count == 1, "\(seed): \(lines.joined(separator: "\n"))")
  }

  @Test("a page that is empty, of ones, in the wrong place, old or of another store is harmless or named")
  func pages() async throws {
    let seed = TestSeed("page faults", default: 92)
    let log = directory.path(of: "log")
    try await sweep(.pages, seed.value, log, try reference())
    let lines = try report(log)
    #expect(lines.count == 1, "\(seed): \(lines.joined(separator: "\n"))")
  }

  enum Kind: String, Codable, Sendable { case reading, writing, pages }

  /// Runs faults in a process of its own, which must come to its end.
  private func sweep(_ kind: Kind, _ seed: UInt64, _ log: String, _ reference: String) async throws {
    try FilesOnDisk.write([], to: log)
    await #expect(processExitsWith: .success) {
      [
        kind = kind as Kind, seed = seed as UInt64, log = log as String, reference = reference as String,
        older = olderIndexPath as String, foreign = foreignIndexPath as String
      ] in
      let isWhole = ProcessInfo.processInfo.environment["PFS_TEST_SWEEP"] == "all"
      try Watchdog.run(seconds: isWhole ? 36_000 : 900) { _ in
        let index = try fileBytes("\(reference)/index/data.mdb")
        let faults = FaultPlan(index: index, seed: seed, isWhole: isWhole)
        let list =
          switch kind {
          case .reading: faults.flippedBits(200)
          case .writing: faults.flippedBits(60)
          case .pages: try faults.pages(older: fileBytes(older), foreign: fileBytes(foreign))
          }
        var sweep = try IndexSweep(of: reference)
        for (number, fault) in list.enumerated() {
          for complaint in try sweep.run(fault, writes: kind == .writing || (kind == .pages && number % 4 == 0)) {
            try FilesOnDisk.appendLine(complaint, to: log)
          }
        }
        let counts = "\(sweep.harmlessCount) harmless, \(sweep.reportedCount) reported"
        try FilesOnDisk.appendLine("\(list.count) faults: \(counts)", to: log)
      }
    }
  }

  /// The lines that the sweep wrote; the last says how many faults there were of each kind.
  private func report(_ log: String) throws -> [String] {
    let lines = try String(decoding: fileBytes(log), as: UTF8.self).split(separator: "\n").map(String.init)
    print(lines.last ?? "the sweep came to no end")
    return lines
  }

  private func reference() throws -> String {
    let foreign = try store("other", seed: 1000)
    try FilesOnDisk.write(fileBytes("\(foreign)/index/data.mdb"), to: foreignIndexPath)
    return try store("store", seed: 0)
  }

  /// A closed store with files, versions, long names and free pages.
  private func store(_ place: String, seed: UInt64) throws -> String {
    let fixture = try StoreFixture(directory, at: place)
    for number in 0..<12 {
      let name = "\(number % 2 == 0 ? "tree/" : "")\(String(repeating: "n", count: number * 18)) \(number % 10)\(seed)"
      _ = try fixture.put(noise(number * 997, seed: seed + UInt64(number)), as: name)
    }
    let large = try fixture.put(noise(600_000, seed: seed + 50), as: "large \(seed)")
    for file in try fixture.store.allFiles().prefix(2) { try fixture.store.delete(file.id) }
    try FilesOnDisk.write(fileBytes("\(fixture.path)/index/data.mdb"), to: olderIndexPath)
    try fixture.store.delete(large.id)
    _ = try fixture.put(noise(500_000, seed: seed + 51), as: "large \(seed)")
    _ = try fixture.put(noise(5000, seed: seed + 52), as: "small \(seed)")
    try fixture.finish()
    return fixture.path.description
  }
}

/// The faults of a sweep.
private struct FaultPlan {
  let index: [UInt8]
  let seed: UInt64
  let isWhole: Bool
  private var pageCount: Int { index.count / IndexFault.pageByteCount }

  init(index: [UInt8], seed: UInt64, isWhole: Bool) {
    self.index = index
    self.seed = seed
    self.isWhole = isWhole
  }

  /// One bit in each of so many bytes, half of them in the heads of pages, or in every byte of the index.
  func flippedBits(_ count: Int) -> [IndexFault] {
    var generator = SeededGenerator(seed: seed)
    if isWhole { return index.indices.map { .flippedBit(offset: $0, bit: generator.below(8)) } }
    return (0..<count).map { number in
      let offset =
        number % 2 == 0
        ? generator.below(pageCount) * IndexFault.pageByteCount + generator.below(64) : generator.below(index.count)
      return .flippedBit(offset: offset, bit: generator.below(8))
    }
  }

  func pages(older: [UInt8], foreign: [UInt8]) -> [IndexFault] {
    var generator = SeededGenerator(seed: seed)
    let size = IndexFault.pageByteCount
    let every = isWhole ? 1 : 4
    var faults: [IndexFault] = []
    for number in 0..<pageCount where isWhole || number % every == generator.below(every) || number < 2 {
      let other = generator.below(pageCount)
      faults.append(.page(number, "zeroed", [UInt8](repeating: 0, count: size)))
      faults.append(.page(number, "of ones", [UInt8](repeating: 0xFF, count: size)))
      faults.append(.page(number, "with the bytes of page \(other)", Array(index[other * size..<(other + 1) * size])))
      for byteCount in [number * size - 1, number * size, number * size + 1] where byteCount >= 0 {
        faults.append(.cut(byteCount))
      }
    }
    for (what, other) in [("as it was", older), ("of another store", foreign)] {
      for number in 0..<min(pageCount, other.count / size) {
        let page = Array(other[number * size..<(number + 1) * size])
        if page != Array(index[number * size..<(number + 1) * size]) { faults.append(.page(number, what, page)) }
      }
    }
    return faults
  }
}
