import StorageIO
import TestSupport
import Testing

@testable import StagingFS

@Suite("Staging handle") struct StagingHandleTests {
  let staging: StagingFileSystem

  init() throws { staging = try StagingFileSystem(quota: 8 << 20, defaultLockTimeout: .zero) }

  @Test func `reads, writes and seeks as its mode allows`() throws {
    let writer = try staging.open("/file", .write)
    try writer.write([1, 2, 3, 4])
    #expect(writer.position == 4 && writer.byteCount == 4 && writer.isWritable && !writer.isReadable)
    #expect(stagingError { _ = try writer.read() }?.code == .wrongMode)
    try writer.close()
    try writer.close()
    #expect(stagingError { try writer.write([1]) }?.code == .wrongMode)
    let reader = try staging.open("/file")
    #expect(stagingError { try reader.write([1]) }?.code == .wrongMode)
    #expect(stagingError { try reader.truncate() }?.code == .wrongMode)
    #expect(try reader.read(3) == [1, 2, 3])
    #expect(try reader.read(9) == [4] && reader.read(9) == [])
    #expect(try reader.seek(to: -2, from: .end) == 2)
    #expect(try reader.seek(to: 1, from: .position) == 3)
    #expect(try reader.read() == [4])
    #expect(stagingError { try reader.seek(to: -1) }?.code == .invalidArgument)
    #expect(stagingError { try reader.seek(to: Int.max, from: .end) }?.code == .invalidArgument)
    #expect(stagingError { _ = try reader.read(-1) }?.code == .invalidArgument)
    try reader.seek(to: 100)
    #expect(try reader.read() == [])
    try reader.seek(to: 1)
    var buffer: [UInt8] = [9, 9, 9, 9, 9]
    #expect(try reader.read(into: &buffer) == 3)
    #expect(buffer == [2, 3, 4, 9, 9])
    try reader.close()
    #expect(stagingError { _ = try reader.read() }?.code == .wrongMode)
  }

  @Test func `appends at the end wherever the position is`() throws {
    try staging.withFile("/log", .append) { try $0.write([1, 2]) }
    try staging.withFile("/log", .append) { handle in
      try handle.seek(to: 0)
      try handle.write([3])
      #expect(handle.position == 3)
    }
    #expect(try staging.read("/log") == [1, 2, 3])
  }

