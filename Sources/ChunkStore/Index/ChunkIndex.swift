import LMDB
import StorageIO
import Synchronization

/// The LMDB tables of a store: objects by key, chunks, objects that are being removed, counters.
final class ChunkIndex: Sendable {
  static let directoryName = Array("index".utf8)
  static let summedTableNames = ["objects", "chunks", "dying"]
  /// Address space, not memory or disk: room for some 400 million objects.
  private static let mapByteCount = 64 << 30
  private static let maximumReaderCount = 510
  /// With less free than this, a write that was cut short is taken for one that met a full disk.
  private static let fullDiskByteCount = 1 << 20
  private static let countersKey = Array("counters".utf8)
  private static let storeKey = Array("store".utf8)
  private static let sumsKey = Array("sums".utf8)

  private let environment: Environment
  private let directory: FilePath
  private let meta: Table
  let objects: Table
  let chunks: Table
  let dying: Table
  /// The transaction in which the sums were last found right, by table.
  private let wholeTables = Mutex<[String: UInt64]>([:])

  init(directory: FilePath, creates: Bool) throws(ChunkStoreError) {
    let (environment, tables) = try translatingIndex { () throws(LMDBError) in
      let names = ["meta"] + ChunkIndex.summedTableNames
      let environment = try Environment(
        directory: directory.bytes, mapByteCount: ChunkIndex.mapByteCount, maximumTableCount: names.count,
        maximumReaderCount: ChunkIndex.maximumReaderCount, creates: creates, fileMode: 0o600)
      return (environment, try environment.openTables(names, creates: creates))
    }
    self.environment = environment
    self.directory = directory
    (meta, objects, chunks, dying) = (tables[0], tables[1], tables[2], tables[3])
  }

  /// The first durable commit of a new index.
  func initialize(for uuid: [UInt8]) throws(ChunkStoreError) {
    try write { (transaction) throws(ChunkStoreError) in
      try transaction.put(meta, ChunkIndex.storeKey, ChunkStoreIdentity(uuid: uuid))
      try setCounters(ChunkCounters(), in: transaction)
      try transaction.put(
        meta, ChunkIndex.sumsKey, ChunkIndexSums(transactionNumber: try ChunkIndex.number(of: transaction)))
    }
  }

  /// Throws when this is the index of another store.
  func checkBelongs(to uuid: [UInt8]) throws(ChunkStoreError) {
    let found: ChunkStoreIdentity? = try read { (transaction) throws(ChunkStoreError) in
      _ = try sums(in: transaction)
      return try transaction.entry(meta, ChunkIndex.storeKey)
    }
    guard found?.uuid == uuid else { throw ChunkStoreError(index: "it is the index of another store") }
  }

  /// Looks at one snapshot. Nothing slow belongs inside: while it lasts, freed pages cannot be used again.
  func read<R>(
    _ body: (borrowing ReadTransaction) throws(ChunkStoreError) -> R
  ) throws(ChunkStoreError) -> R {
    let transaction = try translatingIndex { () throws(LMDBError) in try environment.beginRead() }
    return try body(transaction)
  }

  /// Changes the index durably, or not at all when `body` or the commit throws.
  func write<R>(
    _ body: (borrowing WriteTransaction) throws(ChunkStoreError) -> R
  ) throws(ChunkStoreError) -> R {
    let transaction = try translatingIndex { () throws(LMDBError) in try environment.beginWrite() }
    let result = try body(transaction)
    let number = try updateSums(in: transaction)
    do throws(LMDBError) { try transaction.commit() } catch {
      if error.isDamaged { throw ChunkStoreError(error) }
      if isUsable && (error.isNoSpace || isDiskFull) {
        throw ChunkStoreError(
          .noSpace, "the index has no room: \(error)", advice: "free some space on this file system")
      }
      // A failed write of the meta page leaves open which state is on the device; LMDB then refuses to go on.
      throw ChunkStoreError(
        .durabilityUnknown, "index: \(error); whether the last change is on the device is not known",
        advice: "check the device, then open the store again: it then shows what is durable")
    }
    if let number {
      wholeTables.withLock { tables in
        for (name, last) in tables where last &+ 1 == number { tables[name] = number }
      }
    }
    return result
  }

  /// The entry of a key; nil only when there surely is none: before it says so, the table is added up once.
  func object(_ key: ChunkKey) throws(ChunkStoreError) -> ObjectEntry? {
    try read { (transaction) throws(ChunkStoreError) in
      let entry: ObjectEntry? = try transaction.entry(objects, key.bytes)
      if entry == nil { try checkSum(of: objects, in: transaction) }
      return entry
    }
  }

  func objectCount() throws(ChunkStoreError) -> Int {
    try read { (transaction) throws(ChunkStoreError) in
      do throws(LMDBError) { return try transaction.entryCount(objects) } catch { throw ChunkStoreError(error) }
    }
  }

  func counters<Access>(in transaction: borrowing Transaction<Access>) throws(ChunkStoreError) -> ChunkCounters {
    try transaction.entry(meta, ChunkIndex.countersKey) ?? ChunkCounters()
  }

