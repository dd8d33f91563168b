import Foundation

/// A file system of a few MiB in memory, for what happens when it is full; only root can mount one.
///
/// Unmounted when the last reference goes.
public final class SmallFileSystem: Sendable {
  public let path: String

  public static var isAvailable: Bool { geteuid() == 0 && FileManager.default.fileExists(atPath: "/bin/mount") }

  /// - Parameters:
  ///   - options: of tmpfs(5), such as `size=8m`.
  ///   - directory: an existing directory to mount on.
  public init(_ options: String, on directory: String) throws {
    path = directory
    try SmallFileSystem.run("/bin/mount", ["-t", "tmpfs", "-o", options, "tmpfs", directory])
  }

  deinit {
    do { try SmallFileSystem.run("/bin/umount", ["-l", path]) } catch { print("\(path) stays mounted: \(error)") }
  }

  private static func run(_ program: String, _ arguments: [String]) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw Watchdog.Timeout(description: "\(program) \(arguments) ended with \(process.terminationStatus)")
    }
  }
}
