import Codecs
import LMDB
import StorageIO

/// The files of a store: id -> name, state, size, dates, mode, etag and part list; and the way from names to ids.
///
/// A name leads only to files that are ready. Calls belong in a transaction of the index.
struct FileRegistry: Sendable {
  private let files: Table
  /// The name and the id -> nothing: the ids of a name in order, the newest last.
  private let names: Table
  /// The files that are `writing` or `deleting`, so that recovery need not look at all files.
  private let unfinished: Table
  private let commits: Table
  private let tombstones: Table

  init(files: Table, names: Table, unfinished: Table, commits: Table, tombstones: Table) {
    self.files = files
    self.names = names
    self.unfinished = unfinished
    self.commits = commits
    self.tombstones = tombstones
  }

  // MARK: Looking up

  func file<Access>(_ id: FileID, in transaction: borrowing Transaction<Access>) throws(StoreError) -> FileEntry? {
    try transaction.entry(files, id.key)
  }

  /// The ready files called `name`, oldest first.
  func files<Access>(
    named name: FileName, in transaction: borrowing Transaction<Access>
  ) throws(StoreError) -> [(id: FileID, entry: FileEntry)] {
    var found: [(id: FileID, entry: FileEntry)] = []
    let prefix = NameKey.prefix(of: name)
    try transaction.forEach(names, from: prefix, as: Marker.self) { (key, _) throws(StoreError) in
      guard key.starts(with: prefix) else { return false }
      guard key.count == prefix.count + NameKey.idByteCount else { return true }
      // The names of two files may share a key prefix; their entries tell them apart.
      let file = try namedFile(key, in: transaction)
      if file.entry.manifest.name == name { found.append(file) }
      return true
    }
    if found.isEmpty { try checkNames(beside: prefix, in: transaction) }
    return found
  }

  /// Calls `body` with the newest ready file of every name that begins with `prefix`, in order of names, until it
  /// returns false. With `start`, from the first name above it on.
  func forEachNewest<Access>(
    namePrefix: [UInt8], after start: FileName?, in transaction: borrowing Transaction<Access>,
    _ body: (FileID, FileEntry) throws(StoreError) -> Bool
  ) throws(StoreError) {
    let keyPrefix = Array(namePrefix.prefix(NameKey.wholeNameByteCount))
    var pending: (id: FileID, entry: FileEntry)?
    var wantsMore = true
    let behind = start.map { NameKey.prefix(of: $0) + [UInt8](repeating: 0xFF, count: NameKey.idByteCount) } ?? []
    let from = behind.lexicographicallyPrecedes(keyPrefix) ? keyPrefix : behind
    try transaction.forEach(names, from: from.isEmpty ? nil : from, as: Marker.self) { (key, _) throws(StoreError) in
      guard key.starts(with: keyPrefix) else { return false }
      let (id, entry) = try namedFile(key, in: transaction)
      guard entry.manifest.name.bytes.starts(with: namePrefix) else { return true }
      if let previous = pending, previous.entry.manifest.name != entry.manifest.name {
        wantsMore = try body(previous.id, previous.entry)
      }
      pending = (id, entry)
      return wantsMore
    }
    if wantsMore, let last = pending { _ = try body(last.id, last.entry) }
    if pending == nil { try checkNames(beside: from.isEmpty ? [0] : from, in: transaction) }
  }

  /// Calls `body` with every ready file whose name begins with `prefix`, in order of the keys of names, versions from the
  /// oldest on, until it returns false. With `start`, from the first one behind the file of that name and id on.
  func forEachVersion<Access>(
    namePrefix: [UInt8], after start: (name: FileName, id: FileID)?, in transaction: borrowing Transaction<Access>,
    _ body: (FileID, FileEntry) throws(StoreError) -> Bool
  ) throws(StoreError) {
    let keyPrefix = Array(namePrefix.prefix(NameKey.wholeNameByteCount))
    let from = start.map { NameKey.key(of: $0.name, $0.id) + [0] } ?? keyPrefix
    var isFound = false
    try transaction.forEach(names, from: from, as: Marker.self) { (key, _) throws(StoreError) in
      guard key.starts(with: keyPrefix) else { return false }
      isFound = true
      let (id, entry) = try namedFile(key, in: transaction)
      guard entry.manifest.name.bytes.starts(with: namePrefix) else { return true }
      return try body(id, entry)
    }
    if !isFound { try checkNames(beside: from, in: transaction) }
  }

