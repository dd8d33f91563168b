import StorageIO

extension FaultyDisk {
  /// What is to fail on a disk, and what has happened: a file that is shared with the disk.
  public struct Control: Sendable {
    /// What is to fail.
    public struct Faults: Hashable, Sendable {
      /// Reads that touch one of these bytes fail.
      public var reads = 0..<0
      /// The number of the write, counted from 1 on, that fails; 0: none.
      public var write = 0
      /// The number of the flush.
      public var flush = 0
      /// Whether all that come later fail too.
      public var isSticky = false

      public init() {}
    }

    /// What has happened since the faults were set.
    public struct Counts: Hashable, Sendable {
      public var writes = 0
      public var flushes = 0
      public var failedReads = 0
      public var failedWrites = 0
      public var failedFlushes = 0
    }

    private let file: File
    private static let fieldCount = 10
    private static let fieldByteCount = 8
    /// The fields of the faults; those of the counts follow.
    private static let faultFieldCount = 5

    /// Makes the file, in which nothing is to fail.
    public init(making path: FilePath) throws(SystemCallFailure) {
      file = try File.open(path, [.write, .createNew])
      try set(Faults())
    }

    /// Sets what is to fail from now on, and the counts to zero.
    public func set(_ faults: Faults) throws(SystemCallFailure) {
      let fields = [
        faults.reads.lowerBound, faults.reads.upperBound, faults.write, faults.flush, faults.isSticky ? 1 : 0,
      ]
      // The counts first: a number that is counted to must not be met by what came before.
      let zeros = [UInt8](repeating: 0, count: (Control.fieldCount - Control.faultFieldCount) * Control.fieldByteCount)
      try file.write(zeros, at: Control.faultFieldCount * Control.fieldByteCount)
      try file.write(fields.flatMap(Control.bytes), at: 0)
    }

    public func counts() throws(SystemCallFailure) -> Counts {
      let bytes = try file.bytes(at: 0, byteCount: Control.fieldCount * Control.fieldByteCount)
      let fields = (0..<Control.fieldCount).map { field in
        (0..<Control.fieldByteCount).reduce(0) { value, byte in
          value | Int(bytes[field * Control.fieldByteCount + byte]) << (8 * byte)
        }
      }
      return Counts(
        writes: fields[5], flushes: fields[6], failedReads: fields[7], failedWrites: fields[8],
        failedFlushes: fields[9])
    }

    private static func bytes(_ field: Int) -> [UInt8] {
      (0..<fieldByteCount).map { byte in UInt8(truncatingIfNeeded: field >> (8 * byte)) }
    }
  }
}
