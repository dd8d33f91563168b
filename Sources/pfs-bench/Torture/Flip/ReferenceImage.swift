import StorageIO

/// All files of a store that nobody has open, in memory, so that a copy on disk can be made again after each damage.
struct ReferenceImage {
  /// The bytes of each file by its path in the store.
  private(set) var files: [String: [UInt8]] = [:]
  /// In order, so that the same seed gives the same cases.
  var names: [String] { files.keys.sorted() }

  /// Nothing but space; kept by its size.
  static let reserve = "reserve"
  static let index = "index/data.mdb"
  static let indexLock = "index/lock.mdb"
  /// Of stores of files and of stores of chunks.
  private static let directories = ["index", "segments", "chunks"]

  /// Reads what is in `directory`; of the space that is set aside only the first page.
  init(reading directory: FilePath) throws(BenchFailure) {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      for name in try ReferenceImage.names(in: directory) {
        let file = try File.open(directory.appending(name), .noFollow)
        let byteCount = name == ReferenceImage.reserve ? 4096 : try file.status().byteCount
        files[name] = try file.bytes(at: 0, byteCount: byteCount)
      }
    }
  }

  /// The names of the segment files.
  var segmentNames: [String] { names.filter { $0.hasPrefix("segments/") } }
  /// Those of the files that hold what is stored: segments, or chunks.
  var containerNames: [String] { names.filter(ReferenceImage.isContainer) }

  static func isContainer(_ name: String) -> Bool { name.hasPrefix("segments/") || name.hasPrefix("chunks/") }

  subscript(_ name: String) -> [UInt8] { files[name] ?? [] }

  /// Makes all files in `directory`, which is made too.
  func write(to directory: FilePath) throws(BenchFailure) {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      try Directory.make(directory)
      for name in ReferenceImage.directories where names.contains(where: { $0.hasPrefix("\(name)/") }) {
        try Directory.make(directory.appending(name))
      }
      for name in names { try ReferenceImage.write(self[name], to: directory.appending(name)) }
    }
  }

  /// The files that are not as they were, and those that were not there.
  func changes(in directory: FilePath) throws(BenchFailure) -> Set<String> {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      let found = Set(try ReferenceImage.names(in: directory))
      var changed = found.subtracting(files.keys)
      for name in files.keys {
        if found.contains(name), try isSame(name, directory.appending(name)) { continue }
        changed.insert(name)
      }
      return changed
    }
  }

  /// What the system says of all files of a store: a file that was written to since has another date. Not what was written
  /// through a mapping, which only those do who put and delete.
  static func dates(in directory: FilePath) throws(BenchFailure) -> [String: FileStatus] {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      var dates: [String: FileStatus] = [:]
      for name in try names(in: directory) where name != indexLock {
        dates[name] = try FileSystem.status(of: directory.appending(name), followingLinks: false)
      }
      return dates
    }
  }

  /// Puts these files back as they were, as new ones.
  func restore(_ changed: Set<String>, in directory: FilePath) throws(BenchFailure) {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      for name in changed {
        try ReferenceImage.remove(name, in: directory)
        if files[name] != nil { try ReferenceImage.write(self[name], to: directory.appending(name)) }
      }
    }
  }

  private func isSame(_ name: String, _ path: FilePath) throws(SystemCallFailure) -> Bool {
    let wanted = self[name]
    let status = try FileSystem.status(of: path, followingLinks: false)
    guard status.kind == .file, status.mode == 0o600 else { return false }
    let file = try File.open(path, .noFollow)
    // Made anew by whoever opens the index first.
    if name == ReferenceImage.indexLock { return status.byteCount == wanted.count }
    // What is set aside may be filled up or not: nobody reads it.
    if name == ReferenceImage.reserve { return try file.bytes(at: 0, byteCount: wanted.count) == wanted }
    guard status.byteCount == wanted.count else { return false }
    return try file.bytes(at: 0, byteCount: wanted.count) == wanted
  }

  // MARK: Files

  static func write(_ bytes: [UInt8], to path: FilePath) throws(SystemCallFailure) {
    try File.open(path, [.write, .createNew]).write(bytes, at: 0)
  }

  /// Removes a file, or a directory with what is in it.
  static func remove(_ name: String, in directory: FilePath) throws(SystemCallFailure) {
    let path = directory.appending(name)
    let parent = try Directory.open(path.parent)
    let last = path.lastComponent
    let kind: FileStatus.Kind
    do throws(SystemCallFailure) { kind = try parent.status(of: last).kind } catch {
      if error.isNotFound { return }
      throw error
    }
    guard kind == .directory else { return try parent.removeFile(last) }
    for entry in try parent.openDirectory(last).entries() {
      try remove(String(decoding: entry, as: UTF8.self), in: path)
    }
    try parent.removeDirectory(last)
  }

  /// The files of a store, and the directories in it that no store has.
  private static func names(in directory: FilePath) throws(SystemCallFailure) -> [String] {
    var names: [String] = []
    for entry in try Directory.open(directory).entries() {
      let name = String(decoding: entry, as: UTF8.self)
      guard directories.contains(name) else {
        names.append(name)
        continue
      }
      for inner in try Directory.open(directory.appending(entry)).entries() {
        names.append("\(name)/\(String(decoding: inner, as: UTF8.self))")
      }
    }
    return names
  }
}