  /// Throws when the names next to `key`, which was not found, are not those of the files that they lead to: then they
  /// are older ones, or of another store, and say nothing.
  private func checkNames<Access>(
    beside key: [UInt8], in transaction: borrowing Transaction<Access>
  ) throws(StoreError) {
    let neighbours: [Transaction<Access>.Entry]
    do throws(LMDBError) { neighbours = try transaction.neighbours(names, key) } catch { throw StoreError(error) }
    for neighbour in neighbours { _ = try namedFile(neighbour.key, in: transaction) }
  }

  /// The file that a key of `names` leads to, which is ready.
  private func namedFile<Access>(
    _ key: [UInt8], in transaction: borrowing Transaction<Access>
  ) throws(StoreError) -> (id: FileID, entry: FileEntry) {
    guard let id = NameKey.id(in: key), let entry = try file(id, in: transaction), entry.state == .ready,
      key == NameKey.key(of: entry.manifest.name, id)
    else {
      throw StoreError(index: FormatFailure(.damaged, "a name leads to no ready file, or to one of another name"))
    }
    return (id, entry)
  }

  /// Calls `body` with every file from `id` on, in order of ids, until it returns false.
  func forEach<Access>(
    from id: FileID, in transaction: borrowing Transaction<Access>,
    _ body: (FileID, FileEntry) throws(StoreError) -> Bool
  ) throws(StoreError) {
    try transaction.forEach(files, from: id.key) { (key, entry: FileEntry) throws(StoreError) in
      guard let id = FileID(key: key) else { throw StoreError(index: FormatFailure(.damaged, "file key \(key)")) }
      try checkName(id, entry, in: transaction)
      return try body(id, entry)
    }
  }

  /// Throws when a file is ready and has no name: its entry is an older one, or of another store.
  func checkName<Access>(
    _ id: FileID, _ entry: FileEntry, in transaction: borrowing Transaction<Access>
  ) throws(StoreError) {
    guard entry.state == .ready else { return }
    let key = NameKey.key(of: entry.manifest.name, id)
    let name: Marker? = try transaction.entry(names, key)
    if name == nil {
      throw StoreError(index: FormatFailure(.damaged, "file \(id) is not under its name '\(entry.manifest.name)'"))
    }
  }

  func count<Access>(in transaction: borrowing Transaction<Access>) throws(StoreError) -> Int {
    do throws(LMDBError) { return try transaction.entryCount(files) } catch { throw StoreError(error) }
  }

  /// The files that are `writing` or `deleting`. Few: at most as many as operations run or were cut short.
  func unfinishedFiles<Access>(in transaction: borrowing Transaction<Access>) throws(StoreError) -> [FileID] {
    var ids: [FileID] = []
    try transaction.forEach(unfinished, as: Marker.self) { (key, _) throws(StoreError) in
      FileID(key: key).map { ids.append($0) }
      return true
    }
    return ids
  }

  // MARK: Changing

  /// Enters a file that is being stored, or what has been stored of it since.
  func setWriting(_ id: FileID, _ entry: FileEntry, in transaction: borrowing WriteTransaction) throws(StoreError) {
    precondition(entry.state == .writing, "state \(entry.state)")
    try transaction.put(files, id.key, entry)
    try transaction.put(unfinished, id.key, Marker())
  }

  /// Makes a file visible under its name.
  func setReady(_ id: FileID, _ entry: FileEntry, in transaction: borrowing WriteTransaction) throws(StoreError) {
    precondition(entry.state == .ready, "state \(entry.state)")
    try transaction.put(files, id.key, entry)
    try transaction.remove(unfinished, id.key)
    try transaction.put(names, NameKey.key(of: entry.manifest.name, id), Marker())
  }

