import Codecs
import StorageIO

extension PutOptions {
  /// How parts are compressed where that saves space; nil when they are stored as they are.
  var compression: Compression? {
    switch encoding {
    case .auto, .zlib: Compression(.zlib, level: level)
    case .zstd: Compression(.zstd, level: level)
    case .lz4: Compression(.lz4, level: level)
    case .stored: nil
    }
  }

  /// - Throws: `.invalidArgument` when the codec has no such level.
  func checkLevel() throws(StoreError) {
    guard let compression, !compression.levels.contains(level) else { return }
    let levels = compression.levels
    throw StoreError(
      .invalidArgument,
      "level \(level): \(compression.codec) has levels \(levels.lowerBound) (fast) to \(levels.upperBound) (small)")
  }

  /// The memory that encoding takes besides the batch, which it lies behind.
  func workspaceByteCount(partByteCount: Int) -> Int {
    guard let compression else { return 0 }
    return Format.alignment + compression.workspaceByteCount(partByteCount: partByteCount)
  }
}

/// Makes the payloads of a batch's parts.
struct PayloadEncoder {
  private let compression: Compression?
  private let lease: MemoryLease
  private let workspace: Range<Int>

  /// - Parameter lease: has room for ``PutOptions/workspaceByteCount(partByteCount:)`` bytes behind the batch.
  init(_ options: PutOptions, partByteCount: Int, _ lease: MemoryLease, behind batchByteCount: Int) {
    compression = options.compression
    self.lease = lease
    let start = Format.aligned(batchByteCount)
    workspace = start..<start + (compression?.workspaceByteCount(partByteCount: partByteCount) ?? 0)
  }

  /// Encodes one part. Zeros take no payload; what does not shrink is stored as it is.
  func encode(_ raw: RawSpan, into destination: inout MutableRawSpan) throws(StoreError) -> EncodedPayload {
    if ZeroCheck.isAllZero(raw) { return EncodedPayload(codec: .zeros, byteCount: 0) }
    if let compression, let byteCount = try compress(raw, compression, into: &destination), byteCount < raw.byteCount {
      return EncodedPayload(codec: compression.codec, byteCount: byteCount)
    }
    destination.copy(raw, to: 0)
    return EncodedPayload(codec: .stored, byteCount: raw.byteCount)
  }

  /// Nil when that is not worth it, or does not fit.
  private func compress(
    _ raw: RawSpan, _ compression: Compression, into destination: inout MutableRawSpan
  ) throws(StoreError) -> Int? {
    try lease.region.withMutableBytes(workspace) { (workspace) throws(StoreError) in
      do throws(CodecFailure) {
        guard try PartEncoder.looksCompressible(raw, with: compression, workspace: &workspace) else { return nil }
        return try PartEncoder.encode(raw, with: compression, into: &destination, workspace: &workspace)
      } catch {
        throw StoreError(.io, "part could not be encoded: \(error)")
      }
    }
  }
}
