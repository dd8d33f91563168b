import CKernels
import Glibc

/// An open file; closed when the last reference goes.
///
/// All calls block until the system has done its work, are repeated when a signal interrupts them, and may be made
/// from any thread.
public final class File: Sendable {
  public struct OpenOptions: OptionSet, Sendable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }
    public static let write = OpenOptions(rawValue: 1 << 0)
    /// Makes the file; an error when it exists.
    public static let createNew = OpenOptions(rawValue: 1 << 1)
    /// Makes the file when it does not exist.
    public static let create = OpenOptions(rawValue: 1 << 2)
    /// Does not follow a symbolic link in the last component.
    public static let noFollow = OpenOptions(rawValue: 1 << 3)
    /// Returns at once for a pipe that nobody writes to.
    public static let nonBlocking = OpenOptions(rawValue: 1 << 4)
    /// A file without a name in the directory `path`; ``publish(under:in:replacing:)`` names it.
    public static let unnamed = OpenOptions(rawValue: 1 << 5)

    var flags: Int32 {
      var flags: Int32 = O_CLOEXEC | O_NOCTTY
      flags |= contains(.write) ? O_RDWR : O_RDONLY
      if contains(.createNew) { flags |= O_CREAT | O_EXCL }
      if contains(.create) { flags |= O_CREAT }
      if contains(.noFollow) { flags |= O_NOFOLLOW }
      if contains(.nonBlocking) { flags |= O_NONBLOCK }
      if contains(.unnamed) { flags |= temporaryFileFlag }
      return flags
    }
  }

  let descriptor: Int32
  /// For messages.
  public let path: FilePath

  init(owning descriptor: Int32, path: FilePath) {
    self.descriptor = descriptor
    self.path = path
  }

  deinit { close(descriptor) }

  /// Opens `path`; a file that is made gets exactly `mode`, whatever the umask.
  public static func open(
    _ path: FilePath, _ options: OpenOptions = [], mode: UInt32 = 0o600
  ) throws(SystemCallFailure) -> File {
    // Safe: the string outlives the call.
    let descriptor = try unsafe path.withCString(for: "open") { (name) throws(SystemCallFailure) in
      try retrying("open", "'\(path)'") { unsafe Glibc.open(name, options.flags, mode) }
    }
    let file = File(owning: descriptor, path: path)
    if options.contains(.createNew) || options.contains(.unnamed) { try file.setMode(mode) }
    return file
  }

  /// A second reference to one of the process's standard streams, 0 to 2.
  public static func standardStream(_ number: Int32) throws(SystemCallFailure) -> File {
    let name = FilePath("standard \(number == 0 ? "input" : number == 1 ? "output" : "error")")
    let descriptor = try retrying("dup", name.description) { fcntl(number, F_DUPFD_CLOEXEC, 3) }
    return File(owning: descriptor, path: name)
  }

  /// Takes over a descriptor, which nobody else closes.
  /// - Parameter name: for messages.
  public static func owning(descriptor: Int32, name: String) -> File {
    File(owning: descriptor, path: FilePath(name))
  }

  private var subject: String { "'\(path)'" }

  // MARK: Attributes

  public func status() throws(SystemCallFailure) -> FileStatus {
    var status = stat()
    // Safe: `status` lives through the call.
    try retrying("fstat", subject) { unsafe fstat(descriptor, &status) }
    return FileStatus(status)
  }

  public func setMode(_ mode: UInt32) throws(SystemCallFailure) {
    try retrying("fchmod", subject) { fchmod(descriptor, mode) }
  }

  /// Sets the date of the last change, in nanoseconds since 1970.
  public func setModified(nanoseconds: Int64) throws(SystemCallFailure) {
    let (seconds, rest) = nanoseconds.floorDivided(by: 1_000_000_000)
    let times = [timespec(tv_sec: 0, tv_nsec: Int(omitTime)), timespec(tv_sec: Int(seconds), tv_nsec: Int(rest))]
    // Safe: two entries, as the call wants.
    try retrying("futimens", subject) { unsafe futimens(descriptor, times) }
  }

  // MARK: Bytes

  /// Reads from `offset` until `destination` is full or the file ends; returns the bytes read.
  public func read(
    into destination: inout MutableRawSpan, at offset: Int
  ) throws(SystemCallFailure) -> Int {
    let capacity = destination.byteCount
    var done = 0
    while done < capacity {
      // Safe: the count keeps the call inside the span; so below.
      let count = try unsafe destination.withPointer { (base) throws(SystemCallFailure) in
        try retrying("pread", subject) { unsafe pread(descriptor, base + done, capacity - done, off_t(offset + done)) }
      }
      if count == 0 { break }
      done += count
    }
    return done
  }

  /// Reads what comes next from a pipe or file, at most what `destination` holds; 0 at the end.
  public func readNext(
    into destination: inout MutableRawSpan, from start: Int
  ) throws(SystemCallFailure) -> Int {
    let capacity = destination.byteCount
    return try unsafe destination.withPointer { (base) throws(SystemCallFailure) in
      try retrying("read", subject) { unsafe Glibc.read(descriptor, base + start, capacity - start) }
    }
  }

  /// Reads `byteCount` bytes from `offset`, fewer where the file ends.
  public func bytes(at offset: Int, byteCount: Int) throws(SystemCallFailure) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: byteCount)
    var destination = result.mutableSpan
    var raw = unsafe destination.mutableBytes
    let count = try read(into: &raw, at: offset)
    result.removeLast(byteCount - count)
    return result
  }

  /// Writes all of `source` at `offset`.
  public func write(_ source: RawSpan, at offset: Int) throws(SystemCallFailure) {
    var done = 0
    while done < source.byteCount {
      done += try unsafe source.withPointer { (base) throws(SystemCallFailure) in
        try retrying("pwrite", subject) {
          unsafe pwrite(descriptor, base + done, source.byteCount - done, off_t(offset + done))
        }
      }
    }
  }

  public func write(_ source: [UInt8], at offset: Int) throws(SystemCallFailure) {
    try write(unsafe source.span.bytes, at: offset)
  }

  /// Writes all of `source` to a pipe or at the file's own position.
  public func writeNext(_ source: RawSpan) throws(SystemCallFailure) {
    var done = 0
    while done < source.byteCount {
      done += try unsafe source.withPointer { (base) throws(SystemCallFailure) in
        try retrying("write", subject) { unsafe Glibc.write(descriptor, base + done, source.byteCount - done) }
      }
    }
  }

  /// Waits until the file can be read or `isCancelled` says to stop, asked ten times a second.
  /// - Returns: Whether there is something to read, or the end.
  public func waitReadable(unless isCancelled: () -> Bool) throws(SystemCallFailure) -> Bool {
    try wait(for: Int16(POLLIN), unless: isCancelled)
  }

  /// Waits until the file takes bytes or `isCancelled` says to stop, asked ten times a second.
  public func waitWritable(unless isCancelled: () -> Bool) throws(SystemCallFailure) -> Bool {
    try wait(for: Int16(POLLOUT), unless: isCancelled)
  }

  private func wait(for event: Int16, unless isCancelled: () -> Bool) throws(SystemCallFailure) -> Bool {
    while !isCancelled() {
      var request = pollfd(fd: descriptor, events: event, revents: 0)
      // Safe: one entry, as the count says.
      if try retrying("poll", subject, { unsafe poll(&request, 1, 100) }) > 0 { return true }
    }
    return false
  }
}

/// UTIME_OMIT, which the importer does not bring.
private let omitTime = (1 << 30) - 2
/// O_TMPFILE, which the importer does not bring: __O_TMPFILE | O_DIRECTORY.
private let temporaryFileFlag: Int32 = 0o20000000 | 0o200000

extension Int64 {
  fileprivate func floorDivided(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
    let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
  }
}
