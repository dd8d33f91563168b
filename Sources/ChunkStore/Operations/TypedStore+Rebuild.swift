import StorageIO

/// What a rebuild has found.
public struct RebuildSummary: Hashable, Sendable {
  /// Objects that are in the new index.
  public let objectCount: Int
  /// What in the chunks could not be read; all else is there.
  public let findings: [ChunkFinding]
}

extension TypedStore {
  private static let newIndexName = Array("index.new".utf8)
  private static let oldIndexName = Array("index.old".utf8)

  /// Makes the index of a store anew from its chunks, whatever there was of it. Nobody else may have the store open.
  ///
  /// What was flushed is there again, in its newest version, and what was deleted is not. What a crash in the middle leaves
  /// is made again by the next rebuild.
  /// - Throws: `.noStore`, `.notAStore`, `.busy`, `.noSpace`, `.io`: then the old index is still there.
  /// - Complexity: O(bytes of chunks that are no holes), in the worst case; memory for a few hundred objects.
  @discardableResult
  public static func rebuild(at path: FilePath, lockTimeoutSeconds: Double = 10) throws(ChunkStoreError)
    -> RebuildSummary
  {
    let store = try TypedStoreDirectory(opening: path)
    let lock = try store.lock(.exclusive, timeoutSeconds: lockTimeoutSeconds)
    defer { withExtendedLifetime(lock) {} }
    let directory = try translating { () throws(SystemCallFailure) in try Directory.open(path) }
    try removeIndex(newIndexName, in: directory)
    let files = try store.openChunks(isWritable: true)
    let summary = try fill(store, files)
    // Of a rebuild that was cut short behind its last rename.
    try removeIndex(oldIndexName, in: directory)
    try translating { () throws(SystemCallFailure) in
      do throws(SystemCallFailure) {
        try directory.rename(ChunkIndex.directoryName, to: oldIndexName, replacing: false)
      } catch  where error.isNotFound {}
      try directory.rename(newIndexName, to: ChunkIndex.directoryName, replacing: false)
      try directory.sync()
    }
    try removeIndex(oldIndexName, in: directory)
    return summary
  }

  /// Makes the new index, which is closed on return.
  private static func fill(_ store: TypedStoreDirectory, _ files: ChunkFiles) throws(ChunkStoreError) -> RebuildSummary
  {
    let index = try TypedStoreDirectory.makeIndex(in: store.path.appending(newIndexName), for: store.superblock)
    var recovery = ChunkRecovery(index: index, files: files, isRebuild: true)
    try recovery.run()
    try recovery.goOnWithLastChunk(ofByteCount: store.superblock.chunkByteCount)
    return RebuildSummary(objectCount: try index.objectCount(), findings: recovery.findings)
  }

  /// Removes an index that nobody uses.
  static func removeIndex(_ name: [UInt8], in directory: Directory) throws(ChunkStoreError) {
    do throws(SystemCallFailure) {
      let index = try directory.openDirectory(name)
      for file in try index.entries() { try index.removeFile(file) }
      try directory.removeDirectory(name)
      try directory.sync()
    } catch  where error.isNotFound {} catch {
      throw ChunkStoreError(error)
    }
  }
}
