import LMDB

/// Fills a new index, many entries a transaction. Belongs to one thread.
final class RebuildWriter {
  private enum Addition {
    case part(PartID, PartEntry)
    case file(FileID, FileEntry, RebuildScratch.FoundCommit?)
    case tombstone(FileID, TombstoneEntry)
  }

  /// The bytes of the commit records that are needed, by segment.
  private(set) var commitByteCounts: [SegmentID: Int] = [:]

  private let index: Index
  private let batchCount: Int
  private var waiting: [Addition] = []
  private var waitingPartCount = 0

  init(index: Index, batchCount: Int) {
    self.index = index
    self.batchCount = batchCount
  }

  func add(_ id: PartID, _ entry: PartEntry) throws(StoreError) { try add(.part(id, entry), partCount: 1) }

  /// Adds a file that is ready, and counts it to those that its commit record made so.
  func add(
    _ id: FileID, _ entry: FileEntry, _ commit: RebuildScratch.FoundCommit?
  ) throws(StoreError) { try add(.file(id, entry, commit)) }

  func add(_ id: FileID, _ entry: TombstoneEntry) throws(StoreError) { try add(.tombstone(id, entry)) }

  func flush() throws(StoreError) {
    let additions = waiting
    waiting = []
    waitingPartCount = 0
    let index = index
    let commits = try index.write { (transaction) throws(StoreError) in
      var commits: [RecordLocation] = []
      for addition in additions {
        switch addition {
        case .part(let id, let entry): try index.parts.set(id, entry, in: transaction)
        case .tombstone(let id, let entry): try index.files.setTombstone(id, entry, in: transaction)
        case .file(let id, let entry, let commit):
          try index.files.setReady(id, entry, in: transaction)
          if let commit, try index.files.retainCommit(commit.sequence, at: commit.location, in: transaction) {
            commits.append(commit.location)
          }
        }
      }
      return commits
    }
    for location in commits { commitByteCounts[location.segment, default: 0] += location.recordByteCount }
  }

  private func add(_ addition: Addition, partCount: Int = Rebuild.partsPerEntry) throws(StoreError) {
    waiting.append(addition)
    waitingPartCount += partCount
    if waitingPartCount >= batchCount * Rebuild.partsPerEntry { try flush() }
  }
}
