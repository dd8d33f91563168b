import Foundation
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Compaction of the index") struct IndexCompactionTests {
  @Test("happens when a process that wrote ends, where more than half of the index is free")
  func atClose() throws {
    try withStore { sandbox in
      try bloatIndex(of: sandbox.store)
      let before = try indexByteCount(sandbox.store)
      #expect(before > 1 << 20)
      try sandbox.done("put", "small", "--name", "second")
      #expect(try indexByteCount(sandbox.store) < before / 4)
      #expect(try Set(sandbox.list().map(\.name)) == ["small", "second"])
      try sandbox.done("get", "second", "-o", "back")
      try expectSameBytes(sandbox.work / "back", sandbox.work / "small")
      // Not again, for nothing.
      let copied = try inode(sandbox.store)
      try sandbox.done("put", "small", "--name", "third")
      #expect(try inode(sandbox.store) == copied)
    }
  }

  @Test("is left for later while somebody else has the store open")
  func inUse() throws {
    try withStore { sandbox in
      try bloatIndex(of: sandbox.store)
      let before = try indexByteCount(sandbox.store)
      let other = try Store(at: FilePath(bytes: sandbox.store.bytes))
      #expect(try other.indexSpace().isWorthCompacting)
      try sandbox.done("put", "small", "--name", "second")
      #expect(try indexByteCount(sandbox.store) >= before)
      #expect(try Store.compactIndex(at: other.path) == .inUse)
      #expect(try other.files(limit: 10).count == 2)
      try other.close()
      let outcome = try compactedIndex(at: other.path)
      guard case .done(let old, let new) = outcome else { throw TestFailure("\(outcome)") }
      #expect(old.byteCount >= before && new.byteCount < before / 4 && !new.isWorthCompacting)
      #expect(try compactedIndex(at: other.path) == .notWorthIt(new))
    }
  }

  @Test("that is killed at any call leaves the old index or the new one, with the same files")
  func killed() throws {
    try withStore { sandbox in
      try bloatIndex(of: sandbox.store)
      let prepared = sandbox.store
      let bloatedByteCount = try indexByteCount(prepared)
      var fault = Fault(.kill, at: Fault.changes, path: "/index")
      var outcomes: Set<Bool> = []
      while true {
        fault.number += 1
        let copy = sandbox.root / "copy"
        try copy.remove()
        try FileManager.default.copyItem(atPath: prepared.text, toPath: copy.text)
        sandbox.store = copy
        let log = sandbox.work / "log"
        try log.remove()
        let put = try fault.applied(to: sandbox.command("put", "small", "--name", "second"), log: log).run()
        let isAcknowledged = !put.standardOutput.isEmpty
        // Looking puts right what was left.
        let names = try Set(sandbox.list().map(\.name))
        #expect(names.contains("small") && (names.contains("second") || !isAcknowledged), "\(fault): \(names)")
        outcomes.insert(try indexByteCount(copy) < bloatedByteCount / 4)
        #expect(try !(copy / "index" / "rebuild").exists(), "\(fault)")
        try sandbox.checkStore()
        if put.signal == nil { break }
      }
      #expect(fault.number > 20)
      #expect(outcomes == [true, false])
      sandbox.store = prepared
    }
  }

  @Test("that fails leaves the old index, and the command that closed the store has done its work")
  func failed() throws {
    for (name, calls) in [
      ("ENOSPC", ["pwrite", "writev", "write"]), ("EIO", ["fdatasync", "fsync"]), ("EIO", ["rename"]),
    ] {
      try withStore { sandbox in
        try bloatIndex(of: sandbox.store)
        let before = try indexByteCount(sandbox.store)
        let fault = Fault(
          .error(name), at: calls, path: calls == ["rename"] ? "/index" : "/index/rebuild", .sticky, number: 1)
        let log = sandbox.work / "log"
        let put = try fault.applied(to: sandbox.command("put", "small", "--name", "second"), log: log).run()
        expectDone(put)
        #expect(try LoggedCall.all(in: log).contains(where: \.isMet), "\(fault) was never met")
        #expect(try indexByteCount(sandbox.store) >= before, "\(fault)")
        #expect(try !(sandbox.store / "index" / "rebuild").exists(), "\(fault)")
        #expect(try Set(sandbox.list().map(\.name)) == ["small", "second"], "\(fault)")
      }
    }
  }

  @Test("refuses an index with an entry that does not match its checksum, and leaves it")
  func damaged() throws {
    try withStore { sandbox in
      try bloatIndex(of: sandbox.store)
      try enterDamage(in: sandbox.store)
      let before = try inode(sandbox.store)
      let error = #expect(throws: StoreError.self) { try Store.compactIndex(at: FilePath(bytes: sandbox.store.bytes)) }
      #expect(error?.code == .indexDamaged)
      #expect(try inode(sandbox.store) == before)
      sandbox.isChecked = false
    }
  }

  /// A process that another test starts just now holds a copy of every lock of this one, until it runs its program.
  private func compactedIndex(at path: FilePath) throws -> IndexCompaction {
    for _ in 0..<10_000 {
      let outcome = try Store.compactIndex(at: path)
      if outcome != .inUse { return outcome }
    }
    throw TestFailure("the store stays in use")
  }

  private func withStore(_ body: (Sandbox) throws -> Void) throws {
    try Sandbox.use { sandbox in
      try Sample(.text, seed: 1).write(20_000, to: sandbox.work / "small")
      try sandbox.done("init", "--segment-size", "1MiB", "--part-size", "4KiB")
      try sandbox.done("put", "small")
      try body(sandbox)
    }
  }

  private func inode(_ store: BytePath) throws -> Int? {
    try FileManager.default.attributesOfItem(atPath: (store / "index" / "data.mdb").text)[.systemFileNumber] as? Int
  }

  private func indexByteCount(_ store: BytePath) throws -> Int {
    try #require(try (store / "index" / "data.mdb").status()).byteCount
  }

  /// An entry whose checksum is not its own.
  private func enterDamage(in store: BytePath) throws {
    let index = try StoreDirectory(opening: FilePath(bytes: store.bytes)).openIndex()
    try index.write { (transaction) throws(StoreError) in
      // Sealed for another key.
      let part = Array(repeating: UInt8(0), count: 7) + [99]
      do { try transaction.put(index.table(named: "commits"), part, [1, 2, 3, 4, 5, 6, 7, 8]) } catch {
        throw StoreError(.io, "\(error)")
      }
    }
  }

  /// Leaves an index that has far more free pages than others, as after the delete of very many parts.
  private func bloatIndex(of store: BytePath) throws {
    let index = try StoreDirectory(opening: FilePath(bytes: store.bytes)).openIndex()
    let key = Array("padding".utf8)
    try index.write { (transaction) throws(StoreError) in try transaction.put(index.meta, key, Padding()) }
    try index.write { (transaction) throws(StoreError) in try transaction.remove(index.meta, key) }
  }
}

private struct Padding: IndexEntry {
  init() {}
  init(decoding fields: [UInt8]) throws(FormatFailure) {}
  func fields() -> [UInt8] { [UInt8](repeating: 7, count: 2 << 20) }
}
