import Glibc

/// A stream, a file or a signal of the process could not be used.
package struct ConsoleFailure: Error, Hashable, Sendable, CustomStringConvertible {
  /// The kind of failure; a struct, so that a new kind breaks no caller.
  package struct Code: Hashable, Sendable, CustomStringConvertible {
    package let description: String

    /// The reader of our output has gone away (EPIPE).
    package static let brokenPipe = Code(description: "broken pipe")
    /// There is no such file, or a folder on the way to it is missing or no folder.
    package static let noSuchFile = Code(description: "no such file")
    /// More bytes than the caller allows.
    package static let tooLarge = Code(description: "too large")
    /// A path holds a zero byte.
    package static let invalidPath = Code(description: "invalid path")
    /// Any other answer of the system; see `errorNumber`.
    package static let system = Code(description: "system call failed")

    private init(description: String) { self.description = description }
  }

  /// The kind of failure.
  package let code: Code
  /// The error number of the system call, or nil if none failed.
  package let errorNumber: Int32?
  /// One line for people: where, and what is wrong.
  package let message: String
  package var description: String { "\(code): \(message)" }

  init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
    errorNumber = nil
  }

  /// The failure of a system call with `errorNumber`, about `subject`, which is printable.
  init(errorNumber: Int32, _ subject: String) {
    switch errorNumber {
    case EPIPE: code = .brokenPipe
    case ENOENT, ENOTDIR: code = .noSuchFile
    default: code = .system
    }
    self.errorNumber = errorNumber
    message = "\(subject): \(Self.text(of: errorNumber))"
  }

  /// The system's words for an error number, beginning in lower case as the rest of our messages.
  private static func text(of errorNumber: Int32) -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    // Safe: the buffer outlives the call and its size is given; this XSI variant ends the text with a zero byte.
    let status = unsafe strerror_r(errorNumber, &buffer, buffer.count)
    guard status == 0 else { return "error \(errorNumber)" }
    let text = String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    return text.prefix(1).lowercased() + text.dropFirst()
  }
}
