/// A pattern over whole names, in the manner of the shell; `/` separates the components of a name.
///
/// `*` is any run of characters and `?` one character, neither of them `/`; `**` is any run, `/` included, and `**/`
/// at the start of a component is any number of directories, none included. `[a-z]` is one character of a set
/// and `[!a-z]` (or `[^a-z]`) one outside it, never `/`. A backslash takes the next character as it is. A character
/// is a Unicode scalar, or one byte where a name is not UTF-8. Names that begin with a dot are not special.
package struct Glob: Hashable, Sendable {
  private enum Element: Hashable, Sendable {
    case one(TextUnit)
    case anyOne
    case oneOf(GlobCharacterSet)
    /// `*`
    case runInComponent
    /// `**`
    case run
    /// `**/`, always followed by `directoryRun`: may match nothing.
    case optionalDirectories
    /// The rest of `**/`: anything that ends in `/`.
    case directoryRun
  }

  private let elements: [Element]
  private let literalPrefixUnits: [TextUnit]
  /// The bytes that every matching name begins with, for a search in sorted names.
  package let literalPrefix: [UInt8]

  /// Compiles `pattern`.
  /// - Throws: ``UsageError`` `.invalidPattern` for a `[` without its `]`, a range that runs backwards and a
  ///   backslash with nothing after it.
  package init(_ pattern: [UInt8]) throws(UsageError) {
    elements = try Self.compiled(pattern)
    var prefixUnits: [TextUnit] = []
    var prefix: [UInt8] = []
    for element in elements {
      guard case .one(let unit) = element else { break }
      prefixUnits.append(unit)
      switch unit {
      case .invalidByte(let byte): prefix.append(byte)
      case .scalar(let scalar): prefix += UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter
      }
    }
    literalPrefixUnits = prefixUnits
    literalPrefix = prefix
  }

  /// Whether `text` holds a character with a meaning in patterns, so that it is more than a plain name.
  package static func isPattern(_ text: [UInt8]) -> Bool {
    text.contains { byte in "*?[\\".utf8.contains(byte) }
  }

  /// Whether the pattern matches all of `name`.
  ///
  /// Follows all ways through the pattern at once (Thompson, "Regular Expression Search Algorithm", 1968), so that
  /// no pattern makes it backtrack.
  /// - Complexity: O(name.count * length of the pattern)
  package func matches(_ name: [UInt8]) -> Bool {
    var units = TextUnits(name)
    for expected in literalPrefixUnits {
      guard units.next() == expected else { return false }
    }
    var reached = [Bool](repeating: false, count: elements.count + 1)
    var next = reached
    reach(literalPrefixUnits.count, in: &reached)
    while let unit = units.next() {
      for index in next.indices { next[index] = false }
      var isAnyReached = false
      for index in elements.indices where reached[index] {
        isAnyReached = step(index, over: unit, to: &next) || isAnyReached
      }
      guard isAnyReached else { return false }
      swap(&reached, &next)
    }
    return reached[elements.count]
  }

  /// Marks the elements that are reached when `unit` is taken at `index`; false if none is.
  private func step(_ index: Int, over unit: TextUnit, to next: inout [Bool]) -> Bool {
    let isSeparator = unit == .scalar("/")
    switch elements[index] {
    case .one(let expected):
      guard unit == expected else { return false }
      reach(index + 1, in: &next)
    case .anyOne:
      guard !isSeparator else { return false }
      reach(index + 1, in: &next)
    case .oneOf(let set):
      guard !isSeparator, set.contains(unit) else { return false }
      reach(index + 1, in: &next)
    case .runInComponent:
      guard !isSeparator else { return false }
      reach(index, in: &next)
    case .run: reach(index, in: &next)
    case .optionalDirectories: return false
    case .directoryRun:
      reach(index, in: &next)
      if isSeparator { reach(index + 1, in: &next) }
    }
    return true
  }

  /// Marks the element at `index` and those that are reached from it without taking anything.
  private func reach(_ index: Int, in reached: inout [Bool]) {
    var index = index
    while !reached[index] {
      reached[index] = true
      guard index < elements.count else { return }
      switch elements[index] {
      case .runInComponent, .run: index += 1
      case .optionalDirectories:
        reached[index + 1] = true
        index += 2
      case .one, .anyOne, .oneOf, .directoryRun: return
      }
    }
  }

  private static func compiled(_ pattern: [UInt8]) throws(UsageError) -> [Element] {
    let units = Array(TextUnits(pattern))
    var elements: [Element] = []
    var index = 0
    while index < units.count {
      switch units[index] {
      case .scalar("*"):
        let starCount = units[index...].prefix { unit in unit == .scalar("*") }.count
        let isComponentStart = index == 0 || units[index - 1] == .scalar("/")
        index += starCount
        if starCount == 1 {
          elements.append(.runInComponent)
        } else if isComponentStart, index < units.count, units[index] == .scalar("/") {
          elements += [.optionalDirectories, .directoryRun]
          index += 1
        } else {
          elements.append(.run)
        }
      case .scalar("?"):
        elements.append(.anyOne)
        index += 1
      case .scalar("["): elements.append(.oneOf(try GlobCharacterSet(units, at: &index, of: pattern)))
      case .scalar("\\"):
        guard index + 1 < units.count else {
          throw GlobCharacterSet.failure(pattern, "ends in a backslash; write \\\\ for a backslash itself")
        }
        elements.append(.one(units[index + 1]))
        index += 2
      case let unit:
        elements.append(.one(unit))
        index += 1
      }
    }
    return elements
  }
}