  /// Notes where the manifest of a ready file lies now.
  func setManifestLocation(
    _ location: RecordLocation, of id: FileID, _ entry: FileEntry, in transaction: borrowing WriteTransaction
  ) throws(StoreError) {
    precondition(entry.state == .ready, "state \(entry.state)")
    var entry = entry
    entry.manifestLocation = location
    try transaction.put(files, id.key, entry)
  }

  /// Takes a file away from its name; from here on it is gone for every reader.
  func setDeleting(_ id: FileID, _ entry: FileEntry, in transaction: borrowing WriteTransaction) throws(StoreError) {
    precondition(entry.state == .deleting, "state \(entry.state)")
    try transaction.put(files, id.key, entry)
    try transaction.put(unfinished, id.key, Marker())
    try transaction.remove(names, NameKey.key(of: entry.manifest.name, id))
  }

  /// Forgets a file whose parts are out of the index. It must not be ready.
  func remove(_ id: FileID, in transaction: borrowing WriteTransaction) throws(StoreError) {
    try transaction.remove(files, id.key)
    try transaction.remove(unfinished, id.key)
  }

  /// Takes ready files out, in order of keys, table by table: neighbours share the checks of their pages.
  func removeReady(
    _ removed: [(id: FileID, entry: FileEntry)], in transaction: borrowing WriteTransaction
  ) throws(StoreError) {
    for (id, _) in removed.sorted(by: { $0.id < $1.id }) { try transaction.remove(files, id.key) }
    let keys = removed.map { NameKey.key(of: $0.entry.manifest.name, $0.id) }
    for key in keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) { try transaction.remove(names, key) }
  }

  // MARK: The records that say what is visible

  func setCommit(
    _ sequence: Sequence, _ entry: CommitEntry, in transaction: borrowing WriteTransaction
  ) throws(StoreError) {
    try transaction.put(commits, sequence.key, entry)
  }

  /// Throws when the entry of a commit record cannot be read.
  func checkCommit<Access>(_ sequence: Sequence, in transaction: borrowing Transaction<Access>) throws(StoreError) {
    let _: CommitEntry? = try transaction.entry(commits, sequence.key)
  }

  /// Adds one file to those that need the commit record `sequence`, which lies at `location`.
  /// - Returns: Whether it is the first of them.
  func retainCommit(
    _ sequence: Sequence, at location: RecordLocation, in transaction: borrowing WriteTransaction
  ) throws(StoreError) -> Bool {
    let known: CommitEntry? = try transaction.entry(commits, sequence.key)
    var entry = known ?? CommitEntry(location: location, liveFileCount: 0)
    entry.liveFileCount += 1
    try transaction.put(commits, sequence.key, entry)
    return known == nil
  }

  /// Takes files off the commit record `sequence`.
  /// - Returns: The record's place when no file needs it any more.
  func releaseCommit(
    _ sequence: Sequence, fileCount: Int = 1, in transaction: borrowing WriteTransaction
  ) throws(StoreError) -> RecordLocation? {
    guard var entry: CommitEntry = try transaction.entry(commits, sequence.key) else { return nil }
    entry.liveFileCount -= fileCount
    if entry.liveFileCount > 0 {
      try transaction.put(commits, sequence.key, entry)
      return nil
    }
    try transaction.remove(commits, sequence.key)
    return entry.location
  }

  func commit<Access>(
    _ sequence: Sequence, in transaction: borrowing Transaction<Access>
  ) throws(StoreError) -> CommitEntry? {
    try transaction.entry(commits, sequence.key)
  }

  func tombstone<Access>(
    of id: FileID, in transaction: borrowing Transaction<Access>
  ) throws(StoreError) -> TombstoneEntry? {
    try transaction.entry(tombstones, id.key)
  }

  func setTombstone(
    _ id: FileID, _ entry: TombstoneEntry, in transaction: borrowing WriteTransaction
  ) throws(StoreError) {
    try transaction.put(tombstones, id.key, entry)
  }

  /// The files with tombstones whose manifests lay in `gone`, segments that no longer exist: at most `limit` of them, from
  /// `first` on.
  /// - Returns: Those, and the file to go on with; nil when all were looked at.
  /// - Complexity: O(tombstones).
  func tombstonedFiles(
    ofManifestsIn gone: Set<SegmentID>, from first: FileID, limit: Int, in transaction: borrowing ReadTransaction
  ) throws(StoreError) -> (files: [FileID], next: FileID?) {
    var files: [FileID] = []
    var next: FileID?
    try transaction.forEach(tombstones, from: first.key) { (key, entry: TombstoneEntry) throws(StoreError) in
      guard gone.contains(entry.manifestSegment) else { return true }
      guard let file = FileID(key: key) else { return true }
      if files.count == limit { next = file } else { files.append(file) }
      return next == nil
    }
    return (files, next)
  }

  /// Forgets those of `files` whose manifests lay in `gone`. As long as `doubtful` exists, which may hold earlier copies of
  /// those manifests, they wait for that instead.
  /// - Returns: Where the forgotten ones lie that counted as alive.
  func releaseTombstones(
    of files: some Collection<FileID>, ofManifestsIn gone: Set<SegmentID>, unless doubtful: SegmentID?,
    in transaction: borrowing WriteTransaction
  ) throws(StoreError) -> [RecordLocation] {
    var released: [RecordLocation] = []
    for file in files {
      guard let entry = try tombstone(of: file, in: transaction), gone.contains(entry.manifestSegment) else { continue }
      if entry.isCounted, let doubtful {
        var waiting = entry
        waiting.manifestSegment = doubtful
        try setTombstone(file, waiting, in: transaction)
      } else {
        try transaction.remove(tombstones, file.key)
        if entry.isCounted { released.append(entry.location) }
      }
    }
    return released
  }

  /// The segments that hold the manifest of a file with a tombstone.
  func tombstonedSegments<Access>(in transaction: borrowing Transaction<Access>) throws(StoreError) -> Set<SegmentID> {
    var segments: Set<SegmentID> = []
    try transaction.forEach(tombstones) { (_, entry: TombstoneEntry) throws(StoreError) in
      segments.insert(entry.manifestSegment)
      return true
    }
    return segments
  }

  func forEachTombstone<Access>(
    in transaction: borrowing Transaction<Access>, _ body: (TombstoneEntry) -> Void
  ) throws(StoreError) {
    try transaction.forEach(tombstones) { (_, entry: TombstoneEntry) throws(StoreError) in
      body(entry)
      return true
    }
  }

  /// Calls `body` with every commit record and every tombstone that is still needed.
  func forEachJournalRecord<Access>(
    in transaction: borrowing Transaction<Access>, _ body: (RecordLocation) -> Void
  ) throws(StoreError) {
    try transaction.forEach(commits) { (_, entry: CommitEntry) throws(StoreError) in
      body(entry.location)
      return true
    }
    try transaction.forEach(tombstones) { (_, entry: TombstoneEntry) throws(StoreError) in
      if entry.isCounted { body(entry.location) }
      return true
    }
  }
}

/// The keys of the table `names`: the name, NUL, and the id. A key of LMDB has at most 511 bytes, so a longer name is
/// cut and told from others by a 1 instead of the NUL and its MD5; who looks up compares the whole name. The 1 keeps
/// the versions of a name that is just not cut together, before all longer ones that begin so. Longer names that share
/// what is not cut come in the order of their MD5s.
enum NameKey {
  static let wholeNameByteCount = 464
  static let idByteCount = 8

  static func key(of name: FileName, _ id: FileID) -> [UInt8] { prefix(of: name) + id.key }

  static func prefix(of name: FileName) -> [UInt8] {
    if name.bytes.count <= wholeNameByteCount { return name.bytes + [0] }
    return Array(name.bytes.prefix(wholeNameByteCount)) + [1] + name.bytes.withRawSpan { MD5.digest(of: $0).bytes }
  }

  static func id(in key: [UInt8]) -> FileID? { FileID(key: key.suffix(idByteCount)) }
}
