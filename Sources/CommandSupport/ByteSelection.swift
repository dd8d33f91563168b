/// Some bytes of a file, as a range request of HTTP names them (RFC 9110, section 14.1.2).
package enum ByteSelection: Hashable, Sendable {
  /// `A-B`: both ends are counted.
  case bounded(first: Int, last: Int)
  /// `A-`: to the end.
  case from(Int)
  /// `-N`: the last so many, all when there are fewer.
  case last(Int)

  /// The bytes that `text` names.
  /// - Throws: ``UsageError`` `.invalidValue` for anything else, an end before the start, and no bytes at all.
  package static func parse(_ text: String) throws(UsageError) -> ByteSelection {
    let ends = text.split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count == 2 else { throw invalid(text) }
    switch (try number(ends[0], in: text), try number(ends[1], in: text)) {
    case (let first?, let last?):
      if last < first { throw UsageError(.invalidValue, "'\(text)' ends before it begins") }
      return .bounded(first: first, last: last)
    case (let first?, nil): return .from(first)
    case (nil, let count?):
      if count == 0 { throw UsageError(.invalidValue, "'\(text)' is a range of no bytes") }
      return .last(count)
    case (nil, nil): throw invalid(text)
    }
  }

  /// The bytes meant of a file of `byteCount` bytes; what begins behind its end still does.
  package func range(ofByteCount byteCount: Int) -> Range<Int> {
    switch self {
    case .bounded(let first, let last): first..<max(first, min(last, Int.max - 1) + 1)
    case .from(let first): first..<max(first, byteCount)
    case .last(let count): max(0, byteCount - count)..<byteCount
    }
  }

  private static func number(_ digits: Substring, in text: String) throws(UsageError) -> Int? {
    if digits.isEmpty { return nil }
    guard digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { throw invalid(text) }
    // What is too large to count is behind the end of every file.
    return Int(digits) ?? .max
  }

  private static func invalid(_ text: String) -> UsageError {
    UsageError(
      .invalidValue,
      "'\(DisplayName.escaped(text))' is not a range of bytes such as 0-499, 500-, or -500 for the last 500")
  }
}
