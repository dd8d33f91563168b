import CKernels
import Glibc
import Mutants

/// An open directory, through which files are made, named, removed and made durable relative to it.
public final class Directory: Sendable {
  let descriptor: Int32
  public let path: FilePath

  private init(owning descriptor: Int32, path: FilePath) {
    self.descriptor = descriptor
    self.path = path
  }

  deinit { close(descriptor) }

  public static func open(_ path: FilePath) throws(SystemCallFailure) -> Directory {
    // Safe: the string outlives the call; so in all calls of this file.
    let descriptor = try unsafe path.withCString(for: "open") { (name) throws(SystemCallFailure) in
      try retrying("open", "'\(path)'") { unsafe Glibc.open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0) }
    }
    return Directory(owning: descriptor, path: path)
  }

  /// Makes the directory `path` with exactly `mode`, whatever the umask.
  public static func make(_ path: FilePath, mode: UInt32 = 0o700) throws(SystemCallFailure) {
    try unsafe path.withCString(for: "mkdir") { (name) throws(SystemCallFailure) in
      try retrying("mkdir", "'\(path)'") { unsafe mkdir(name, mode) }
      try retrying("chmod", "'\(path)'") { unsafe chmod(name, mode) }
    }
  }

  /// Makes names that were added, removed or renamed in this directory durable.
  public func sync() throws(SystemCallFailure) {
    if Mutant.noDirectorySync.isActive { return }
    try retrying("fsync", "'\(path)'") { fsync(descriptor) }
  }

  /// The names in the directory but `.` and `..`, in no order. Memory grows with their number.
  public func entries() throws(SystemCallFailure) -> [[UInt8]] {
    var names: [[UInt8]] = []
    let listing = try listing()
    while let name = try listing.next() { names.append(name) }
    return names
  }

  /// The same, one name at a time.
  public func listing() throws(SystemCallFailure) -> DirectoryListing {
    try DirectoryListing(of: self)
  }

  /// Removes the file `name`; that it is not there is no error.
  public func removeFile(_ name: [UInt8]) throws(SystemCallFailure) {
    try remove(name, flags: 0)
  }

  /// Removes the empty directory `name`; that it is not there is no error.
  public func removeDirectory(_ name: [UInt8]) throws(SystemCallFailure) {
    try remove(name, flags: Int32(AT_REMOVEDIR))
  }

  private func remove(_ name: [UInt8], flags: Int32) throws(SystemCallFailure) {
    do throws(SystemCallFailure) {
      try unsafe FilePath(bytes: name).withCString(for: "unlinkat") { (cName) throws(SystemCallFailure) in
        try retrying("unlinkat", "'\(path.appending(name))'") { unsafe unlinkat(descriptor, cName, flags) }
      }
    } catch  where error.isNotFound {}
  }

  /// Renames `source` to `target` inside this directory; an existing target is replaced only when asked.
  public func rename(_ source: [UInt8], to target: [UInt8], replacing: Bool) throws(SystemCallFailure) {
    try unsafe FilePath(bytes: source).withCString(for: "renameat2") { (from) throws(SystemCallFailure) in
      try unsafe FilePath(bytes: target).withCString(for: "renameat2") { (to) throws(SystemCallFailure) in
        try retrying("renameat2", "'\(path.appending(target))'") {
          unsafe pfs_rename(descriptor, from, to, replacing ? 0 : 1)
        }
      }
    }
  }

  // MARK: Below this directory, and never out of it

  /// Opens the directory at the relative `path`, making what is missing, durably, with mode 0777 less the umask.
  ///
  /// No component may be `..`, absolute or a symbolic link: the failure then says `isEscape`.
  public func openBeneath(makingDirectories path: [[UInt8]]) throws(SystemCallFailure) -> Directory {
    var current = try openBeneath(directory: [dot])
    for component in path {
      // Several components in one would be made before it is known where they lead.
      if component.contains(slash) {
        throw SystemCallFailure(
          call: "openat2", subject: "'\(current.path.appending(component))'", errorNumber: EXDEV)
      }
      let name = FilePath(bytes: component)
      let parent = current
      do throws(SystemCallFailure) {
        try unsafe name.withCString(for: "mkdirat") { (cName) throws(SystemCallFailure) in
          try retrying("mkdirat", "'\(parent.path.appending(component))'") {
            unsafe mkdirat(parent.descriptor, cName, 0o777)
          }
        }
        try parent.sync()
      } catch  where error.isExists {}
      current = try parent.openBeneath(directory: component)
    }
    return current
  }

  private func openBeneath(directory name: [UInt8]) throws(SystemCallFailure) -> Directory {
    let full = name == [dot] ? path : path.appending(name)
    let opened = try unsafe FilePath(bytes: name).withCString(for: "openat2") { (cName) throws(SystemCallFailure) in
      try retrying("openat2", "'\(full)'") {
        unsafe pfs_open_beneath(descriptor, cName, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
      }
    }
    return Directory(owning: opened, path: full)
  }

  /// Opens the file `name` in this directory.
  /// - Parameter shownAs: what messages call it, when not by that name.
  public func open(
    _ name: [UInt8], _ options: File.OpenOptions = [], mode: UInt32 = 0o600, shownAs: [UInt8]? = nil
  ) throws(SystemCallFailure) -> File {
    let full = path.appending(shownAs ?? name)
    let opened = try unsafe FilePath(bytes: name).withCString(for: "openat") { (cName) throws(SystemCallFailure) in
      try retrying("openat", "'\(full)'") { unsafe openat(descriptor, cName, options.flags, mode) }
    }
    let file = File(owning: opened, path: full)
    if options.contains(.createNew) || options.contains(.unnamed) { try file.setMode(mode) }
    return file
  }

  /// Sets the permissions of `name` in this directory without opening it; a symbolic link is followed.
  public func setMode(of name: [UInt8], _ mode: UInt32) throws(SystemCallFailure) {
    try unsafe FilePath(bytes: name).withCString(for: "fchmodat") { (cName) throws(SystemCallFailure) in
      try retrying("fchmodat", "'\(path.appending(name))'") { unsafe fchmodat(descriptor, cName, mode, 0) }
    }
  }

  /// The attributes of `name` in this directory; a symbolic link is not followed.
  public func status(of name: [UInt8]) throws(SystemCallFailure) -> FileStatus {
    var status = stat()
    try unsafe FilePath(bytes: name).withCString(for: "fstatat") { (cName) throws(SystemCallFailure) in
      try retrying("fstatat", "'\(path.appending(name))'") {
        unsafe fstatat(descriptor, cName, &status, AT_SYMLINK_NOFOLLOW)
      }
    }
    return FileStatus(status)
  }

  /// A directory inside this one; a symbolic link is refused.
  public func openDirectory(_ name: [UInt8]) throws(SystemCallFailure) -> Directory {
    let full = path.appending(name)
    let opened = try unsafe FilePath(bytes: name).withCString(for: "openat") { (cName) throws(SystemCallFailure) in
      try retrying("openat", "'\(full)'") {
        unsafe openat(descriptor, cName, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
      }
    }
    return Directory(owning: opened, path: full)
  }
}

private let dot = UInt8(ascii: ".")
private let slash = UInt8(ascii: "/")
