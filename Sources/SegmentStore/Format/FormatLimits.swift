/// The constants of the format; docs/FORMAT.md describes them.
enum Format {
  /// Raised when an older program could misread what a newer one wrote.
  static let version: UInt32 = 1
  /// Incompatible features that this program knows: none yet. A store that sets another bit is refused.
  static let knownIncompatibleFlags: UInt64 = 0

  /// Records and footers start at multiples of this, so that a scan can find the next one after damage.
  static let alignment = 64

  static let segmentByteCounts = (1 << 16)...(1 << 32)
  static let defaultSegmentByteCount = 64 << 20
  static let minimumPartByteCount = 4096
  static let defaultPartByteCount = 1 << 20
  /// A part is at most half a segment, and its length has to fit 32 bits with room to spare.
  static func maximumPartByteCount(segmentByteCount: Int) -> Int { min(segmentByteCount / 2, 1 << 30) }
  static let maximumPartCount = Int(UInt32.max)

  static let nameByteCounts = 1...4095

  static func aligned(_ byteCount: Int) -> Int { (byteCount + alignment - 1) & ~(alignment - 1) }
}

/// What the format rejects, in words that say where, expected and found.
struct FormatFailure: Error, Sendable, CustomStringConvertible {
  enum Kind: Sendable { case damaged, notThisKind, newerVersion }
  let kind: Kind
  let description: String

  init(_ kind: Kind, _ description: String) {
    self.kind = kind
    self.description = description
  }
}
