import CommandSupport

/// The path of a file or directory in a staging tree: bytes, `/` between the components.
///
/// Every path begins at the root, with or without a `/` in front. Empty components and `.` mean nothing, `..` takes the
/// component before it away, and one that leads above the root is no path. A component has 1 to 255 bytes, a
/// path up to 4095, none of them NUL: what a store takes as a name. Two paths are the same when their bytes are.
public struct StagingPath: Hashable, Sendable, ExpressibleByStringInterpolation, CustomStringConvertible {
  /// Begins with `/`, and is nothing but that for the root; what is no path is as it was given.
  public let bytes: [UInt8]
  /// Why this is no path; whatever is called with it then throws `.badPath`.
  private let problem: String?

  static let maximumComponentByteCount = 255
  static let maximumByteCount = 4095
  static let slash = UInt8(ascii: "/")
  public static let root: StagingPath = "/"

  public init(stringLiteral text: String) { self.init(text) }
  public init(_ text: String) { self.init(bytes: Array(text.utf8)) }

  public init(bytes: [UInt8]) {
    if StagingPath.isNormal(bytes) {
      self.bytes = bytes
      problem = nil
      return
    }
    var components: [ArraySlice<UInt8>] = []
    var problem: String?
    for component in bytes.split(separator: StagingPath.slash) where component != [UInt8(ascii: ".")] {
      if component != [UInt8(ascii: "."), UInt8(ascii: ".")] {
        components.append(component)
      } else if components.popLast() == nil {
        problem = "leads out of the tree"
      }
    }
    if bytes.contains(0) { problem = "has a NUL byte" }
    if components.contains(where: { $0.count > StagingPath.maximumComponentByteCount }) {
      problem = "has a component of more than \(StagingPath.maximumComponentByteCount) bytes"
    }
    let normal = components.isEmpty ? [StagingPath.slash] : components.flatMap { [StagingPath.slash] + $0 }
    if normal.count > StagingPath.maximumByteCount {
      problem = "has more than \(StagingPath.maximumByteCount) bytes"
    }
    // What is no path is shown as it was given.
    self.bytes = problem == nil ? normal : bytes
    self.problem = problem
  }

  /// Bytes that are known to be a normal path.
  init(normal bytes: [UInt8]) {
    self.bytes = bytes
    problem = nil
  }

  /// Whether nothing has to be done to `bytes`. Most paths are so, and each open asks.
  private static func isNormal(_ bytes: [UInt8]) -> Bool {
    guard bytes.first == slash, bytes.count <= maximumComponentByteCount else { return false }
    if bytes.count == 1 { return true }
    var previous: UInt8 = 0
    for byte in bytes {
      if byte == 0 || previous == slash && (byte == slash || byte == UInt8(ascii: ".")) { return false }
      previous = byte
    }
    return previous != slash
  }

  public var description: String { DisplayName.escaped(bytes) }
  public var isRoot: Bool { bytes.count == 1 }

  /// What comes after the last `/`; nothing for the root.
  public var lastComponent: [UInt8] { Array(bytes[lastComponentStart...]) }

  /// The directory above; the root is above itself.
  public var parent: StagingPath {
    lastComponentStart <= 1 ? .root : StagingPath(normal: Array(bytes[..<(lastComponentStart - 1)]))
  }

  var lastComponentStart: Int { (bytes.lastIndex(of: StagingPath.slash) ?? 0) + 1 }

  /// The path of an entry of this directory.
  public func appending(_ component: String) -> StagingPath { appending(Array(component.utf8)) }

  public func appending(_ component: [UInt8]) -> StagingPath {
    StagingPath(bytes: (isRoot ? [] : bytes) + [StagingPath.slash] + component)
  }

  /// Whether this is `directory` or lies below it.
  func isWithin(_ directory: StagingPath) -> Bool {
    directory.isRoot
      || bytes.starts(with: directory.bytes)
        && (bytes.count == directory.bytes.count || bytes[directory.bytes.count] == StagingPath.slash)
  }

  func check() throws(StagingError) {
    if let problem { throw StagingError(.badPath, "'\(self)': \(problem)") }
  }
}
