import Foundation

/// A directory of its own for one test, removed with everything in it when the last reference goes.
///
/// Keep it in a stored property of the suite: a local variable may be released before its last user.
public final class TemporaryDirectory: Sendable {
  /// The absolute path, without a slash at its end.
  public let path: String

  /// The bytes of ``path``.
  public var pathBytes: [UInt8] { Array(path.utf8) }

  /// Makes a directory of mode 0700 below `$TMPDIR`, or below /tmp.
  /// - Parameter isInMemory: makes it in memory where there is a place for that: for tests that wait for no disk.
  public init(isInMemory: Bool = false) throws {
    let memory = "/dev/shm"
    let place = isInMemory && access(memory, W_OK) == 0 ? memory : NSTemporaryDirectory()
    let parent = URL(fileURLWithPath: place, isDirectory: true)
    path = parent.appendingPathComponent("pfs-tests-\(UUID().uuidString)", isDirectory: false).path
    try FileManager.default.createDirectory(
      atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
  }

  /// The path of the entry called `name`, which need not exist.
  public func path(of name: String) -> String { "\(path)/\(name)" }

  deinit {
    do {
      try FileManager.default.removeItem(atPath: path)
    } catch {
      FileHandle.standardError.write(Data("\(path) stays behind: \(error)\n".utf8))
    }
  }
}
