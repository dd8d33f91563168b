import Codecs
import LMDB
import StorageIO

extension Store {
  /// Checks everything that must hold in a store that nobody writes to at the moment: every part of every ready file
  /// reads back as its checksums say, and the accounts of every segment are what its live records add up to.
  /// - Throws: `.corrupt` or `.indexDamaged`, with the first thing that does not hold.
  /// - Complexity: reads every stored byte.
  package func checkInvariants() throws(StoreError) {
    let index = try index
    var live: [SegmentID: Int] = [:]
    var files: [(id: FileID, entry: FileEntry)] = []
    try index.read { (transaction) throws(StoreError) in
      try index.files.forEach(from: FileID(rawValue: 0), in: transaction) { (id, entry) throws(StoreError) in
        files.append((id, entry))
        return true
      }
      try index.files.forEachJournalRecord(in: transaction) { location in
        live[location.segment, default: 0] += location.recordByteCount
      }
      var partCount = 0
      for (id, entry) in files {
        let waitsToBeResumed = entry.state == .writing && entry.writer.rawValue == 0
        guard entry.state == .ready || waitsToBeResumed else {
          throw StoreError(.corrupt, "file \(id) is \(entry.state) though nobody writes")
        }
        for (_, part) in try index.parts.parts(0..<entry.manifest.partCount, of: entry.manifest, in: transaction) {
          if part.state == .live { live[part.segment, default: 0] += part.recordByteCount }
          partCount += 1
        }
        if waitsToBeResumed { continue }
        live[entry.manifestLocation.segment, default: 0] += entry.manifestLocation.recordByteCount
        let named = try index.files.files(named: entry.manifest.name, in: transaction)
        guard named.contains(where: { $0.id == id }) else {
          throw StoreError(.corrupt, "file \(id) cannot be found by its name '\(entry.manifest.name)'")
        }
      }
      guard try index.parts.count(in: transaction) == partCount else {
        throw StoreError(.corrupt, "the index holds parts of no file")
      }
      try checkAccounts(live, in: transaction)
    }
    for (id, entry) in files where entry.state == .ready { try get(id, to: .stream(try discard())) }
  }

  private func checkAccounts(
    _ live: [SegmentID: Int], in transaction: borrowing ReadTransaction
  ) throws(StoreError) {
    var seen: Set<SegmentID> = []
    try index.segments.forEach(in: transaction) { (id, entry) throws(StoreError) in
      seen.insert(id)
      guard entry.liveByteCount == live[id] ?? 0 else {
        throw StoreError(
          .corrupt,
          "segment \(id): \(entry.liveByteCount) live bytes on account, its records add up to \(live[id] ?? 0)")
      }
      guard entry.usedByteCount <= superblock.segmentByteCount, entry.liveByteCount <= entry.usedByteCount else {
        throw StoreError(.corrupt, "segment \(id): \(entry.usedByteCount) bytes used")
      }
    }
    let names = try translating { () throws(SystemCallFailure) in try segmentDirectory.entries() }
    let onDisk = Set(names.compactMap(SegmentID.init(fileName:)))
    guard onDisk == seen else {
      throw StoreError(.corrupt, "segments \(seen.sorted()) in the index, \(onDisk.sorted()) on disk")
    }
    guard live.keys.allSatisfy(seen.contains) else {
      throw StoreError(.corrupt, "records in segments that the index does not know")
    }
  }

  private func discard() throws(StoreError) -> File {
    try translating { () throws(SystemCallFailure) in try File.open("/dev/null", .write) }
  }
}
