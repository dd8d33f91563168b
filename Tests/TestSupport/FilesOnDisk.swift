import Foundation

/// What tests do to files behind the store's back.
public enum FilesOnDisk {
  public struct Failure: Error, CustomStringConvertible {
    public let description: String
  }

  /// Makes a named pipe.
  public static func makePipe(_ path: String) throws {
    guard mkfifo(path, 0o600) == 0 else { throw Failure(description: "mkfifo \(path): errno \(errno)") }
  }

  /// Removes a file; that it is not there is no error.
  public static func remove(_ path: String) {
    unlink(path)
  }

  /// The bytes that wait in a pipe to be read.
  public static func waitingByteCount(_ pipe: FileHandle) throws -> Int {
    var count: CInt = 0
    guard ioctl(pipe.fileDescriptor, UInt(FIONREAD), &count) == 0 else {
      throw Failure(description: "ioctl: errno \(errno)")
    }
    return Int(count)
  }

  /// Whether there is something, a link that leads nowhere too.
  public static func exists(_ path: String) throws -> Bool {
    var status = stat()
    if lstat(path, &status) == 0 { return true }
    guard errno == ENOENT else { throw Failure(description: "lstat \(path): errno \(errno)") }
    return false
  }

  /// Removes a directory with everything in it.
  public static func removeTree(_ path: String) {
    do { try FileManager.default.removeItem(atPath: path) } catch { print("\(path) stays behind: \(error)") }
  }

  /// Makes a file, or makes it anew.
  public static func write(_ bytes: [UInt8], to path: String) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: path))
  }

  /// Cuts or extends a file.
  public static func truncate(_ path: String, to byteCount: Int) throws {
    guard Foundation.truncate(path, off_t(byteCount)) == 0 else {
      throw Failure(description: "truncate \(path): errno \(errno)")
    }
  }

  /// Writes `bytes` over what is at `offset`, in place.
  public static func overwrite(_ path: String, at offset: Int, with bytes: [UInt8]) throws {
    let descriptor = open(path, O_WRONLY | O_CLOEXEC)
    defer { close(descriptor) }
    guard descriptor >= 0, pwrite(descriptor, bytes, bytes.count, off_t(offset)) == bytes.count else {
      throw Failure(description: "write \(path) at \(offset): errno \(errno)")
    }
  }

  /// The bytes at `offset`.
  public static func bytes(_ path: String, at offset: Int, byteCount: Int) throws -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: byteCount)
    guard descriptor >= 0, pread(descriptor, &bytes, byteCount, off_t(offset)) == byteCount else {
      throw Failure(description: "read \(path) at \(offset): errno \(errno)")
    }
    return bytes
  }

  /// Appends a line to a file in one write, so that it stays whole when this process is killed.
  public static func appendLine(_ line: String, to path: String) throws {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    defer { close(descriptor) }
    let bytes = Array((line + "\n").utf8)
    guard descriptor >= 0, Foundation.write(descriptor, bytes, bytes.count) == bytes.count else {
      throw Failure(description: "append to \(path): errno \(errno)")
    }
  }

  /// Makes this process take note of `signal`, and system calls that wait fail with EINTR when it comes.
  public static func interruptSystemCalls(by signal: Int32) {
    var action = sigaction()
    action.__sigaction_handler.sa_handler = { _ in }
    sigaction(signal, &action, nil)
  }

  /// The permission bits.
  public static func mode(_ path: String) throws -> Int {
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    guard let mode = attributes[.posixPermissions] as? Int else { throw Failure(description: "\(path): no mode") }
    return mode
  }

  /// Every file below `path` with its bytes.
  public static func contents(of path: String) throws -> [String: [UInt8]] {
    var contents: [String: [UInt8]] = [:]
    for name in try FileManager.default.subpathsOfDirectory(atPath: path) {
      var isDirectory: ObjCBool = false
      _ = FileManager.default.fileExists(atPath: "\(path)/\(name)", isDirectory: &isDirectory)
      if isDirectory.boolValue { continue }
      contents[name] = try Array(Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)")))
    }
    return contents
  }
}
