import Console
import StagingFS
import StorageIO

/// A piece of work that both sides do.
struct StagingCase: Sendable {
  enum Kind: String, Sendable {
    case smallFiles = "small_files"
    case stream, random
    case manyFiles = "many_files"
    case deepTree = "deep_tree"
  }

  static let streamPieceByteCount = 64 << 10
  static let largePieceByteCount = 1 << 20
  static let fileByteCount = 4 << 10
  static let randomPieceByteCount = 4 << 10

  let kind: Kind
  /// Files, levels, or bytes of a stream.
  let count: Int
  let pieceByteCount: Int
  /// Reads of random and many-file work, for each thread.
  let readCount: Int

  static let smallFiles = StagingCase(kind: .smallFiles, count: 300, pieceByteCount: fileByteCount, readCount: 300)
  static let stream = StagingCase(
    kind: .stream, count: 16 << 20, pieceByteCount: streamPieceByteCount, readCount: 1)
  static let random = StagingCase(
    kind: .random, count: 16 << 20, pieceByteCount: randomPieceByteCount, readCount: 4096)
  static let manyFiles = StagingCase(kind: .manyFiles, count: 10_000, pieceByteCount: 1 << 10, readCount: 10_000)
  static let deepTree = StagingCase(kind: .deepTree, count: 50, pieceByteCount: fileByteCount, readCount: 20)

  /// How often a measurement does it, of which the shortest time counts: work of a millisecond is soon disturbed.
  var repetitionCount: Int { kind == .stream && count > 64 << 20 ? 1 : 5 }

  /// What is done once: files written and read, bytes in and out, or reads.
  var workCount: Int {
    switch kind {
    case .smallFiles: count
    case .stream: 2 * count
    case .random: 2 * readCount * pieceByteCount
    case .manyFiles: readCount
    case .deepTree: count * readCount
    }
  }
}

/// One thread's share of a case, done with a staging tree. What is prepared is not measured.
struct StagingWork: Sendable {
  let work: StagingCase
  let tree: StagingFileSystem
  /// Whether buffers are handed over and lent, as D-MemFS does, or copied.
  let isAdopting: Bool
  /// The directory of this thread.
  let top: StagingPath
  private let buffers: [[UInt8]]
  private let offsets: [Int]
  private let paths: [StagingPath]
  /// The paths that are read, in order.
  private let wanted: [StagingPath]

  init(_ work: StagingCase, _ tree: StagingFileSystem, isAdopting: Bool, thread: Int) throws(StagingError) {
    self.work = work
    self.tree = tree
    self.isAdopting = isAdopting
    top = StagingPath("/thread \(thread)")
    var generator = SplitMix64(seed: UInt64(thread + 1))
    let bufferCount: Int
    switch work.kind {
    case .smallFiles: bufferCount = work.count
    case .stream: bufferCount = work.count / work.pieceByteCount
    case .random: bufferCount = work.readCount
    case .manyFiles, .deepTree: bufferCount = 0
    }
    buffers = (0..<bufferCount).map { number in
      [UInt8](repeating: UInt8(truncatingIfNeeded: number &+ thread), count: work.pieceByteCount)
    }
    let places = work.kind == .random ? work.count / work.pieceByteCount : max(1, work.count)
    let offsets = (0..<work.readCount).map { _ in Int(generator.next() % UInt64(places)) }
    try tree.makeDirectory(top, mayExist: true)
    let paths = try StagingWork.prepare(work, tree, top)
    wanted = work.kind == .manyFiles ? offsets.map { paths[$0] } : paths
    self.offsets = offsets
    self.paths = paths
  }

  private static func prepare(
    _ work: StagingCase, _ tree: StagingFileSystem, _ top: StagingPath
  ) throws(StagingError) -> [StagingPath] {
    switch work.kind {
    case .smallFiles: return (0..<work.count).map { top.appending("file\($0).bin") }
    case .stream: return [top.appending("stream.bin")]
    case .random:
      let path = top.appending("random.bin")
      try tree.write([UInt8](repeating: 1, count: work.count), to: path)
      return [path]
    case .manyFiles:
      let paths = (0..<work.count).map { top.appending("file\($0).bin") }
      for path in paths { try tree.write([UInt8](repeating: 2, count: work.pieceByteCount), to: path) }
      return paths
    case .deepTree:
      var directory = top
      var paths: [StagingPath] = []
      for level in 0..<work.count {
        directory = directory.appending("level\(level)")
        try tree.makeDirectory(directory)
        paths.append(directory.appending("file.bin"))
        try tree.write([UInt8](repeating: 3, count: work.pieceByteCount), to: paths[level])
      }
      return paths
    }
  }

  /// - Returns: How many bytes were read.
  func run() throws(StagingError) -> Int {
    switch work.kind {
    case .smallFiles:
      for (path, buffer) in zip(paths, buffers) {
        let handle = try tree.open(path, .write)
        try isAdopting ? handle.adopt(buffer) : handle.write(buffer)
        try handle.close()
      }
      return try readFiles(wanted)
    case .stream:
      let handle = try tree.open(paths[0], .write)
      for buffer in buffers { try isAdopting ? handle.adopt(buffer) : handle.write(buffer) }
      try handle.close()
      return try readStream()
    case .random: return try runRandom()
    case .manyFiles: return try readFiles(wanted)
    case .deepTree:
      var byteCount = 0
      for _ in 0..<work.readCount { byteCount += try readFiles(wanted) }
      return byteCount
    }
  }

  private func readFiles(_ paths: [StagingPath]) throws(StagingError) -> Int {
    var byteCount = 0
    var target = [UInt8](repeating: 0, count: work.pieceByteCount)
    for path in paths {
      let handle = try tree.open(path)
      if isAdopting {
        try handle.readPieces { byteCount += $0.byteCount }
      } else {
        byteCount += try handle.read(into: &target)
      }
      try handle.close()
    }
    return byteCount
  }

  private func readStream() throws(StagingError) -> Int {
    var byteCount = 0
    let handle = try tree.open(paths[0])
    var target = [UInt8](repeating: 0, count: work.pieceByteCount)
    while byteCount < work.count {
      if isAdopting {
        try handle.readPieces(work.pieceByteCount) { byteCount += $0.byteCount }
      } else {
        byteCount += try handle.read(into: &target)
      }
    }
    try handle.close()
    return byteCount
  }

  private func runRandom() throws(StagingError) -> Int {
    var byteCount = 0
    let handle = try tree.open(paths[0], .readWrite)
    var target = [UInt8](repeating: 0, count: work.pieceByteCount)
    for (place, buffer) in zip(offsets, buffers) {
      try handle.seek(to: place * work.pieceByteCount)
      try handle.write(buffer)
    }
    for place in offsets.reversed() {
      try handle.seek(to: place * work.pieceByteCount)
      byteCount += try handle.read(into: &target)
    }
    try handle.close()
    return byteCount
  }
}