  @Test func `shows nothing of a replacement before it is closed`() throws {
    try staging.write([1], to: "/file")
    let handle = try staging.open("/file", .write)
    try handle.write([2, 2])
    try handle.flush()
    #expect(try staging.byteCount(of: "/file") == 1)
    handle.discard()
    #expect(try staging.read("/file") == [1])
    // So does a handle that is forgotten.
    do { try staging.open("/file", .write).write([3]) }
    #expect(try staging.read("/file") == [1])
    struct Failure: Error {}
    #expect(throws: Failure.self) {
      try staging.withFile("/new", .createNew) { handle in
        try handle.write([1])
        throw Failure()
      }
    }
    #expect(!staging.exists("/new"))
    try staging.open("/file", .write).close()
    #expect(try staging.read("/file") == [])
  }

  @Test func `fills up with zeros what was never written`() throws {
    try staging.withFile("/file", .write) { handle in
      try handle.seek(to: 3_000_000)
      try handle.write([7])
      try handle.truncate(to: 3_000_010)
    }
    let bytes = try staging.read("/file")
    #expect(bytes.count == 3_000_010 && bytes[3_000_000] == 7)
    #expect(bytes.reduce(0) { $0 + Int($1) } == 7)
    // Nothing is written, so nothing is filled.
    try staging.withFile("/file", .readWrite) { handle in
      try handle.seek(to: 5_000_000)
      try handle.write([])
    }
    #expect(try staging.byteCount(of: "/file") == 3_000_010)
  }

  @Test(
    "does what an array would do", arguments: [StagingStorage.automatic, .randomAccess])
  func model(storage: StagingStorage) throws {
    let seed = TestSeed("handle model", default: 71)
    var generator = seed.generator
    let staging = try StagingFileSystem(quota: 4 << 20, storage: storage)
    let empty = staging.usedByteCount
    var model: [UInt8] = []
    try staging.write([], to: "/file")
    var exports: [(ExportedFile, [UInt8])] = []
    for round in 0..<60 {
      try staging.withFile("/file", .readWrite) { handle in
        for _ in 0..<10 {
          let offset = generator.below(model.count + 1000)
          let count = generator.below(generator.below(4) == 0 ? 100_000 : 300)
          switch generator.below(6) {
          case 0, 1:
            let bytes = generator.bytes(count)
            try handle.seek(to: offset)
            try handle.write(bytes)
            if !bytes.isEmpty {
              model += [UInt8](repeating: 0, count: max(0, offset + count - model.count))
              model.replaceSubrange(offset..<(offset + count), with: bytes)
            }
          case 2:
            let bytes = generator.bytes(count)
            try handle.seek(to: 0, from: .end)
            try handle.adopt(bytes)
            model += bytes
          case 3:
            let size = min(offset, 400_000)
            try handle.truncate(to: size)
            model = Array(model.prefix(size)) + [UInt8](repeating: 0, count: max(0, size - model.count))
          case 4:
            try handle.seek(to: offset)
            #expect(try handle.read(count) == Array(model.dropFirst(offset).prefix(count)), "\(seed) \(round)")
          default:
            try handle.seek(to: min(offset, model.count))
            var found: [UInt8] = []
            try handle.readPieces(count) { (bytes) in found.append(bytes) }
            #expect(found == Array(model.dropFirst(offset).prefix(count)), "\(seed) \(round)")
          }
          #expect(handle.byteCount == model.count)
        }
      }
      if generator.below(4) == 0 { exports.append((try staging.export("/file"), model)) }
      if generator.below(8) == 0, staging.exists("/copy") { try staging.remove("/copy") }
      if generator.below(8) == 0, !staging.exists("/copy") { try staging.copy("/file", to: "/copy") }
      if exports.count > 3 { exports.removeFirst(2) }
      #expect(staging.usedByteCount <= 4 << 20)
      // An export sees no later change.
      for (export, bytes) in exports { #expect(try export.bytes() == bytes, "\(seed) \(round)") }
    }
    exports = []
    try staging.removeTree("/")
    #expect(staging.usedByteCount == empty, "\(seed)")
    #expect(staging.statistics().chunkCount == 0)
  }

  /// The arrays of a file have no more room than is charged for them.
  private func expectCharged(_ staging: StagingFileSystem, _ path: StagingPath) throws {
    let file = try staging.look { (tree) throws(StagingError) in try tree.file(path) }
    for piece in file.withState({ $0.content.pieces }) {
      #expect(piece.bytes.capacity <= piece.charge.byteCount, "\(piece.byteCount) bytes at \(piece.start)")
    }
  }

  @Test func `has no more memory than is charged, in pieces that were taken over before`() throws {
    let staging = try StagingFileSystem(quota: 64 << 20)
    // Each a little smaller than a large piece, and charged the same, since that is by pages.
    for number in 0..<10 {
      try staging.write([UInt8](repeating: 1, count: (1 << 20) - 176), to: StagingPath("/\(number)"))
    }
    try staging.removeTree("/")
    try staging.withFile("/file", .write) { handle in
      for _ in 0..<1600 { try handle.write([UInt8](repeating: 2, count: 6553)) }
    }
    try expectCharged(staging, "/file")
  }

  @Test func `has no more memory than is charged, in a piece that a reader has kept`() throws {
    let staging = try StagingFileSystem(quota: 64 << 20)
    var (start, byteCount, roomByteCount) = (0, 0, 0)
    // Until a piece is nearly full.
    while byteCount < 100_000 || !(1...byteCount / 4).contains(roomByteCount) {
      try staging.withFile("/file", .append) { try $0.write([UInt8](repeating: 2, count: 1000)) }
      let file = try staging.look { (tree) throws(StagingError) in try tree.file("/file") }
      file.withState { state in
        guard let last = state.content.pieces.last else { return }
        (start, byteCount, roomByteCount) = (last.start, last.byteCount, last.roomByteCount)
      }
    }
    let reader = try staging.open("/file")
    try reader.seek(to: start)
    let kept = try reader.read(byteCount)
    try reader.close()
    try staging.withFile("/file", .readWrite) { handle in
      try handle.seek(to: start)
      try handle.write([3])
      try handle.seek(to: 0, from: .end)
      try handle.write([4])
    }
    try expectCharged(staging, "/file")
    #expect(kept == [UInt8](repeating: 2, count: byteCount))
  }

  @Test func `of sequential storage takes bytes at the end only`() throws {
    let staging = try StagingFileSystem(quota: 1 << 20, storage: .sequential)
    let handle = try staging.open("/file", .write, preallocating: 5000)
    #expect(handle.byteCount == 0)
    let used = staging.usedByteCount
    for _ in 0..<50 { try handle.write(noise(100)) }
    #expect(staging.usedByteCount == used)
    try handle.seek(to: 10)
    #expect(stagingError { try handle.write([1]) }?.code == .wrongMode)
    try handle.seek(to: 0, from: .end)
    try handle.write([1])
    try handle.close()
    #expect(try staging.byteCount(of: "/file") == 5001)
  }

  @Test func `with room set aside is as large as that, and cannot fail below it`() throws {
    let staging = try StagingFileSystem(quota: 100_000)
    let handle = try staging.open("/file", .write, preallocating: 50_000)
    #expect(handle.byteCount == 50_000)
    try staging.write([UInt8](repeating: 1, count: staging.statistics().freeByteCount - 2000), to: "/rest")
    for _ in 0..<50 { try handle.write(noise(1000)) }
    #expect(handle.position == 50_000)
    let used = staging.statistics()
    #expect(stagingError { _ = try staging.open("/more", .createNew, preallocating: 90_000) }?.code == .quotaExceeded)
    #expect(stagingError { _ = try staging.open("/more", .append, preallocating: 90_000) }?.code == .quotaExceeded)
    #expect(!staging.exists("/more") && staging.statistics() == used)
  }

  @Test("that appends has its room behind what is there", arguments: [StagingStorage.automatic, .sequential])
  func roomToAppend(storage: StagingStorage) throws {
    let staging = try StagingFileSystem(quota: 100_000, storage: storage)
    try staging.write([1, 2], to: "/file")
    let handle = try staging.open("/file", .append, preallocating: 50_000)
    try staging.write(noise(staging.statistics().freeByteCount - 2000), to: "/filler")
    #expect(handle.byteCount == 2)
    try handle.write(noise(49_998))
    try handle.close()
    #expect(try staging.read("/file") == [1, 2] + noise(49_998))
  }

  @Test func `takes an array over and lends it without a copy`() throws {
    let bytes = noise(1 << 20)
    let address = unsafe bytes.withUnsafeBytes { Int(bitPattern: $0.baseAddress) }
    try staging.write(bytes, to: "/file")
    let found = try staging.read("/file")
    let foundAddress = unsafe found.withUnsafeBytes { Int(bitPattern: $0.baseAddress) }
    #expect(foundAddress == address)
    // And what is changed in place is no longer the caller's.
    try staging.withFile("/file", .readWrite) { try $0.write([bytes[0] ^ 1]) }
    #expect(bytes == noise(1 << 20))
    #expect(try staging.read("/file")[0] == bytes[0] ^ 1)
    let handle = try staging.open("/file", .readWrite)
    #expect(stagingError { try handle.adopt([1]) }?.code == .wrongMode)
  }
}

