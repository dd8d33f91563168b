/// The path of a file as the bytes that the system knows it by.
///
/// File names need not be UTF-8, and `String` would replace what is not: paths stay bytes from the command line to
/// the system call.
public struct FilePath: Hashable, Sendable, CustomStringConvertible, ExpressibleByStringLiteral {
  public let bytes: [UInt8]

  public init(bytes: [UInt8]) { self.bytes = bytes }
  public init(_ string: String) { self.init(bytes: Array(string.utf8)) }
  public init(stringLiteral string: String) { self.init(string) }

  /// For messages: what is not UTF-8 is shown as U+FFFD.
  public var description: String { String(decoding: bytes, as: UTF8.self) }

  /// The path of `component` inside this directory.
  public func appending(_ component: [UInt8]) -> FilePath {
    if bytes.isEmpty { return FilePath(bytes: component) }
    return FilePath(bytes: bytes.last == slash ? bytes + component : bytes + [slash] + component)
  }

  public func appending(_ component: String) -> FilePath { appending(Array(component.utf8)) }

  /// The last component without trailing slashes; empty for `/` and the empty path.
  public var lastComponent: [UInt8] {
    let trimmed = withoutTrailingSlashes
    guard let index = trimmed.lastIndex(of: slash) else { return Array(trimmed) }
    return Array(trimmed[(index + 1)...])
  }

  /// The directory that holds this file: `.` for a bare name, `/` for what lies in the root.
  public var parent: FilePath {
    let trimmed = withoutTrailingSlashes
    guard let index = trimmed.lastIndex(of: slash) else { return FilePath(trimmed.isEmpty ? "/" : ".") }
    return index == trimmed.startIndex ? FilePath("/") : FilePath(bytes: Array(trimmed[..<index]))
  }

  private var withoutTrailingSlashes: ArraySlice<UInt8> {
    var trimmed = bytes[...]
    while trimmed.last == slash { trimmed.removeLast() }
    return trimmed
  }

  /// Calls `body` with the path as a C string; a path with a NUL byte names no file.
  @discardableResult
  func withCString<R>(
    for call: String, _ body: (UnsafePointer<CChar>) throws(SystemCallFailure) -> R
  ) throws(SystemCallFailure) -> R {
    if bytes.contains(0) {
      throw SystemCallFailure(call: call, subject: "'\(self)'", errorNumber: invalidArgument)
    }
    let characters = bytes.map { CChar(bitPattern: $0) } + [0]
    var outcome: Result<R, SystemCallFailure>?
    // Safe: the array is terminated above and outlives the call.
    unsafe characters.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      do throws(SystemCallFailure) {
        outcome = .success(unsafe try body(base))
      } catch {
        outcome = .failure(error)
      }
    }
    guard let outcome else {
      throw SystemCallFailure(call: call, subject: "'\(self)'", errorNumber: invalidArgument)
    }
    return try outcome.get()
  }
}

private let slash = UInt8(ascii: "/")
/// EINVAL, spelled out so that this file needs no C library.
private let invalidArgument: Int32 = 22
