import LMDB
import Mutants
import StorageIO

/// The LMDB environment of a store and its tables. What is in them is the business of the registries.
final class Index: Sendable {
  static let directoryName = Array("index".utf8)
  /// Address space, not memory or disk: room for some 700 million parts.
  private static let mapByteCount = 64 << 30
  private static let maximumReaderCount = 510
  /// With less free than this, a write that was cut short is taken for one that met a full disk.
  private static let fullDiskByteCount = 1 << 20

  let environment: Environment
  let files: FileRegistry
  let parts: PartRegistry
  let segments: SegmentRegistry
  let writers: Table
  let meta: Table
  private let tables: [Table]
  /// The transaction in which a table was last found whole.
  let wholeTables = Monitor<[String: UInt64]>([:])
  private let directory: FilePath

  /// Opens the index in `directory`, or makes it there.
  init(directory: FilePath, creates: Bool) throws(StoreError) {
    let names = ["meta"] + IndexSums.tableNames
    let (environment, tables) = try translatingIndex { () throws(LMDBError) in
      let environment = try Environment(
        directory: directory.bytes, mapByteCount: Index.mapByteCount, maximumTableCount: names.count,
        maximumReaderCount: Index.maximumReaderCount, creates: creates, fileMode: 0o600)
      return (environment, try environment.openTables(names, creates: creates))
    }
    self.environment = environment
    self.directory = directory
    self.tables = tables
    meta = tables[0]
    files = FileRegistry(
      files: tables[1], names: tables[2], unfinished: tables[3], commits: tables[4], tombstones: tables[5])
    parts = PartRegistry(parts: tables[6])
    segments = SegmentRegistry(segments: tables[7], open: tables[8])
    writers = tables[9]
  }

  /// The table called `name`, for those who look at every value by itself.
  func table(named name: String) -> Table {
    guard let table = tables.first(where: { $0.name == name }) else { preconditionFailure("no table '\(name)'") }
    return table
  }

  /// Whether it met damage after which nothing of it can be read until it is opened again.
  var hasFailed: Bool { environment.hasFailed }

  /// Gives back what readers that died still hold: as long as they do, no freed page is used again.
  func removeStaleReaders() throws(StoreError) {
    if Mutant.keepDeadReaders.isActive { return }
    _ = try translatingIndex { () throws(LMDBError) in try environment.removeStaleReaders() }
  }

  /// Looks at one snapshot. Nothing slow belongs inside: while it lasts, freed pages cannot be used again.
  func read<R>(_ body: (borrowing ReadTransaction) throws(StoreError) -> R) throws(StoreError) -> R {
    let transaction = try translatingIndex { () throws(LMDBError) in try environment.beginRead() }
    return try body(transaction)
  }

  /// Changes the index durably, or not at all when `body` or the commit throws. Blocks while another process writes.
  func write<R>(_ body: (borrowing WriteTransaction) throws(StoreError) -> R) throws(StoreError) -> R {
    let transaction = try translatingIndex { () throws(LMDBError) in try environment.beginWrite() }
    let result = try body(transaction)
    let number = try updateSums(in: transaction)
    do throws(LMDBError) { try transaction.commit() } catch {
      if error.isDamaged { throw StoreError(error) }
      // A failed write of the meta page leaves open which state is on the device; LMDB then refuses to go on. A write
      // that a full disk cut short comes as EIO.
      if isUsable && (error.isNoSpace || Index.isDiskFull(at: directory)) {
        throw StoreError(
          .noSpace, "the index has no room: \(error)", advice: "free some space on this file system")
      }
      throw StoreError(
        .durabilityUnknown, "index: \(error); whether the last change is on the device is not known",
        advice: "check the device, then open the store again: it then shows what is durable")
    }
    if let number { tablesStayWhole(in: number) }
    return result
  }

  /// Whether a write that was cut short there was so for want of room.
  static func isDiskFull(at directory: FilePath) -> Bool {
    do throws(SystemCallFailure) {
      return try FileSystem.freeByteCount(at: directory) < fullDiskByteCount
    } catch {
      return false
    }
  }

  private var isUsable: Bool {
    do throws(StoreError) {
      try read { (_) throws(StoreError) in }
      return true
    } catch {
      return false
    }
  }

