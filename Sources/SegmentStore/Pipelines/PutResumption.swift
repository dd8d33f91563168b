import LMDB
import StorageIO

/// Looks for what a put need not do again: a put of the same name that was interrupted, or a file that is there already.
struct PutResumption {
  let store: Store
  let session: WriterSession
  let name: FileName
  let source: OpenPutSource
  let plan: PutPlan
  let cancellation: Cancellation
  let progress: @Sendable (Int) -> Void

  enum Outcome {
    /// The newest version of the name has the bytes of the source.
    case stored(StoredFile)
    /// All its parts are those that the source begins with.
    case interrupted(InterruptedPut)
    case nothing
  }

  /// Of several interrupted puts the newest counts. One that differs from the source is rolled back, and so is one that is
  /// older than what is to become the newest version of the name.
  /// - Throws: `.busy` when another process is at it.
  func find() throws(StoreError) -> Outcome {
    while let id = try interrupted().last {
      // Whoever stores it, or goes on with it, holds this lock.
      let lock = try store.lock(id, .exclusive, cancellation)
      defer { withExtendedLifetime(lock) {} }
      // Looked at again: it may have come to its end meanwhile.
      guard let entry = try entry(of: id), isInterrupted(entry) else { continue }
      if try isNewest(id), try canGoOn(with: entry.manifest) {
        try dropOlder(than: id)
        return .interrupted(InterruptedPut(id: id, manifest: entry.manifest, lock: lock))
      }
      try rollBack(id, entry)
    }
    guard let newest = try store.files(named: name).last else { return .nothing }
    let lock = try store.lock(newest.id, .shared, cancellation)
    defer { withExtendedLifetime(lock) {} }
    guard let entry = try entry(of: newest.id), entry.state == .ready,
      entry.manifest.byteCount == plan.byteCount, try comparison.matches(entry.manifest)
    else { return .nothing }
    try source.checkWhole()
    return .stored(StoredFile(newest.id, entry))
  }

  private var comparison: SourceComparison {
    SourceComparison(store: store, source: source, cancellation: cancellation, progress: progress)
  }

  private func canGoOn(with manifest: Manifest) throws(StoreError) -> Bool {
    guard let byteCount = plan.byteCount, manifest.partByteCount == plan.partByteCount,
      manifest.byteCount <= byteCount
    else { return false }
    // Only the last part of a file may be short.
    guard manifest.byteCount == byteCount || manifest.byteCount == manifest.partCount * manifest.partByteCount else {
      return false
    }
    return try comparison.matches(manifest)
  }

  /// Whether no ready file of this name is newer: then it would not be seen under its name.
  private func isNewest(_ id: FileID) throws(StoreError) -> Bool {
    guard let newest = try store.files(named: name).last else { return true }
    return newest.id < id
  }

  private func dropOlder(than id: FileID) throws(StoreError) {
    for older in try interrupted() where older < id {
      // One that is held is being stored or deleted by somebody.
      guard let lock = try store.locks.acquire(.file(older), .exclusive, timeoutSeconds: 0) else { continue }
      defer { withExtendedLifetime(lock) {} }
      if let entry = try entry(of: older), isInterrupted(entry) { try rollBack(older, entry) }
    }
  }

  private func rollBack(_ id: FileID, _ entry: FileEntry) throws(StoreError) {
    try Reclamation(store: store, perform: session.perform).rollBack(id, of: entry.writer, by: session.writer)
  }

  /// Interrupted puts of this name, oldest first.
  private func interrupted() throws(StoreError) -> [FileID] {
    let index = try store.index
    return try index.read { (transaction) throws(StoreError) in
      var found: [FileID] = []
      for id in try index.files.unfinishedFiles(in: transaction) {
        if let entry = try index.files.file(id, in: transaction), isInterrupted(entry) { found.append(id) }
      }
      return found
    }
  }

  /// Nobody's, or of a put that may be gone on with: its lock tells whether it runs.
  private func isInterrupted(_ entry: FileEntry) -> Bool {
    entry.state == .writing && entry.isResumable && entry.manifest.name == name
  }

  private func entry(of id: FileID) throws(StoreError) -> FileEntry? {
    let index = try store.index
    return try index.read { (transaction) throws(StoreError) in try index.files.file(id, in: transaction) }
  }
}

/// A put that was cut short, and the lock that says who goes on with it.
struct InterruptedPut {
  let id: FileID
  let manifest: Manifest
  let lock: ByteLock
}

/// The names whose puts are about to be gone on with: recovery keeps what dead writers have left of them.
package struct ResumedNames: Hashable, Sendable {
  private var names: Set<FileName> = []
  private var prefixes: Set<[UInt8]> = []

  package init() {}

  package mutating func insert(_ name: FileName) { names.insert(name) }

  /// All names below `name`.
  package mutating func insertTree(_ name: FileName) { prefixes.insert(name.bytes + [UInt8(ascii: "/")]) }

  func contains(_ name: FileName) -> Bool {
    names.contains(name) || prefixes.contains { name.bytes.starts(with: $0) }
  }
}
