import CKernels
import Glibc

/// A lock on one byte of a file, held against every other holder on this machine, in this process or another.
///
/// An open-file-description lock (fcntl(2), F_OFD_SETLK): each lock opens the file for itself, so threads exclude one
/// another as processes do, and a process that dies lets go of all it held.
public final class ByteLock: Sendable {
  public enum Mode: Sendable { case shared, exclusive }

  private let file: File

  private init(_ file: File) { self.file = file }

  /// Takes the lock, or returns nil when it is still held by another after `timeoutSeconds`.
  ///
  /// Waiting is by asking again, at growing distances up to 20 ms: the system has no lock of this kind with a
  /// timeout. `isCancelled` ends the wait as the timeout does.
  public static func acquire(
    _ path: FilePath, byte: Int64, _ mode: Mode, timeoutSeconds: Double, isCancelled: () -> Bool = { false }
  ) throws(SystemCallFailure) -> ByteLock? {
    // A shared lock needs no more than reading, so that what is mounted for reading only can be read. Not blocking:
    // somebody may have put a pipe in the place of the file.
    let file = try File.open(path, mode == .shared ? .nonBlocking : [.write, .nonBlocking])
    let deadline = Clock.monotonicNanoseconds() + Int64(max(0, min(timeoutSeconds, 1e9)) * 1e9)
    var pauseMicroseconds: UInt32 = 200
    while true {
      if pfs_lock_byte(file.descriptor, byte, mode == .shared ? F_RDLCK : F_WRLCK) == 0 { return ByteLock(file) }
      guard errno == EAGAIN || errno == EACCES || errno == EINTR else {
        throw SystemCallFailure("fcntl(F_OFD_SETLK)", "'\(path)'")
      }
      if Clock.monotonicNanoseconds() >= deadline || isCancelled() { return nil }
      usleep(pauseMicroseconds)
      pauseMicroseconds = min(pauseMicroseconds * 2, 20_000)
    }
  }

  /// Whether anybody, this process included, holds a lock on the byte.
  public static func isHeld(_ path: FilePath, byte: Int64) throws(SystemCallFailure) -> Bool {
    let file = try File.open(path, .nonBlocking)
    let answer = try retrying("fcntl(F_OFD_GETLK)", "'\(path)'") {
      pfs_lock_would_wait(file.descriptor, byte, F_WRLCK)
    }
    return answer == 1
  }
}

/// Exclusive locks on many bytes of a file through one descriptor, held until it goes. Who holds a ``ByteLock`` on one of
/// them keeps it out, and the other way round.
public final class ByteLockSet: Sendable {
  private let file: File

  public init(_ path: FilePath) throws(SystemCallFailure) {
    file = try File.open(path, [.write, .nonBlocking])
  }

  /// Takes one more, or says that somebody else holds it.
  public func acquire(_ byte: Int64) throws(SystemCallFailure) -> Bool {
    do throws(SystemCallFailure) {
      try retrying("fcntl(F_OFD_SETLK)", "'\(file.path)'") { pfs_lock_byte(file.descriptor, byte, F_WRLCK) }
      return true
    } catch  where error.errorNumber == EAGAIN || error.errorNumber == EACCES {
      return false
    }
  }
}

extension File {
  /// Locks the file as a whole against everybody else who does so, until ``unlock()`` or until the last reference to it
  /// goes. The file must be open for writing.
  /// - Returns: False when somebody has it locked already.
  public func lock() throws(SystemCallFailure) -> Bool {
    do throws(SystemCallFailure) {
      try retrying("fcntl(F_OFD_SETLK)", "'\(path)'") { pfs_lock_byte(descriptor, 0, F_WRLCK) }
      return true
    } catch  where error.errorNumber == EAGAIN || error.errorNumber == EACCES {
      return false
    }
  }

  /// Lets go of ``lock()``.
  public func unlock() throws(SystemCallFailure) {
    try retrying("fcntl(F_OFD_SETLK)", "'\(path)'") { pfs_lock_byte(descriptor, 0, F_UNLCK) }
  }
}
