import Foundation
import Glibc

/// Making, changing and reading files.
extension BytePath {
  // MARK: Bytes

  /// Makes the file, or replaces what is in it.
  public func write(_ data: Data) throws { try write(data, flags: O_WRONLY | O_CREAT | O_TRUNC, at: nil) }

  /// Makes the file, or replaces what is in it, with text in UTF-8.
  public func write(_ text: String) throws { try write(Data(text.utf8)) }

  /// Adds to the end of the file.
  public func append(_ data: Data) throws { try write(data, flags: O_WRONLY | O_APPEND, at: nil) }

  /// Replaces the bytes from `offset` on.
  public func overwrite(_ data: Data, at offset: Int) throws { try write(data, flags: O_WRONLY, at: offset) }

  /// All bytes of the file.
  public func read() throws -> Data {
    let descriptor = try open(O_RDONLY)
    defer { close(descriptor) }
    var data = Data()
    var chunk = Data(count: 1 << 20)
    while true {
      let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
      guard count >= 0 else { throw failure("read") }
      guard count > 0 else { return data }
      data.append(chunk.prefix(count))
    }
  }

  /// Cuts the file off, or extends it by a hole.
  public func truncate(to byteCount: Int) throws {
    try check("truncate", withCString { Glibc.truncate($0, off_t(byteCount)) })
  }

  /// Makes the file with room for `byteCount` bytes.
  public func reserve(_ byteCount: Int) throws {
    let descriptor = try open(O_WRONLY | O_CREAT)
    defer { close(descriptor) }
    guard posix_fallocate(descriptor, 0, off_t(byteCount)) == 0 else { throw TestFailure("posix_fallocate \(self)") }
  }

  /// Flips the bits of `mask` in the byte at `offset`.
  public func flip(_ mask: UInt8 = 0x10, at offset: Int) throws {
    let byte = try read()[offset]
    try overwrite(Data([byte ^ mask]), at: offset)
  }

  /// Whether the two files have the same bytes. For files of any size: holds 2 MiB of them at a time.
  public func hasSameBytes(as other: BytePath) throws -> Bool {
    let (first, second) = (try open(O_RDONLY), try other.open(O_RDONLY))
    defer {
      close(first)
      close(second)
    }
    var (left, right) = (Data(count: 1 << 20), Data(count: 1 << 20))
    while true {
      let leftCount = try fill(&left, from: first)
      let rightCount = try other.fill(&right, from: second)
      guard leftCount == rightCount, left.prefix(leftCount) == right.prefix(rightCount) else { return false }
      if leftCount == 0 { return true }
    }
  }

  // MARK: Attributes

  /// Sets the permissions.
  public func setMode(_ mode: UInt32) throws { try check("chmod", withCString { chmod($0, mode_t(mode)) }) }

  /// Sets the date of the last change, in nanoseconds since 1970.
  public func setModified(nanoseconds: Int64) throws {
    let time = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    let times = [time, time]
    try check(
      "utimensat",
      withCString { path in times.withUnsafeBufferPointer { utimensat(AT_FDCWD, path, $0.baseAddress, 0) } })
  }

  // MARK: Entries

  /// Makes the directory; the one above it must exist.
  public func makeDirectory() throws { try check("mkdir", withCString { mkdir($0, 0o755) }) }

  /// Makes the directory and those above it that are missing.
  public func makeDirectories() throws {
    if try exists() { return }
    try parent.makeDirectories()
    try makeDirectory()
  }

  /// Makes a symbolic link that says `target`.
  public func makeSymbolicLink(to target: String) throws {
    try check("symlink", withCString { symlink(target, $0) })
  }

  /// Makes a named pipe.
  public func makeNamedPipe() throws { try check("mkfifo", withCString { mkfifo($0, 0o644) }) }

  /// The names in the directory, sorted by their bytes.
  public func entryNames() throws -> [[UInt8]] {
    guard let directory = withCString({ opendir($0) }) else {
      if errno == ENOENT { return [] }
      throw failure("opendir")
    }
    defer { closedir(directory) }
    var names: [[UInt8]] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      if name != Array(".".utf8), name != Array("..".utf8) { names.append(name) }
    }
    return names.sorted { $0.lexicographicallyPrecedes($1) }
  }

  /// Removes the file, or the directory with everything in it, if there is one.
  public func remove() throws {
    guard let status = try status() else { return }
    guard status.kind == .directory else { return try check("unlink", withCString { unlink($0) }) }
    for name in try entryNames() { try (self / name).remove() }
    try check("rmdir", withCString { rmdir($0) })
  }

  // MARK: Descriptors

  func open(_ flags: Int32) throws -> Int32 {
    let descriptor = withCString { Glibc.open($0, flags | O_CLOEXEC, 0o644) }
    guard descriptor >= 0 else { throw failure("open") }
    return descriptor
  }

  private func write(_ data: Data, flags: Int32, at offset: Int?) throws {
    let descriptor = try open(flags)
    defer { close(descriptor) }
    if let offset, lseek(descriptor, off_t(offset), SEEK_SET) < 0 { throw failure("lseek") }
    guard writeAll(data, to: descriptor) else { throw failure("write") }
  }

  private func fill(_ data: inout Data, from descriptor: Int32) throws -> Int {
    var done = 0
    while done < data.count {
      let count = data.withUnsafeMutableBytes { buffer in
        Glibc.read(descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done)
      }
      guard count >= 0 else { throw failure("read") }
      if count == 0 { break }
      done += count
    }
    return done
  }
}

/// Writes all of `data`; false, with `errno` set, when that fails.
func writeAll(_ data: Data, to descriptor: Int32) -> Bool {
  data.withUnsafeBytes { buffer in
    var done = 0
    while done < buffer.count {
      let count = write(descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { return false }
      done += count
    }
    return true
  }
}
