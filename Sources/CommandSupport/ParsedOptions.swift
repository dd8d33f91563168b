/// The options and operands of one command line, in the order they were given.
///
/// The queries take the long name of an option of the table; any other name is a mistake in the program and traps.
package struct ParsedOptions: Hashable, Sendable {
  /// One option as it was given.
  package struct Occurrence: Hashable, Sendable {
    /// The full name, however it was abbreviated.
    package let longName: String
    /// The bytes of the value, nil for an option that takes none.
    package let value: [UInt8]?

    /// Makes an occurrence, for the parser and for tests.
    package init(_ longName: String, value: [UInt8]? = nil) {
      self.longName = longName
      self.value = value
    }
  }

  /// The options, first to last.
  package let occurrences: [Occurrence]
  /// What is no option, as bytes.
  package let operands: [[UInt8]]
  private let table: OptionTable

  /// The result of parsing by `table`, which must have every option of `occurrences`.
  package init(table: OptionTable, occurrences: [Occurrence], operands: [[UInt8]]) {
    self.table = table
    self.occurrences = occurrences
    self.operands = operands
    for occurrence in occurrences { requireOption(occurrence.longName) }
  }

  /// Whether the option was given.
  package func contains(_ longName: String) -> Bool { count(of: longName) > 0 }

  /// How often the option was given.
  package func count(of longName: String) -> Int {
    requireOption(longName)
    return occurrences.count { occurrence in occurrence.longName == longName }
  }

  /// The values of all times that the option was given.
  package func values(of longName: String) -> [[UInt8]] {
    requireOption(longName)
    return occurrences.filter { occurrence in occurrence.longName == longName }.compactMap(\.value)
  }

  /// The value of the last time that the option was given; nil if it was not.
  package func value(of longName: String) -> [UInt8]? { values(of: longName).last }

  /// The value as text.
  /// - Throws: ``UsageError`` `.invalidValue` if it is not UTF-8.
  package func text(of longName: String) throws(UsageError) -> String? {
    guard let value = value(of: longName) else { return nil }
    guard let text = String(validating: value, as: UTF8.self) else {
      throw UsageError(.invalidValue, "option '--\(longName)': '\(DisplayName.escaped(value))' is not UTF-8 text")
    }
    return text
  }

  /// The value as a size in bytes, by ``ByteSize/parse(_:)``.
  package func byteCount(of longName: String) throws(UsageError) -> Int? {
    try parsed(longName) { (text) throws(UsageError) in try ByteSize.parse(text) }
  }

  /// The value as a range of bytes, by ``ByteSelection/parse(_:)``.
  package func byteSelection(of longName: String) throws(UsageError) -> ByteSelection? {
    try parsed(longName) { (text) throws(UsageError) in try ByteSelection.parse(text) }
  }

  /// The value as a length of time in seconds, by ``TimeSpan/parse(_:)``.
  package func seconds(of longName: String) throws(UsageError) -> Double? {
    try parsed(longName) { (text) throws(UsageError) in try TimeSpan.parse(text) }
  }

  /// The value as a whole number in `range`.
  package func integer(of longName: String, in range: ClosedRange<Int>) throws(UsageError) -> Int? {
    try parsed(longName) { (text) throws(UsageError) in
      guard let number = Int(text), range.contains(number) else {
        throw UsageError(
          .invalidValue,
          "'\(DisplayName.escaped(text))' is not a whole number from \(range.lowerBound) to \(range.upperBound)")
      }
      return number
    }
  }

  /// The value as one of `choices`.
  package func choice(of longName: String, among choices: [String]) throws(UsageError) -> String? {
    try parsed(longName) { (text) throws(UsageError) in
      guard choices.contains(text) else {
        throw UsageError(
          .invalidValue, "'\(DisplayName.escaped(text))' is none of \(choices.joined(separator: ", "))")
      }
      return text
    }
  }

  private func parsed<Value>(
    _ longName: String, _ parse: (String) throws(UsageError) -> Value
  ) throws(UsageError) -> Value? {
    guard let text = try text(of: longName) else { return nil }
    do { return try parse(text) } catch {
      throw UsageError(error.code, "option '--\(longName)': \(error.message)")
    }
  }

  private func requireOption(_ longName: String) {
    precondition(table.option(named: longName) != nil, "no option '--\(longName)' in the table of this command")
  }
}
