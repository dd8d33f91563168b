import CommandSupport
import StorageIO

/// How much is stored, deleted and moved.
struct ChurnSettings: Sendable {
  static let table = OptionTable([
    OptionTable.Option("size", value: "SIZE", help: "The large file that is deleted; default 1GiB."),
    OptionTable.Option("files", value: "N", help: "How many files of 4KiB 'delete -r' has; default 100000."),
    OptionTable.Option("live", value: "SIZE", help: "What is alive in the stores that are churned; default 256MiB."),
    OptionTable.Option("times", value: "N", help: "Puts come to so many times that; default 10."),
    OptionTable.Option(
      "segment-size", value: "SIZE", help: "Segments of these stores, a power of two; default 64MiB."),
    OptionTable.Option(
      "operations", value: "N", help: "Small puts, and gets, for a latency, at least 10; default 500."),
    OptionTable.Option(
      "only", value: "PART[,PART...]",
      help: "Of delete, tree, space, compaction, latency, punched; default: all."),
    OptionTable.Option("quick", help: "A sixteenth of the defaults of SIZE, N files and operations."),
  ])

  /// What can be measured alone, in the order in which it is measured.
  enum Part: String, CaseIterable, Sendable { case delete, tree, space, compaction, latency, punched }

  static let smallFileByteCount = 4 << 10
  static let segmentByteCounts = (1 << 20)...(1 << 30)
  /// Fewer say nothing of one in a hundred, but that it was measured.
  static let leastOperationCount = 10

  let largeByteCount: Int
  let fileCount: Int
  let liveByteCount: Int
  let timesCount: Int
  let segmentByteCount: Int
  let operationCount: Int
  let parts: Set<Part>

  init(_ options: ParsedOptions) throws(UsageError) {
    let divisor = options.contains("quick") ? 16 : 1
    largeByteCount = try options.byteCount(of: "size") ?? (1 << 30) / divisor
    fileCount = try options.integer(of: "files", in: 1...100_000_000) ?? 100_000 / divisor
    liveByteCount = try options.byteCount(of: "live") ?? (256 << 20) / divisor
    timesCount = try options.integer(of: "times", in: 1...10_000) ?? 10
    segmentByteCount = try options.byteCount(of: "segment-size") ?? (64 << 20) / divisor
    operationCount =
      try options.integer(of: "operations", in: ChurnSettings.leastOperationCount...1_000_000) ?? 500 / divisor
    parts = try ChurnSettings.parts(options)
    guard ChurnSettings.segmentByteCounts.contains(segmentByteCount), segmentByteCount.nonzeroBitCount == 1 else {
      throw UsageError(.invalidValue, "option '--segment-size': a power of two from 1MiB to 1GiB")
    }
    guard liveByteCount >= 4 * segmentByteCount else {
      throw UsageError(
        .invalidValue, "option '--live': at least four segments, \(ByteSize.text(4 * segmentByteCount))")
    }
    guard largeByteCount > 0 else { throw UsageError(.invalidValue, "option '--size': at least one byte") }
  }

  private static func parts(_ options: ParsedOptions) throws(UsageError) -> Set<Part> {
    guard let value = options.value(of: "only") else { return Set(Part.allCases) }
    var parts: Set<Part> = []
    for word in String(decoding: value, as: UTF8.self).split(separator: ",", omittingEmptySubsequences: false) {
      guard let part = Part(rawValue: String(word)) else {
        let names = Part.allCases.map(\.rawValue).joined(separator: ", ")
        throw UsageError(.invalidValue, "option '--only': '\(word)' is none of \(names)")
      }
      parts.insert(part)
    }
    return parts
  }
}
