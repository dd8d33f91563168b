/// By how much a compacting copy would shorten the index once some files are out of it: from the entries that would go and
/// come, with what LMDB 0.9 adds to each.
struct IndexShrinkage {
  private var removedByteCount = 0

  mutating func remove(_ id: FileID, _ entry: FileEntry) {
    let idByteCount = id.key.count
    removedByteCount += IndexShrinkage.nodeByteCount(idByteCount, entry.fields().count)
    removedByteCount += IndexShrinkage.nodeByteCount(NameKey.key(of: entry.manifest.name, id).count, 0)
    removedByteCount += entry.manifest.partCount * IndexShrinkage.nodeByteCount(idByteCount, PartEntry.Offset.end)
  }

  /// - Parameter tombstoneCount: how many tombstones would stay for the files.
  func byteCount(of index: IndexSpace, tombstoneCount: Int) -> Int {
    let addedByteCount = tombstoneCount * IndexShrinkage.nodeByteCount(8, TombstoneEntry.Offset.end)
    let used = max(0, index.usedByteCount - removedByteCount + addedByteCount)
    let emptied = IndexSpace(byteCount: index.byteCount, freeByteCount: index.byteCount - used)
    return emptied.isCompactedAtClose ? emptied.freeByteCount : 0
  }

  /// A node has a header of 8 bytes and begins at an even place, which a pointer of 2 bytes leads to.
  private static func nodeByteCount(_ keyByteCount: Int, _ fieldsByteCount: Int) -> Int {
    let content = keyByteCount + fieldsByteCount + Seal.byteCount
    return 8 + 2 + content + content % 2
  }
}
