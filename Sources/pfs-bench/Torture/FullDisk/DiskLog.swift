import StorageIO

/// What reached a disk, in order.
struct DiskLog: Sendable {
  struct Event: Sendable {
    let offset: Int
    /// Empty for a flush.
    let bytes: [UInt8]
    /// Where the log is behind it, in bytes.
    let end: Int

    var isFlush: Bool { bytes.isEmpty }
  }

  /// Offset and number of bytes.
  private static let headerByteCount = 16

  let events: [Event]

  init(of path: FilePath) throws(SystemCallFailure) {
    let bytes = try Tree.bytes(of: path)
    var events: [Event] = []
    var start = 0
    while start + DiskLog.headerByteCount <= bytes.count {
      let offset = DiskLog.number(bytes, start)
      let end = start + DiskLog.headerByteCount + DiskLog.number(bytes, start + 8)
      guard end <= bytes.count else { break }
      events.append(
        Event(offset: offset, bytes: Array(bytes[(start + DiskLog.headerByteCount)..<end]), end: end))
      start = end
    }
    self.events = events
  }

  private static func number(_ bytes: [UInt8], _ start: Int) -> Int {
    (0..<8).reduce(0) { value, byte in value | Int(bytes[start + byte]) << (8 * byte) }
  }
}

/// What a disk may hold after a loss of power: all that reached it before the last flush, and of what came after it some
/// writes, or some blocks of them.
struct DiskState: Sendable {
  enum Choice: Int, CaseIterable, Sendable {
    /// Everything up to the moment, in order.
    case all
    /// Nothing since the last flush.
    case none
    /// Each write as a whole or not at all.
    case writes
    /// Each block of 4 KiB by itself.
    case blocks
    /// Each sector of 512 bytes by itself.
    case sectors
  }

  /// So many events have reached the disk.
  let eventCount: Int
  let choice: Choice

  /// A moment and a choice of the generator's.
  init(_ log: DiskLog, _ generator: inout SplitMix64) {
    eventCount = generator.below(log.events.count + 1)
    choice = Choice(rawValue: generator.below(Choice.allCases.count)) ?? .all
  }

  /// The position in the log of what has happened by then.
  func position(in log: DiskLog) -> Int { eventCount == 0 ? 0 : log.events[eventCount - 1].end }

  /// Makes `file`, which holds what the disk held at first, hold this state.
  /// - Returns: How many writes were in flight.
  func write(_ log: DiskLog, to file: File, _ generator: inout SplitMix64) throws(SystemCallFailure) -> Int {
    let events = log.events[..<eventCount]
    let flushed = events.lastIndex(where: \.isFlush).map { index in index + 1 } ?? 0
    for event in events[..<flushed] where !event.isFlush { try file.write(event.bytes, at: event.offset) }
    for event in events[flushed...] {
      let pieceByteCount =
        switch choice {
        case .all, .writes: event.bytes.count
        case .none: 0
        case .blocks: 4096
        case .sectors: 512
        }
      guard pieceByteCount > 0 else { continue }
      for start in stride(from: 0, to: event.bytes.count, by: pieceByteCount) {
        guard choice == .all || generator.below(2) == 0 else { continue }
        let end = min(start + pieceByteCount, event.bytes.count)
        try file.write(Array(event.bytes[start..<end]), at: event.offset + start)
      }
    }
    return eventCount - flushed
  }
}
