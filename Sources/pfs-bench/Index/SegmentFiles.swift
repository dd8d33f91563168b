import Codecs
import Console
import StorageIO

/// The segment files of a store that nobody uses, as plain files.
final class SegmentFiles: Sendable {
  /// A sealed segment: its trailer as docs/FORMAT.md has it, kept so that it can be put back.
  private struct Trailer: Sendable {
    let file: File
    let offset: Int
    let bytes: [UInt8]
  }

  private static let trailerByteCount = 64
  private static let trailerMagic = Array("PFSFOOT\n".utf8)
  private static let pieceByteCount = 1 << 20
  private static let cachedPieceByteCount = 256 << 10

  private let files: [(file: File, byteCount: Int)]
  private let trailers: [Trailer]

  /// Of all files together.
  let byteCount: Int
  var count: Int { files.count }
  /// How many have a footer.
  var sealedCount: Int { trailers.count }

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
    var trailers: [Trailer] = []
    for (file, byteCount) in files where byteCount >= SegmentFiles.trailerByteCount {
      let offset = byteCount - SegmentFiles.trailerByteCount
      let bytes = try BenchFailure.translating { () throws(SystemCallFailure) in
        try file.bytes(at: offset, byteCount: SegmentFiles.trailerByteCount)
      }
      guard bytes.starts(with: SegmentFiles.trailerMagic) else { continue }
      trailers.append(Trailer(file: file, offset: offset, bytes: bytes))
    }
    self.files = files
    self.trailers = trailers
    byteCount = files.reduce(0) { sum, file in sum + file.byteCount }
  }

  /// GB (1,000,000,000 bytes) a second when all bytes of the segments take `seconds`.
  func gigabytesPerSecond(_ seconds: Double) -> Double { Double(byteCount) / 1e9 / seconds }

  // MARK: Footers

  /// Makes it so that no segment has a footer.
  func destroyTrailers() throws(BenchFailure) {
    try writeTrailers { trailer in [UInt8](repeating: 0, count: trailer.bytes.count) }
  }

  func restoreTrailers() throws(BenchFailure) { try writeTrailers(\.bytes) }

  private func writeTrailers(_ bytes: (Trailer) -> [UInt8]) throws(BenchFailure) {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      for trailer in trailers {
        try trailer.file.write(bytes(trailer), at: trailer.offset)
        try trailer.file.sync()
      }
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
