import LMDB
import StorageIO

/// Finds files that are whole in the segments and that the index does not know: their manifest is there, a commit
/// names them, and no tombstone does.
struct LostFiles {
  let run: VerificationRun
  let index: Index

  /// - Parameter manifests: Of files that the index did not know: mostly such as were rolled back, which no commit names.
  /// - Complexity: reads the headers of all records, if there are any such files.
  func look(for manifests: [FileID: RecordLocation]) throws(StoreError) {
    var lost: [FileID: RecordLocation] = [:]
    for (id, location) in manifests {
      if isUnknown(id, location) { lost[id] = location }
    }
    if lost.isEmpty { return }
    let wanted = lost
    try SegmentJournal(run: run, index: index).forEachCommit { (files) throws(StoreError) in
      for id in files {
        guard let location = wanted[id], lost.removeValue(forKey: id) != nil else { continue }
        if isUnknown(id, location) { report(id, location) }
      }
    }
  }

  private func isUnknown(_ id: FileID, _ location: RecordLocation) -> Bool {
    let index = index
    return index.look(otherwise: false) { (transaction) throws(StoreError) in
      let tombstone: TombstoneEntry? = try transaction.entry(index.table(named: "tombstones"), id.key)
      if tombstone != nil { return false }
      let entry = try index.files.file(id, in: transaction)
      let segment = try index.segments.segment(location.segment, in: transaction)
      return entry == nil && segment != nil
    }
  }

  private func report(_ id: FileID, _ location: RecordLocation) {
    do throws(StoreError) {
      let bytes = try SegmentBytes(location.segment, of: run.store)
      guard let header = try bytes.header(at: location.offset) else { return }
      let payload = try bytes.payload(of: header)
      do throws(FormatFailure) {
        let manifest = try Manifest(decoding: payload)
        run.report(
          Finding(
            .lostFile, "the file is in the segments, and the index does not know it", at: location, file: id,
            name: manifest.name))
      } catch {}
    } catch {
      // A file whose manifest is damaged cannot be entered in a new index either.
    }
  }
}

/// Goes through all segments for the records that say what is visible.
struct SegmentJournal {
  let run: VerificationRun
  /// Nil: the directory says which segments there are, and the files how long they are.
  let index: Index?

  /// Calls `body` with the files that each intact commit record names.
  func forEachCommit(_ body: ([FileID]) throws(StoreError) -> Void) throws(StoreError) {
    try forEachRecord { (header, bytes) throws(StoreError) in
      guard header.kind == .commit else { return }
      let files: [FileID]
      do throws(StoreError) { files = CommitPayload.files(try bytes.payload(of: header)) } catch { return }
      try body(files)
    }
  }

  func forEachRecord(_ body: (RecordHeader, SegmentBytes) throws(StoreError) -> Void) throws(StoreError) {
    for id in try run.store.segmentFiles() {
      let bytes: SegmentBytes
      do throws(StoreError) { bytes = try SegmentBytes(id, of: run.store) } catch { continue }
      let end = end(of: bytes)
      var offset = SegmentHeader.byteCount
      while offset < end {
        try run.cancellation.check()
        var next: RecordHeader?
        do throws(StoreError) { next = try bytes.nextRecord(from: offset, upTo: end) } catch {}
        guard let header = next else { break }
        try body(header, bytes)
        offset = header.offset + header.recordByteCount
      }
      run.advance()
    }
  }

  private func end(of bytes: SegmentBytes) -> Int {
    guard let index else { return bytes.byteCount }
    return index.look(otherwise: bytes.byteCount) { (transaction) throws(StoreError) in
      let entry = try index.segments.segment(bytes.segment, in: transaction)
      return min(bytes.byteCount, entry?.usedByteCount ?? 0)
    }
  }
}

extension Store {
  /// The segments of which there are files, in order.
  func segmentFiles() throws(StoreError) -> [SegmentID] {
    let names = try translating { () throws(SystemCallFailure) in try segmentDirectory.entries() }
    return names.compactMap(SegmentID.init(fileName:)).sorted()
  }
}
