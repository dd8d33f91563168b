/// Text in UTF-8 over an open file.
///
/// Keeps no bytes back: what is written is in the file at once, and after a read the position of the handle is right behind
/// the text that was read. Characters are counted as Unicode scalars.
public struct StagingTextHandle {
  /// What is done about bytes that are not UTF-8.
  public enum InvalidBytes: Hashable, Sendable {
    /// `.badText`.
    case fail
    /// U+FFFD in their place.
    case replace
  }

  public let handle: StagingHandle
  private let invalidBytes: InvalidBytes

  public init(_ handle: StagingHandle, invalidBytes: InvalidBytes = .fail) {
    self.handle = handle
    self.invalidBytes = invalidBytes
  }

  /// How much is looked at in one step in the search for the end of a line.
  private static let stepByteCount = 4 << 10

  public func write(_ text: String) throws(StagingError) { try handle.write(Array(text.utf8)) }

  /// The next `scalarCount` scalars, or fewer at the end; all that is left for nil.
  public func read(_ scalarCount: Int? = nil) throws(StagingError) -> String {
    guard let scalarCount else { return try decoded(try handle.read()) }
    guard scalarCount >= 0 else {
      throw StagingError(.invalidArgument, "'\(handle.path)': \(scalarCount) scalars wanted")
    }
    var bytes: [UInt8] = []
    var count = 0
    while count < scalarCount {
      // A scalar has at least one byte, and one that was begun has its rest in what follows.
      let step = try handle.read(scalarCount - count)
      if step.isEmpty { break }
      bytes += step
      let (complete, found) = StagingTextHandle.scalars(in: bytes, limit: scalarCount)
      count = found
      if complete < bytes.count && count == scalarCount {
        try handle.seek(to: complete - bytes.count, from: .position)
        bytes.removeLast(bytes.count - complete)
      }
    }
    return try decoded(bytes)
  }

  /// The next line with its line feed, if it has one; nil at the end.
  public func readLine() throws(StagingError) -> String? {
    var line: [UInt8] = []
    while true {
      let start = handle.position
      let step = try handle.read(StagingTextHandle.stepByteCount)
      if step.isEmpty { return line.isEmpty ? nil : try decoded(line) }
      if let end = step.firstIndex(of: UInt8(ascii: "\n")) {
        try handle.seek(to: start + end + 1)
        return try decoded(line + step[...end])
      }
      line += step
    }
  }

  /// Calls `body` with each line that is left, without its line feed.
  public func forEachLine(_ body: (String) throws -> Void) throws {
    while let line = try readLine() { try body(StagingTextHandle.withoutLineFeed(line)) }
  }

  /// The lines that are left, each without its line feed.
  public func lines() throws(StagingError) -> [String] {
    var lines: [String] = []
    while let line = try readLine() { lines.append(StagingTextHandle.withoutLineFeed(line)) }
    return lines
  }

  /// By scalars: a carriage return and a line feed are one character.
  static func withoutLineFeed(_ line: String) -> String {
    line.unicodeScalars.last == "\n" ? String(line.unicodeScalars.dropLast()) : line
  }

  private func decoded(_ bytes: [UInt8]) throws(StagingError) -> String {
    if invalidBytes == .replace { return String(decoding: bytes, as: UTF8.self) }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw StagingError(
        .badText, "'\(handle.path)': what lies before byte \(handle.position) is not UTF-8")
    }
    return text
  }

  /// How many bytes the first `limit` scalars take, and how many scalars there are whole. Bytes that are none count
  /// as what replaces them.
  private static func scalars(in bytes: [UInt8], limit: Int) -> (byteCount: Int, count: Int) {
    var (offset, count) = (0, 0)
    while offset < bytes.count, count < limit {
      let (length, seconds) = scalarShape(bytes[offset])
      var end = offset + 1
      if end < bytes.count, length > 1, seconds.contains(bytes[end]) { end += 1 }
      while end > offset + 1, end < bytes.count, end < offset + length, bytes[end] & 0xC0 == 0x80 { end += 1 }
      // More may come.
      if end == bytes.count && end < offset + length { break }
      offset = end
      count += 1
    }
    return (offset, count)
  }

  /// How long a scalar is that begins with this byte, and which bytes may be its second: others would make it a longer form
  /// of a shorter one, a surrogate, or more than there are, and it ends before them.
  private static func scalarShape(_ first: UInt8) -> (byteCount: Int, seconds: ClosedRange<UInt8>) {
    switch first {
    case 0xC2...0xDF: (2, 0x80...0xBF)
    case 0xE0: (3, 0xA0...0xBF)
    case 0xED: (3, 0x80...0x9F)
    case 0xE1...0xEF: (3, 0x80...0xBF)
    case 0xF0: (4, 0x90...0xBF)
    case 0xF4: (4, 0x80...0x8F)
    case 0xF1...0xF3: (4, 0x80...0xBF)
    default: (1, 0x80...0xBF)
    }
  }
}
