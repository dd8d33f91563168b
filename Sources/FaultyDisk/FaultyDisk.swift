import CFaultyDisk
import Glibc
import StorageIO

/// A disk in a file for a loop device to stand on, on which reads, writes and flushes can be made to fail, and which keeps
/// a log of what reached it.
public enum FaultyDisk {
  /// The name of the disk in the directory that it is mounted on.
  public static let name = "disk"
  /// The most bytes that reach it in one write.
  public static let maximumWriteByteCount = Int(FAULTY_DISK_WRITE_BYTES)

  /// Mounts the disk and leaves a process behind that serves it until it is unmounted, or until the process `owner` is
  /// gone. Called when the process has no other thread.
  /// - Parameters:
  ///   - image: What the disk holds: read and written in place.
  ///   - control: A ``Control``.
  ///   - log: A file that what reaches the disk is appended to.
  public static func start(
    on mountPoint: FilePath, image: FilePath, control: FilePath, log: FilePath?, owner: Int32
  ) throws(SystemCallFailure) {
    let strings = [mountPoint, image, control].map(\.terminated) + [log.map(\.terminated) ?? [0]]
    var failedCall = ""
    // Safe: the strings are terminated and outlive the call; what it says of the failure is one of them or a constant.
    let error = unsafe strings[0].withUnsafeBufferPointer { mountPoint in
      unsafe strings[1].withUnsafeBufferPointer { image in
        unsafe strings[2].withUnsafeBufferPointer { control in
          unsafe strings[3].withUnsafeBufferPointer { logPath in
            var options = unsafe faulty_disk_options(
              mount_point: mountPoint.baseAddress, image: image.baseAddress, control: control.baseAddress,
              log: log == nil ? nil : logPath.baseAddress, owner: owner)
            var call: UnsafePointer<CChar>?
            let error = unsafe faulty_disk_start(&options, &call)
            if error != 0, let call = unsafe call { failedCall = unsafe String(cString: call) }
            return error
          }
        }
      }
    }
    guard error == 0 else {
      throw SystemCallFailure(call: "faulty disk", subject: "'\(failedCall)'", errorNumber: error)
    }
  }

  /// The number of this process.
  public static var processID: Int32 { getpid() }

  /// A piece of a file, on the device of its file system.
  public struct Extent: Hashable, Sendable {
    public let fileOffset: Int
    public let deviceOffset: Int
    public let byteCount: Int
  }

  /// Where the bytes of a file are; those of holes are nowhere.
  public static func extents(of path: FilePath) throws(SystemCallFailure) -> [Extent] {
    var extents = [faulty_disk_extent](
      repeating: faulty_disk_extent(file_offset: 0, device_offset: 0, byte_count: 0), count: 512)
    let room = Int32(extents.count)
    // Safe: the string is terminated, the room is that of the array.
    let count = unsafe path.terminated.withUnsafeBufferPointer { path in
      unsafe faulty_disk_extents(path.baseAddress, &extents, room)
    }
    guard count >= 0 else { throw SystemCallFailure(call: "fiemap", subject: "'\(path)'", errorNumber: errno) }
    return extents.prefix(Int(count)).map { extent in
      Extent(
        fileOffset: Int(extent.file_offset), deviceOffset: Int(extent.device_offset), byteCount: Int(extent.byte_count))
    }
  }
}

extension FilePath {
  fileprivate var terminated: [CChar] { bytes.map { CChar(bitPattern: $0) } + [0] }
}
