import StorageIO

/// The directory that a measurement makes for its files and takes away at its end.
struct Workspace: Sendable {
  let path: FilePath
  private let parent: Directory
  private let name: [UInt8]

  /// Makes a new directory in `directory`.
  init(in directory: FilePath) throws(BenchFailure) {
    (parent, name) = try BenchFailure.translating { () throws(SystemCallFailure) in
      let digits = try Random.bytes(6).map { byte in String(byte, radix: 16) }.joined()
      let name = Array("pfs-bench-\(digits)".utf8)
      let parent = try Directory.open(directory)
      try Directory.make(directory.appending(name))
      return (parent, name)
    }
    path = directory.appending(name)
  }

  /// The path of `name` in the workspace.
  func file(_ name: String) -> FilePath { path.appending(name) }

  /// Removes the workspace and all in it.
  func remove() throws(BenchFailure) {
    try BenchFailure.translating { () throws(SystemCallFailure) in try Tree.remove(name, in: parent) }
  }

  /// Removes these files and directories with all in them, and makes that durable, so that what the file system has
  /// to do for it falls into no measurement.
  func remove(_ names: String...) throws(BenchFailure) {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      let directory = try Directory.open(path)
      for name in names { try Tree.remove(Array(name.utf8), in: directory) }
      try directory.sync()
    }
  }

  /// The bytes of the file `name`, or of all files in the directory of that name.
  func byteCount(of name: String) throws(BenchFailure) -> Int {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      try Workspace.byteCount(of: Array(name.utf8), in: try Directory.open(path))
    }
  }

  private static func byteCount(of name: [UInt8], in directory: Directory) throws(SystemCallFailure) -> Int {
    let status = try directory.status(of: name)
    guard status.kind == .directory else { return min(status.byteCount, status.allocatedByteCount) }
    let inner = try directory.openDirectory(name)
    var sum = 0
    for entry in try inner.entries() { sum += try byteCount(of: entry, in: inner) }
    return sum
  }
}
