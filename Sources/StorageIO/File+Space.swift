import CKernels
import Glibc

/// Space, durability and names of an open file.
extension File {
  private var subject: String { "'\(path)'" }

  /// Reserves the blocks of `range` so that writing into it cannot meet a full disk; the file grows to its end.
  ///
  /// All or nothing: what a failed reservation kept is given back, because ext4 keeps it.
  public func allocate(_ range: Range<Int>) throws(SystemCallFailure) {
    let sizeBefore = try status().byteCount
    do throws(SystemCallFailure) {
      try retrying("fallocate", subject) {
        pfs_allocate(descriptor, Int64(range.lowerBound), Int64(range.count))
      }
    } catch {
      try truncate(to: sizeBefore)
      throw error
    }
  }

  /// Gives the blocks that lie wholly inside `range` back; all of its bytes read as zeros afterwards.
  public func deallocate(_ range: Range<Int>) throws(SystemCallFailure) {
    try retrying("fallocate", subject) {
      pfs_punch(descriptor, Int64(range.lowerBound), Int64(range.count))
    }
  }

  /// How many pieces of the device the file lies in; nil where the file system does not say.
  /// - Complexity: O(pieces).
  public func extentCount() -> Int? {
    let count = pfs_extent_count(descriptor)
    return count < 0 ? nil : Int(count)
  }

  /// Cuts or extends the file to `byteCount` bytes.
  public func truncate(to byteCount: Int) throws(SystemCallFailure) {
    try retrying("ftruncate", subject) { ftruncate(descriptor, off_t(byteCount)) }
  }

  /// Makes the bytes, and the size needed to read them, durable. Mapped pages count.
  public func syncData() throws(SystemCallFailure) {
    try retrying("fdatasync", subject) { fdatasync(descriptor) }
  }

  /// Makes the bytes and all attributes durable.
  public func sync() throws(SystemCallFailure) {
    try retrying("fsync", subject) { fsync(descriptor) }
  }

  /// Starts writing the dirty pages of `range` to the device without waiting for it. A hint: promises nothing.
  public func startWriteback(_ range: Range<Int>) {
    _ = pfs_start_writeback(descriptor, Int64(range.lowerBound), Int64(range.count))
  }

  /// Waits until the pages of `range` are written to the device, which makes nothing durable. Where the file system has
  /// nothing of the kind it does nothing.
  /// - Throws: That a page could not be written, which a later sync does not say again.
  public func finishWriteback(_ range: Range<Int>) throws(SystemCallFailure) {
    do throws(SystemCallFailure) {
      try retrying("sync_file_range", subject) {
        pfs_finish_writeback(descriptor, Int64(range.lowerBound), Int64(range.count))
      }
    } catch  where error.isNotSupported {}
  }

  /// Has the device read `range` into the page cache without waiting for it. A hint: promises nothing.
  public func prefetch(_ range: Range<Int>) {
    _ = posix_fadvise(descriptor, off_t(range.lowerBound), off_t(range.count), POSIX_FADV_WILLNEED)
  }

  /// Takes the pages of the file that are durable and that nobody has mapped out of the page cache, so that the next read
  /// comes from the device. For measuring.
  public func forgetCached() throws(SystemCallFailure) {
    // This call gives its error back, and sets no errno.
    let error = posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
    if error != 0 { throw SystemCallFailure(call: "posix_fadvise", subject: subject, errorNumber: error) }
  }

  /// Gives a file that was opened `.unnamed` its name in `directory`; never replaces.
  public func publish(under name: [UInt8], in directory: Directory) throws(SystemCallFailure) {
    let source = FilePath("/proc/self/fd/\(descriptor)")
    try unsafe source.withCString(for: "linkat") { (from) throws(SystemCallFailure) in
      // Safe: both strings outlive the call.
      try unsafe FilePath(bytes: name).withCString(for: "linkat") { (to) throws(SystemCallFailure) in
        try retrying("linkat", "'\(directory.path.appending(name))'") {
          unsafe linkat(AT_FDCWD, from, directory.descriptor, to, AT_SYMLINK_FOLLOW)
        }
      }
    }
  }
}

/// The attributes of a file that the store keeps or compares.
public struct FileStatus: Hashable, Sendable {
  public enum Kind: Hashable, Sendable { case file, directory, symbolicLink, other }

  public let kind: Kind
  public let byteCount: Int
  /// What `du` counts.
  public let allocatedByteCount: Int
  /// The permission bits with set-user-id, set-group-id and sticky.
  public let mode: UInt32
  public let modifiedNanoseconds: Int64
  public let changedNanoseconds: Int64
  public let device: UInt64
  public let inode: UInt64
  public let ownerID: UInt32

  init(_ status: stat) {
    switch status.st_mode & S_IFMT {
    case S_IFREG: kind = .file
    case S_IFDIR: kind = .directory
    case S_IFLNK: kind = .symbolicLink
    default: kind = .other
    }
    byteCount = Int(status.st_size)
    allocatedByteCount = Int(status.st_blocks) * 512
    mode = status.st_mode & 0o7777
    modifiedNanoseconds = FileStatus.nanoseconds(status.st_mtim)
    changedNanoseconds = FileStatus.nanoseconds(status.st_ctim)
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
    ownerID = status.st_uid
  }

  /// Saturating: a file system may hand out any date.
  private static func nanoseconds(_ time: timespec) -> Int64 {
    let (product, overflowed) = Int64(time.tv_sec).multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, overflowedAgain) = product.addingReportingOverflow(Int64(time.tv_nsec))
    if overflowed || overflowedAgain { return time.tv_sec < 0 ? .min : .max }
    return sum
  }
}
