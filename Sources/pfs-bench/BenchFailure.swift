import Codecs
import CommandSupport
import Console
import StorageIO

/// Why a measurement stopped.
struct BenchFailure: Error, Sendable, CustomStringConvertible {
  /// The kind of failure, by the exit status it ends with.
  struct Code: Hashable, Sendable {
    let exitStatus: Int32

    static let failed = Code(exitStatus: 1)
    static let usage = Code(exitStatus: 2)
    /// What came back is not what was stored.
    static let different = Code(exitStatus: 3)
    static let interrupted = Code(exitStatus: 130)

    private init(exitStatus: Int32) { self.exitStatus = exitStatus }
  }

  let code: Code
  /// One line for people: what, where, expected and found.
  let message: String
  var description: String { message }

  init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  /// Calls `body` and gives what it throws as a failure of the measurement.
  static func translating<R, E: Error>(_ body: () throws(E) -> R) throws(BenchFailure) -> R {
    do throws(E) { return try body() } catch {
      switch error {
      case let error as BenchFailure: throw error
      case let error as UsageError: throw BenchFailure(.usage, error.message)
      case let error as ConsoleFailure: throw BenchFailure(.failed, error.message)
      case let error as SystemCallFailure: throw BenchFailure(.failed, error.description)
      case let error as CodecFailure: throw BenchFailure(.failed, error.description)
      default: throw BenchFailure(.failed, "\(error)")
      }
    }
  }
}
