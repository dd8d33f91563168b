import CLMDB
import CLMDBGuard
import Glibc

/// The file `lock.mdb`, in which readers enter themselves.
///
/// LMDB makes it by `ftruncate` and writes it through a mapping: on a full disk the first write to a page that has no
/// block yet ends the process by SIGBUS.
enum ReaderTable {
  /// The size of `MDB_reader`, a cache line, and of what LMDB has before the first.
  private static let readerByteCount = 64
  private static let headByteCount = 128

  /// Gives the file at `path`, a C string, the blocks that `readerCount` readers need, and makes it if it is not there.
  ///
  /// A file that has a size keeps it: whoever gave it one maps no more. Call it only before this process has the
  /// environment open: closing a descriptor of the file drops the locks of all others.
  /// - Throws: ``LMDBError``: `isNoSpace` when the disk has no room for them.
  static func reserve(path: [CChar], readerCount: Int, fileMode: UInt32) throws(LMDBError) {
    var descriptor: Int32
    // Safe: `path` ends in NUL by the contract of this function.
    repeat {
      descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, fileMode)
    } while descriptor < 0 && errno == EINTR
    // LMDB says better why it cannot open the file.
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    var status = stat()
    // Safe: `status` outlives the call.
    guard unsafe fstat(descriptor, &status) == 0 else { throw LMDBError(code: errno, operation: "fstat") }
    let byteCount = status.st_size > 0 ? status.st_size : off_t(headByteCount + readerCount * readerByteCount)
    var code: Int32
    repeat { code = posix_fallocate(descriptor, 0, byteCount) } while code == EINTR
    // A file system that cannot reserve blocks promises nothing either way.
    if code == ENOSPC || code == EDQUOT {
      throw LMDBError(code: code, operation: "posix_fallocate", detail: "lock.mdb")
    }
  }

  // MARK: A table that was not set up

  /// Who opens alone sets the table up, and tells others to wait meanwhile by a lock on it. If that process is killed in the
  /// middle, those who wait go on with what it has left, where the last transaction has the number 0: they would begin with
  /// a snapshot from the past. When all of them have closed it, the next one to open it sets it up.
  static let openRetryCount = 200
  private static let retryMicroseconds: UInt32 = 5_000

  /// Throws when the table knows less than the older of the two meta pages.
  /// - Parameter environment: open, and nobody else's.
  static func checkIsSetUp(of environment: OpaquePointer, _ pages: PageReader) throws(LMDBError) {
    let numbers = [try MetaPages.snapshot(0, pages), try MetaPages.snapshot(1, pages)].map(\.transactionNumber)
    var transaction: OpaquePointer?
    // Safe: the environment is open, and the transaction ends here.
    try LMDBError.check(unsafe pfs_mdb_txn_begin(environment, UInt32(MDB_RDONLY), &transaction), "mdb_txn_begin")
    guard let transaction = unsafe transaction else { return }
    let number = unsafe UInt64(mdb_txn_id(transaction))
    unsafe pfs_mdb_txn_abort(transaction)
    guard number >= min(numbers[0], numbers[1]) else {
      throw LMDBError(
        code: LMDBError.unfinishedTableCode, operation: "mdb_env_open",
        detail: "lock.mdb says that the last transaction was \(number), data.mdb \(max(numbers[0], numbers[1]))")
    }
  }

  static func waitForOthers() { usleep(retryMicroseconds) }
}
