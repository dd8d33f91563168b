import Codecs
import StorageIO

/// The bare work that a put or a get cannot do without: read parts, run the
/// engine of the zlib codec that pfs uses, write, make durable; no hash, no index.
///
/// Runs in a process of its own, as the hidden subcommand `bare`, so that it is measured as pfs is:
/// `bare put INPUT STREAMS WORKERS LEVEL PARTSIZE` compresses INPUT into STREAMS with a table of what lies where in
/// STREAMS.table; `bare get STREAMS OUTPUT WORKERS` makes OUTPUT from them.
enum BareZlib {
  static let subcommandName = "bare"

  static func run(_ operands: [[UInt8]]) throws(BenchFailure) {
    let names = operands.map { FilePath(bytes: $0) }
    let numbers = operands.map { Int(String(decoding: $0, as: UTF8.self)) ?? 0 }
    switch (operands.first, operands.count) {
    case (Array("put".utf8), 6) where numbers[3...].allSatisfy { $0 > 0 }:
      try put(names[1], streams: names[2], workerCount: numbers[3], level: numbers[4], partByteCount: numbers[5])
    case (Array("get".utf8), 4) where numbers[3] > 0:
      try get(streams: names[1], output: names[2], workerCount: numbers[3])
    default:
      throw BenchFailure(.usage, "'bare' is for pfs-bench itself")
    }
  }

  // MARK: Put

  private struct PutTools {
    let raw: MemoryRegion
    let encoded: MemoryRegion
    let compression: Compression
    let workspace: MemoryRegion

    init(level: Int, partByteCount: Int) throws(SystemCallFailure) {
      compression = Compression(.zlib, level: level)
      workspace = try MemoryRegion(byteCount: compression.workspaceByteCount(partByteCount: partByteCount))
      raw = try MemoryRegion(byteCount: partByteCount)
      // What deflate adds to bytes that do not shrink is far less.
      encoded = try MemoryRegion(byteCount: partByteCount + partByteCount / 64 + 64)
    }
  }

  private static func put(
    _ input: FilePath, streams: FilePath, workerCount: Int, level: Int, partByteCount: Int
  ) throws(BenchFailure) {
    let (source, target, byteCount) = try BenchFailure.translating { () throws(SystemCallFailure) in
      let source = try File.open(input)
      let target = try File.open(streams, [.write, .createNew])
      let byteCount = try source.status().byteCount
      if byteCount > 0 { try target.allocate(0..<byteCount) }
      return (source, target, byteCount)
    }
    let partCount = (byteCount + partByteCount - 1) / partByteCount
    let placement = BarePlacement(partCount: partCount)
    try ParallelWork.run(
      count: partCount, workerCount: workerCount,
      { () throws(BenchFailure) in
        try BenchFailure.translating { () throws(SystemCallFailure) in
          try PutTools(level: level, partByteCount: partByteCount)
        }
      }
    ) { (tools, number) throws(BenchFailure) in
      let offset = number * partByteCount
      let rawByteCount = min(partByteCount, byteCount - offset)
      let storedByteCount = try encode(source, offset, rawByteCount, tools)
      let (part, fullStride) = placement.place(number, offset, rawByteCount, storedByteCount)
      try BenchFailure.translating { () throws(SystemCallFailure) in
        try tools.encoded.withBytes(0..<storedByteCount) { (bytes) throws(SystemCallFailure) in
          try target.write(bytes, at: part.offset)
        }
      }
      if let fullStride { target.startWriteback(fullStride) }
    }
    let table = placement.table()
    try BenchFailure.translating { () throws(SystemCallFailure) in
      try target.truncate(to: table.storedByteCount)
      try target.syncData()
      try File.open(tablePath(streams), [.write, .createNew]).write(table.encoded(), at: 0)
    }
  }

  private static func encode(
    _ source: File, _ offset: Int, _ rawByteCount: Int, _ tools: PutTools
  ) throws(BenchFailure) -> Int {
    let readByteCount = try BenchFailure.translating { () throws(SystemCallFailure) in
      try tools.raw.withMutableBytes(0..<rawByteCount) { (bytes) throws(SystemCallFailure) in
        try source.read(into: &bytes, at: offset)
      }
    }
    guard readByteCount == rawByteCount else {
      throw BenchFailure(.failed, "'\(source.path)': changed while it was read")
    }
    let storedByteCount = try BenchFailure.translating { () throws(CodecFailure) in
      try tools.raw.withBytes(0..<rawByteCount) { (raw) throws(CodecFailure) in
        try tools.encoded.withMutableBytes(0..<tools.encoded.byteCount) { (encoded) throws(CodecFailure) in
          try tools.workspace.withMutableBytes(0..<tools.workspace.byteCount) { (workspace) throws(CodecFailure) in
            try PartEncoder.encode(raw, with: tools.compression, into: &encoded, workspace: &workspace)
          }
        }
      }
    }
    guard let storedByteCount else {
      throw BenchFailure(.failed, "\(rawByteCount) bytes did not fit into \(tools.encoded.byteCount) when compressed")
    }
    return storedByteCount
  }

  // MARK: Get

  private struct GetTools {
    let encoded: MemoryRegion
    let raw: MemoryRegion
    let decoder = PartDecoder()

    init(_ table: BareTable) throws(SystemCallFailure) {
      encoded = try MemoryRegion(byteCount: max(1, table.parts.map(\.storedByteCount).max() ?? 1))
      raw = try MemoryRegion(byteCount: max(1, table.parts.map(\.rawByteCount).max() ?? 1))
    }
  }

  private static func get(streams: FilePath, output: FilePath, workerCount: Int) throws(BenchFailure) {
    let table = try BareTable(decoding: readTable(streams))
    let (source, target) = try BenchFailure.translating { () throws(SystemCallFailure) in
      let target = try File.open(output, [.write, .createNew])
      if let last = table.parts.last { try target.allocate(0..<(last.rawOffset + last.rawByteCount)) }
      return (try File.open(streams), target)
    }
    try ParallelWork.run(
      count: table.parts.count, workerCount: workerCount,
      { () throws(BenchFailure) in
        try BenchFailure.translating { () throws(SystemCallFailure) in try GetTools(table) }
      }
    ) { (tools, number) throws(BenchFailure) in
      let part = table.parts[number]
      try decode(part, from: source, tools)
      try BenchFailure.translating { () throws(SystemCallFailure) in
        try tools.raw.withBytes(0..<part.rawByteCount) { (bytes) throws(SystemCallFailure) in
          try target.write(bytes, at: part.rawOffset)
        }
      }
      target.startWriteback(part.rawOffset..<(part.rawOffset + part.rawByteCount))
    }
    try BenchFailure.translating { () throws(SystemCallFailure) in try target.sync() }
  }

  private static func decode(_ part: BarePart, from source: File, _ tools: GetTools) throws(BenchFailure) {
    let readByteCount = try BenchFailure.translating { () throws(SystemCallFailure) in
      try tools.encoded.withMutableBytes(0..<part.storedByteCount) { (bytes) throws(SystemCallFailure) in
        try source.read(into: &bytes, at: part.offset)
      }
    }
    guard readByteCount == part.storedByteCount else {
      throw BenchFailure(.failed, "'\(source.path)' ends before the part at \(part.offset)")
    }
    try BenchFailure.translating { () throws(CodecFailure) in
      try tools.encoded.withBytes(0..<part.storedByteCount) { (encoded) throws(CodecFailure) in
        try tools.raw.withMutableBytes(0..<part.rawByteCount) { (raw) throws(CodecFailure) in
          try tools.decoder.decode(encoded, with: .zlib, into: &raw)
        }
      }
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
