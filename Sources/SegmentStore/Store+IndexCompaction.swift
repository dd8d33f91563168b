import LMDB
import StorageIO

/// What the index takes, and how much of that it could give back.
public struct IndexSpace: Hashable, Sendable {
  /// All pages of the file.
  public let byteCount: Int
  /// Pages that hold nothing. Later changes use them again, but the file never gets shorter by itself.
  public let freeByteCount: Int

  public var usedByteCount: Int { byteCount - freeByteCount }

  /// Whether more than half of it is free, and it is large enough for that to matter.
  public var isWorthCompacting: Bool { byteCount >= IndexSpace.minimumByteCount && freeByteCount > byteCount / 2 }

  /// Whether the last one who has the store open copies it when the store is closed.
  var isCompactedAtClose: Bool { isWorthCompacting && usedByteCount <= IndexSpace.closingByteCount }

  /// A smaller index is left as it is.
  private static let minimumByteCount = 1 << 20
  /// What is copied in less than about a second.
  static let closingByteCount = 32 << 20
}

/// What became of the wish to compact an index.
public enum IndexCompaction: Hashable, Sendable {
  /// It has too few free pages; nothing was changed.
  case notWorthIt(IndexSpace)
  /// Somebody else has the store open; nothing was changed.
  case inUse
  case done(before: IndexSpace, after: IndexSpace)
}

extension Store {
  /// What the index takes now.
  /// - Complexity: O(free pages of the index).
  public func indexSpace() throws(StoreError) -> IndexSpace { try index.space() }

  /// Copies the index of the store in the directory `path` without its free pages, and puts the copy in its place, where
  /// that is worth it.
  ///
  /// Waits for nobody: while somebody else has the store open, nothing is done. Whoever opens it meanwhile waits. The old
  /// index is in place until the new one is whole and durable: a crash leaves the one or the other, with the same
  /// entries. Every entry is checked on the way. Takes disk space for the new index beside the old one.
  /// - Parameter limitByteCount: an index with more in use is left as it is; nil for no limit.
  /// - Throws: `.noStore`, `.notAStore`, `.newerFormat`, `.indexDamaged`, `.noSpace`, `.cancelled`, `.io`; then the old
  ///   index is as it was. `.durabilityUnknown`: the new one is in place, perhaps not durably.
  /// - Complexity: O(free pages) when it is not worth it, else O(entries).
  public static func compactIndex(
    at path: FilePath, limitByteCount: Int? = nil, cancellation: Cancellation = Cancellation()
  ) throws(StoreError) -> IndexCompaction {
    let store = try StoreDirectory(opening: path)
    guard let lock = try store.locks.acquire(.store, .exclusive, timeoutSeconds: 0) else { return .inUse }
    defer { withExtendedLifetime(lock) {} }
    let before = try store.openIndex().space()
    guard before.isWorthCompacting, before.usedByteCount <= limitByteCount ?? .max else { return .notWorthIt(before) }
    let making = try IndexReplacement(in: store)
    do throws(StoreError) {
      let after = try copyIndex(of: store, into: making.path, cancellation)
      try making.publish()
      return .done(before: before, after: after)
    } catch {
      making.drop()
      throw error
    }
  }

  /// On return nobody has either of them open.
  private static func copyIndex(
    of store: StoreDirectory, into directory: FilePath, _ cancellation: Cancellation
  ) throws(StoreError) -> IndexSpace {
    let old = try store.openIndex()
    let new = try Index(directory: directory, creates: true)
    try old.copyEntries(into: new, cancellation)
    try new.checkBelongs(to: store.superblock.uuid)
    return try new.space()
  }

  /// For the end of a process that may have deleted much: best effort, and nothing that keeps the next one waiting long.
  func compactIndexAtClose() throws(StoreError) {
    do throws(StoreError) {
      _ = try Store.compactIndex(at: path, limitByteCount: IndexSpace.closingByteCount)
    } catch  where error.code != .durabilityUnknown {
      // The old index is as it was; `pfs compact` says why.
    }
  }
}

extension Index {
  func space() throws(StoreError) -> IndexSpace {
    let statistics = try translatingIndex { () throws(LMDBError) in try environment.statistics() }
    return IndexSpace(
      byteCount: (statistics.lastPageNumber + 1) * statistics.pageByteCount,
      freeByteCount: statistics.freePageCount * statistics.pageByteCount)
  }

  /// Copies all entries into `new`, whose tables are empty, each checked by itself and all of a table by its sum.
  ///
  /// Not by LMDB's own copy: that runs a thread of its own, which the guard against damaged pages cannot end, and starts
  /// the numbers of transactions anew.
  func copyEntries(into new: Index, _ cancellation: Cancellation) throws(StoreError) {
    try new.write { (transaction) throws(StoreError) in try new.setSums(in: transaction) }
    for name in ["meta"] + IndexSums.tableNames {
      var last: [UInt8]?
      repeat {
        try cancellation.check()
        try new.write { (transaction) throws(StoreError) in
          last = try copyEntries(of: name, after: last, into: new, in: transaction)
        }
      } while last != nil
    }
    try checkCopy(new)
  }

  /// Copies as many entries as one transaction takes.
  /// - Returns: The last key; nil when there are no more.
  private func copyEntries(
    of name: String, after start: [UInt8]?, into new: Index, in transaction: borrowing WriteTransaction
  ) throws(StoreError) -> [UInt8]? {
    let (source, target) = (table(named: name), new.table(named: name))
    var last = start
    var byteCount = 0
    while byteCount < Index.copiedByteCount {
      let from = last
      let entries = try read { (transaction) throws(StoreError) in
        try translatingIndex { () throws(LMDBError) in
          if let from { return try transaction.entries(source, after: from, limit: Index.copiedEntryCount) }
          return try transaction.entries(source, limit: Index.copiedEntryCount)
        }
      }
      for (key, value) in entries where name != "meta" || key != Index.sumsKey {
        _ = try Seal.fields(of: value, under: key, in: name)
        do throws(LMDBError) { try transaction.put(target, key, value, appending: true) } catch {
          throw StoreError(error)
        }
        byteCount += key.count + value.count
      }
      last = entries.last?.key
      if entries.count < Index.copiedEntryCount { return nil }
    }
    return last
  }

  /// The entries of one transaction, which bounds its memory.
  private static let copiedByteCount = 2 << 20
  private static let copiedEntryCount = 256
}