@Suite("Staging text") struct StagingTextTests {
  let staging: StagingFileSystem

  init() throws { staging = try StagingFileSystem(quota: 1 << 20) }

  private func text(
    _ bytes: [UInt8], _ invalidBytes: StagingTextHandle.InvalidBytes = .fail
  ) throws -> StagingTextHandle {
    try staging.write(bytes, to: "/text")
    return StagingTextHandle(try staging.open("/text"), invalidBytes: invalidBytes)
  }

  @Test func `is written and read by lines`() throws {
    try staging.withFile("/text", .write) { handle in
      let text = StagingTextHandle(handle)
      try text.write("größe\n\nline two\r\n")
      try text.write("no end")
    }
    let text = StagingTextHandle(try staging.open("/text"))
    #expect(try text.readLine() == "größe\n")
    #expect(text.handle.position == 8)
    #expect(try text.lines() == ["", "line two\r", "no end"])
    #expect(try text.readLine() == nil)
  }

  @Test func `has lines of any length`() throws {
    let long = String(repeating: "ä", count: 10_000)
    let text = try text(Array("\(long)\n\(long)".utf8))
    #expect(try text.lines() == [long, long])
  }

  @Test("is read by so many scalars, and the next read goes on right behind them", arguments: 1...9)
  func scalars(step: Int) throws {
    let whole = "aß€😀z\nẞ日本😀"
    let text = try text(Array(whole.utf8))
    var found = ""
    while true {
      let part = try text.read(step)
      #expect(part.unicodeScalars.count <= step)
      if part.isEmpty { break }
      found += part
      #expect(text.handle.position == found.utf8.count)
    }
    #expect(found == whole)
    #expect(stagingError { _ = try text.read(-1) }?.code == .invalidArgument)
  }

  @Test(
    "that is not UTF-8 is an error, or replaced where that is asked for",
    arguments: [[0xFF], [0xE2, 0x82], [0xC0, 0x80]] as [[UInt8]])
  func invalid(bytes: [UInt8]) throws {
    #expect(stagingError { _ = try text([0x61] + bytes).read() }?.code == .badText)
    #expect(stagingError { _ = try text([0x61] + bytes).read(9) }?.code == .badText)
    #expect(stagingError { _ = try text(bytes + [0x0A]).readLine() }?.code == .badText)
    #expect(try text([0x61] + bytes, .replace).read().hasPrefix("a\u{FFFD}"))
    #expect(try text([0x61] + bytes, .replace).read(9).hasPrefix("a\u{FFFD}"))
  }

  @Test func `is read scalar by scalar where bytes are none, as it is at once`() throws {
    let seed = TestSeed("text", default: 5)
    var generator = SeededGenerator(seed: seed.value)
    let staging = try StagingFileSystem(quota: 1 << 20)
    let choice: [UInt8] = [
      0x41, 0x80, 0x8F, 0x90, 0xA0, 0xBF, 0xC1, 0xC3, 0xE0, 0xE2, 0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xFF,
    ]
    for _ in 0..<2000 {
      let bytes = (0..<12).map { _ in choice[generator.below(choice.count)] }
      try staging.write(bytes, to: "/text")
      let text = StagingTextHandle(try staging.open("/text"), invalidBytes: .replace)
      var scalars: [Unicode.Scalar] = []
      while let scalar = try text.read(1).unicodeScalars.first { scalars.append(scalar) }
      #expect(scalars == Array(String(decoding: bytes, as: UTF8.self).unicodeScalars), "\(seed): \(bytes)")
      try text.handle.close()
    }
  }
}
