import Codecs
import LMDB
import StorageIO

/// A record that the index says is needed.
struct NeededRecord {
  enum Content: Hashable {
    case part(PartID, PartEntry, number: Int)
    case manifest
    case commit(Sequence)
    case tombstone
  }

  let content: Content
  let location: RecordLocation
  /// Whether the account of its segment counts it as alive.
  var isCounted = true
  /// The file that needs it; nil for a commit.
  var file: FileID?
  var name: FileName?
  /// Whether its file is being deleted, so that it may be punched out at any moment.
  var isGoing = false
}

/// Walks through what the index names, in pages, each seen in one short transaction.
///
/// What does not agree within a page is damage, whoever writes meanwhile. What is gathered over several pages may
/// belong to several moments.
struct IndexWalk {
  let index: Index
  let cancellation: Cancellation
  /// Told after each page; may block.
  let report: (Finding) -> Void
  let advance: () -> Void

  /// What was found in one page.
  struct Page {
    var findings: [Finding] = []
    var records: [NeededRecord] = []
    var files: [FileID] = []
  }

  private static let pageEntryCount = 256
  private static let pagePartCount = 1024

  /// Calls `body` with every record that something in the index needs, a page at a time.
  func forEachRecord(_ body: ([NeededRecord]) throws(StoreError) -> Void) throws(StoreError) {
    try forEachFile(body)
    try forEachJournalRecord(body)
  }

  // MARK: Files

  /// Calls `body` with the manifests and parts of all files.
  func forEachFile(_ body: ([NeededRecord]) throws(StoreError) -> Void) throws(StoreError) {
    try forEachPage(of: "files") { (transaction, key, value, page) throws(StoreError) in
      guard let id = FileID(key: key) else { throw StoreError(index: FormatFailure(.damaged, "file key \(key)")) }
      do throws(StoreError) {
        let entry = try FileEntry(sealed: value, under: key, in: "files")
        page.files.append(id)
        if entry.manifestLocation.segment.rawValue != 0 {
          page.records.append(
            NeededRecord(
              content: .manifest, location: entry.manifestLocation, file: id, name: entry.manifest.name,
              isGoing: entry.state == .deleting))
        }
        try check(id, entry, in: transaction, &page)
      } catch {
        page.findings.append(Finding(.index, error.message, file: id))
      }
    } then: { (page) throws(StoreError) in
      try body(page.records)
      // Of an index that has failed, the next page says so.
      for id in page.files where !index.hasFailed { try forEachPart(of: id, body) }
    }
  }

  /// What the tables say of one file, beside its parts.
  private func check(
    _ id: FileID, _ entry: FileEntry, in transaction: borrowing ReadTransaction, _ page: inout Page
  ) throws(StoreError) {
    func add(_ message: String) {
      page.findings.append(Finding(.index, message, file: id, name: entry.manifest.name))
    }
    let named: Marker? = try transaction.entry(
      index.table(named: "names"), NameKey.key(of: entry.manifest.name, id))
    let unfinished: Marker? = try transaction.entry(index.table(named: "unfinished"), id.key)
    if (named != nil) != (entry.state == .ready) {
      add(named == nil ? "the file is ready and cannot be found by its name" : "a file that is not ready has a name")
    }
    if (unfinished != nil) != (entry.state != .ready) {
      add("the file is \(entry.state), and the table of unfinished files says otherwise")
    }
    // A put that waits to be gone on with belongs to nobody.
    if entry.state != .ready && !entry.isInterrupted {
      let writer: WriterEntry? = try transaction.entry(index.writers, entry.writer.key)
      if writer == nil { add("the file is \(entry.state) by writer \(entry.writer), which the index does not know") }
    }
    guard entry.state == .ready || entry.commit.rawValue != 0 else { return }
    let commit: CommitEntry? = try transaction.entry(index.table(named: "commits"), entry.commit.key)
    if commit == nil { add("the commit record \(entry.commit) of the file is not in the index") }
    if try index.segments.segment(entry.manifestLocation.segment, in: transaction) == nil {
      add("its manifest is in segment \(entry.manifestLocation.segment), which the index does not know")
    }
  }

