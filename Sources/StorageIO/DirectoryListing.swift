import Glibc

/// Reads the names in a directory one by one, however many they are. One thread at a time uses it.
@safe public final class DirectoryListing {
  private let stream: OpaquePointer
  private let path: FilePath

  init(of directory: Directory) throws(SystemCallFailure) {
    path = directory.path
    let descriptor = try retrying("openat", "'\(path)'") {
      unsafe openat(directory.descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
    }
    // Safe: the stream takes the descriptor over, and is ours until closedir.
    guard let stream = unsafe fdopendir(descriptor) else {
      let failure = SystemCallFailure("fdopendir", "'\(path)'")
      close(descriptor)
      throw failure
    }
    unsafe self.stream = unsafe stream
  }

  deinit { unsafe closedir(stream) }

  /// The next name but `.` and `..`; nil at the end.
  public func next() throws(SystemCallFailure) -> [UInt8]? {
    while true {
      errno = 0
      // Safe: an entry is copied before the next one is asked for.
      guard let entry = unsafe readdir(stream) else {
        if errno != 0 { throw SystemCallFailure("readdir", "'\(path)'") }
        return nil
      }
      let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in unsafe Array(bytes.prefix { $0 != 0 }) }
      if name != [dot] && name != [dot, dot] { return name }
    }
  }
}

private let dot = UInt8(ascii: ".")
