import Codecs
import Glibc
import Testing

/// In processes of their own, where nothing else allocates.
@Suite("stateByteCount") struct StateByteCountTests {
  @Test("of a workspace is all that an encoder takes")
  func encoder() async {
    await #expect(processExitsWith: .success) {
      let raw = textBytes(100_000, seed: 30)
      var destination = [UInt8](repeating: 0, count: 110_000)
      var workspaces = Method.some.map { method in
        let compression = Compression(method.codec, level: method.level)
        return (
          compression, GuardedMemory(byteCount: compression.workspaceByteCount(partByteCount: raw.count) + 63 & ~63)
        )
      }
      func encodeAll() throws {
        for (compression, workspace) in workspaces {
          try destination.lendMutable { destination in
            try workspace.lendMutable { workspace in
              try raw.lend { raw in
                _ = try PartEncoder.looksCompressible(raw, with: compression, workspace: &workspace)
                _ = try PartEncoder.encode(raw, with: compression, into: &destination, workspace: &workspace)
              }
            }
          }
        }
      }
      try encodeAll()
      let before = heapByteCount()
      for _ in 0..<3 { try encodeAll() }
      #expect(heapByteCount() - before < 4096)
      workspaces = []
    }
  }

  @Test("bounds what a decoder takes from the heap, and it goes back")
  func decoder() async {
    await #expect(processExitsWith: .success) {
      let raw = textBytes(100_000, seed: 31)
      var streams: [(Codec, [UInt8])] = []
      for codec in [Codec.zlib, .zstd, .lz4] {
        guard let stored = try PartEncoder.encoded(raw, codec, capacity: 110_000) else { exit(1) }
        // Only a stream that does not end makes zlib keep a window.
        streams += [(codec, stored), (codec, Array(stored[..<(stored.count / 2)]))]
      }
      var destination = [UInt8](repeating: 0, count: raw.count)
      func decodeAll(_ decoder: PartDecoder) throws {
        for (codec, stored) in streams {
          try destination.lendMutable { destination in
            try stored.lend { stored in
              do throws(CodecFailure) {
                try decoder.decode(stored, with: codec, into: &destination)
              } catch {
                guard error.code == .damagedStream else { throw error }
              }
              _ = try decoder.decodeStart(of: stored, with: codec, into: &destination)
            }
          }
        }
      }
      try decodeAll(PartDecoder())
      let before = heapByteCount()
      var decoder: PartDecoder? = PartDecoder()
      if let decoder { try decodeAll(decoder) }
      let taken = heapByteCount() - before
      decoder = nil
      for _ in 0..<20 { try decodeAll(PartDecoder()) }
      let kept = heapByteCount() - before
      #expect(taken > PartDecoder.stateByteCount / 2)
      #expect(taken <= PartDecoder.stateByteCount)
      // malloc counts small blocks that it holds ready as handed out.
      #expect(kept < PartDecoder.stateByteCount / 2)
    }
  }

  @Test("of a workspace is enough for parts that are shorter than those it was made for", arguments: Method.all)
  func shorterParts(method: Method) {
    let compression = Compression(method.codec, level: method.level)
    var last = 0
    for byteCount in [
      1, 4096, 16 << 10, 16 << 10 + 1, 100_000, 128 << 10, 200_000, 256 << 10, 1 << 20, 10 << 20, 1 << 30,
    ] {
      let needed = compression.workspaceByteCount(partByteCount: byteCount)
      #expect(needed >= last, "\(byteCount) bytes")
      last = needed
    }
  }
}

/// Bytes that malloc has handed out, small and mapped: the last figure that glibc's malloc_stats prints.
///
/// The header that declares it is in no module, and it prints to standard error, which this takes away.
private func heapByteCount() -> Int {
  // Safe: malloc_stats takes and returns nothing; the buffer is as long as the read may be.
  guard let symbol = unsafe dlsym(nil, "malloc_stats") else { return 0 }
  typealias PrintStatistics = @convention(c) () -> Void
  let printStatistics = unsafe unsafeBitCast(symbol, to: PrintStatistics.self)
  var ends: [CInt] = [0, 0]
  guard unsafe pipe(&ends) == 0 else { return 0 }
  let standardError = dup(STDERR_FILENO)
  dup2(ends[1], STDERR_FILENO)
  printStatistics()
  dup2(standardError, STDERR_FILENO)
  var text = [UInt8](repeating: 0, count: 16 << 10)
  let count = unsafe read(ends[0], &text, text.count)
  for descriptor in [standardError, ends[0], ends[1]] { close(descriptor) }
  let lines = text.prefix(max(0, count)).split(separator: 0x0a)
  guard let line = lines.last(where: { $0.starts(with: Array("in use bytes".utf8)) }) else { return 0 }
  return line.reduce(0) { sum, byte in (0x30...0x39).contains(byte) ? sum * 10 + Int(byte - 0x30) : sum }
}
