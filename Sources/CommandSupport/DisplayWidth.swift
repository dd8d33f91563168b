/// How many columns of a terminal text takes.
package enum DisplayWidth {
  /// The ranges of wide scalars of Unicode's EastAsianWidth.txt, neighbours joined; emoji come from a property.
  private static let wideRanges: [ClosedRange<UInt32>] = [
    0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0xA4CF, 0xA960...0xA97F,
    0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF01...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F,
    0x1F900...0x1F9FF, 0x20000...0x2FFFD, 0x30000...0x3FFFD,
  ]

  /// The columns that `text` takes, which must hold no control characters: 2 for a wide character, 0 for a mark
  /// that joins the one before, else 1. The sum over the scalars, as most terminals count.
  /// - Complexity: O(length of the text)
  package static func columns(of text: String) -> Int {
    text.unicodeScalars.reduce(0) { sum, scalar in sum + columns(of: scalar) }
  }

  /// The end of `text` in at most `columnLimit` columns, after `...` if something had to go and there is room.
  /// - Complexity: O(length of the text)
  package static func tail(of text: String, columnLimit: Int) -> String {
    guard columns(of: text) > columnLimit else { return text }
    let marker = columnLimit > 3 ? "..." : ""
    var room = columnLimit - marker.count
    var kept: [Character] = []
    for character in text.reversed() {
      room -= columns(of: String(character))
      guard room >= 0 else { break }
      kept.append(character)
    }
    return marker + String(kept.reversed())
  }

  /// `text` with spaces after it, or before it, up to `columnCount` columns; longer text stays whole.
  static func padded(_ text: String, to columnCount: Int, atStart: Bool = false) -> String {
    let padding = String(repeating: " ", count: max(0, columnCount - columns(of: text)))
    return atStart ? padding + text : text + padding
  }

  private static func columns(of scalar: Unicode.Scalar) -> Int {
    guard scalar.value >= 0x300 else { return 1 }
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .format: return 0
    default: break
    }
    let isWide =
      scalar.properties.isEmojiPresentation || wideRanges.contains { range in range.contains(scalar.value) }
    return isWide ? 2 : 1
  }
}
