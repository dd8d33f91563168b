import CKernels
import Glibc

/// Questions about paths, and about the file system that holds one.
public enum FileSystem {
  /// The attributes of what is at `path`; a symbolic link in the last component is followed when asked.
  public static func status(
    of path: FilePath, followingLinks: Bool = true
  ) throws(SystemCallFailure) -> FileStatus {
    var status = stat()
    let flags = followingLinks ? 0 : AT_SYMLINK_NOFOLLOW
    // Safe: the string outlives the call.
    try unsafe path.withCString(for: "fstatat") { (name) throws(SystemCallFailure) in
      try retrying("stat", "'\(path)'") { unsafe fstatat(AT_FDCWD, name, &status, flags) }
    }
    return FileStatus(status)
  }

  /// Makes `path` and every directory above it that is missing, each with `mode`; durable on return.
  public static func makeDirectories(_ path: FilePath, mode: UInt32 = 0o700) throws(SystemCallFailure) {
    do throws(SystemCallFailure) {
      try Directory.make(path, mode: mode)
    } catch {
      if error.isExists { return }
      guard error.isNotFound, path.parent != path else { throw error }
      try makeDirectories(path.parent, mode: mode)
      try Directory.make(path, mode: mode)
    }
    try Directory.open(path.parent).sync()
  }

  /// The kind of the file system that holds `path`.
  public static func kind(of path: FilePath) throws(SystemCallFailure) -> Kind {
    // Safe: the string outlives the call.
    let type = try unsafe path.withCString(for: "statfs") { (name) throws(SystemCallFailure) in
      try retrying("statfs", "'\(path)'") { unsafe pfs_file_system_type(name) }
    }
    return Kind(magic: UInt32(truncatingIfNeeded: type))
  }

  /// The bytes that an unprivileged user may still take on the file system that holds `path`.
  public static func freeByteCount(at path: FilePath) throws(SystemCallFailure) -> Int {
    var status = statvfs()
    // Safe: the string outlives the call.
    try unsafe path.withCString(for: "statvfs") { (name) throws(SystemCallFailure) in
      try retrying("statvfs", "'\(path)'") { unsafe statvfs(name, &status) }
    }
    return Int(clamping: UInt64(status.f_bavail) * UInt64(status.f_frsize))
  }

  /// The user that this process acts as.
  public static var effectiveUserID: UInt32 { geteuid() }

  /// A kind of file system, by what it promises to a mapped store. Magic numbers from statfs(2) and linux/magic.h.
  public struct Kind: Hashable, Sendable, CustomStringConvertible {
    public let magic: UInt32

    /// Locks and shared mappings need the machine's own file system.
    public var isRemote: Bool { Kind.remote[magic] != nil }

    /// Whether reserved blocks keep a store through a mapping from meeting a full disk. Not so where data is copied
    /// on write (btrfs), nor is it known of others.
    public var protectsMappedWrites: Bool { Kind.mapped[magic] != nil }

    public var description: String {
      Kind.mapped[magic] ?? Kind.remote[magic] ?? Kind.others[magic]
        ?? "unknown (0x\(String(magic, radix: 16)))"
    }

    private static let mapped: [UInt32: String] = [0xEF53: "ext4", 0x5846_5342: "xfs", 0x0102_1994: "tmpfs"]
    private static let remote: [UInt32: String] = [
      0x6969: "NFS", 0xFF53_4D42: "CIFS", 0xFE53_4D42: "SMB", 0x517B: "SMB", 0x0102_1997: "9p",
      0x6573_5546: "FUSE", 0x00C3_6400: "Ceph", 0x5346_414F: "AFS", 0x0BD0_0BD0: "Lustre", 0x0116_1970: "GFS2",
    ]
    private static let others: [UInt32: String] = [
      0x9123_683E: "btrfs", 0x794C_7630: "overlay", 0x2FC1_2FC1: "zfs", 0xCA45_1A4E: "bcachefs",
    ]
  }
}