  func counters<Access>(in transaction: borrowing Transaction<Access>) throws(StoreError) -> Counters {
    try transaction.entry(meta, Index.countersKey) ?? Counters()
  }

  func setCounters(_ counters: Counters, in transaction: borrowing WriteTransaction) throws(StoreError) {
    try transaction.put(meta, Index.countersKey, counters)
  }

  /// The first durable commit of a new index.
  func initialize(for uuid: StoreUUID) throws(StoreError) {
    try write { (transaction) throws(StoreError) in
      try transaction.put(meta, Index.storeKey, uuid)
      try setCounters(Counters(), in: transaction)
      try setSums(in: transaction)
    }
  }

  /// Throws when this is the index of another store, whose segments it would take for its own, or not the newest.
  func checkBelongs(to uuid: StoreUUID) throws(StoreError) {
    let found: StoreUUID? = try read { (transaction) throws(StoreError) in
      try transaction.entry(meta, Index.storeKey)
    }
    guard found == uuid else {
      let whose = found.map { "of store \($0)" } ?? "of no store"
      throw StoreError(index: FormatFailure(.damaged, "it is \(whose), this one is \(uuid)"))
    }
    try checkNewest()
  }

  private static let countersKey = Array("counters".utf8)
  private static let storeKey = Array("store".utf8)
}

/// Entries in place of bytes.
extension Transaction {
  func entry<Entry: IndexEntry>(_ table: Table, _ key: [UInt8]) throws(StoreError) -> Entry? {
    let value: [UInt8]?
    do throws(LMDBError) { value = try self.value(table, key) } catch { throw StoreError(error) }
    guard let value else {
      try checkAbsence(of: key, from: table)
      return nil
    }
    return try Entry(sealed: value, under: key, in: table.name)
  }

  /// Throws where damage may be why `key` was not found.
  ///
  /// No checksum covers what is not there, so the entries next to it must prove themselves: a key that a flipped bit
  /// turned into another is one of them, or the pages do not hold together.
  private func checkAbsence(of key: [UInt8], from table: Table) throws(StoreError) {
    let neighbours: [Self.Entry]
    do throws(LMDBError) { neighbours = try self.neighbours(table, key) } catch { throw StoreError(error) }
    for neighbour in neighbours { _ = try Seal.fields(of: neighbour.value, under: neighbour.key, in: table.name) }
  }

  /// Calls `body` with the entries of `table` from `key` on, in order of keys, until it returns false.
  ///
  /// Memory stays flat: entries are fetched by the page.
  func forEach<Entry: IndexEntry>(
    _ table: Table, from key: [UInt8]? = nil, as type: Entry.Type = Entry.self,
    _ body: ([UInt8], Entry) throws(StoreError) -> Bool
  ) throws(StoreError) {
    var page = try entries(table, from: key)
    if let key, page.first?.key != key { try checkAbsence(of: key, from: table) }
    while true {
      for (key, value) in page where !(try body(key, Entry(sealed: value, under: key, in: table.name))) { return }
      guard page.count >= pageEntryCount - 1, let last = page.last else { return }
      page = try entries(table, from: last.key)
      // The way to a key may be damaged where the way from one entry to the next was not.
      guard page.first?.key == last.key else {
        throw StoreError(index: FormatFailure(.damaged, "an entry of \(table.name) is not found by its key"))
      }
      page.removeFirst()
      if page.isEmpty { return }
    }
  }

  private func entries(_ table: Table, from key: [UInt8]?) throws(StoreError) -> [Self.Entry] {
    do throws(LMDBError) { return try entries(table, from: key, limit: pageEntryCount) } catch {
      throw StoreError(error)
    }
  }
}

extension Transaction where Access == WriteAccess {
  func put(_ table: Table, _ key: [UInt8], _ entry: some IndexEntry, appending: Bool = false) throws(StoreError) {
    do throws(LMDBError) {
      try put(table, key, entry.sealed(under: key, in: table.name), appending: appending)
    } catch {
      throw StoreError(error)
    }
  }

  func remove(_ table: Table, _ key: [UInt8]) throws(StoreError) {
    do throws(LMDBError) { _ = try delete(table, key) } catch { throw StoreError(error) }
  }
}

private let pageEntryCount = 256
