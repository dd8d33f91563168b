/// What the store knows of one file.
public struct StoredFile: Hashable, Sendable {
  public enum Status: String, Hashable, Sendable {
    /// Durable as a whole, and readable.
    case ready
    /// Being stored: not readable, and rolled back if its writer dies.
    case writing
    /// Deleted; its last parts are being taken out of the index.
    case deleting
  }

  public let id: FileID
  public let name: FileName
  public let status: Status
  /// Whether it is `writing` and nobody stores it: a put that was interrupted, to be gone on with or deleted.
  public let isInterrupted: Bool
  /// The size of the file, in bytes; what has been entered so far while it is `writing`.
  public let byteCount: Int
  /// What its parts take as they are stored, without headers.
  public let storedByteCount: Int
  /// Nanoseconds since 1970, as are all dates.
  public let createdNanoseconds: Int64
  public let modifiedNanoseconds: Int64
  public let mode: UInt32
  public let partByteCount: Int
  public let partCount: Int
  /// MD5 of the MD5s of the parts, "-", and their number: as S3 shows a multipart upload.
  public let etag: String

  init(_ id: FileID, _ entry: FileEntry) {
    self.id = id
    let manifest = entry.manifest
    name = manifest.name
    status =
      switch entry.state {
      case .writing: .writing
      case .ready: .ready
      case .deleting: .deleting
      }
    isInterrupted = entry.isInterrupted
    byteCount = manifest.byteCount
    storedByteCount = manifest.storedByteCount
    createdNanoseconds = manifest.createdNanoseconds
    modifiedNanoseconds = manifest.modifiedNanoseconds
    mode = manifest.mode
    partByteCount = manifest.partByteCount
    partCount = manifest.partCount
    etag = manifest.etag
  }
}

/// One part of a stored file.
public struct StoredPartInformation: Hashable, Sendable {
  public let id: PartID
  /// The first byte of the file that the part holds.
  public let offsetInFile: Int
  public let rawByteCount: Int
  public let storedByteCount: Int
  /// The name of the codec.
  public let codec: String
  public let segment: SegmentID
  /// Where its record begins in the segment file.
  public let offsetInSegment: Int
  /// MD5 of the raw bytes, in hexadecimal.
  public let md5: String
}

/// Sizes and counts of a whole store.
public struct StoreStatistics: Hashable, Sendable {
  public internal(set) var fileCount = 0
  /// Files that are `writing` or `deleting`.
  public internal(set) var unfinishedFileCount = 0
  public internal(set) var partCount = 0
  public internal(set) var segmentCount = 0
  public internal(set) var sealedSegmentCount = 0
  /// What the users stored: the sizes of all ready files.
  public internal(set) var byteCount = 0
  /// The same as it is stored, without headers.
  public internal(set) var storedByteCount = 0
  /// Records in segments that something needs, headers included.
  public internal(set) var liveByteCount = 0
  /// Records that nothing needs any more, as far as they are still on disk.
  public internal(set) var deadByteCount = 0
  /// What was given back of such records.
  public internal(set) var punchedByteCount = 0
  /// What segments have set aside behind their records.
  public internal(set) var freeByteCount = 0
  /// What segments take beside that: see ``SegmentSpace/overheadByteCount``.
  public internal(set) var overheadByteCount = 0
  /// What the segment files take on disk, as `du` counts it.
  public internal(set) var segmentDiskByteCount = 0
  public internal(set) var indexDiskByteCount = 0
  /// What the index could give back.
  public internal(set) var indexFreeByteCount = 0
  /// The whole directory of the store, as `du` counts it.
  public internal(set) var storeDiskByteCount = 0
  public internal(set) var segmentByteCount = 0
  public internal(set) var partByteCount = 0
  /// The most that live bytes may come to; nil when there is no limit.
  public internal(set) var quotaByteCount: Int?
  public internal(set) var memoryLimitByteCount = 0
  public internal(set) var workerCount = 0
  public internal(set) var uuid = ""

  /// Disk space of the segments against what is alive in them; 1 for an empty store.
  public var spaceAmplification: Double {
    liveByteCount == 0 ? 1 : Double(segmentDiskByteCount) / Double(liveByteCount)
  }
}
