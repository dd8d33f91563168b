import CommandSupport
import Console
import SegmentStore

/// Finds the directory of the store, and the other places that belong to the user.
enum StoreLocation {
  /// `--store`, else `$PFS_STORE`, else what the configuration says, else `pfs` in the data directory of the user.
  static func find(given: [UInt8]?, configured: FilePath?) throws(CommandError) -> FilePath {
    if let given {
      guard !given.isEmpty else { throw CommandError(.wrongUsage, "option '--store': the path is empty") }
      return FilePath(bytes: given)
    }
    if let path = environment("PFS_STORE") { return FilePath(bytes: path) }
    if let configured { return configured }
    guard let data = userDirectory("XDG_DATA_HOME", else: ".local/share") else {
      throw CommandError(
        .wrongUsage, "no store is named, and without HOME there is no default", advice: "name one with --store DIR")
    }
    return data.appending("pfs")
  }

  /// A base directory of the XDG Base Directory Specification 0.8, which says to ignore relative paths; nil when
  /// there is no `HOME` either.
  static func userDirectory(_ variable: String, else pathBelowHome: String) -> FilePath? {
    if let path = environment(variable), path.first == UInt8(ascii: "/") { return FilePath(bytes: path) }
    return home?.appending(pathBelowHome)
  }

  static var home: FilePath? { environment("HOME").map { FilePath(bytes: $0) } }

  /// The value of a variable; one that is empty counts as not set.
  static func environment(_ name: String) -> [UInt8]? {
    ProcessArguments.environment(name).flatMap { value in value.isEmpty ? nil : value }
  }
}
