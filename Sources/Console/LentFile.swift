import CommandSupport
import Glibc

/// An open file that the programs which this one starts can open under a name of plain characters, whatever its path holds.
package final class LentFile: Sendable {
  private let descriptor: Int32

  package init(_ path: [UInt8]) throws(ConsoleFailure) {
    guard let cPath = CStrings.terminated(path) else {
      throw ConsoleFailure(.invalidPath, "\(DisplayName.escaped(path)): a path cannot hold a zero byte")
    }
    // Safe: the path outlives the call.
    descriptor = unsafe open(cPath, O_RDONLY | O_CLOEXEC | O_NOCTTY)
    guard descriptor >= 0 else { throw ConsoleFailure(errorNumber: errno, DisplayName.escaped(path)) }
  }

  deinit { close(descriptor) }

  /// Good as long as this object and this process live.
  package var name: String { "/proc/\(getpid())/fd/\(descriptor)" }
}
