// Safe: getopt keeps its state in C globals, which Swift cannot prove free of races: `parse` holds a lock around every
// use of them, and nothing else in the process calls getopt.
@unsafe @preconcurrency import CEdit
import CommandSupport
@unsafe @preconcurrency import Glibc
import Synchronization

/// Reads options by getopt_long of the C library, so that they behave as in every GNU program.
package enum OptionParser {
  private static let lock = Mutex(())
  /// Values below are letters.
  private static let firstLongValue: Int32 = 0x100

  /// Parses `arguments`, which do not begin with the name of the program, by the options of `table`.
  ///
  /// Long options may be abbreviated and take their value after `=` or as the next argument; letters may be joined.
  /// `--` ends the options, `-` alone is an operand. Options and operands may be mixed, unless
  /// `stopsAtFirstOperand` (or `POSIXLY_CORRECT` is set): then the first operand and all after it are operands,
  /// as for a program with sub-commands. Safe to call from several threads.
  /// - Throws: ``UsageError`` `.unknownOption`, `.ambiguousOption`, `.missingValue`, `.unexpectedValue`, `.zeroByte`.
  /// - Complexity: O(arguments * options)
  package static func parse(
    _ arguments: [[UInt8]], table: OptionTable, stopsAtFirstOperand: Bool
  ) throws(UsageError) -> ParsedOptions {
    // The first entry stands for the name of the program, which getopt skips.
    var strings: [[CChar]] = [[0]]
    for argument in arguments {
      guard let string = CStrings.terminated(argument) else {
        throw UsageError(.zeroByte, "argument '\(DisplayName.escaped(argument))' holds a zero byte")
      }
      strings.append(string)
    }
    // `+` stops at the first operand, `:` tells a missing value from an unknown option.
    var letters = stopsAtFirstOperand ? "+:" : ":"
    for option in table.options {
      guard let letter = option.shortName else { continue }
      letters += option.argument == .none ? "\(letter)" : "\(letter):"
    }
    return try lock.withLock { (_) throws(UsageError) in
      try scan(strings, letters: letters, table: table)
    }
  }

  private static func scan(
    _ strings: [[CChar]], letters: String, table: OptionTable
  ) throws(UsageError) -> ParsedOptions {
    // Safe: copies that live until the end of this function; getopt reorders the pointers to them and frees nothing.
    let copies = unsafe strings.map { string in unsafe strdup(string) }
    let names = unsafe table.options.map { option in unsafe strdup(option.longName) }
    defer { unsafe (copies + names).forEach { copy in unsafe free(copy) } }
    precondition(unsafe !(copies + names).contains(nil), "out of memory")

    // Safe: each name lives as long as the copies; the last entry is the empty one that ends the list.
    var longOptions = unsafe table.options.indices.map { index in
      unsafe CEdit.option(
        name: names[index], has_arg: table.options[index].argument == .none ? no_argument : required_argument,
        flag: nil, val: firstLongValue + Int32(index))
    }
    unsafe longOptions.append(CEdit.option())
    var argv = unsafe copies + [nil]
    // Safe: the buffer is valid for the closure, in which all calls of getopt for these arguments are.
    return try unsafe argv.withUnsafeMutableBufferPointer { (argv) throws(UsageError) in
      try unsafe read(argv, letters: letters, longOptions: longOptions, table: table)
    }
  }

  /// Calls getopt until the options have ended.
  /// - Parameter argv: the arguments with the name of the program first and a null pointer at the end.
  private static func read(
    _ argv: UnsafeMutableBufferPointer<UnsafeMutablePointer<CChar>?>, letters: String, longOptions: [CEdit.option],
    table: OptionTable
  ) throws(UsageError) -> ParsedOptions {
    // Safe: there is an address, as the buffer is not empty.
    guard let arguments = argv.baseAddress else { preconditionFailure("no end of the arguments") }
    let argumentCount = Int32(argv.count - 1)
    var occurrences: [ParsedOptions.Occurrence] = []
    optind = 0  // Has the GNU version forget all earlier calls.
    opterr = 0
    while true {
      // Safe: the arguments and the options end as getopt needs it and live for the call, under the lock.
      let value = unsafe getopt_long(argumentCount, arguments, letters, longOptions, nil)
      switch value {
      case -1:
        // Safe: after the last option, optind is the index of the first operand, at most the number of arguments.
        let operands = unsafe argv[Int(optind)..<Int(argumentCount)].map { text in
          unsafe text.map { text in unsafe CStrings.bytes(of: text) } ?? []
        }
        return ParsedOptions(table: table, occurrences: occurrences, operands: operands)
      case Int32(UInt8(ascii: ":")):
        throw UsageError(.missingValue, "option '\(name(ofValue: optopt, in: table))' needs a value")
      case Int32(UInt8(ascii: "?")):
        // Safe: getopt has gone past the argument it complains about, so there is one before optind.
        let argument = unsafe argv[max(0, Int(optind) - 1)].map { text in unsafe CStrings.bytes(of: text) } ?? []
        throw refusal(of: argument, value: optopt, table: table)
      default:
        guard let option = option(forValue: value, in: table) else { continue }
        // Safe: for an option with a value, optarg is a C string inside the copies.
        let bytes = option.argument == .none ? nil : unsafe optarg.map { unsafe CStrings.bytes(of: $0) }
        occurrences.append(ParsedOptions.Occurrence(option.longName, value: bytes))
      }
    }
  }

  /// Why getopt refused an option.
  /// - Parameters:
  ///   - argument: the argument as it was typed, if it is a long option.
  ///   - value: 0 for a long option that is unknown or ambiguous, the letter for an unknown letter, the value of
  ///     the option for a long one that takes no value and was given one.
  private static func refusal(of argument: [UInt8], value: Int32, table: OptionTable) -> UsageError {
    guard value == 0 else {
      if option(forValue: value, in: table) != nil {
        return UsageError(.unexpectedValue, "option '\(name(ofValue: value, in: table))' takes no value")
      }
      let letter = DisplayName.escaped([UInt8(truncatingIfNeeded: value)])
      return UsageError(.unknownOption, "unknown option '-\(letter)'")
    }
    let typed = argument.dropFirst(2).prefix { byte in byte != UInt8(ascii: "=") }
    let shown = DisplayName.escaped(Array(typed))
    let longNames = table.options.map(\.longName)
    let candidates = longNames.filter { name in name.utf8.starts(with: typed) }
    if candidates.count > 1, !typed.isEmpty {
      let choices = candidates.map { name in "'--\(name)'" }.joined(separator: ", ")
      return UsageError(.ambiguousOption, "option '--\(shown)' is ambiguous: \(choices)")
    }
    let suggestion = Spelling.suggestion(for: shown, among: longNames).map { "; did you mean '--\($0)'?" } ?? ""
    return UsageError(.unknownOption, "unknown option '--\(shown)'\(suggestion)")
  }

  private static func option(forValue value: Int32, in table: OptionTable) -> OptionTable.Option? {
    let index = Int(value - firstLongValue)
    if table.options.indices.contains(index) { return table.options[index] }
    guard let letter = UInt8(exactly: value) else { return nil }
    return table.options.first { option in option.shortName?.asciiValue == letter }
  }

  /// The option as it was typed: by its letter or by its long name.
  private static func name(ofValue value: Int32, in table: OptionTable) -> String {
    guard let option = option(forValue: value, in: table) else { return "?" }
    return value < firstLongValue ? option.shortName.map { "-\($0)" } ?? "?" : "--\(option.longName)"
  }
}
