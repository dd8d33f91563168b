import Console
import StorageIO

/// Programs of the system's that make and mount file systems.
enum SystemCommand {
  private static let directories = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]

  static func path(of name: String) throws(BenchFailure) -> FilePath? {
    for directory in directories {
      let path = FilePath(directory).appending(name)
      if try BenchFailure.translating({ () throws(SystemCallFailure) in try Tree.exists(path) }) { return path }
    }
    return nil
  }

  /// Runs one to its end, also when a stop is asked for: what was mounted has to be unmounted.
  /// - Returns: What it wrote to standard output.
  @discardableResult static func run(_ name: String, _ arguments: [[UInt8]]) throws(BenchFailure) -> [UInt8] {
    guard let path = try path(of: name) else { throw BenchFailure(.failed, "there is no \(name)") }
    let outcome = try BenchFailure.translating { () throws(ConsoleFailure) in
      try ChildProcess(path.bytes, arguments).wait(samplingMilliseconds: 50)
    }
    let words = arguments.map { argument in String(decoding: argument, as: UTF8.self) }
    try requireSuccess(outcome, "\(name) \(words.joined(separator: " "))")
    return outcome.standardOutput
  }

  @discardableResult static func run(
    _ name: String, _ words: String..., paths: FilePath...
  ) throws(BenchFailure) -> [UInt8] {
    try run(name, words.map { Array($0.utf8) } + paths.map(\.bytes))
  }
}

/// A kind of file system that a test disk can have.
enum DiskKind: String, CaseIterable, Sendable {
  case ext4, tmpfs, xfs, btrfs

  /// The smallest that is made without questions, and has room for the stores.
  var byteCount: Int {
    switch self {
    case .ext4: 40 << 20
    case .tmpfs: 24 << 20
    case .xfs: 320 << 20
    case .btrfs: 160 << 20
    }
  }

  /// Why there can be none here; nil when there can.
  func obstacle() throws(BenchFailure) -> String? {
    guard FileSystem.effectiveUserID == 0 else { return "mounting needs root" }
    guard self != .tmpfs else { return nil }
    return try SystemCommand.path(of: "mkfs.\(rawValue)") == nil ? "there is no mkfs.\(rawValue)" : nil
  }

  /// Makes it in the file `image`, which is there.
  func make(in image: FilePath) throws(BenchFailure) {
    switch self {
    case .tmpfs: break
    // No room for root alone, and nothing put off that a mount would go on with.
    case .ext4:
      try SystemCommand.run(
        "mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", paths: image)
    case .xfs: try SystemCommand.run("mkfs.xfs", "-q", "-f", paths: image)
    case .btrfs: try SystemCommand.run("mkfs.btrfs", "-q", "-f", paths: image)
    }
  }
}

/// A file system that is mounted until ``unmount()``, or until nobody knows it any more.
final class MountedFileSystem {
  let root: FilePath
  private var isMounted = true

  /// Mounts on the directory `root`, which is made if it is missing.
  private init(on root: FilePath, _ arguments: [[UInt8]]) throws(BenchFailure) {
    self.root = root
    try BenchFailure.translating { () throws(SystemCallFailure) in
      if try !Tree.exists(root) { try Directory.make(root) }
    }
    do throws(BenchFailure) { try SystemCommand.run("mount", arguments + [root.bytes]) } catch {
      isMounted = false
      throw error
    }
  }

  /// A disk in a file.
  convenience init(image: FilePath, on root: FilePath, options: String = "loop") throws(BenchFailure) {
    try self.init(on: root, ["-o", options].map { Array($0.utf8) } + [image.bytes])
  }

  /// A disk in a file that stands on another file system of ours, which gets each of its writes in one piece: of several
  /// that make up one write, all but the first may fail without the loop device noticing.
  convenience init(disk image: FilePath, on root: FilePath, writeByteCount: Int) throws(BenchFailure) {
    let printed = try SystemCommand.run("losetup", "--find", "--show", paths: image)
    let device = FilePath(bytes: Array(printed.prefix { $0 != UInt8(ascii: "\n") }))
    // From now on the device goes when it is unmounted.
    defer { MountedFileSystem.detach(device) }
    try BenchFailure.translating { () throws(SystemCallFailure) in
      let limit = FilePath("/sys/block").appending(device.lastComponent).appending("queue/max_sectors_kb")
      try File.open(limit, .write).write(Array("\(writeByteCount >> 10)\n".utf8), at: 0)
    }
    try self.init(on: root, [device.bytes])
  }

  private static func detach(_ device: FilePath) {
    // What fails here is a device that has gone already.
    do throws(BenchFailure) { try SystemCommand.run("losetup", "-d", paths: device) } catch {}
  }

  /// A new one in memory.
  convenience init(tmpfsOf byteCount: Int, on root: FilePath) throws(BenchFailure) {
    try self.init(on: root, ["-t", "tmpfs", "-o", "size=\(byteCount)", "tmpfs"].map { Array($0.utf8) })
  }

  /// A new file system of this kind, with its image in `directory`.
  convenience init(_ kind: DiskKind, in directory: FilePath) throws(BenchFailure) {
    let root = directory.appending(kind.rawValue)
    if kind == .tmpfs {
      try self.init(tmpfsOf: kind.byteCount, on: root)
    } else {
      let image = directory.appending("\(kind.rawValue).image")
      try BenchFailure.translating { () throws(SystemCallFailure) in
        try File.open(image, [.write, .createNew]).truncate(to: kind.byteCount)
      }
      try kind.make(in: image)
      try self.init(image: image, on: root)
    }
  }

  func unmount() throws(BenchFailure) {
    guard isMounted else { return }
    isMounted = false
    do throws(BenchFailure) { try SystemCommand.run("umount", paths: root) } catch {
      // Whoever still uses it keeps it; it must not stay in the way of what comes after.
      try SystemCommand.run("umount", "-l", paths: root)
    }
  }

  deinit {
    // Somebody has failed already, and has said so.
    do throws(BenchFailure) { try unmount() } catch {}
  }
}
