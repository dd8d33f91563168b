import LMDB
import StorageIO

/// Looks for parts in the index that belong to no file.
///
/// Files lead to parts and not back. So the parts of all files are marked in a map of bits, as many part ids at a time
/// as fit the memory for it, and then those that are not marked are looked at one by one.
struct PartsOfNoFile {
  let run: VerificationRun
  let index: Index
  let walk: IndexWalk

  /// Bits for 64 million parts.
  private static let maximumMapByteCount = 8 << 20

  func check() throws(StoreError) {
    let index = index
    let count: Int
    do throws(StoreError) {
      count = try index.read { (transaction) throws(StoreError) in try index.parts.count(in: transaction) }
    } catch {
      return run.report(Finding(.index, "table parts: \(error.message)"))
    }
    // All parts of all files were found: with as many in the table, there are no others.
    if count == run.summary.partCount { return }
    let mapByteCount = min(PartsOfNoFile.maximumMapByteCount, run.store.budget.limitByteCount / 16)
    var start: UInt64? = 0
    while let first = start { start = try check(from: first, mapByteCount: mapByteCount) }
  }

  /// - Returns: The first part id behind the window.
  private func check(from start: UInt64, mapByteCount: Int) throws(StoreError) -> UInt64? {
    guard let first = try firstPart(from: start) else { return nil }
    var map = PartMap(first: first, byteCount: mapByteCount)
    try walk.forEachPage(of: "files") { (_, key, value, page) throws(StoreError) in
      for extent in try FileEntry(sealed: value, under: key, in: "files").manifest.extents { map.mark(extent) }
    }
    var next: [UInt8]? = PartID(rawValue: first).key
    while let key = next {
      try run.cancellation.check()
      let page = try entries(from: key)
      next = page.count == pageEntryCount ? page.last.map { $0.key + [0] } : nil
      for (key, value) in page {
        guard let id = PartID(key: key) else { continue }
        guard map.contains(id.rawValue) else { return id.rawValue }
        if !map.isMarked(id.rawValue) && !index.hasFailed { try lookAgain(at: id, value) }
      }
      run.advance()
    }
    return nil
  }

  /// A part whose file the walk did not see: entered since, perhaps. Its record says whose it is; one that was punched is of a
  /// file that is being deleted by now.
  private func lookAgain(at id: PartID, _ value: [UInt8]) throws(StoreError) {
    let index = index
    let part: PartEntry
    do throws(StoreError) { part = try PartEntry(sealed: value, under: id.key, in: "parts") } catch {
      return run.report(Finding(.index, error.message, part: id))
    }
    let owner = part.state == .live ? run.store.record(at: part.location)?.file : nil
    let isOrphan: Bool
    do throws(StoreError) {
      isOrphan = try index.read { (transaction) throws(StoreError) in
        guard try index.parts.part(id, in: transaction) == part else { return false }
        for file in try (owner.map { [$0] } ?? []) + index.files.unfinishedFiles(in: transaction) {
          let entry = try index.files.file(file, in: transaction)
          if entry?.manifest.extents.contains(where: { $0.contains(id) }) == true { return false }
        }
        return true
      }
    } catch {
      return run.report(Finding(.index, error.message, part: id))
    }
    guard isOrphan else { return }
    run.report(
      Finding(.index, "the part belongs to no file", part: id, segment: part.segment, offset: part.offset))
  }

  private func firstPart(from id: UInt64) throws(StoreError) -> UInt64? {
    try entries(from: PartID(rawValue: id).key, limit: 1).first.flatMap { PartID(key: $0.key)?.rawValue }
  }

  private func entries(from key: [UInt8], limit: Int = pageEntryCount) throws(StoreError) -> [ReadTransaction.Entry] {
    let table = index.table(named: "parts")
    do throws(StoreError) {
      return try index.read { (transaction) throws(StoreError) in
        try translatingIndex { () throws(LMDBError) in try transaction.entries(table, from: key, limit: limit) }
      }
    } catch {
      run.report(Finding(.index, "table parts: \(error.message)"))
      return []
    }
  }
}

/// Bits for a run of part ids.
private struct PartMap {
  private let first: UInt64
  private var words: [UInt64]

  init(first: UInt64, byteCount: Int) {
    self.first = first
    words = [UInt64](repeating: 0, count: max(1, byteCount / 8))
  }

  private var count: UInt64 { UInt64(words.count) * 64 }

  func contains(_ id: UInt64) -> Bool { id >= first && id - first < count }

  func isMarked(_ id: UInt64) -> Bool { words[Int((id - first) / 64)] >> ((id - first) % 64) & 1 == 1 }

  mutating func mark(_ extent: PartExtent) {
    let start = max(extent.first.rawValue, first)
    let end = min(extent.first.rawValue + UInt64(extent.count), first + min(count, .max - first))
    guard start < end else { return }
    for id in start..<end { words[Int((id - first) / 64)] |= 1 << ((id - first) % 64) }
  }
}

extension PartExtent {
  func contains(_ id: PartID) -> Bool {
    id >= first && id.rawValue - first.rawValue < UInt64(count)
  }
}

private let pageEntryCount = 256
