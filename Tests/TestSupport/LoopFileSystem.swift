import Foundation
import Glibc

/// A small ext4 file system of its own, in a file: to fill it up hurts nobody.
public final class LoopFileSystem {
  /// Whether this process may mount one, found out by doing it.
  public static let isAvailable: Bool = {
    guard getuid() == 0 else { return false }
    do {
      let directory = try TemporaryDirectory()
      return try LoopFileSystem(in: BytePath(directory.path), byteCount: 4 << 20).unmount()
    } catch {
      return false
    }
  }()

  /// Why a test that needs one is skipped.
  public static let requirement = "mounting a file system in a file needs root, mkfs.ext4 and a loop device"

  /// The root of the file system.
  public let root: BytePath
  private var isMounted = true

  /// Makes and mounts a file system of `byteCount` bytes in `directory`.
  public init(in directory: BytePath, byteCount: Int) throws {
    let image = directory / "file-system.image"
    root = directory / "file-system"
    try image.write(Data())
    try image.truncate(to: byteCount)
    try root.makeDirectory()
    try LoopFileSystem.run("mkfs.ext4", "-q", "-F", "-m", "0", image)
    try LoopFileSystem.run("mount", "-o", "loop", image, root)
  }

  deinit { if isMounted { _ = unmount() } }

  /// The bytes that a program may still write.
  public func freeByteCount() throws -> Int { try LoopFileSystem.freeByteCount(at: root) }

  /// The bytes that a program may still write to the file system at `root`.
  public static func freeByteCount(at root: BytePath) throws -> Int {
    var status = statvfs()
    try root.check("statvfs", root.withCString { statvfs($0, &status) })
    return Int(status.f_bavail) * Int(status.f_frsize)
  }

  /// Takes all the room that is left.
  /// - Returns: The file that takes it.
  public func fillUp() throws -> BytePath {
    let filler = root / "filler"
    let descriptor = try filler.open(O_WRONLY | O_CREAT)
    defer { close(descriptor) }
    for length in [1 << 20, 1 << 16, 1 << 12] {
      let zeros = Data(count: length)
      while writeAll(zeros, to: descriptor) {}
      guard errno == ENOSPC else { throw filler.failure("write") }
    }
    return filler
  }

  /// Takes the file system away again; false when something still uses it, which then goes on until it ends.
  @discardableResult public func unmount() -> Bool {
    isMounted = false
    if umount2(root.text, 0) == 0 { return true }
    umount2(root.text, Int32(MNT_DETACH))
    return false
  }

  private static func run(_ program: String, _ arguments: any CommandArgument...) throws {
    let directories = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map { BytePath($0) }
    guard let executable = try directories.map({ $0 / program }).first(where: { try $0.exists() }) else {
      throw TestFailure("there is no \(program)")
    }
    let result = try Command(
      executable, arguments, environment: ["PATH": "/usr/sbin:/sbin:/usr/bin:/bin"], workingDirectory: BytePath("/")
    ).run()
    guard result.exitStatus == 0 else { throw TestFailure("\(result)") }
  }
}
