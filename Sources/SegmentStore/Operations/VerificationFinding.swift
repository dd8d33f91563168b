/// Something in a store that is not as it must be: what, where, expected and found.
public struct Finding: Hashable, Sendable {
  public struct Kind: Hashable, Sendable, CustomStringConvertible {
    public let description: String

    /// A part whose record is not intact, or not the one that the index expects.
    public static let part = Kind(description: "part")
    /// The record from which a file could be entered in a new index.
    public static let manifest = Kind(description: "manifest")
    /// The record that says that a file is whole.
    public static let commit = Kind(description: "commit")
    /// The record that says that a file is deleted.
    public static let tombstone = Kind(description: "tombstone")
    /// The file of a segment, its header, or its footer.
    public static let segment = Kind(description: "segment")
    /// An entry of the index, or several that do not agree.
    public static let index = Kind(description: "index")
    /// A file that is in the segments, and that the index does not know.
    public static let lostFile = Kind(description: "lost-file")
    /// A file whose bytes are there without an intact record that says that it was stored: no damage by itself.
    public static let uncommittedFile = Kind(description: "uncommitted-file")
    /// The file `STORE`, `high-water` or `locks`.
    public static let storeFile = Kind(description: "store-file")

    private init(description: String) { self.description = description }
  }

  public let kind: Kind
  /// What is wrong, in one line, without what the other fields say.
  public let message: String
  public var file: FileID?
  public var name: FileName?
  /// Counted from 0.
  public var partNumber: Int?
  public var part: PartID?
  public var segment: SegmentID?
  /// Where in the segment file the record begins.
  public var offset: Int?

  init(
    _ kind: Kind, _ message: String, file: FileID? = nil, name: FileName? = nil, partNumber: Int? = nil,
    part: PartID? = nil, segment: SegmentID? = nil, offset: Int? = nil
  ) {
    self.kind = kind
    self.message = message
    self.file = file
    self.name = name
    self.partNumber = partNumber
    self.part = part
    self.segment = segment
    self.offset = offset
  }

  init(_ kind: Kind, _ message: String, at location: RecordLocation, file: FileID? = nil, name: FileName? = nil) {
    self.init(kind, message, file: file, name: name, segment: location.segment, offset: location.offset)
  }
}

/// What a verification tells whoever asked for it, as it goes; always from the thread that asked.
public enum VerificationEvent: Sendable {
  /// Something is damaged.
  case finding(Finding)
  /// Good to know, and no damage: such as what a writer that died has left, which the next open puts right.
  case note(String)
  /// So many bytes more were checked; zero now and then, where there are none to count.
  case progress(Int)
  /// All segments before this place were checked.
  case reached(VerificationPosition)
}

/// A place among the segments, from which a later verification goes on.
public struct VerificationPosition: Hashable, Sendable {
  public var segment: SegmentID
  public var offset: Int

  public static let start = VerificationPosition(segment: SegmentID(rawValue: 0), offset: 0)

  public init(segment: SegmentID, offset: Int) {
    self.segment = segment
    self.offset = offset
  }
}

/// What is verified, and how.
public struct VerificationOptions: Hashable, Sendable {
  public struct Scope: OptionSet, Hashable, Sendable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }
    /// The index by itself, and the small files beside it.
    public static let index = Scope(rawValue: 1 << 0)
    /// The segments, against the index both ways.
    public static let segments = Scope(rawValue: 1 << 1)
    public static let everything: Scope = [.index, .segments]
  }

  public var scope = Scope.everything
  /// Only the stored checksums: parts are not decoded and compared with their MD5.
  public var isFast = false
  /// The most bytes of segments that are read in a second; nil: as many as can be.
  public var bytesPerSecond: Int?
  /// After this time no further part is looked at; nil: until the end.
  public var maximumSeconds: Double?
  /// Where among the segments to begin.
  public var start = VerificationPosition.start

  public init() {}
}

/// What a verification has seen.
public struct VerificationSummary: Hashable, Sendable {
  public internal(set) var findingCount = 0
  public internal(set) var fileCount = 0
  public internal(set) var partCount = 0
  public internal(set) var segmentCount = 0
  /// Of the records that were read.
  public internal(set) var byteCount = 0
  /// Where it stopped when its time was over; nil when it came to the end.
  public internal(set) var stoppedAt: VerificationPosition?
}
