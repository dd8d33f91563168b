import CommandSupport
import Console
import SegmentStore

/// What a process says of itself at its end; and the one place where errors become that.
struct ExitStatus: RawRepresentable, Hashable, Sendable {
  let rawValue: Int32

  static let done = ExitStatus(rawValue: 0)
  static let failed = ExitStatus(rawValue: 1)
  static let wrongUsage = ExitStatus(rawValue: 2)
  /// Bytes do not match their checksum.
  static let damageFound = ExitStatus(rawValue: 3)
  /// No such file, or no such store.
  static let notFound = ExitStatus(rawValue: 4)
  static let busy = ExitStatus(rawValue: 5)
  static let noSpace = ExitStatus(rawValue: 6)
  static let interrupted = ExitStatus(rawValue: 130)

  /// Whether a command with further arguments has to stop here: they would fare no better.
  var stopsCommand: Bool { self == .noSpace || self == .interrupted }

  init(rawValue: Int32) { self.rawValue = rawValue }

  init(_ code: StoreError.Code) {
    self =
      switch code {
      case .corrupt, .indexDamaged: .damageFound
      case .notFound, .noStore, .notAStore: .notFound
      case .busy: .busy
      case .noSpace: .noSpace
      case .invalidArgument, .memoryLimitTooSmall: .wrongUsage
      case .cancelled: .interrupted
      default: .failed
      }
  }
}

/// Why a command ended early.
struct CommandError: Error, Sendable {
  let status: ExitStatus
  /// One printable line; nil when there is nobody to tell, or it was told already.
  let message: String?
  /// What belongs to the message and is too much for its line.
  let details: [String]
  /// What to do about it, where there is something to do.
  let advice: String?

  init(_ status: ExitStatus, _ message: String?, details: [String] = [], advice: String? = nil) {
    self.status = status
    self.message = message
    self.details = details
    self.advice = advice
  }

  /// - Parameter subject: the path that the user named, to be said first, unless the message begins with it.
  init(_ error: StoreError, subject: [UInt8]? = nil) {
    // The engine quotes names as they are.
    var message = DisplayName.escaped(error.message)
    if let subject {
      let shown = DisplayName.escaped(subject)
      let quoted = DisplayName.escaped("'\(FilePath(bytes: subject))': ")
      if message.hasPrefix(quoted) { message.removeFirst(quoted.count) }
      message = "\(shown): \(message)"
    }
    self.init(
      ExitStatus(error.code), message, details: error.losses.map { LossLines($0).damage } ?? [],
      advice: error.advice.map(DisplayName.escaped))
  }

  init(_ error: UsageError, advice: String? = nil) {
    self.init(.wrongUsage, error.message, advice: advice)
  }

  init(_ failure: ConsoleFailure) {
    // Who reads our output has seen enough, and needs no message.
    self.init(.failed, failure.code == .brokenPipe ? nil : failure.message)
  }

  static let interrupted = CommandError(.interrupted, "interrupted")
}

/// Runs `body`, turning an error of the store into the command's.
func translating<Value>(_ body: () throws(StoreError) -> Value) throws(CommandError) -> Value {
  do throws(StoreError) { return try body() } catch { throw CommandError(error) }
}

/// Runs `body`, turning a mistake of the user into the command's error.
func translatingUsage<Value>(_ body: () throws(UsageError) -> Value) throws(CommandError) -> Value {
  do throws(UsageError) { return try body() } catch { throw CommandError(error) }
}
