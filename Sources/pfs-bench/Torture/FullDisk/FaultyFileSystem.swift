import Console
import FaultyDisk
import StorageIO

/// The bytes of a disk, in memory without those that are zero: to be written out many times.
struct DiskImage: Sendable {
  private static let pieceByteCount = 4096
  let byteCount: Int
  private let pieces: [(offset: Int, bytes: [UInt8])]

  init(of path: FilePath) throws(SystemCallFailure) {
    let file = try File.open(path)
    byteCount = try file.status().byteCount
    let zeros = [UInt8](repeating: 0, count: DiskImage.pieceByteCount)
    var pieces: [(offset: Int, bytes: [UInt8])] = []
    var offset = 0
    while offset < byteCount, let start = try file.nextData(from: offset) {
      let end = min(try file.nextHole(from: start), byteCount)
      for piece in stride(from: start, to: end, by: DiskImage.pieceByteCount) {
        let bytes = try file.bytes(at: piece, byteCount: min(DiskImage.pieceByteCount, end - piece))
        if bytes != zeros { pieces.append((piece, bytes)) }
      }
      offset = end
    }
    self.pieces = pieces
  }

  /// Makes `file` hold these bytes.
  func write(to file: File) throws(SystemCallFailure) {
    try file.truncate(to: 0)
    try file.truncate(to: byteCount)
    for piece in pieces { try file.write(piece.bytes, at: piece.offset) }
  }

  /// A new ext4 with `body` done in it.
  static func ext4(
    in directory: FilePath, _ body: (FilePath) throws(BenchFailure) -> Void
  ) throws(BenchFailure) -> DiskImage {
    let (image, root) = (directory.appending("new.image"), directory.appending("new"))
    try BenchFailure.translating { () throws(SystemCallFailure) in
      try Tree.remove(image)
      try File.open(image, [.write, .createNew]).truncate(to: 24 << 20)
    }
    try SystemCommand.run(
      "mkfs.ext4", "-q", "-F", "-m", "0", "-b", "4096", "-J", "size=4", "-E",
      "lazy_itable_init=0,lazy_journal_init=0", paths: image)
    let mounted = try MountedFileSystem(image: image, on: root)
    try body(root)
    try mounted.unmount()
    return try BenchFailure.translating { () throws(SystemCallFailure) in
      let read = try DiskImage(of: image)
      try Tree.remove(image)
      return read
    }
  }
}

/// An ext4 on a disk whose reads, writes and flushes can be made to fail.
final class FaultyFileSystem {
  let root: FilePath
  let control: FaultyDisk.Control
  private let image: File
  private let directory: FilePath
  private var disk: MountedDisk?
  private var mounted: MountedFileSystem?

  /// The part of `pfs-bench torture` that serves a disk.
  static let partName = "faulty-disk"

  /// Makes what it needs in the new directory `directory`.
  /// - Parameter log: Where what reaches the disk is kept.
  init(in directory: FilePath, _ content: DiskImage, log: FilePath? = nil) throws(BenchFailure) {
    self.directory = directory
    root = directory.appending("root")
    let path = directory.appending("disk.image")
    (image, control) = try BenchFailure.translating { () throws(SystemCallFailure) in
      try Directory.make(directory)
      return (
        try File.open(path, [.write, .createNew]), try FaultyDisk.Control(making: directory.appending("control"))
      )
    }
    try restore(content)
    disk = try MountedDisk(in: directory, image: path, control: directory.appending("control"), log: log)
  }

  /// Makes the disk hold this; it must not be mounted.
  func restore(_ content: DiskImage) throws(BenchFailure) {
    try set(FaultyDisk.Control.Faults())
    try BenchFailure.translating { () throws(SystemCallFailure) in try content.write(to: image) }
  }

  func set(_ faults: FaultyDisk.Control.Faults) throws(BenchFailure) {
    try BenchFailure.translating { () throws(SystemCallFailure) in try control.set(faults) }
  }

  func counts() throws(BenchFailure) -> FaultyDisk.Control.Counts {
    try BenchFailure.translating { () throws(SystemCallFailure) in try control.counts() }
  }

  /// Mounts it, with nothing of it in memory.
  func mount() throws(BenchFailure) {
    mounted = try MountedFileSystem(
      disk: directory.appending("fuse").appending(FaultyDisk.name), on: root,
      writeByteCount: FaultyDisk.maximumWriteByteCount)
  }

  func unmount() throws(BenchFailure) {
    try mounted?.unmount()
    mounted = nil
  }

  func close() throws(BenchFailure) {
    try unmount()
    try disk?.unmount()
    disk = nil
  }

  deinit {
    // In this order, whatever failed.
    mounted = nil
    disk = nil
  }

  /// What `pfs-bench torture faulty-disk` is started with.
  static func serve(_ arguments: [[UInt8]]) throws(BenchFailure) {
    guard arguments.count == 5, let owner = Int32(String(decoding: arguments[4], as: UTF8.self)) else {
      throw BenchFailure(.usage, "'\(partName)' is for pfs-bench itself")
    }
    let paths = arguments.map { FilePath(bytes: $0) }
    try BenchFailure.translating { () throws(SystemCallFailure) in
      try FaultyDisk.start(
        on: paths[0], image: paths[1], control: paths[2], log: paths[3].bytes.isEmpty ? nil : paths[3], owner: owner)
    }
  }
}

/// The file that is the disk, as long as it is there.
private final class MountedDisk {
  private let mountPoint: FilePath
  private var isMounted = true

  init(in directory: FilePath, image: FilePath, control: FilePath, log: FilePath?) throws(BenchFailure) {
    let mountPoint = directory.appending("fuse")
    self.mountPoint = mountPoint
    let words = ["torture", FaultyFileSystem.partName].map { Array($0.utf8) }
    let paths = [mountPoint, image, control, log ?? FilePath(bytes: [])].map(\.bytes)
    try BenchFailure.translating { () throws(SystemCallFailure) in try Directory.make(mountPoint) }
    let outcome = try BenchFailure.translating { () throws(ConsoleFailure) in
      let program = try ProgramFile.path()
      return try ChildProcess(program, words + paths + [Array("\(FaultyDisk.processID)".utf8)])
        .wait(samplingMilliseconds: 50)
    }
    try requireSuccess(outcome, "pfs-bench torture \(FaultyFileSystem.partName)")
  }

  func unmount() throws(BenchFailure) {
    guard isMounted else { return }
    isMounted = false
    do throws(BenchFailure) { try SystemCommand.run("umount", paths: mountPoint) } catch {
      try SystemCommand.run("umount", "-l", paths: mountPoint)
    }
  }

  deinit {
    do throws(BenchFailure) { try unmount() } catch {}
  }
}