  /// Calls `body` with the parts of a file that the index must have, as they are there.
  func forEachPart(of id: FileID, _ body: ([NeededRecord]) throws(StoreError) -> Void) throws(StoreError) {
    var sum = PartSum()
    var isAtEnd = false
    while !isAtEnd {
      try cancellation.check()
      var page = Page()
      do throws(StoreError) {
        try index.read { (transaction) throws(StoreError) in
          isAtEnd = true
          // Looked at again for each page: it may be on its way out.
          guard let entry = try index.files.file(id, in: transaction) else { return }
          let manifest = entry.manifest
          let count = entry.state == .deleting ? min(entry.remainingPartCount, manifest.partCount) : manifest.partCount
          let numbers = sum.count..<max(sum.count, min(sum.count + IndexWalk.pagePartCount, count))
          try look(at: numbers, of: id, entry, in: transaction, &page, &sum)
          isAtEnd = sum.count >= count
          if isAtEnd, entry.state == .ready, let message = sum.difference(from: manifest) {
            page.findings.append(Finding(.index, message, file: id, name: manifest.name))
          }
        }
      } catch {
        isAtEnd = true
        page.findings.append(Finding(.index, error.message, file: id))
      }
      page.findings.forEach(report)
      advance()
      try body(page.records)
    }
  }

  /// The parts `numbers` of a file, found by the runs of ids that they are in.
  private func look(
    at numbers: Range<Int>, of id: FileID, _ entry: FileEntry, in transaction: borrowing ReadTransaction,
    _ page: inout Page, _ sum: inout PartSum
  ) throws(StoreError) {
    let table = index.table(named: "parts")
    let ids = entry.manifest.partIDs(numbers)
    var start = 0
    while start < ids.count {
      var end = start + 1
      while end < ids.count, ids[end].rawValue == ids[end - 1].rawValue + 1 { end += 1 }
      let found = try translatingIndex { () throws(LMDBError) in
        try transaction.entries(table, from: ids[start].key, limit: end - start)
      }
      var next = found.startIndex
      for position in start..<end {
        let part = ids[position]
        var value: [UInt8]?
        if next < found.endIndex, found[next].key == part.key {
          value = found[next].value
          next += 1
        }
        add(part, value, number: numbers.lowerBound + position, of: id, entry, &page, &sum)
      }
      start = end
    }
  }

  private func add(
    _ id: PartID, _ value: [UInt8]?, number: Int, of file: FileID, _ entry: FileEntry, _ page: inout Page,
    _ sum: inout PartSum
  ) {
    let manifest = entry.manifest
    func complain(_ kind: Finding.Kind, _ message: String) {
      sum.isWhole = false
      page.findings.append(
        Finding(kind, message, file: file, name: manifest.name, partNumber: number, part: id))
    }
    sum.count += 1
    guard let value else { return complain(.index, "the part is missing in the index") }
    let part: PartEntry
    do throws(StoreError) { part = try PartEntry(sealed: value, under: id.key, in: "parts") } catch {
      return complain(.index, error.message)
    }
    let expected = manifest.byteRange(ofPart: number).count
    if part.rawByteCount != expected {
      complain(.index, "\(part.rawByteCount) bytes in the index, \(expected) expected")
    }
    guard part.state == .live else {
      return complain(.part, "the part is lost: its record was not found when the index was made anew")
    }
    sum.add(part)
    page.records.append(
      NeededRecord(
        content: .part(id, part, number: number), location: part.location, file: file, name: manifest.name,
        isGoing: entry.state == .deleting))
  }

  // MARK: Commits and tombstones

