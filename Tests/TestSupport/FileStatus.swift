import Foundation
import Glibc

/// What a test wants to know of a file besides its bytes.
public struct FileStatus: Hashable, Sendable {
  /// What kind of file it is.
  public enum Kind: Hashable, Sendable { case file, directory, symbolicLink, other }

  public let kind: Kind
  public let byteCount: Int
  /// What it takes on the device; less than ``byteCount`` where it has holes.
  public let allocatedByteCount: Int
  /// The permissions and the set-id bits.
  public let mode: UInt32
  public let modifiedNanoseconds: Int64
}

extension BytePath {
  /// The status of the file, of a link itself; nil when there is nothing under the path.
  public func status() throws -> FileStatus? {
    var status = stat()
    guard withCString({ lstat($0, &status) }) == 0 else {
      if errno == ENOENT || errno == ENOTDIR { return nil }
      throw failure("lstat")
    }
    let kind: FileStatus.Kind =
      switch status.st_mode & S_IFMT {
      case S_IFREG: .file
      case S_IFDIR: .directory
      case S_IFLNK: .symbolicLink
      default: .other
      }
    return FileStatus(
      kind: kind, byteCount: Int(status.st_size), allocatedByteCount: Int(status.st_blocks) * 512,
      mode: UInt32(status.st_mode & 0o7777),
      modifiedNanoseconds: Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec))
  }

  /// Whether there is anything under the path.
  public func exists() throws -> Bool { try status() != nil }

  /// What the file, or the tree below the directory, takes on the device. What disappears meanwhile counts nothing.
  public func allocatedByteCountOfTree() throws -> Int {
    guard let status = try status() else { return 0 }
    guard status.kind == .directory else { return status.allocatedByteCount }
    return try entryNames().reduce(0) { try $0 + (self / $1).allocatedByteCountOfTree() }
  }

  func withCString<R>(_ body: (UnsafePointer<CChar>) -> R) -> R {
    (bytes + [0]).withUnsafeBytes { raw in
      raw.withMemoryRebound(to: CChar.self) { characters in
        guard let base = characters.baseAddress else { preconditionFailure("an array of one byte at least") }
        return body(base)
      }
    }
  }

  func failure(_ call: String) -> TestFailure {
    TestFailure("\(call) \(self): \(String(cString: strerror(errno)))")
  }

  func check(_ call: String, _ result: Int32) throws {
    guard result == 0 else { throw failure(call) }
  }
}
