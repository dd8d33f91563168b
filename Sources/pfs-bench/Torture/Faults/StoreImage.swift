import StorageIO

/// All files of a store as they were at one moment, in memory, holes left out: to be written out again many times.
struct StoreImage: Sendable {
  private struct Entry: Sendable {
    let path: [String]
    let byteCount: Int
    let pieces: [(offset: Int, bytes: [UInt8])]
  }

  private let entries: [Entry]
  private let directories: [[String]]

  /// Holds nothing, is only set aside: made anew with each copy.
  private static let reserveName = "reserve"

  init(of directory: FilePath) throws(SystemCallFailure) {
    (entries, directories) = try StoreImage.collect(Directory.open(directory), [])
  }

  /// The same without the files whose first component is `name`.
  func without(_ name: String) -> StoreImage {
    StoreImage(entries: entries.filter { $0.path.first != name }, directories: directories)
  }

  private init(entries: [Entry], directories: [[String]]) {
    self.entries = entries
    self.directories = directories
  }

  /// Makes the store in the new directory `path`.
  func write(to path: FilePath) throws(SystemCallFailure) {
    try Directory.make(path)
    for directory in directories { try Directory.make(StoreImage.path(path, directory)) }
    for entry in entries {
      let file = try File.open(StoreImage.path(path, entry.path), [.write, .createNew])
      if entry.path == [StoreImage.reserveName] {
        if entry.byteCount > 0 { try file.allocate(0..<entry.byteCount) }
        continue
      }
      for piece in entry.pieces { try file.write(piece.bytes, at: piece.offset) }
      try file.truncate(to: entry.byteCount)
    }
  }

  /// Which files differ, by name: all bytes count, but not those of the table of readers, in which everyone who comes
  /// enters itself, nor the reserve.
  func differences(from other: StoreImage) -> [String] {
    let (mine, others) = (compared, other.compared)
    return Set(mine.keys).union(others.keys).filter { name in mine[name] != others[name] }.sorted()
  }

  /// Whole, as where the holes are is the business of the file system.
  private var compared: [String: [UInt8]] {
    var found: [String: [UInt8]] = [:]
    for entry in entries where entry.path != [StoreImage.reserveName] && entry.path.last != "lock.mdb" {
      var bytes = [UInt8](repeating: 0, count: entry.byteCount)
      for piece in entry.pieces {
        bytes.replaceSubrange(piece.offset..<piece.offset + piece.bytes.count, with: piece.bytes)
      }
      found[entry.path.joined(separator: "/")] = bytes
    }
    return found
  }

  private static func path(_ root: FilePath, _ components: [String]) -> FilePath {
    components.reduce(root) { path, component in path.appending(component) }
  }

  private static func collect(
    _ directory: Directory, _ path: [String]
  ) throws(SystemCallFailure) -> (entries: [Entry], directories: [[String]]) {
    var entries: [Entry] = []
    var directories: [[String]] = []
    for name in try directory.entries() {
      let inner = path + [String(decoding: name, as: UTF8.self)]
      let status = try directory.status(of: name)
      if status.kind == .directory {
        let found = try collect(directory.openDirectory(name), inner)
        directories += [inner] + found.directories
        entries += found.entries
      } else {
        entries.append(
          Entry(path: inner, byteCount: status.byteCount, pieces: try pieces(directory.open(name), inner, status)))
      }
    }
    return (entries, directories)
  }

  private static func pieces(
    _ file: File, _ path: [String], _ status: FileStatus
  ) throws(SystemCallFailure) -> [(offset: Int, bytes: [UInt8])] {
    guard path != [reserveName] else { return [] }
    var pieces: [(offset: Int, bytes: [UInt8])] = []
    var offset = 0
    while offset < status.byteCount, let start = try file.nextData(from: offset) {
      let end = min(try file.nextHole(from: start), status.byteCount)
      pieces.append((start, try file.bytes(at: start, byteCount: end - start)))
      offset = end
    }
    return pieces
  }
}

/// What the harness does with directories.
enum Tree {
  /// Removes `path` with all in it; that it is not there is no error.
  static func remove(_ path: FilePath) throws(SystemCallFailure) {
    try remove(path.lastComponent, in: Directory.open(path.parent))
  }

  static func remove(_ name: [UInt8], in directory: Directory) throws(SystemCallFailure) {
    let status: FileStatus
    do throws(SystemCallFailure) { status = try directory.status(of: name) } catch {
      if error.isNotFound { return }
      throw error
    }
    guard status.kind == .directory else { return try directory.removeFile(name) }
    let inner = try directory.openDirectory(name)
    for entry in try inner.entries() { try remove(entry, in: inner) }
    try directory.removeDirectory(name)
  }

  static func removeAll(in path: FilePath) throws(BenchFailure) {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      let directory = try Directory.open(path)
      for name in try directory.entries() { try remove(name, in: directory) }
    }
  }

  static func names(in path: FilePath) throws(SystemCallFailure) -> [String] {
    try Directory.open(path).entries().map { name in String(decoding: name, as: UTF8.self) }.sorted()
  }

  static func exists(_ path: FilePath) throws(SystemCallFailure) -> Bool {
    do throws(SystemCallFailure) { _ = try FileSystem.status(of: path) } catch {
      if error.isNotFound { return false }
      throw error
    }
    return true
  }

  static func bytes(of path: FilePath) throws(SystemCallFailure) -> [UInt8] {
    let file = try File.open(path)
    return try file.bytes(at: 0, byteCount: try file.status().byteCount)
  }

  static func write(_ bytes: [UInt8], to path: FilePath) throws(SystemCallFailure) {
    try File.open(path, [.write, .create], mode: 0o600).write(bytes, at: 0)
  }

  /// What `du` says of the files in a directory, which has none below it.
  static func allocatedByteCount(of path: FilePath) throws(SystemCallFailure) -> Int {
    let directory = try Directory.open(path)
    var sum = 0
    for name in try directory.entries() { sum += try directory.status(of: name).allocatedByteCount }
    return sum
  }
}
