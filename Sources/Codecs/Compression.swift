/// How parts are made smaller: a codec, with how hard it tries.
public struct Compression: Hashable, Sendable {
  /// ``Codec/zlib``, ``Codec/zstd`` or ``Codec/lz4``.
  public let codec: Codec
  /// One of ``levels``, from fast to small.
  public let level: Int

  /// - Parameter codec: one that compresses.
  /// - Parameter level: not looked at before something is encoded.
  public init(_ codec: Codec, level: Int = 1) {
    precondition(codec == .zlib || codec == .zstd || codec == .lz4, "\(codec) does not compress")
    self.codec = codec
    self.level = level
  }

  /// The levels of the codec.
  ///
  /// zlib: 1 is igzip, all others are libdeflate. lz4: 1 is the fast one, all others the thorough one (HC).
  public var levels: ClosedRange<Int> { codec == .zstd ? 1...19 : 1...12 }

  /// The memory that encoding parts of at most `partByteCount` bytes takes.
  /// - Complexity: O(1).
  public func workspaceByteCount(partByteCount: Int) -> Int {
    precondition(levels.contains(level), "\(codec) level \(level) is not one of \(levels)")
    let engine: Int =
      switch codec {
      case .zstd: Zstandard.workspaceByteCount(level: level, partByteCount: partByteCount)
      case .lz4: LZ4.workspaceByteCount(level: level)
      default: level == 1 ? Igzip.workspaceByteCount : Deflate.workspaceByteCount(level: level)
      }
    guard Compression.samples(partByteCount) else { return engine }
    // A sample is compressed at level 1, which may take more memory than another level.
    let sampling = level == 1 ? engine : Compression(codec).workspaceByteCount(partByteCount: Sample.byteCount)
    return Sample.workspaceByteCount + max(engine, sampling)
  }

  /// Whether parts of this length are looked at before they are compressed.
  static func samples(_ rawByteCount: Int) -> Bool { rawByteCount > Sample.byteCount }
}
