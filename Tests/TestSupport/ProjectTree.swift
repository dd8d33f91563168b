import Foundation
import Glibc

/// The sources that the tests were built from.
public enum ProjectTree {
  /// The directory with `Package.swift`.
  public static let root = BytePath(#filePath).parent.parent.parent

  /// A file in it as text.
  public static func text(_ path: String) throws -> String {
    String(decoding: try (root / path).read(), as: UTF8.self)
  }
}

/// A program of the system that not every machine has.
public struct SystemProgram: Sendable {
  public let name: String

  public init(_ name: String) { self.name = name }

  /// Where it is; nil when it is not installed.
  public var path: BytePath? {
    ["/usr/bin", "/bin", "/usr/local/bin"].map { BytePath($0) / name }.first { path in
      path.withCString { access($0, X_OK) == 0 }
    }
  }

  public var isInstalled: Bool { path != nil }

  /// Why a test that needs it is skipped.
  public var requirement: String { "\(name) is not installed; see 'make tools'" }
}
