import CommandSupport
import Glibc

/// Questions about paths that the user names, and the folders that the commands keep their own files in.
package enum ConsolePath {
  /// What a path leads to.
  package enum Kind: Hashable, Sendable {
    case file(byteCount: Int)
    case directory
    case characterDevice
    /// A pipe, a socket or a block device.
    case other
  }

  /// What is at `path`, symbolic links followed; nil when there is nothing or it cannot be told.
  package static func kind(_ path: [UInt8]) -> Kind? {
    guard let cPath = CStrings.terminated(path) else { return nil }
    var status = stat()
    // Safe: the path is a C string; both live for the call.
    guard unsafe stat(cPath, &status) == 0 else { return nil }
    switch status.st_mode & S_IFMT {
    case S_IFREG: return .file(byteCount: Int(status.st_size))
    case S_IFDIR: return .directory
    case S_IFCHR: return .characterDevice
    default: return .other
    }
  }

  /// The absolute path without symbolic links, `.` and `..` that leads to the same place; nil when there is none.
  package static func canonical(_ path: [UInt8]) -> [UInt8]? {
    guard let cPath = CStrings.terminated(path) else { return nil }
    // Safe: the path is a C string that lives for the call; the answer is ours, copied and freed once.
    guard let answer = unsafe realpath(cPath, nil) else { return nil }
    defer { unsafe free(answer) }
    return unsafe CStrings.bytes(of: answer)
  }

  /// Makes the directory `path` and those above it, for the user alone; one that is there already is no error.
  /// - Throws: ``ConsoleFailure`` `.system`, `.noSuchFile`, `.invalidPath`.
  package static func makeDirectories(_ path: [UInt8]) throws(ConsoleFailure) {
    guard kind(path) != .directory else { return }
    let slash = UInt8(ascii: "/")
    if let end = path.lastIndex(of: slash), end > 0 { try makeDirectories(Array(path[..<end])) }
    guard let cPath = CStrings.terminated(path) else {
      throw ConsoleFailure(.invalidPath, "a path cannot hold a zero byte")
    }
    // Safe: a C string that lives for the call.
    guard unsafe mkdir(cPath, 0o700) == 0 || errno == EEXIST else {
      throw ConsoleFailure(errorNumber: errno, DisplayName.escaped(path))
    }
  }
}
