/// Something in a store that is not as it should be, and where.
public struct Finding: Hashable, Sendable, CustomStringConvertible {
  public struct Kind: Hashable, Sendable, CustomStringConvertible {
    public let description: String

    /// Bytes of a part do not match their checksums, or cannot be read.
    public static let damagedPart = Kind(description: "damaged part")
    /// No record of a part was found: its file has a hole.
    public static let lostPart = Kind(description: "lost part")
    /// None of the parts of a file was found: it is not restored.
    public static let lostFile = Kind(description: "lost file")
    /// A manifest cannot be read: its file cannot be restored.
    public static let damagedManifest = Kind(description: "damaged manifest")
    /// A record of what became visible cannot be read.
    public static let damagedCommit = Kind(description: "damaged commit")
    /// A file whose bytes are there without an intact record that says that it was stored.
    public static let uncommittedFile = Kind(description: "uncommitted file")
    /// The index is missing, or does not hold together.
    public static let damagedIndex = Kind(description: "damaged index")
    /// STORE is missing or damaged.
    public static let damagedSuperblock = Kind(description: "damaged superblock")
    /// A segment file is missing, cannot be read, or its header or footer is damaged.
    public static let damagedSegment = Kind(description: "damaged segment")

    private init(description: String) { self.description = description }
  }

  public let kind: Kind
  public var file: FileID?
  public var name: FileName?
  public var partNumber: Int?
  public var part: PartID?
  public var segment: SegmentID?
  /// In the segment, in bytes.
  public var offset: Int?
  /// What was expected and what was found.
  public let message: String

  /// False for what is only good to know.
  public var isDamage: Bool { kind != .uncommittedFile }

  init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }

  public var description: String {
    var place: [String] = []
    if let name { place.append("'\(name)'") }
    if let file { place.append("(id \(file))") }
    if let partNumber { place.append("part \(partNumber)") }
    if let segment { place.append("segment \(segment)") }
    if let offset { place.append("offset \(offset)") }
    return "\(kind): \(place.joined(separator: " "))\(place.isEmpty ? "" : ": ")\(message)"
  }
}
