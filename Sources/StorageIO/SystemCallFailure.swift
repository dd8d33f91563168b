import CKernels
import Glibc

/// A system call that failed: which call, on what, and why.
public struct SystemCallFailure: Error, Hashable, Sendable, CustomStringConvertible {
  /// The name of the call as the manual has it, such as `fdatasync`.
  public let call: String
  /// The file or object it was called on, fit to be shown.
  public let subject: String
  /// The value of `errno`.
  public let errorNumber: Int32

  public init(call: String, subject: String, errorNumber: Int32) {
    self.call = call
    self.subject = subject
    self.errorNumber = errorNumber
  }

  /// The failure of the call that has just returned, from this thread's `errno`.
  init(_ call: String, _ subject: String) {
    self.init(call: call, subject: subject, errorNumber: errno)
  }

  /// What the system says of the error, such as "no space left on device".
  public var reason: String {
    // Safe: a constant C string or null.
    guard let text = unsafe pfs_error_text(errorNumber) else { return "error \(errorNumber)" }
    let sentence = unsafe String(cString: text)
    return sentence.prefix(1).lowercased() + sentence.dropFirst()
  }

  public var description: String { "\(call) \(subject): \(reason)" }

  /// No room on the device, in the quota of the user, or under the file size limit of the process.
  public var isNoSpace: Bool { errorNumber == ENOSPC || errorNumber == EDQUOT || errorNumber == EFBIG }
  /// The file system finds its own records damaged.
  public var isDamagedFileSystem: Bool { errorNumber == EBADMSG || errorNumber == EUCLEAN }
  public var isNotFound: Bool { errorNumber == ENOENT || errorNumber == ENOTDIR }
  public var isExists: Bool { errorNumber == EEXIST }
  /// Of an open that asked for a file without a name: whether the file system cannot make one.
  public var hasNoUnnamedFiles: Bool { isNotSupported || errorNumber == EISDIR }
  public var isNotSupported: Bool { errorNumber == EOPNOTSUPP || errorNumber == ENOSYS || errorNumber == EINVAL }
  /// The process or the system has no more open files or memory: says nothing about the file.
  public var isOutOfResources: Bool { errorNumber == EMFILE || errorNumber == ENFILE || errorNumber == ENOMEM }
  public var isBrokenPipe: Bool { errorNumber == EPIPE }
  public var isInterrupted: Bool { errorNumber == EINTR }
  public var isReadOnlyOrForbidden: Bool { errorNumber == EROFS || errorNumber == EACCES || errorNumber == EPERM }
  /// A file that a name restore was not allowed to reach: it leads out of the target or over a symbolic link.
  public var isEscape: Bool { errorNumber == EXDEV || errorNumber == ELOOP }

  /// A mapped page could not be read or written.
  static func mappedFault(_ subject: String) -> SystemCallFailure {
    SystemCallFailure(call: "mapped access", subject: subject, errorNumber: EIO)
  }
}

/// Repeats `call` while it is interrupted by a signal, and throws when it returns -1.
@discardableResult
func retrying<Count: SignedInteger>(
  _ name: String, _ subject: @autoclosure () -> String, _ call: () -> Count
) throws(SystemCallFailure) -> Count {
  while true {
    let result = call()
    if result != -1 { return result }
    if errno != EINTR { throw SystemCallFailure(name, subject()) }
  }
}
