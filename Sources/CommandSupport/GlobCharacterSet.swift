/// The set between `[` and `]` in a pattern.
struct GlobCharacterSet: Hashable, Sendable {
  private let isNegated: Bool
  private let ranges: [ClosedRange<UInt32>]

  /// Reads the set that begins with the `[` at `index` and leaves `index` after its `]`.
  ///
  /// A `]` that comes first is a member, and so is a `-` at either end.
  init(_ units: [TextUnit], at index: inout Int, of pattern: [UInt8]) throws(UsageError) {
    var position = index + 1
    var ranges: [ClosedRange<UInt32>] = []
    isNegated = position < units.count && (units[position] == .scalar("!") || units[position] == .scalar("^"))
    if isNegated { position += 1 }
    let start = position
    while position < units.count, units[position] != .scalar("]") || position == start {
      let lower = try Self.member(units, at: &position, of: pattern)
      var upper = lower
      if position + 1 < units.count, units[position] == .scalar("-"), units[position + 1] != .scalar("]") {
        position += 1
        upper = try Self.member(units, at: &position, of: pattern)
      }
      guard lower.ordinal <= upper.ordinal else {
        throw Self.failure(pattern, "has a range in [...] whose end comes before its start")
      }
      ranges.append(lower.ordinal...upper.ordinal)
    }
    guard position < units.count else { throw Self.unclosed(pattern) }
    self.ranges = ranges
    index = position + 1
  }

  func contains(_ unit: TextUnit) -> Bool {
    ranges.contains { range in range.contains(unit.ordinal) } != isNegated
  }

  private static func member(
    _ units: [TextUnit], at position: inout Int, of pattern: [UInt8]
  ) throws(UsageError) -> TextUnit {
    if units[position] == .scalar("\\") { position += 1 }
    guard position < units.count else { throw unclosed(pattern) }
    position += 1
    return units[position - 1]
  }

  private static func unclosed(_ pattern: [UInt8]) -> UsageError {
    failure(pattern, "has a [ without its ]; write \\[ for a bracket itself")
  }

  static func failure(_ pattern: [UInt8], _ problem: String) -> UsageError {
    UsageError(.invalidPattern, "pattern '\(DisplayName.escaped(pattern))' \(problem)")
  }
}
