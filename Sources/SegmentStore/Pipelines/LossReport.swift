/// What of a damaged file a get could not vouch for, in order of bytes.
///
/// A file may have any number of damaged parts: the first ``listedCount`` losses are kept, all are counted.
public struct LossReport: Hashable, Sendable {
  /// How many losses are kept at most: a few MiB of them.
  public static let listedCount = 10_000

  public private(set) var losses: [PartLoss] = []
  /// The losses that were counted and not kept.
  public private(set) var omittedCount = 0
  public private(set) var lostByteCount = 0
  public private(set) var unverifiedByteCount = 0

  public init() {}

  public var isEmpty: Bool { losses.isEmpty }

  mutating func add(_ loss: PartLoss) {
    switch loss.kind {
    case .lost: lostByteCount += loss.byteRange.count
    case .unverified: unverifiedByteCount += loss.byteRange.count
    }
    if losses.count < LossReport.listedCount { losses.append(loss) } else { omittedCount += 1 }
  }
}

/// Bytes of a part that a get could not vouch for, and why.
public struct PartLoss: Hashable, Sendable {
  public enum Kind: String, Hashable, Sendable {
    /// Not restored: a hole is in their place.
    case lost
    /// Restored as they were found, or as they came out of a damaged stream: any of them may be wrong.
    case unverified
  }

  public let kind: Kind
  /// The bytes of the file, never none.
  public let byteRange: Range<Int>
  public let partNumber: Int
  /// Where the record of the part is; nil when that is not known.
  public let segment: SegmentID?
  public let offsetInSegment: Int?
  /// What was found, with its place.
  public let reason: String
  /// `.corrupt` or `.io`.
  let code: StoreError.Code
}

extension PartLoss {
  init(
    _ kind: Kind, _ byteRange: Range<Int>, ofPart partNumber: Int, _ entry: PartEntry, _ error: StoreError
  ) {
    let isLocated = entry.state == .live
    self.init(
      kind: kind, byteRange: byteRange, partNumber: partNumber, segment: isLocated ? entry.segment : nil,
      offsetInSegment: isLocated ? entry.offset : nil, reason: error.message, code: error.code)
  }
}

extension StoreError {
  /// What is said of a part that cannot be read, as against an operation that cannot go on.
  var isDamage: Bool { code == .corrupt || code == .io }

  /// Why a file is not restored: its first damage, and the list of all.
  init(damaged name: FileName, _ id: FileID, _ report: LossReport) {
    guard let first = report.losses.first else { preconditionFailure("no loss in the report") }
    let count = report.losses.count + report.omittedCount
    let bytes = "bytes \(first.byteRange.lowerBound)-\(first.byteRange.upperBound - 1)"
    self.init(
      first.code,
      "'\(name)' (id \(id)) part \(first.partNumber): \(first.reason): "
        + (count == 1 ? bytes : "\(bytes), the first of \(count) damaged parts"),
      advice: "see what else is damaged with 'pfs verify', keep what is intact of this file with 'pfs get --salvage'",
      losses: report)
  }
}
