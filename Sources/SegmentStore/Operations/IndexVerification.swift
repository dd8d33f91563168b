import LMDB
import StorageIO

/// The index by itself: every value, what they say of one another, and the account of every segment.
///
/// Memory: a few numbers for each segment.
final class IndexVerification {
  private let run: VerificationRun
  private let index: Index
  private let walk: IndexWalk
  private var highestFile = FileID(rawValue: 0)
  private var highestPart = PartID(rawValue: 0)

  /// How often the segments are looked at again whose accounts changed while they were added up.
  private static let roundCount = 3

  init(_ run: VerificationRun, _ index: Index) {
    self.run = run
    self.index = index
    walk = IndexWalk(index: index, cancellation: run.cancellation, report: run.report, advance: { run.advance() })
  }

  func verify() throws(StoreError) {
    checkHighWater()
    do throws(StoreError) { try index.checkBelongs(to: run.store.superblock.uuid) } catch {
      run.report(Finding(.index, error.message))
    }
    var before = try segments(walk)
    var live: [SegmentID: Int] = [:]
    try walk.forEachRecord { (records) throws(StoreError) in
      for record in records {
        if record.isCounted { live[record.location.segment, default: 0] += record.location.recordByteCount }
        note(record)
      }
    }
    var unsettled = try checkAccounts(live, before, isLast: false)
    for round in 1..<IndexVerification.roundCount where !unsettled.isEmpty {
      before = try segments(silentWalk)
      live = [:]
      try silentWalk.forEachRecord { (records) throws(StoreError) in
        for record in records where record.isCounted && unsettled.contains(record.location.segment) {
          live[record.location.segment, default: 0] += record.location.recordByteCount
        }
      }
      let isLast = round == IndexVerification.roundCount - 1
      unsettled = try checkAccounts(live, before.filter { unsettled.contains($0.key) }, isLast: isLast)
    }
    if !unsettled.isEmpty {
      run.note("\(unsettled.count) segments changed while they were added up: their accounts were not compared")
    }
    checkSums()
    try checkNames()
    try checkMarkers()
    try checkWriters()
    try checkCounters(highestSegment: before.keys.max())
    try PartsOfNoFile(run: run, index: index, walk: silentWalk).check()
  }

  /// The same walk, where what it finds was told already.
  private var silentWalk: IndexWalk {
    let run = run
    return IndexWalk(index: index, cancellation: run.cancellation, report: { _ in }, advance: { run.advance() })
  }

  private func note(_ record: NeededRecord) {
    switch record.content {
    case .manifest:
      run.summary.fileCount += 1
      if let file = record.file { highestFile = max(highestFile, file) }
    case .part(let id, _, _):
      run.summary.partCount += 1
      highestPart = max(highestPart, id)
    case .commit, .tombstone: break
    }
  }

  /// A page that is older than the index may lack entries, and what lacks cannot be seen by looking at the others.
  private func checkSums() {
    for name in IndexSums.tableNames where !index.hasFailed {
      do throws(StoreError) {
        try index.read { (transaction) throws(StoreError) in
          try index.checkSums(of: [name], in: transaction, isRemembered: false)
        }
      } catch {
        run.report(Finding(.index, error.message))
      }
      run.advance()
    }
  }

  // MARK: Accounts

  /// All segments of the index, each looked at together with what else the index says of it.
  private func segments(_ walk: IndexWalk) throws(StoreError) -> [SegmentID: SegmentEntry] {
    var entries: [SegmentID: SegmentEntry] = [:]
    let most = run.store.superblock.segmentByteCount
    try walk.forEachPage(of: "segments") { (transaction, key, value, page) throws(StoreError) in
      guard let id = SegmentID(key: key) else {
        throw StoreError(index: FormatFailure(.damaged, "segment key \(key)"))
      }
      let entry = try SegmentEntry(sealed: value, under: key, in: "segments")
      entries[id] = entry
      if entry.usedByteCount > most || entry.liveByteCount > entry.usedByteCount {
        page.findings.append(
          Finding(
            .index, "\(entry.liveByteCount) bytes alive of \(entry.usedByteCount) used, a segment has \(most)",
            segment: id))
      }
      let marker: Marker? = try transaction.entry(index.table(named: "open_segments"), key)
      if (marker != nil) != entry.isListed {
        page.findings.append(
          Finding(.index, "the segment is \(entry.state), and the table of open segments says otherwise", segment: id))
      }
      guard entry.owner.rawValue != 0 else { return }
      let writer: WriterEntry? = try transaction.entry(index.writers, entry.owner.key)
      if writer == nil {
        page.findings.append(
          Finding(.index, "the segment belongs to writer \(entry.owner), which the index does not know", segment: id))
      }
    }
    return entries
  }

