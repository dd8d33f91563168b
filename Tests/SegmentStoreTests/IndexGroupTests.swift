import Foundation
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Index groups") struct IndexGroupTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test("a member that fails takes nobody with it, and no commit record is left of the groups that were given up")
  func failingMember() throws {
    let fixture = try StoreFixture(directory)
    let session = try fixture.store.writerSession()
    let source = directory.path(of: "source")
    try FilesOnDisk.write(noise(3000, seed: 1), to: source)
    let gate = try Gate(session)
    let store = fixture.store
    // Everything that comes while the gate is shut waits in one group.
    let puts = BackgroundWork {
      try Watchdog.run(threads: 6) { number in
        _ = try store.put(.file(FilePath(source)), as: fileName("file \(number)"))
      }
    }
    let failing = (0..<3).map { number in
      BackgroundWork<StoreError.Code?> {
        do throws(StoreError) {
          try session.perform(
            IndexJob(publishing: [FileID(rawValue: UInt64(900 + number))]) { (_, _) throws(StoreError) in
              throw StoreError(.exists, "a member that fails")
            })
          return nil
        } catch {
          return error.code
        }
      }
    }
    gate.open()
    try puts.result()
    for work in failing { #expect(try work.result() == .exists) }
    #expect(try fixture.store.allFiles().count == 6)
    try fixture.store.checkInvariants()
    let needed = try fixture.journalLocations()
    try fixture.store.close()
    // Only what the index names may be found by a scan: a rebuild would take any other commit record for true.
    for file in try fixture.segmentFiles() {
      for record in try file.records() where record.kind == .commit {
        let location = RecordLocation(
          segment: record.segment, offset: record.offset, recordByteCount: record.recordByteCount)
        #expect(needed.contains(location), "commit record at \(location)")
        let payload = ByteReader(file.payload(record))
        let files = stride(from: 0, to: payload.bytes.count, by: 8).map { payload.get($0, as: UInt64.self) }
        #expect(files.allSatisfy { $0 < 900 }, "files \(files), some of a failed job")
      }
    }
  }

  @Test("what a failed job changed is not in the index")
  func rolledBack() throws {
    let fixture = try StoreFixture(directory)
    let session = try fixture.store.writerSession()
    let index = try fixture.store.index
    let id = SegmentID(rawValue: 700)
    let error = storeError {
      try session.perform(
        IndexJob { (transaction, _) throws(StoreError) in
          try index.segments.set(id, Samples.segmentEntry, in: transaction)
          throw StoreError(.exists, "after a change")
        })
    }
    #expect(error?.code == .exists)
    #expect(try fixture.segmentEntry(id) == nil)
    try fixture.finish()
  }

  @Test("hundreds of jobs at once are all done, each once")
  func manyJobs() throws {
    let fixture = try StoreFixture(directory)
    let session = try fixture.store.writerSession()
    let index = try fixture.store.index
    let before = try index.read { (transaction) throws(StoreError) in try index.counters(in: transaction).nextFile }
    try Watchdog.run(threads: 64) { _ in
      for _ in 0..<20 {
        try session.perform(
          IndexJob { (transaction, _) throws(StoreError) in
            var counters = try index.counters(in: transaction)
            counters.nextFile += 1
            try index.setCounters(counters, in: transaction)
          })
      }
    }
    let after = try index.read { (transaction) throws(StoreError) in try index.counters(in: transaction).nextFile }
    #expect(after - before == 64 * 20)
    try fixture.finish()
  }

  @Test("no job of the index keeps the store alive once it is done")
  func releasedJobs() throws {
    let path = FilePath(directory.path(of: "store"))
    try Store.create(at: path)
    weak var released: Store?
    let kept = Monitor<[IndexJob]>([])
    try storeAndDelete(path, kept) { released = $0 }
    #expect(released == nil, "the last reference would go on the thread of the index, which cannot wait for itself")
  }

  private func storeAndDelete(_ path: FilePath, _ kept: Monitor<[IndexJob]>, _ observe: (Store) -> Void) throws {
    let store = try Store(at: path)
    observe(store)
    let stored = try store.put([1, 2, 3], as: "file", in: directory)
    let session = try store.writerSession()
    let perform = { @Sendable (job: IndexJob) throws(StoreError) in
      kept.withLock { $0.append(job) }
      try session.perform(job)
    }
    let outcome = try Burial(store: store, writer: session.writer, perform: perform).bury([stored.id])
    try Reclamation(store: store, perform: perform).removeEmptySegments(outcome.emptied)
    try store.close()
  }

  @Test("a store that is dropped without being closed lets go of everything, so that it can be opened again")
  func dropped() throws {
    let path = FilePath(directory.path(of: "store"))
    try Store.create(at: path)
    try Watchdog.run { [directory] _ in
      for round in 0..<20 {
        let store = try Store(at: path)
        let stored = try store.put([UInt8(round)], as: "file", in: directory)
        #expect(stored.id.rawValue == UInt64(round + 1), "dropping is closing: unused ids are given back")
        try store.delete(stored.id)
      }
    }
    let store = try Store(at: path)
    #expect(try store.allFiles().isEmpty)
    try store.checkInvariants()
    try store.close()
  }

  @Test("one open of a store at a time in a process; a second one says so")
  func openedTwice() throws {
    let fixture = try StoreFixture(directory)
    let error = storeError { _ = try Store(at: fixture.path) }
    #expect(error?.message.contains("open in this process already") == true)
    let stored = try fixture.put([1], as: "file")
    #expect(try fixture.get(stored.id) == [1])
    try fixture.finish()
  }
}

/// Keeps the thread of the index busy until it is opened.
final class Gate: Sendable {
  private let opened = Signal()
  private let work: BackgroundWork<Void>

  init(_ session: WriterSession) throws {
    let (opened, entered) = (opened, Signal())
    work = BackgroundWork {
      try session.perform(
        IndexJob { (_, _) throws(StoreError) in
          entered.raise()
          do { try opened.wait() } catch { throw StoreError(.io, "\(error)") }
        })
    }
    try entered.wait()
  }

  func open() {
    opened.raise()
    do { try work.result() } catch { Issue.record(error) }
  }
}
