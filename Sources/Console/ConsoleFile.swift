import CommandSupport
import Glibc

/// Small files around the store, such as the configuration.
package enum ConsoleFile {
  /// All bytes of the file at `path`, which may be a pipe too.
  /// - Parameter limit: the most bytes that are accepted.
  /// - Throws: ``ConsoleFailure`` `.noSuchFile`, `.tooLarge`, `.invalidPath` for a path with a zero byte, `.system`.
  /// - Complexity: O(bytes of the file); blocks for as long as the system needs.
  package static func read(path: [UInt8], limit: Int) throws(ConsoleFailure) -> [UInt8] {
    let shownPath = path.isEmpty ? "''" : DisplayName.escaped(path)
    guard let cPath = CStrings.terminated(path) else {
      throw ConsoleFailure(.invalidPath, "\(shownPath): a path cannot hold a zero byte")
    }
    // Safe: the path is a C string and lives for the call.
    let descriptor = retrying { unsafe open(cPath, O_RDONLY | O_CLOEXEC | O_NOCTTY) }
    guard descriptor >= 0 else { throw ConsoleFailure(errorNumber: errno, shownPath) }
    defer { close(descriptor) }

    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16 << 10)
    while true {
      // Safe: the buffer lives for the call and its size is given.
      let count = unsafe chunk.withUnsafeMutableBytes { buffer in
        retrying { unsafe Glibc.read(descriptor, buffer.baseAddress, buffer.count) }
      }
      guard count >= 0 else { throw ConsoleFailure(errorNumber: errno, shownPath) }
      guard count > 0 else { return bytes }
      guard bytes.count + count <= limit else {
        throw ConsoleFailure(.tooLarge, "\(shownPath): the file is larger than the \(limit) bytes that are accepted")
      }
      bytes += chunk[..<count]
    }
  }

  private static func retrying<Count: SignedInteger>(_ call: () -> Count) -> Count {
    while true {
      let result = call()
      if result >= 0 || errno != EINTR { return result }
    }
  }
}
