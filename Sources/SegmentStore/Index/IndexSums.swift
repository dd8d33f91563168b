import LMDB
import Mutants
import StorageIO

/// Table `meta`, key `sums`: what the other tables sum up to, and the transaction that wrote this.
///
/// A page that the device never wrote is an older one, and sound by itself: LMDB finds what was there then, and every
/// entry proves itself. The sums show that entries are missing, or are older ones.
struct IndexSums: IndexEntry, Hashable {
  /// In the order of the format.
  static let tableNames = [
    "files", "names", "unfinished", "commits", "tombstones", "parts", "segments", "open_segments", "writers",
  ]

  /// LMDB's own number: every transaction that changes anything writes its own here.
  var transactionNumber: UInt64
  var sums = [TableSum](repeating: TableSum(), count: tableNames.count)

  init(transactionNumber: UInt64) { self.transactionNumber = transactionNumber }

  enum Offset {
    static let transactionNumber = 0
    static let sums = transactionNumber + 8

    static let end = sums + sumByteCount * tableNames.count

    static let fields = FormatField.list(["transactionNumber": transactionNumber, "sums": sums], end: end)
  }

  private static let sumByteCount = 16

  func fields() -> [UInt8] {
    var writer = ByteWriter(byteCount: Offset.end)
    writer.put(transactionNumber, at: Offset.transactionNumber)
    for (number, sum) in sums.enumerated() {
      let offset = Offset.sums + IndexSums.sumByteCount * number
      writer.put(sum.entryCount, at: offset)
      writer.put(sum.digest, at: offset + 8)
    }
    return writer.bytes
  }

  init(decoding fields: [UInt8]) throws(FormatFailure) {
    let reader = try expect(fields, Offset.end, "sums")
    transactionNumber = reader.get(Offset.transactionNumber)
    for number in sums.indices {
      let offset = Offset.sums + IndexSums.sumByteCount * number
      sums[number] = TableSum(entryCount: reader.get(offset), digest: reader.get(offset + 8))
    }
  }

  mutating func add(_ changes: [String: TableSum]) {
    for (number, name) in IndexSums.tableNames.enumerated() {
      if let change = changes[name] { sums[number].add(change) }
    }
  }
}

/// Checks of the sums. An index that was made before there were any has none, and passes.
extension Index {
  static let sumsKey = Array("sums".utf8)
  /// Tables that recovery and writers act upon: what is not in them is cut off or given back.
  static let tablesOfWriters = ["unfinished", "segments", "open_segments", "writers"]
  /// Tables that say which files there are.
  static let tablesOfFiles = ["files", "names"]

  /// Throws when the newest transaction is not the one that LMDB found: a meta page, or the pages that it leads to, are
  /// older, or bear a wrong number.
  func checkNewest() throws(StoreError) {
    if Mutant.noIndexSums.isActive { return }
    try read { (transaction) throws(StoreError) in _ = try keptSums(in: transaction) }
    let older = try translatingIndex { () throws(LMDBError) in
      try environment.valueInOlderSnapshot("meta", Index.sumsKey)
    }
    guard let older else { return }
    let sums = try IndexSums(sealed: older.value, under: Index.sumsKey, in: "meta")
    guard sums.transactionNumber == older.transactionNumber else {
      throw damage(
        "a meta page bears number \(older.transactionNumber) and is of transaction \(sums.transactionNumber)")
    }
  }

  /// Throws when a table has lost entries, or has older ones.
  /// - Parameter isRemembered: whether what was found whole in this transaction need not be added up again.
  /// - Complexity: O(entries of the tables).
  func checkSums(
    of tables: [String], in transaction: borrowing ReadTransaction, isRemembered: Bool = true
  ) throws(StoreError) {
    guard let expected = try keptSums(in: transaction), !Mutant.noIndexSums.isActive else { return }
    for (number, name) in IndexSums.tableNames.enumerated() where tables.contains(name) {
      if isRemembered, wholeTables.withLock({ $0[name] == expected.transactionNumber }) { continue }
      let found: TableSum
      do throws(LMDBError) { found = try transaction.sum(of: table(named: name)) } catch { throw StoreError(error) }
      guard found == expected.sums[number] else {
        throw damage(
          "table \(name): \(found.entryCount) entries, \(expected.sums[number].entryCount) expected; "
            + "some are missing or are older ones")
      }
      wholeTables.withLock { $0[name] = expected.transactionNumber }
    }
  }

  /// Adds what a transaction has changed, before its commit.
  /// - Returns: The number of the transaction; nil when there is nothing to keep sums of.
  func updateSums(in transaction: borrowing WriteTransaction) throws(StoreError) -> UInt64? {
    let changes = transaction.tableChanges
    guard !changes.isEmpty, var kept: IndexSums = try transaction.entry(meta, Index.sumsKey) else { return nil }
    let number = try number(of: transaction)
    // Of a new index they were set just now.
    if kept.transactionNumber == number { return number }
    guard kept.transactionNumber &+ 1 == number else {
      throw damage("transaction \(number) follows \(kept.transactionNumber)")
    }
    kept.transactionNumber = number
    kept.add(changes)
    try transaction.put(meta, Index.sumsKey, kept)
    return number
  }

  /// Notes that a transaction of this process was committed: tables that were whole before it are whole after it.
  func tablesStayWhole(in number: UInt64) {
    wholeTables.withLock { numbers in
      for (name, last) in numbers where last &+ 1 == number { numbers[name] = number }
    }
  }

  /// Those of a new index, whose tables are empty.
  func setSums(in transaction: borrowing WriteTransaction) throws(StoreError) {
    let sums = IndexSums(transactionNumber: try number(of: transaction))
    try transaction.put(meta, Index.sumsKey, sums)
  }

  /// Throws unless the tables of `copy` have just the entries of this index.
  func checkCopy(_ copy: Index) throws(StoreError) {
    func sums(of index: Index) throws(StoreError) -> [TableSum]? {
      try index.read { (transaction) throws(StoreError) in try index.keptSums(in: transaction)?.sums }
    }
    guard let expected = try sums(of: self), let found = try sums(of: copy) else { return }
    for (number, name) in IndexSums.tableNames.enumerated() where found[number] != expected[number] {
      throw damage(
        "table \(name): \(found[number].entryCount) entries, \(expected[number].entryCount) expected; "
          + "some are missing or are older ones")
    }
  }

  private func keptSums(in transaction: borrowing ReadTransaction) throws(StoreError) -> IndexSums? {
    guard let sums: IndexSums = try transaction.entry(meta, Index.sumsKey) else { return nil }
    let number = try number(of: transaction)
    // LMDB takes the number first and the roots then: between the two a writer may have put newer ones there.
    guard sums.transactionNumber >= number else {
      throw damage("the newest transaction is \(number), its tables are of \(sums.transactionNumber)")
    }
    return sums
  }

  func number<Access>(of transaction: borrowing Transaction<Access>) throws(StoreError) -> UInt64 {
    do throws(LMDBError) { return try transaction.number } catch { throw StoreError(error) }
  }

  private func damage(_ message: String) -> StoreError { StoreError(index: FormatFailure(.damaged, message)) }
}
