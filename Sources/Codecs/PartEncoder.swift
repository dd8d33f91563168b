/// Encodes parts, each in memory that the caller lends.
public enum PartEncoder {
  /// Compresses `raw` into the start of `destination`, and returns how many bytes that took.
  ///
  /// Returns nil when it does not fit, or, with some engines, only just; what `destination` holds is undefined then.
  /// - Parameter raw: at most 1 GiB.
  /// - Parameter workspace: ``Compression/workspaceByteCount(partByteCount:)`` bytes for parts as long as this one, at an
  ///   address that is a multiple of 64; what is in it does not matter.
  /// - Throws: ``CodecFailure`` `.engineFailure`.
  /// - Complexity: O(raw.byteCount).
  public static func encode(
    _ raw: RawSpan, with compression: Compression, into destination: inout MutableRawSpan,
    workspace: inout MutableRawSpan
  ) throws(CodecFailure) -> Int? {
    check(raw, compression, workspace.byteCount)
    guard destination.byteCount > 0 else { return nil }
    // Safe: the buffers outlive the calls that use them, and are exactly the spans.
    return try unsafe raw.withUnsafeBytes { (raw) throws(CodecFailure) in
      try unsafe destination.withUnsafeMutableBytes { (destination) throws(CodecFailure) in
        try unsafe workspace.withUnsafeMutableBytes { (workspace) throws(CodecFailure) in
          try unsafe run(compression, raw, into: destination, workspace: workspace)
        }
      }
    }
  }

  /// Whether `raw` is worth compressing, judged by compressing a few slices of it at level 1.
  ///
  /// Parts of 16 KiB or less are not judged: true. A part is worth it when the slices get smaller by a sixteenth.
  /// - Parameter workspace: as for ``encode(_:with:into:workspace:)``.
  /// - Complexity: O(1): compresses 16 KiB.
  public static func looksCompressible(
    _ raw: RawSpan, with compression: Compression, workspace: inout MutableRawSpan
  ) throws(CodecFailure) -> Bool {
    check(raw, compression, workspace.byteCount)
    guard Compression.samples(raw.byteCount) else { return true }
    return try unsafe raw.withUnsafeBytes { (raw) throws(CodecFailure) in
      try unsafe workspace.withUnsafeMutableBytes { (workspace) throws(CodecFailure) in
        // Safe: the parts of the workspace that follow do not overlap, and it is long enough for them: see `check`.
        let sample = unsafe UnsafeMutableRawBufferPointer(rebasing: workspace[..<Sample.byteCount])
        let output = unsafe UnsafeMutableRawBufferPointer(
          rebasing: workspace[Sample.byteCount..<Sample.workspaceByteCount])
        let engine = unsafe UnsafeMutableRawBufferPointer(rebasing: workspace[Sample.workspaceByteCount...])
        unsafe Sample.copy(from: raw, into: sample)
        let byteCount = try unsafe run(
          Compression(compression.codec), UnsafeRawBufferPointer(sample), into: output, workspace: engine)
        return byteCount != nil
      }
    }
  }

  private static func check(_ raw: RawSpan, _ compression: Compression, _ workspaceByteCount: Int) {
    precondition(compression.levels.contains(compression.level), "level \(compression.level)")
    precondition(raw.byteCount <= 1 << 30, "a part of \(raw.byteCount) bytes; at most 1 GiB")
    let least = compression.workspaceByteCount(partByteCount: raw.byteCount)
    precondition(workspaceByteCount >= least, "a workspace of \(workspaceByteCount) bytes; at least \(least)")
  }

  private static func run(
    _ compression: Compression, _ raw: UnsafeRawBufferPointer, into destination: UnsafeMutableRawBufferPointer,
    workspace: UnsafeMutableRawBufferPointer
  ) throws(CodecFailure) -> Int? {
    let level = compression.level
    switch compression.codec {
    case .zstd: return try unsafe Zstandard.encode(raw, level: level, into: destination, workspace: workspace)
    case .lz4: return unsafe LZ4.encode(raw, level: level, into: destination, workspace: workspace)
    default:
      if level == 1 { return try unsafe Igzip.encode(raw, into: destination, workspace: workspace) }
      return try unsafe Deflate.encode(raw, level: level, into: destination, workspace: workspace)
    }
  }
}

/// What is compressed of a part to see whether all of it is worth it.
enum Sample {
  private static let sliceCount = 4
  private static let sliceByteCount = 4096
  static let byteCount = sliceCount * sliceByteCount
  /// The sample and what it is compressed to, at most: a multiple of 64, so that the engine behind it is aligned.
  static let workspaceByteCount = byteCount + (byteCount - byteCount / 16)

  /// Copies slices from all over `raw`, which is longer than the sample.
  static func copy(from raw: UnsafeRawBufferPointer, into sample: UnsafeMutableRawBufferPointer) {
    let stride = (raw.count - sliceByteCount) / (sliceCount - 1)
    for index in 0..<sliceCount {
      // Safe: the last slice ends at most at the end of `raw`, and of the sample.
      let slice = unsafe raw[index * stride..<index * stride + sliceByteCount]
      unsafe UnsafeMutableRawBufferPointer(rebasing: sample[(index * sliceByteCount)...]).copyMemory(
        from: UnsafeRawBufferPointer(rebasing: slice))
    }
  }
}