  func setCounters(_ counters: ChunkCounters, in transaction: borrowing WriteTransaction) throws(ChunkStoreError) {
    try transaction.put(meta, ChunkIndex.countersKey, counters)
  }

  /// Throws when a table has lost entries, or has older ones.
  /// - Complexity: O(entries), once for each state of the table that another process made.
  func checkSum(of table: Table, in transaction: borrowing ReadTransaction) throws(ChunkStoreError) {
    let sums = try sums(in: transaction)
    guard let position = ChunkIndex.summedTableNames.firstIndex(of: table.name) else { return }
    if wholeTables.withLock({ $0[table.name] == sums.transactionNumber }) { return }
    let found: TableSum
    do throws(LMDBError) { found = try transaction.sum(of: table) } catch { throw ChunkStoreError(error) }
    guard found.entryCount == sums.counts[position], found.digest == sums.digests[position] else {
      throw ChunkStoreError(
        index: "table \(table.name): \(found.entryCount) entries, \(sums.counts[position]) expected; "
          + "some are missing or are older ones")
    }
    wholeTables.withLock { $0[table.name] = sums.transactionNumber }
  }

  private func sums<Access>(in transaction: borrowing Transaction<Access>) throws(ChunkStoreError) -> ChunkIndexSums {
    guard let sums: ChunkIndexSums = try transaction.entry(meta, ChunkIndex.sumsKey) else {
      throw ChunkStoreError(index: "table meta: no sums")
    }
    return sums
  }

  /// Adds what a transaction has changed, before its commit.
  /// - Returns: The number of the transaction; nil when it changed nothing that is summed.
  private func updateSums(in transaction: borrowing WriteTransaction) throws(ChunkStoreError) -> UInt64? {
    let changes = transaction.tableChanges
    guard !changes.isEmpty else { return nil }
    let number = try ChunkIndex.number(of: transaction)
    var sums = try sums(in: transaction)
    if sums.transactionNumber == number { return number }
    guard sums.transactionNumber &+ 1 == number else {
      throw ChunkStoreError(index: "transaction \(number) follows \(sums.transactionNumber)")
    }
    sums.transactionNumber = number
    for (position, name) in ChunkIndex.summedTableNames.enumerated() {
      if let change = changes[name] {
        sums.add(entryCount: change.entryCount, digest: change.digest, at: position)
      }
    }
    try transaction.put(meta, ChunkIndex.sumsKey, sums)
    return number
  }

  private static func number<Access>(
    of transaction: borrowing Transaction<Access>
  ) throws(ChunkStoreError) -> UInt64 {
    do throws(LMDBError) { return try transaction.number } catch { throw ChunkStoreError(error) }
  }

  private var isDiskFull: Bool {
    do throws(SystemCallFailure) {
      return try FileSystem.freeByteCount(at: directory) < ChunkIndex.fullDiskByteCount
    } catch {
      return false
    }
  }

  private var isUsable: Bool {
    do throws(ChunkStoreError) {
      try read { (_) throws(ChunkStoreError) in }
      return true
    } catch {
      return false
    }
  }
}

/// Entries in place of bytes.
extension Transaction {
  func entry<Entry: ChunkIndexEntry>(_ table: Table, _ key: [UInt8]) throws(ChunkStoreError) -> Entry? {
    let value: [UInt8]?
    do throws(LMDBError) { value = try self.value(table, key) } catch { throw ChunkStoreError(error) }
    guard let value else { return nil }
    return try Entry(sealed: value, under: key, in: table.name)
  }

  /// Up to `limit` entries behind `after`, else from `from` on, else from the first on.
  func page<Entry: ChunkIndexEntry>(
    _ table: Table, after: [UInt8]? = nil, from: [UInt8]? = nil, limit: Int
  ) throws(ChunkStoreError) -> [(key: [UInt8], entry: Entry)] {
    let page: [(key: [UInt8], value: [UInt8])]
    do throws(LMDBError) {
      if let after {
        page = try entries(table, after: after, limit: limit)
      } else {
        page = try entries(table, from: from, limit: limit)
      }
    } catch {
      throw ChunkStoreError(error)
    }
    var result: [(key: [UInt8], entry: Entry)] = []
    for (key, value) in page { result.append((key, try Entry(sealed: value, under: key, in: table.name))) }
    return result
  }
}

extension Transaction where Access == WriteAccess {
  func put(_ table: Table, _ key: [UInt8], _ entry: some ChunkIndexEntry) throws(ChunkStoreError) {
    let value = entry.sealed(under: key, in: table.name)
    do throws(LMDBError) { try put(table, key, value) } catch { throw ChunkStoreError(error) }
  }

  func remove(_ table: Table, _ key: [UInt8]) throws(ChunkStoreError) {
    do throws(LMDBError) { _ = try delete(table, key) } catch { throw ChunkStoreError(error) }
  }
}

extension UInt64 {
  /// The key in an index table: big-endian, so that the order of bytes is the order of numbers.
  var indexKey: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: self >> (56 - 8 * UInt64($0))) } }

  init?(indexKey: [UInt8]) {
    guard indexKey.count == 8 else { return nil }
    self = indexKey.reduce(0) { $0 << 8 | UInt64($1) }
  }
}
