import CLMDB
import CLMDBGuard
import Glibc

/// What an environment takes up, and whether its pages hold together.
extension Environment {
  /// What the environment takes up now; takes a reader slot meanwhile.
  /// - Complexity: O(free pages).
  public func statistics() throws(LMDBError) -> EnvironmentStatistics {
    let transaction = try beginRead()
    let (pages, information) = try unsafe measure(during: transaction)
    return EnvironmentStatistics(
      pageByteCount: Int(pages.ms_psize), mapByteCount: unsafe information.me_mapsize,
      lastPageNumber: unsafe information.me_last_pgno, freePageCount: try transaction.freePageCount(),
      lastTransactionNumber: unsafe information.me_last_txnid,
      highestReaderCount: Int(unsafe information.me_numreaders),
      maximumReaderCount: Int(unsafe information.me_maxreaders))
  }

  /// What LMDB says about pages and the environment, while a transaction keeps the map in place.
  private func measure(
    during transaction: borrowing ReadTransaction
  ) throws(LMDBError) -> (pages: MDB_stat, information: MDB_envinfo) {
    var pages = MDB_stat()
    var information = unsafe MDB_envinfo()
    // Safe: the environment is open as long as `self` lives, and both results outlive the calls.
    try check(unsafe pfs_mdb_env_stat(pointer, &pages), "mdb_env_stat")
    try check(unsafe pfs_mdb_env_info(pointer, &information), "mdb_env_info")
    return unsafe (pages, information)
  }

  /// Throws when the file was cut short: reading a page that it lost would raise SIGBUS.
  ///
  /// A sound file may be shorter than its last page number says, when LMDB took pages and gave them
  /// back without writing them; but then all pages that it lacks are free.
  func checkFileLength() throws(LMDBError) {
    let transaction = try beginRead()
    let (pages, information) = try unsafe measure(during: transaction)
    var descriptor: Int32 = -1
    var status = stat()
    // Safe: the environment is open, and both results outlive the calls.
    try LMDBError.check(unsafe mdb_env_get_fd(pointer, &descriptor), "mdb_env_get_fd")
    guard unsafe fstat(descriptor, &status) == 0 else { throw LMDBError(code: errno, operation: "fstat") }
    let filePageCount = Int(status.st_size) / Int(pages.ms_psize)
    let missingPageCount = unsafe information.me_last_pgno + 1 - filePageCount
    guard missingPageCount > 0 else { return }
    let freePageCount = try transaction.freePageCount(from: filePageCount)
    guard freePageCount >= missingPageCount else {
      throw LMDBError(
        code: MDB_CORRUPTED, operation: "mdb_env_open",
        detail: """
          data.mdb has \(filePageCount) pages and lacks \(missingPageCount), \
          of which only \(freePageCount) are free
          """)
    }
  }

  /// Throws when the newest snapshot does not hold together.
  ///
  /// Leaves are checked where they are used. That there was no newer one is for others to say, by
  /// ``valueInOlderSnapshot(_:_:)``: where writing its meta page failed, LMDB puts the old number back, and so may one bit.
  /// - Complexity: O(branch pages + free pages).
  func checkPages() throws(LMDBError) {
    // A writer may have gone on before the meta page was read, and will not do so each time.
    for _ in 0..<1_000 {
      let transaction = try beginRead()
      let number = unsafe UInt64(mdb_txn_id(try transaction.running))
      let newest = try MetaPages.snapshot(Int(number % 2), pageReader)
      guard newest.transactionNumber == number else { continue }
      var check = SnapshotCheck(pageReader, newest)
      try check.collectFreePages()
      try check.collectTables()
      return
    }
  }

  /// The pages of the snapshot that a write transaction, the running one, begins with.
  func pagesToWrite(after transactionNumber: Int) throws(LMDBError) -> SnapshotPages {
    let number = UInt64(transactionNumber) - 1
    let snapshot = try MetaPages.snapshot(Int(number % 2), pageReader)
    guard snapshot.transactionNumber == number else {
      throw LMDBError(
        code: MDB_CORRUPTED, operation: "mdb_txn_begin",
        detail: "the last transaction was \(number), the meta page says \(snapshot.transactionNumber)")
    }
    var check = SnapshotCheck(pageReader, snapshot)
    try check.collectFreePages()
    return SnapshotPages(self, lastPage: snapshot.lastPage, freePages: check.pages)
  }

  /// The value of `key` in the snapshot of the older meta page, and the number that this page bears; nil where there is
  /// none or it cannot be read. Without LMDB, which looks at the newest only.
  ///
  /// No writer uses its pages again before it writes that meta page anew.
  public func valueInOlderSnapshot(
    _ table: String, _ key: [UInt8]
  ) throws(LMDBError) -> (transactionNumber: UInt64, value: [UInt8])? {
    let numbers = [try MetaPages.snapshot(0, pageReader), try MetaPages.snapshot(1, pageReader)]
      .map(\.transactionNumber)
    let older = numbers[0] < numbers[1] ? 0 : 1
    let snapshot = try MetaPages.snapshot(older, pageReader)
    let value: [UInt8]?
    do throws(LMDBError) {
      func find(_ key: [UInt8], _ record: TableRecord) throws(LMDBError) -> [UInt8]? {
        let path = TreePath(reader: pageReader, record: record, lastPage: snapshot.lastPage)
        guard let leaf = try path.leaf(.at, key)?.page else { return nil }
        guard let index = (0..<leaf.entryCount).first(where: { Array(leaf.key(at: $0)) == key }) else { return nil }
        return Array(try path.value(at: index, of: leaf))
      }
      value = try find(Array(table.utf8), snapshot.mainTable).flatMap { (record) throws(LMDBError) in
        try find(key, try TableRecord(record, of: table))
      }
    } catch {
      value = nil
    }
    // Written anew meanwhile: then it is not the older one.
    guard let value, try MetaPages.snapshot(older, pageReader).transactionNumber == snapshot.transactionNumber else {
      return nil
    }
    return (snapshot.transactionNumber, value)
  }

  /// The highest page number ever used.
  func lastPageNumber() throws(LMDBError) -> UInt64 {
    var information = unsafe MDB_envinfo()
    // Safe: the environment is open as long as `self` lives, and the result outlives the call.
    try check(unsafe pfs_mdb_env_info(pointer, &information), "mdb_env_info")
    return unsafe UInt64(information.me_last_pgno)
  }
}
