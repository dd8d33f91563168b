import StorageIO

/// Writes the states that crashes leave into one directory, one after another.
final class StateComposer {
  /// Holds what is composed, and nothing else.
  let root: FilePath
  /// Space that is set aside holds no bytes, and is too much to be set aside anew for each state: it is kept where nobody
  /// touched it.
  private static let reserveName = Array("reserve".utf8)
  private static let lockName = Array("lock.mdb".utf8)

  init(root: FilePath) { self.root = root }

  /// Makes the directory hold `state` and no more.
  /// - Parameter keepsLock: Leaves the `lock.mdb` of whoever was here before, as after a crash of all processes, where
  ///   there is still a directory for it.
  func compose(_ state: CrashState, keepsLock: Bool = false) throws(BenchFailure) {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      let directories = Set(state.directories)
      let files = Dictionary(uniqueKeysWithValues: state.files.map { ($0.path, $0) })
      try clean([], directories: directories, files: files, keepsLock: keepsLock)
      for directory in state.directories { try make(root.appending(directory)) }
      for file in state.files { try write(file) }
    }
  }

  private func make(_ path: FilePath) throws(SystemCallFailure) {
    do throws(SystemCallFailure) { try Directory.make(path) } catch  where error.isExists {}
  }

  private func clean(
    _ path: [UInt8], directories: Set<[UInt8]>, files: [[UInt8]: CrashState.File], keepsLock: Bool
  ) throws(SystemCallFailure) {
    let directory = try Directory.open(path.isEmpty ? root : root.appending(path))
    for name in try directory.entries() {
      if keepsLock && name == StateComposer.lockName { continue }
      let full = path.isEmpty ? name : path + [UInt8(ascii: "/")] + name
      if files[full] != nil {
        if try directory.status(of: name).kind == .directory { try remove(name, in: directory) }
      } else if directories.contains(full), try directory.status(of: name).kind == .directory {
        try clean(full, directories: directories, files: files, keepsLock: keepsLock)
      } else {
        try remove(name, in: directory)
      }
    }
  }

  private func remove(_ name: [UInt8], in directory: Directory) throws(SystemCallFailure) {
    guard try directory.status(of: name).kind == .directory else { return try directory.removeFile(name) }
    let inner = try directory.openDirectory(name)
    for entry in try inner.entries() { try remove(entry, in: inner) }
    try directory.removeDirectory(name)
  }

  private func write(_ content: CrashState.File) throws(SystemCallFailure) {
    let isEmpty = content.pages.allSatisfy { $0.hash == 0 }
    let file = try File.open(root.appending(content.path), [.write, .create, .noFollow])
    if isEmpty, FilePath(bytes: content.path).lastComponent == StateComposer.reserveName, content.byteCount > 0 {
      let status = try file.status()
      if status.byteCount == content.byteCount && status.allocatedByteCount >= content.byteCount { return }
      try file.truncate(to: 0)
      return try file.allocate(0..<content.byteCount)
    }
    try file.truncate(to: 0)
    try file.truncate(to: content.byteCount)
    var number = 0
    while number < content.pages.count {
      let start = number
      var run: [UInt8] = []
      while number < content.pages.count, content.pages[number].hash != 0 {
        run += content.pages[number].bytes
        number += 1
      }
      if !run.isEmpty {
        let offset = start * PageBytes.byteCount
        let count = min(run.count, content.byteCount - offset)
        try run.withRawSpan { (span) throws(SystemCallFailure) in
          try file.write(span.extracting(0..<max(0, count)), at: offset)
        }
      }
      number += 1
    }
  }
}
