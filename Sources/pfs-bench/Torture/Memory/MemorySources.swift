import StorageIO

/// A file that is stored under memory limits.
enum MemorySource: String, CaseIterable, Sendable {
  case small
  /// Some hundred parts of the smallest size, some of the default one.
  case large
  /// Mostly a hole.
  case sparse
}

/// The files that are stored, made once for all cases.
struct MemorySources: Sendable {
  static let treeFileCount = 24
  private static let largeByteCount = 5 << 20 + 17
  private static let holeByteCount = 24 << 20

  let directory: FilePath

  init(in directory: FilePath) throws(BenchFailure) {
    self.directory = directory
    try BenchFailure.translating { () throws(SystemCallFailure) in
      try Directory.make(directory)
      try Directory.make(tree)
      try write(HistoryContent.bytes(1, byteCount: 100), to: path(.small), at: 0)
      try write(HistoryContent.bytes(2, byteCount: Self.largeByteCount), to: path(.large), at: 0)
      try write(HistoryContent.bytes(3, byteCount: 70_000), to: path(.sparse), at: Self.holeByteCount)
      for number in 0..<Self.treeFileCount {
        try write(
          HistoryContent.bytes(UInt64(number), byteCount: 16 + number * 900), to: tree.appending("\(number)"), at: 0)
      }
    }
  }

  func path(_ source: MemorySource) -> FilePath { directory.appending(source.rawValue) }
  /// A directory of small files; stored under its last component.
  var tree: FilePath { directory.appending("many") }

  private func write(_ bytes: [UInt8], to path: FilePath, at offset: Int) throws(SystemCallFailure) {
    try File.open(path, [.write, .createNew]).write(bytes, at: offset)
  }
}
