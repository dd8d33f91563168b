import Mutants
import StorageIO

extension Store {
  /// Makes the index of the store in the directory `path` anew from its segments, and puts it in the place of the old one,
  /// which may be damaged or missing.
  ///
  /// Ids, names, dates and bytes are what they were; deleted files stay deleted. What is damaged costs only itself: a file
  /// some of whose parts are gone is there, and reading these parts is an error. The old index is in place until the new
  /// one is whole and durable; after a crash in between the rebuild is begun again. Nobody else may have the store open:
  /// waits for that, at most the lock timeout. Takes disk space for two indexes beside the old one.
  /// - Parameter onFinding: told each thing that is not as it should be, in no order, on the calling thread.
  /// - Throws: `.noStore`, `.notAStore`, `.newerFormat`, `.corrupt` (STORE is damaged), `.busy`, `.noSpace`, `.cancelled`,
  ///   `.memoryLimitTooSmall`, `.io`; then the old index is as it was. `.durabilityUnknown`: the next open shows which
  ///   index is in place.
  /// - Complexity: O(records log records). Reads the footers of sealed segments, and every byte of the others.
  public static func rebuild(
    at path: FilePath, _ configuration: Configuration = Configuration(), cancellation: Cancellation = Cancellation(),
    onFinding: @escaping (Finding) -> Void = { _ in }
  ) throws(StoreError) -> RebuildSummary {
    let store = try StoreDirectory(opening: path)
    try Rebuild.checkMemoryLimit(configuration.memoryByteCount)
    let segments = try store.openSegments()
    try store.makeLocksIfMissing()
    let lock = try store.locks.acquire(
      .store, Mutant.rebuildWhileInUse.isActive ? .shared : .exclusive,
      timeoutSeconds: configuration.lockTimeoutSeconds, cancellation: cancellation)
    try cancellation.check()
    guard let lock else {
      throw StoreError(
        .busy, "'\(path)': is in use: waited \(configuration.lockTimeoutSeconds) s for others to close it",
        advice: "try again, or wait longer with --lock-timeout")
    }
    defer { withExtendedLifetime(lock) {} }
    let rebuild = Rebuild(
      superblock: store.superblock, segments: segments, highWater: store.highWater,
      limitByteCount: configuration.memoryByteCount, cancellation: cancellation, onFinding: onFinding)
    let making = try IndexReplacement(in: store)
    do throws(StoreError) {
      var summary = try rebuild.run(
        into: making.path, RebuildScratch(in: making.scratchPath, batchCount: rebuild.batchCount))
      try cancellation.check()
      if summary.segmentCount == 0 && !summary.strangeSegments.isEmpty {
        try store.checkSegmentsAreOfNoOther(segments)
      }
      // Before the new index, which names none of them, is in place: the next recovery would remove them.
      try Rebuild.renameStrangeSegments(in: segments, summary)
      try making.publish()
      rebuild.removeUnusedSegments(&summary)
      store.reserve.refill()
      return summary
    } catch {
      making.drop()
      throw error
    }
  }
}

extension Rebuild {
  /// What is named like a segment and is none gets another name, durably, so that nothing takes it for one and removes it.
  /// It holds no intact record: the old index, if it stays after all, loses nothing.
  static func renameStrangeSegments(in segments: Directory, _ summary: RebuildSummary) throws(StoreError) {
    if summary.strangeSegments.isEmpty { return }
    try translating { () throws(SystemCallFailure) in
      for id in summary.strangeSegments {
        try segments.rename(id.fileName, to: freeName(id, segments), replacing: false)
      }
      try segments.sync()
    }
  }

  /// For when the new index, which does not name them, is in place: what fails here is left to the next recovery.
  func removeUnusedSegments(_ summary: inout RebuildSummary) {
    if summary.unusedSegments.isEmpty { return }
    do throws(SystemCallFailure) {
      for id in summary.unusedSegments { try segments.removeFile(id.fileName) }
      try segments.sync()
    } catch {
      summary.findingCount += 1
      onFinding(Finding(.segment, "a segment to which nothing was ever written was not removed: \(error)"))
    }
  }

  static func asideName(of id: SegmentID) -> FilePath { FilePath(bytes: id.fileName + Array(".unknown".utf8)) }

  private static func freeName(_ id: SegmentID, _ segments: Directory) throws(SystemCallFailure) -> [UInt8] {
    var name = asideName(of: id).bytes
    while true {
      do throws(SystemCallFailure) { _ = try segments.status(of: name) } catch  where error.isNotFound { return name }
      name.append(UInt8(ascii: "~"))
    }
  }
}

/// A new index that is made inside the directory of the old one, until it takes its place.
struct IndexReplacement {
  private static let name = Array("rebuild".utf8)
  private static let scratchName = Array("scratch".utf8)
  private static let dataName = Array("data.mdb".utf8)
  private static let lockName = Array("lock.mdb".utf8)

  private let directory: Directory

  var path: FilePath { directory.path.appending(IndexReplacement.name) }
  var scratchPath: FilePath { path.appending(IndexReplacement.scratchName) }

  /// Makes empty directories; what an earlier one left goes.
  init(in store: StoreDirectory) throws(StoreError) {
    directory = try translating { () throws(SystemCallFailure) in
      let path = store.path.appending(Index.directoryName)
      do throws(SystemCallFailure) {
        try Directory.make(path)
        try Directory.open(store.path).sync()
      } catch  where error.isExists {}
      return try Directory.open(path)
    }
    drop()
    try translating { () throws(SystemCallFailure) in
      try Directory.make(path)
      try Directory.make(scratchPath)
    }
  }

  /// Puts the new index, which nobody has open any more, in the place of the old one, at once and durably.
  func publish() throws(StoreError) {
    try translating { () throws(SystemCallFailure) in
      let data = try File.open(path.appending(IndexReplacement.dataName), .write)
      try data.setMode(0o600)
      try data.sync()
      // It knows the readers and the last transaction of the old one; whoever opens next makes another.
      try directory.removeFile(IndexReplacement.lockName)
      let new = IndexReplacement.name + [UInt8(ascii: "/")] + IndexReplacement.dataName
      try directory.rename(new, to: IndexReplacement.dataName, replacing: true)
    }
    do throws(SystemCallFailure) { try directory.sync() } catch {
      throw StoreError(.durabilityUnknown, "\(error); whether the new index is in place is not known")
    }
    drop()
  }

  /// Best effort: the next rebuild, or whoever opens the store next, begins with the same.
  func drop() { StoreDirectory.remove(IndexReplacement.name, from: directory) }

  /// Removes what a rebuild that died has left. Nobody may be at one.
  static func removeLeftovers(in store: StoreDirectory) {
    do throws(SystemCallFailure) {
      let directory = try Directory.open(store.path.appending(Index.directoryName))
      _ = try directory.status(of: name)
      StoreDirectory.remove(name, from: directory)
    } catch {
      // There is none, as a rule.
    }
  }
}