  /// Compares the accounts with what was added up between two looks at them. A segment whose account is the same in
  /// both has not changed in between, nearly always: records may be entered behind which others were entered before them,
  /// and just as many bytes may die meanwhile. So what does not fit is added up again before it is reported.
  /// - Returns: The segments of which nothing can be said yet.
  private func checkAccounts(
    _ live: [SegmentID: Int], _ before: [SegmentID: SegmentEntry], isLast: Bool
  ) throws(StoreError) -> Set<SegmentID> {
    let after = try segments(silentWalk)
    var unsettled: Set<SegmentID> = []
    for (id, entry) in before.sorted(by: { $0.key < $1.key }) {
      guard after[id] == entry else {
        if after[id] != nil { unsettled.insert(id) }
        continue
      }
      let sum = live[id] ?? 0
      if sum != entry.liveByteCount {
        guard isLast else {
          unsettled.insert(id)
          continue
        }
        run.report(
          Finding(
            .index, "\(entry.liveByteCount) bytes are alive by its account, its records add up to \(sum)", segment: id))
      }
    }
    for id in live.keys.sorted() where before[id] == nil {
      if after[id] == nil && isLast {
        run.report(Finding(.index, "records are said to be in a segment that the index does not know", segment: id))
      } else {
        unsettled.insert(id)
      }
    }
    return unsettled
  }

  // MARK: Other tables

  private func checkNames() throws(StoreError) {
    try walk.forEachPage(of: "names") { (transaction, key, value, page) throws(StoreError) in
      _ = try Marker(sealed: value, under: key, in: "names")
      guard let id = NameKey.id(in: key), let entry = try index.files.file(id, in: transaction),
        entry.state == .ready, NameKey.key(of: entry.manifest.name, id) == key
      else { throw StoreError(index: FormatFailure(.damaged, "a name leads to no ready file that is called so")) }
    }
  }

  private func checkMarkers() throws(StoreError) {
    try walk.forEachPage(of: "unfinished") { (transaction, key, value, page) throws(StoreError) in
      _ = try Marker(sealed: value, under: key, in: "unfinished")
      guard let id = FileID(key: key), let entry = try index.files.file(id, in: transaction), entry.state != .ready
      else { throw StoreError(index: FormatFailure(.damaged, "an unfinished file that is ready, or is not there")) }
    }
    try walk.forEachPage(of: "open_segments") { (transaction, key, value, page) throws(StoreError) in
      _ = try Marker(sealed: value, under: key, in: "open_segments")
      guard let id = SegmentID(key: key), try index.segments.segment(id, in: transaction) != nil else {
        throw StoreError(index: FormatFailure(.damaged, "an open segment that is not there"))
      }
    }
  }

  private func checkWriters() throws(StoreError) {
    var writers: [WriterID] = []
    try walk.forEachPage(of: "writers") { (_, key, value, page) throws(StoreError) in
      guard let id = WriterID(key: key) else { throw StoreError(index: FormatFailure(.damaged, "writer key \(key)")) }
      _ = try WriterEntry(sealed: value, under: key, in: "writers")
      writers.append(id)
    }
    for writer in writers where try !run.store.locks.isHeld(.writer(writer)) {
      // One that ended just now is no longer in the index.
      let index = index
      let isThere = index.look(otherwise: false) { (transaction) throws(StoreError) in
        let entry: WriterEntry? = try transaction.entry(index.writers, writer.key)
        return entry != nil
      }
      if isThere { run.note("writer \(writer) has died: what it left will be put right at the next open") }
    }
  }

  /// Numbers in use must be below those that are given out next.
  private func checkCounters(highestSegment: SegmentID?) throws(StoreError) {
    let index = index
    do throws(StoreError) {
      let next = try index.read { (transaction) throws(StoreError) in try index.counters(in: transaction) }
      for (what, used, free) in [
        ("file", highestFile.rawValue, next.nextFile), ("part", highestPart.rawValue, next.nextPart),
        ("segment", highestSegment?.rawValue ?? 0, next.nextSegment),
      ] where used >= free {
        run.report(Finding(.index, "\(what) \(used) exists, and \(what) \(free) would be given out next"))
      }
    } catch {
      run.report(Finding(.index, "counters: \(error.message)"))
    }
  }

  private func checkHighWater() {
    switch run.store.highWater.condition() {
    case .intact: break
    case .oneSlotTorn(let message): run.note("high-water: \(message)")
    case .damaged(let message): run.report(Finding(.storeFile, "high-water: \(message)"))
    }
  }
}
