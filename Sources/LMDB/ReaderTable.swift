import CLMDB
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
}
