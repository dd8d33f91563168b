/// The line that shows how far a transfer is; formatting only, no clock and no terminal.
package struct ProgressLine: Hashable, Sendable {
  private let name: String
  private let doneByteCount: UInt64
  private let totalByteCount: UInt64?
  private let elapsedSeconds: Double

  /// Describes one moment of a transfer.
  /// - Parameters:
  ///   - name: the bytes of the file's name; shown escaped.
  ///   - totalByteCount: nil while it is not known.
  ///   - elapsedSeconds: since the start; what is not a positive number means that no rate is known.
  package init(name: [UInt8], doneByteCount: UInt64, totalByteCount: UInt64?, elapsedSeconds: Double) {
    self.name = DisplayName.escaped(name)
    self.doneByteCount = doneByteCount
    self.totalByteCount = totalByteCount
    self.elapsedSeconds = elapsedSeconds
  }

  /// The line, never wider than `columnLimit` columns: `big.iso  45% [####------] 1.2 GiB/2.6 GiB 350 MiB/s 0:04`.
  ///
  /// Room goes to the percentage, the time left, the rate, the bytes, the name and the bar in that order; what does
  /// not fit is left out. Without a total there is no percentage and no bar, and the time is the time since the start.
  /// - Complexity: O(length of the name)
  package func text(columnLimit: Int) -> String {
    var room = columnLimit
    let percent = take(percentText, from: &room)
    let time = take(timeText, from: &room)
    let rate = take(rateText, from: &room)
    let bytes = take(bytesText, from: &room)
    let shownName = take(nameText(columnLimit: room), from: &room)
    let bar = take(barText(columnLimit: room), from: &room)
    return [shownName, percent, bar, bytes, rate, time].compactMap { $0 }.joined(separator: " ")
  }

  /// The part if it fits with a space before it, and takes that much from the room.
  private func take(_ part: String?, from room: inout Int) -> String? {
    guard let part, !part.isEmpty else { return nil }
    let columnCount = DisplayWidth.columns(of: part) + 1
    // One column more than the room: the first part has no space before it.
    guard columnCount <= room + 1 else { return nil }
    room -= columnCount
    return part
  }

  /// 0 ... 1, and 1 for an empty file and for one that has grown.
  private var fraction: Double? {
    guard let totalByteCount else { return nil }
    guard totalByteCount > doneByteCount else { return 1 }
    return Double(doneByteCount) / Double(totalByteCount)
  }

  private var percentText: String? {
    guard let fraction else { return nil }
    // Rounded down, so that 100% means all.
    let percent = doneByteCount < totalByteCount ?? 0 ? min(99, Int(fraction * 100)) : 100
    return DisplayWidth.padded("\(percent)%", to: 4, atStart: true)
  }

  private var bytesText: String {
    let done = ByteSize.text(doneByteCount)
    guard let totalByteCount else { return done }
    return "\(done)/\(ByteSize.text(totalByteCount))"
  }

  private var bytesPerSecond: Double? {
    guard elapsedSeconds > 0, elapsedSeconds.isFinite else { return nil }
    return Double(doneByteCount) / elapsedSeconds
  }

  private var rateText: String? {
    guard let bytesPerSecond else { return nil }
    return "\(ByteSize.text(UInt64(exactly: bytesPerSecond.rounded()) ?? .max))/s"
  }

  private var timeText: String {
    guard let totalByteCount else { return TimeSpan.clockText(seconds: elapsedSeconds) }
    guard totalByteCount > doneByteCount else { return TimeSpan.clockText(seconds: 0) }
    guard let bytesPerSecond, bytesPerSecond > 0 else { return "--:--" }
    return TimeSpan.clockText(seconds: Double(totalByteCount - doneByteCount) / bytesPerSecond)
  }

  /// The name, cut to leave room for a bar where the whole of it would not; none in less than 8 columns.
  private func nameText(columnLimit: Int) -> String? {
    guard !name.isEmpty, columnLimit >= min(8, DisplayWidth.columns(of: name)) else { return nil }
    let barColumnCount = Self.minimumBarColumnCount + 1
    let hasRoomForBar = totalByteCount != nil && columnLimit >= 16 + barColumnCount
    return DisplayWidth.tail(of: name, columnLimit: hasRoomForBar ? columnLimit - barColumnCount : columnLimit)
  }

  private static let minimumBarColumnCount = 12
  private static let maximumBarColumnCount = 42

  private func barText(columnLimit: Int) -> String? {
    guard let fraction, columnLimit >= Self.minimumBarColumnCount else { return nil }
    let cellCount = min(columnLimit, Self.maximumBarColumnCount) - 2
    let filledCount = min(cellCount, Int(fraction * Double(cellCount)))
    return "[\(String(repeating: "#", count: filledCount))\(String(repeating: "-", count: cellCount - filledCount))]"
  }
}
