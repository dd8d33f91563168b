import Codecs
import Console
import StorageIO

/// The bare work that a put or a get cannot do without: read parts, hash and encode them with the engines of pfs, write, make
/// durable; no index, no metadata, no memory limit.
///
/// Runs in a process of its own, as the hidden subcommand `bare`, so that it is measured as pfs is: `bare put WORK INPUT
/// STREAMS WORKERS` encodes INPUT into STREAMS, with a table of what lies where in STREAMS.table; `bare get WORK STREAMS
/// OUTPUT WORKERS` makes OUTPUT from them.
enum BareWork: String, CaseIterable, Sendable {
  case zlib
  case hashedZlib = "md5+zlib"
  case hashedStored = "md5+stored"

  static let subcommandName = "bare"
  static let partByteCount = 1 << 20
  static let level = 1

  var isHashed: Bool { self != .zlib }
  var isStored: Bool { self == .hashedStored }

  /// Parts that a thread takes at once: as many as are hashed side by side.
  var batchPartCount: Int { isHashed ? MD5.laneCount : 1 }

  static func run(_ operands: [[UInt8]]) throws(BenchFailure) {
    let words = operands.map { String(decoding: $0, as: UTF8.self) }
    guard words.count == 5, let work = BareWork(rawValue: words[1]), let workerCount = Int(words[4]), workerCount > 0,
      ["put", "get"].contains(words[0])
    else { throw BenchFailure(.usage, "'bare' is for pfs-bench itself") }
    let (source, target) = (FilePath(bytes: operands[2]), FilePath(bytes: operands[3]))
    if words[0] == "put" {
      try work.put(source, streams: target, workerCount: workerCount)
    } else {
      try work.get(streams: source, output: target, workerCount: workerCount)
    }
  }

  // MARK: Put

  private struct PutTools {
    let raw: MemoryRegion
    let encoded: MemoryRegion
    let compression = Compression(.zlib, level: BareWork.level)
    let workspace: MemoryRegion

    init(_ work: BareWork) throws(SystemCallFailure) {
      workspace = try MemoryRegion(
        byteCount: compression.workspaceByteCount(partByteCount: BareWork.partByteCount))
      raw = try MemoryRegion(byteCount: work.batchPartCount * BareWork.partByteCount)
      // What deflate adds to bytes that do not shrink is far less.
      encoded = try MemoryRegion(byteCount: BareWork.partByteCount + BareWork.partByteCount / 64 + 64)
    }
  }

  private func put(_ input: FilePath, streams: FilePath, workerCount: Int) throws(BenchFailure) {
    let (source, target, byteCount) = try BenchFailure.translating { () throws(SystemCallFailure) in
      let source = try File.open(input)
      let target = try File.open(streams, [.write, .createNew])
      let byteCount = try source.status().byteCount
      if byteCount > 0 { try target.allocate(0..<byteCount) }
      return (source, target, byteCount)
    }
    let partCount = (byteCount + BareWork.partByteCount - 1) / BareWork.partByteCount
    let placement = BarePlacement(partCount: partCount)
    try ParallelWork.run(
      count: (partCount + batchPartCount - 1) / batchPartCount, workerCount: workerCount,
      { () throws(BenchFailure) in
        try BenchFailure.translating { () throws(SystemCallFailure) in try PutTools(self) }
      }
    ) { (tools, batch) throws(BenchFailure) in
      let start = batch * batchPartCount * BareWork.partByteCount
      let parts = try read(source, start..<min(start + batchPartCount * BareWork.partByteCount, byteCount), tools)
      let digests = tools.raw.withBytes(0..<tools.raw.byteCount) { bytes in
        isHashed ? MD5.digests(of: parts, in: bytes) : Array(repeating: BareWork.noDigest, count: parts.count)
      }
      for (index, part) in parts.enumerated() {
        let storedByteCount = isStored ? part.count : try encode(part, tools)
        let (placed, fullStride) = placement.place(
          batch * batchPartCount + index, start + part.lowerBound, part.count, storedByteCount, digests[index])
        let memory = isStored ? tools.raw : tools.encoded
        let range = isStored ? part : 0..<storedByteCount
        try BenchFailure.translating { () throws(SystemCallFailure) in
          try memory.withBytes(range) { (bytes) throws(SystemCallFailure) in
            try target.write(bytes, at: placed.offset)
          }
        }
        if let fullStride { target.startWriteback(fullStride) }
      }
    }
    let table = placement.table()
    try BenchFailure.translating { () throws(SystemCallFailure) in
      try target.truncate(to: table.storedByteCount)
      try target.syncData()
      try File.open(BareWork.tablePath(streams), [.write, .createNew]).write(table.encoded(), at: 0)
    }
  }

  private static let noDigest = MD5Digest(bytes: [UInt8](repeating: 0, count: MD5Digest.byteCount))

  /// - Returns: Where the parts lie in memory.
  private func read(_ source: File, _ range: Range<Int>, _ tools: PutTools) throws(BenchFailure) -> [Range<Int>] {
    let readByteCount = try BenchFailure.translating { () throws(SystemCallFailure) in
      try tools.raw.withMutableBytes(0..<range.count) { (bytes) throws(SystemCallFailure) in
        try source.read(into: &bytes, at: range.lowerBound)
      }
    }
    guard readByteCount == range.count else {
      throw BenchFailure(.failed, "'\(source.path)': changed while it was read")
    }
    return stride(from: 0, to: range.count, by: BareWork.partByteCount).map { start in
      start..<min(start + BareWork.partByteCount, range.count)
    }
  }

