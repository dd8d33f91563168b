import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Moved manifest") struct MovedManifestTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// A segment from which the records of one file were moved, and which was not emptied: docs/decisions/0008.
  @Test("does not bring its file back when the copy has gone and the index is made anew", arguments: WriteMode.allCases)
  func deletedAfterMove(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration(workerCount: 1)) {
      $0.segmentByteCount = 65_536
    }
    let moved = try fixture.put(noise(3000, seed: 1), as: "moved")
    let kept = try fixture.put(noise(3000, seed: 2), as: "kept")
    let first = try manifestSegment(of: moved.id, in: fixture.store)
    var filler = kept
    repeat {
      filler = try fixture.put(noise(3000, seed: 3), as: "filler")
    } while try manifestSegment(of: filler.id, in: fixture.store) == first
    // Full, and let go of; the one behind it goes with its only file.
    try fixture.store.delete(filler.id)
    try fixture.reopen()

    try move(moved.id, outOf: first, in: fixture.store)
    #expect(try manifestSegment(of: moved.id, in: fixture.store) != first)
    #expect(try fixture.get(moved.id) == noise(3000, seed: 1))

    try fixture.store.delete(moved.id)
    try fixture.reopen()
    try fixture.store.checkInvariants()
    try fixture.store.close()
    FilesOnDisk.removeTree("\(fixture.path)/index")
    _ = try Store.rebuild(at: fixture.path)
    let rebuilt = try Store(at: fixture.path)
    #expect(try !rebuilt.allFiles().contains { $0.id == moved.id })
    #expect(try rebuilt.allFiles().contains { $0.id == kept.id })
    try rebuilt.checkInvariants()
    try rebuilt.close()
  }

  /// Moves all records of one file. Nothing of the store is referred to afterwards: it is about to be closed.
  private func move(_ id: FileID, outOf segment: SegmentID, in store: Store) throws {
    let contents = try SegmentContents(segment, in: store.segmentDirectory, storePrefix: store.superblock.uuid.prefix)
    let index = try store.index
    let commit = try index.read { (transaction) throws(StoreError) in
      try index.files.file(id, in: transaction)?.commit
    }
    var records: [RecordHeader] = []
    try contents.forEachRecord { (record) throws(StoreError) in
      if record.file == id || record.kind == .commit && record.sequence == commit { records.append(record) }
    }
    let session = try store.writerSession()
    var move = RecordMove(store, session, CompactionJobs(session), bytesPerSecond: nil, Cancellation())
    try move.move(records)
  }

  private func manifestSegment(of id: FileID, in store: Store) throws -> SegmentID {
    let index = try store.index
    let entry = try index.read { (transaction) throws(StoreError) in try index.files.file(id, in: transaction) }
    return try #require(entry).manifestLocation.segment
  }
}
