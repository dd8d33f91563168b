import Codecs
import Console
import StorageIO

/// The segment files of a store that nobody uses, as plain files.
final class SegmentFiles: Sendable {
  /// The end of a sealed segment as docs/FORMAT.md has it, kept so that it can be put back.
  private struct Footer: Sendable {
    let file: File
    let offset: Int
    let bytes: [UInt8]
  }

  private static let trailerByteCount = 64
  private static let trailerMagic = Array("PFSFOOT\n".utf8)
  /// Where the trailer says, in 64 bits, where the footer begins.
  private static let tableOffsetRange = 16..<24
  private static let pieceByteCount = 1 << 20
  private static let cachedPieceByteCount = 256 << 10

  private let files: [(file: File, byteCount: Int)]
  private let footers: [Footer]

  /// Of all files together.
  let byteCount: Int
  var count: Int { files.count }
  /// How many have a footer.
  var sealedCount: Int { footers.count }

  init(of store: FilePath) throws(BenchFailure) {
    let path = store.appending("segments")
    let files = try BenchFailure.translating { () throws(SystemCallFailure) in
      var files: [(file: File, byteCount: Int)] = []
      for name in try Directory.open(path).entries().sorted(by: { $0.lexicographicallyPrecedes($1) }) {
        let file = try File.open(path.appending(name), .write)
        files.append((file, try file.status().byteCount))
      }
      return files
    }
    var footers: [Footer] = []
    for (file, byteCount) in files where byteCount >= SegmentFiles.trailerByteCount {
      footers += try SegmentFiles.footer(of: file, byteCount).map { [$0] } ?? []
    }
    self.files = files
    self.footers = footers
    byteCount = files.reduce(0) { sum, file in sum + file.byteCount }
  }

  /// GB (1,000,000,000 bytes) a second when all bytes of the segments take `seconds`.
  func gigabytesPerSecond(_ seconds: Double) -> Double { Double(byteCount) / 1e9 / seconds }

  // MARK: Footers

  /// Makes every segment one that was never sealed.
  func cutFooters() throws(BenchFailure) {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      for footer in footers {
        try footer.file.truncate(to: footer.offset)
        try footer.file.sync()
      }
    }
  }

  func restoreFooters() throws(BenchFailure) {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      for footer in footers {
        try footer.file.write(footer.bytes, at: footer.offset)
        try footer.file.sync()
      }
    }
  }

  private static func footer(of file: File, _ byteCount: Int) throws(BenchFailure) -> Footer? {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      let trailer = try file.bytes(at: byteCount - trailerByteCount, byteCount: trailerByteCount)
      guard trailer.starts(with: trailerMagic) else { return nil }
      let offset = trailer[tableOffsetRange].reversed().reduce(0) { number, byte in number << 8 | Int(byte) }
      return Footer(file: file, offset: offset, bytes: try file.bytes(at: offset, byteCount: byteCount - offset))
    }
  }

  // MARK: Reading

  /// Takes the files out of the page cache; they have to be durable and unused.
  func forgetCached() throws(BenchFailure) {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      for (file, _) in files { try file.forgetCached() }
    }
  }

  /// The time that it takes to read all files with read(2), piece by piece.
  /// - Parameter checksums: Whether every piece goes through CRC-32C too, while a cache of the processor still holds it.
  func readSeconds(
    workerCount: Int, checksums: Bool = false, _ interruption: Interruption
  ) throws(BenchFailure) -> Double {
    let files = files
    let pieceByteCount = checksums ? SegmentFiles.cachedPieceByteCount : SegmentFiles.pieceByteCount
    return try SegmentFiles.seconds(
      count: files.count, workerCount: workerCount, interruption,
      { () throws(BenchFailure) in
        try BenchFailure.translating { () throws(SystemCallFailure) in try MemoryRegion(byteCount: pieceByteCount) }
      }
    ) { (region, number) throws(BenchFailure) in
      let (file, byteCount) = files[number]
      try BenchFailure.translating { () throws(SystemCallFailure) in
        for offset in stride(from: 0, to: byteCount, by: pieceByteCount) {
          let count = try region.withMutableBytes(0..<pieceByteCount) { (bytes) throws(SystemCallFailure) in
            try file.read(into: &bytes, at: offset)
          }
          if checksums { _ = region.withBytes(0..<count) { CRC32C.checksum(of: $0) } }
        }
      }
    }
  }

  /// The same through a mapping, whose bytes need not be copied and whose pages have to be entered in a page table.
  func mappedChecksumSeconds(workerCount: Int, _ interruption: Interruption) throws(BenchFailure) -> Double {
    let files = files.filter { $0.byteCount > 0 }
    return try SegmentFiles.seconds(
      count: files.count, workerCount: workerCount, interruption, { () throws(BenchFailure) in }
    ) { (_: Void, number) throws(BenchFailure) in
      let (file, byteCount) = files[number]
      try BenchFailure.translating { () throws(SystemCallFailure) in
        let mapping = try MappedFile(file, byteCount: byteCount, isWritable: false)
        for offset in stride(from: 0, to: byteCount, by: SegmentFiles.pieceByteCount) {
          let range = offset..<min(byteCount, offset + SegmentFiles.pieceByteCount)
          try mapping.populateForReading(range)
          _ = try mapping.withBytes(range, failure: { $0 }) { (bytes) throws(SystemCallFailure) in
            CRC32C.checksum(of: bytes)
          }
        }
      }
    }
  }

  private static func seconds<Tools>(
    count: Int, workerCount: Int, _ interruption: Interruption,
    _ makeTools: @escaping @Sendable () throws(BenchFailure) -> Tools,
    _ work: @escaping @Sendable (Tools, Int) throws(BenchFailure) -> Void
  ) throws(BenchFailure) -> Double {
    let start = MonotonicClock.seconds()
    try ParallelWork.run(count: count, workerCount: workerCount, makeTools) { (tools, number) throws(BenchFailure) in
      try interruption.check()
      try work(tools, number)
    }
    return MonotonicClock.seconds() - start
  }
}
