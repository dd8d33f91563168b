import StorageIO

/// Compares two files byte for byte, and reads one so that the system has it in memory.
enum FileComparison {
  private static let pieceByteCount = 1 << 20

  /// - Throws: `.different` with the first offset at which a piece differs.
  static func requireEqual(
    _ expected: FilePath, _ found: FilePath, workerCount: Int, _ interruption: Interruption
  ) throws(BenchFailure) {
    let files = try BenchFailure.translating { () throws(SystemCallFailure) in
      (try File.open(expected), try File.open(found))
    }
    let byteCounts = try BenchFailure.translating { () throws(SystemCallFailure) in
      (try files.0.status().byteCount, try files.1.status().byteCount)
    }
    guard byteCounts.0 == byteCounts.1 else {
      throw BenchFailure(
        .different, "'\(found)': restored \(byteCounts.1) bytes, \(byteCounts.0) were stored ('\(expected)')")
    }
    let pieceCount = (byteCounts.0 + pieceByteCount - 1) / pieceByteCount
    try ParallelWork.run(count: pieceCount, workerCount: workerCount, { () throws(BenchFailure) in }) {
      (_: Void, number) throws(BenchFailure) in
      try interruption.check()
      let offset = number * pieceByteCount
      let pieces = try BenchFailure.translating { () throws(SystemCallFailure) in
        (
          try files.0.bytes(at: offset, byteCount: pieceByteCount),
          try files.1.bytes(at: offset, byteCount: pieceByteCount)
        )
      }
      guard pieces.0 == pieces.1 else {
        let position = zip(pieces.0, pieces.1).prefix { $0 == $1 }.count
        throw BenchFailure(
          .different, "'\(found)': restored bytes differ from '\(expected)' at offset \(offset + position)")
      }
    }
  }

  /// Reads all of `path` once and returns how many bytes it has.
  static func warm(_ path: FilePath, workerCount: Int, _ interruption: Interruption) throws(BenchFailure) -> Int {
    let file = try BenchFailure.translating { () throws(SystemCallFailure) in try File.open(path) }
    let status = try BenchFailure.translating { () throws(SystemCallFailure) in try file.status() }
    guard status.kind == .file else { throw BenchFailure(.usage, "'\(path)' is no regular file") }
    let pieceCount = (status.byteCount + pieceByteCount - 1) / pieceByteCount
    try ParallelWork.run(count: pieceCount, workerCount: workerCount, { () throws(BenchFailure) in }) {
      (_: Void, number) throws(BenchFailure) in
      try interruption.check()
      try BenchFailure.translating { () throws(SystemCallFailure) in
        _ = try file.bytes(at: number * pieceByteCount, byteCount: pieceByteCount)
      }
    }
    return status.byteCount
  }
}