  func forEachJournalRecord(_ body: ([NeededRecord]) throws(StoreError) -> Void) throws(StoreError) {
    try forEachPage(of: "commits") { (_, key, value, page) throws(StoreError) in
      guard let sequence = Sequence(key: key) else {
        throw StoreError(index: FormatFailure(.damaged, "commit key \(key)"))
      }
      let entry = try CommitEntry(sealed: value, under: key, in: "commits")
      page.records.append(NeededRecord(content: .commit(sequence), location: entry.location))
    } then: { (page) throws(StoreError) in
      try body(page.records)
    }
    try forEachPage(of: "tombstones") { (_, key, value, page) throws(StoreError) in
      guard let id = FileID(key: key) else { throw StoreError(index: FormatFailure(.damaged, "file key \(key)")) }
      let entry = try TombstoneEntry(sealed: value, under: key, in: "tombstones")
      page.records.append(
        NeededRecord(
          content: .tombstone, location: entry.location, isCounted: entry.isCounted, file: id))
    } then: { (page) throws(StoreError) in
      try body(page.records)
    }
  }

  // MARK: Pages

  typealias Look = (borrowing ReadTransaction, _ key: [UInt8], _ value: [UInt8], inout Page) throws(StoreError) -> Void

  /// Calls `look` with every entry of a table, inside the transaction of its page, and `use` after each page. What
  /// `look` throws is a finding, and the next entry comes; a table that cannot be read is one, and ends there.
  func forEachPage(
    of name: String, _ look: Look, then use: (Page) throws(StoreError) -> Void = { (_) throws(StoreError) in }
  ) throws(StoreError) {
    let table = index.table(named: name)
    var last: [UInt8]?
    var isAtEnd = false
    while !isAtEnd {
      try cancellation.check()
      var page = Page()
      do throws(StoreError) {
        try index.read { (transaction) throws(StoreError) in
          let entries = try translatingIndex { () throws(LMDBError) in
            if let last { return try transaction.entries(table, after: last, limit: IndexWalk.pageEntryCount) }
            return try transaction.entries(table, limit: IndexWalk.pageEntryCount)
          }
          isAtEnd = entries.count < IndexWalk.pageEntryCount
          for (key, value) in entries {
            // In a damaged tree a walk may come by the same place again, without end.
            guard last?.lexicographicallyPrecedes(key) ?? true else {
              throw StoreError(index: FormatFailure(.damaged, "the keys of table \(name) are out of order"))
            }
            last = key
            do throws(StoreError) { try look(transaction, key, value, &page) } catch {
              page.findings.append(Finding(.index, "\(error.message) (key \(IndexWalk.shown(key)))"))
              if index.hasFailed { break }
            }
          }
        }
      } catch {
        isAtEnd = true
        page.findings.append(Finding(.index, "table \(name): \(error.message)"))
      }
      page.findings.forEach(report)
      advance()
      try use(page)
    }
  }

  /// A key as messages show it: an id as a number, anything else in hexadecimal.
  private static func shown(_ key: [UInt8]) -> String {
    if let id = FileID(key: key) { return id.description }
    return key.prefix(64).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}

extension Index {
  /// What one short look says; `otherwise` where it cannot be read, which the walk tells.
  func look<R>(otherwise: R, _ body: (borrowing ReadTransaction) throws(StoreError) -> R) -> R {
    do throws(StoreError) { return try read(body) } catch { return otherwise }
  }
}

/// What the parts of a file add up to.
private struct PartSum {
  var count = 0
  var isWhole = true
  private var storedByteCount = 0
  private var etag = MD5Stream()

  mutating func add(_ part: PartEntry) {
    storedByteCount += part.storedByteCount
    etag.update(part.digest)
  }

  /// What the manifest says otherwise; nil where a part is missing, which is told already.
  func difference(from manifest: Manifest) -> String? {
    guard isWhole else { return nil }
    if storedByteCount != manifest.storedByteCount {
      return "the parts take \(storedByteCount) bytes, the manifest says \(manifest.storedByteCount)"
    }
    let digest = etag.finish()
    if digest != manifest.etagDigest {
      return "the MD5s of the parts hash to \(digest), the manifest says \(manifest.etagDigest)"
    }
    return nil
  }
}