  private func encode(_ part: Range<Int>, _ tools: PutTools) throws(BenchFailure) -> Int {
    let storedByteCount = try BenchFailure.translating { () throws(CodecFailure) in
      try tools.raw.withBytes(part) { (raw) throws(CodecFailure) in
        try tools.encoded.withMutableBytes(0..<tools.encoded.byteCount) { (encoded) throws(CodecFailure) in
          try tools.workspace.withMutableBytes(0..<tools.workspace.byteCount) { (workspace) throws(CodecFailure) in
            try PartEncoder.encode(raw, with: tools.compression, into: &encoded, workspace: &workspace)
          }
        }
      }
    }
    guard let storedByteCount else {
      throw BenchFailure(.failed, "\(part.count) bytes did not fit into \(tools.encoded.byteCount) when compressed")
    }
    return storedByteCount
  }

  // MARK: Get

  private struct GetTools {
    let encoded: MemoryRegion
    let raw: MemoryRegion
    let decoder = PartDecoder()

    init(_ work: BareWork, _ table: BareTable) throws(SystemCallFailure) {
      encoded = try MemoryRegion(byteCount: max(1, table.parts.map(\.storedByteCount).max() ?? 1))
      let largest = max(1, table.parts.map(\.rawByteCount).max() ?? 1)
      raw = try MemoryRegion(byteCount: work.batchPartCount * largest)
    }
  }

  private func get(streams: FilePath, output: FilePath, workerCount: Int) throws(BenchFailure) {
    let table = try BareTable(decoding: BareWork.readTable(streams))
    let (source, target) = try BenchFailure.translating { () throws(SystemCallFailure) in
      let target = try File.open(output, [.write, .createNew])
      if let last = table.parts.last { try target.allocate(0..<(last.rawOffset + last.rawByteCount)) }
      return (try File.open(streams), target)
    }
    try ParallelWork.run(
      count: (table.parts.count + batchPartCount - 1) / batchPartCount, workerCount: workerCount,
      { () throws(BenchFailure) in
        try BenchFailure.translating { () throws(SystemCallFailure) in try GetTools(self, table) }
      }
    ) { (tools, batch) throws(BenchFailure) in
      let first = batch * batchPartCount
      let parts = table.parts[first..<min(first + batchPartCount, table.parts.count)]
      var places: [Range<Int>] = []
      for part in parts {
        let start = places.last?.upperBound ?? 0
        places.append(start..<(start + part.rawByteCount))
        try decode(part, from: source, to: places[places.count - 1], tools)
      }
      let all = 0..<(places.last?.upperBound ?? 0)
      let start = parts.first?.rawOffset ?? 0
      if isHashed {
        let digests = tools.raw.withBytes(all) { bytes in MD5.digests(of: places, in: bytes) }
        guard digests == parts.map(\.digest) else {
          throw BenchFailure(.different, "'\(streams)': the MD5 of a part is not what it was")
        }
      }
      try BenchFailure.translating { () throws(SystemCallFailure) in
        try tools.raw.withBytes(all) { (bytes) throws(SystemCallFailure) in try target.write(bytes, at: start) }
      }
      target.startWriteback(start..<(start + all.count))
    }
    try BenchFailure.translating { () throws(SystemCallFailure) in try target.sync() }
  }

  private func decode(
    _ part: BarePart, from source: File, to place: Range<Int>, _ tools: GetTools
  ) throws(BenchFailure) {
    let range = part.offset..<(part.offset + part.storedByteCount)
    if isStored { return try read(source, range, into: tools.raw, place) }
    try read(source, range, into: tools.encoded, 0..<part.storedByteCount)
    try BenchFailure.translating { () throws(CodecFailure) in
      try tools.encoded.withBytes(0..<part.storedByteCount) { (encoded) throws(CodecFailure) in
        try tools.raw.withMutableBytes(place) { (raw) throws(CodecFailure) in
          try tools.decoder.decode(encoded, with: .zlib, into: &raw)
        }
      }
    }
  }

  private func read(
    _ source: File, _ range: Range<Int>, into memory: MemoryRegion, _ place: Range<Int>
  ) throws(BenchFailure) {
    let readByteCount = try BenchFailure.translating { () throws(SystemCallFailure) in
      try memory.withMutableBytes(place) { (bytes) throws(SystemCallFailure) in
        try source.read(into: &bytes, at: range.lowerBound)
      }
    }
    guard readByteCount == range.count else {
      throw BenchFailure(.failed, "'\(source.path)' ends before the part at \(range.lowerBound)")
    }
  }

  private static func readTable(_ streams: FilePath) throws(BenchFailure) -> [UInt8] {
    try BenchFailure.translating { () throws(SystemCallFailure) in
      let file = try File.open(tablePath(streams))
      return try file.bytes(at: 0, byteCount: try file.status().byteCount)
    }
  }

  private static func tablePath(_ streams: FilePath) -> FilePath { FilePath(bytes: streams.bytes + ".table".utf8) }
}

extension BenchRun {
  /// Runs `put` or `get` of the bare work in a process of its own, measured.
  func bare(
    _ work: BareWork, _ operation: String, _ source: FilePath, _ target: FilePath, workerCount: Int? = nil
  ) throws(BenchFailure) -> ProgramRun {
    let this = try BenchFailure.translating { () throws(ConsoleFailure) in try ProgramFile.path() }
    let words = [BareWork.subcommandName, operation, work.rawValue].map { Array($0.utf8) }
    let workers = Array("\(workerCount ?? settings.workerCount)".utf8)
    let bare = try interruption.run(this, words + [source.bytes, target.bytes, workers])
    try requireSuccess(bare.outcome, "pfs-bench \(BareWork.subcommandName)")
    return bare
  }
}
