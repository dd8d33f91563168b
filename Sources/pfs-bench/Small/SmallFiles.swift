import Console
import StorageIO

/// A tree of small files, a hundred to a directory, cached and durable.
struct SmallFiles: Sendable {
  private static let directoryFileCount = 100

  let fileCount: Int
  let fileByteCount: Int
  let root: FilePath

  /// Makes the tree in the workspace.
  /// - Parameter syncingEach: false where the caller makes all of it durable at once.
  init(_ fileCount: Int, of fileByteCount: Int, syncingEach: Bool = true, run: BenchRun) throws(BenchFailure) {
    self.fileCount = fileCount
    self.fileByteCount = fileByteCount
    root = run.workspace.file("tree")
    try run.note("making \(fileCount) files")
    let corpus = BenchCorpus(.compressible, seed: run.settings.seed)
    let sectionFileCount = BenchCorpus.sectionByteCount / fileByteCount
    try makeDirectories(in: root)
    for start in stride(from: 0, to: fileCount, by: sectionFileCount) {
      try run.interruption.check()
      let section = corpus.section(start / sectionFileCount)
      for number in start..<min(fileCount, start + sectionFileCount) {
        let offset = (number - start) * fileByteCount
        let bytes = Array(section[offset..<(offset + fileByteCount)])
        try BenchFailure.translating { () throws(SystemCallFailure) in
          let file = try File.open(path(number), [.write, .createNew])
          try file.write(bytes, at: 0)
          if syncingEach { try file.sync() }
        }
      }
    }
  }

  /// The path of file `number`, here or in a copy.
  func path(_ number: Int, in other: FilePath? = nil) -> FilePath {
    (other ?? root).appending("d\(number / SmallFiles.directoryFileCount)").appending("f\(number)")
  }

  /// Makes `copy` and the directories in it.
  func makeDirectories(in copy: FilePath) throws(BenchFailure) {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      try Directory.make(copy)
      for number in stride(from: 0, to: fileCount, by: SmallFiles.directoryFileCount) {
        try Directory.make(path(number, in: copy).parent)
      }
      try Directory.open(copy).sync()
    }
  }

  /// The time for a copy of all files, each of them durable: what no put -r or get -r can do without, a file at a time.
  func copySeconds(to copy: FilePath, workerCount: Int, _ interruption: Interruption) throws(BenchFailure) -> Double {
    let start = MonotonicClock.seconds()
    try makeDirectories(in: copy)
    try ParallelWork.run(count: fileCount, workerCount: workerCount, { () throws(BenchFailure) in }) {
      (_: Void, number) throws(BenchFailure) in
      try interruption.check()
      try BenchFailure.translating { () throws(SystemCallFailure) in
        let bytes = try File.open(path(number)).bytes(at: 0, byteCount: fileByteCount)
        let file = try File.open(path(number, in: copy), [.write, .createNew])
        try file.write(bytes, at: 0)
        try file.sync()
      }
    }
    return MonotonicClock.seconds() - start
  }

  /// - Throws: `.different` when a file of `copy` is not what it was.
  func requireEqual(_ copy: FilePath, workerCount: Int, _ interruption: Interruption) throws(BenchFailure) {
    try ParallelWork.run(count: fileCount, workerCount: workerCount, { () throws(BenchFailure) in }) {
      (_: Void, number) throws(BenchFailure) in
      try interruption.check()
      let pair = try BenchFailure.translating { () throws(SystemCallFailure) in
        (
          try File.open(path(number)).bytes(at: 0, byteCount: fileByteCount + 1),
          try File.open(path(number, in: copy)).bytes(at: 0, byteCount: fileByteCount + 1)
        )
      }
      guard pair.0 == pair.1 else {
        throw BenchFailure(.different, "'\(path(number, in: copy))': restored bytes differ from '\(path(number))'")
      }
    }
  }
}
