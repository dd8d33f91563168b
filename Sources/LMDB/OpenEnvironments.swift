import Glibc
import Synchronization

/// A directory, whatever path it was reached by.
struct DirectoryIdentity: Hashable {
  let device: UInt64
  let inode: UInt64

  /// Identifies the directory at `path`, a C string; symbolic links are followed.
  init(path: [CChar]) throws(LMDBError) {
    var status = stat()
    // Safe: `path` ends in NUL by the contract of this function, and `status` outlives the call.
    guard unsafe stat(path, &status) == 0 else { throw LMDBError(code: errno, operation: "stat") }
    guard status.st_mode & S_IFMT == S_IFDIR else { throw LMDBError(code: ENOTDIR, operation: "stat") }
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
  }
}

/// The directories this process has open as environments.
///
/// LMDB locks `lock.mdb` with `fcntl`: a second handle of the same process would pass the locks of the
/// first, and would drop them for both when it is closed.
enum OpenEnvironments {
  private static let directories = Mutex<Set<DirectoryIdentity>>([])

  /// Notes that `directory` is open; false when it was already.
  static func insert(_ directory: DirectoryIdentity) -> Bool {
    directories.withLock { $0.insert(directory).inserted }
  }

  /// Notes that `directory` is closed.
  static func remove(_ directory: DirectoryIdentity) {
    _ = directories.withLock { $0.remove(directory) }
  }
}
