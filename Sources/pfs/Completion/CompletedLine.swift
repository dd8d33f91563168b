import CommandSupport
import SegmentStore

/// What operands of a command are, for those who complete them.
enum Operand: Hashable, Sendable {
  case nothing
  /// Files outside the store.
  case files
  case directories
  /// Files of the store, by name or id.
  case storedFiles
  /// Names of the store, as patterns.
  case names
  case commands
  case choices([String])
}

/// A command line of pfs of which the last word is being typed, read as `Program` will read it, as far as it goes.
struct CompletedLine {
  /// What is being typed.
  private let current: [UInt8]
  /// Nil as long as no command has been named.
  private var command: (any Command.Type)?
  private var occurrences: [ParsedOptions.Occurrence] = []
  private var operandCount = 0
  /// Whether `--` has been typed.
  private var hasOptionsEnded = false
  /// The option whose value is the next word.
  private var pending: OptionTable.Option?
  /// Whether it cannot be told what the words mean.
  private var isWrong = false

  /// - Parameter before: the words between the name of the program and the one that is being typed.
  init(before: [[UInt8]], current: [UInt8]) {
    self.current = current
    for word in before where !isWrong { read(word) }
  }

  /// What stands before the value in `--option=value`.
  var head: [UInt8] {
    guard pending == nil, isOption(current), current.starts(with: Array("--".utf8)),
      let separator = current.firstIndex(of: UInt8(ascii: "="))
    else { return [] }
    return Array(current[...separator])
  }

  private var table: OptionTable { (command?.options ?? OptionTable([])).adding(GlobalOptions.table) }

  private func isOption(_ word: [UInt8]) -> Bool { !hasOptionsEnded && word.first == UInt8(ascii: "-") }

  // MARK: The words before

  private mutating func read(_ word: [UInt8]) {
    if let option = pending {
      occurrences.append(.init(option.longName, value: word))
      pending = nil
    } else if word == Array("--".utf8), !hasOptionsEnded {
      hasOptionsEnded = true
    } else if isOption(word), word.count > 1 {
      readOption(word)
    } else if command == nil {
      let typed = String(decoding: word, as: UTF8.self)
      command = Commands.all.first { $0.name == typed }
      // Before the name, `--` is for the options of all commands alone.
      hasOptionsEnded = false
      isWrong = command == nil
    } else {
      operandCount += 1
    }
  }

  private mutating func readOption(_ word: [UInt8]) {
    guard word.starts(with: Array("--".utf8)) else { return readLetters(word.dropFirst()) }
    let name = word.dropFirst(2).prefix { $0 != UInt8(ascii: "=") }
    guard let option = option(abbreviated: Array(name)) else {
      isWrong = true
      return
    }
    let value = word.count > name.count + 2 ? Array(word[(name.endIndex + 1)...]) : nil
    switch (option.argument, value) {
    case (.value, nil): pending = option
    default: occurrences.append(.init(option.longName, value: value))
    }
  }

  private mutating func readLetters(_ letters: ArraySlice<UInt8>) {
    for index in letters.indices {
      guard let option = table.options.first(where: { $0.shortName?.asciiValue == letters[index] }) else {
        isWrong = true
        return
      }
      guard option.argument == .none else {
        let value = letters[(index + 1)...]
        if value.isEmpty { pending = option } else { occurrences.append(.init(option.longName, value: Array(value))) }
        return
      }
      occurrences.append(.init(option.longName))
    }
  }

  private func option(abbreviated name: [UInt8]) -> OptionTable.Option? {
    let candidates = table.options.filter { $0.longName.utf8.starts(with: name) }
    return candidates.first { $0.longName.utf8.count == name.count } ?? (candidates.count == 1 ? candidates[0] : nil)
  }

  // MARK: The next word

  var answer: CompletionAnswer {
    if isWrong { return .none }
    if let pending { return values(of: pending, current) }
    let head = head
    if !head.isEmpty {
      guard let option = option(abbreviated: Array(head.dropFirst(2).dropLast())), option.argument != .none else {
        return .none
      }
      return values(of: option, Array(current.dropFirst(head.count))).behind(head)
    }
    if isOption(current) {
      return words(table.options.map { .init("--\($0.longName)", CompletedLine.firstSentence($0.help)) }, current)
    }
    guard let command else { return commands }
    return operands(command.operand)
  }

  private var commands: CompletionAnswer { words(Commands.all.map { .init($0.name, $0.summary) }, current) }

  private func operands(_ operand: Operand) -> CompletionAnswer {
    switch operand {
    case .nothing: .none
    case .files: .files
    case .directories: operandCount == 0 ? .directories : .none
    case .storedFiles: stored?.files(startingWith: current) ?? .none
    case .names: stored?.names(startingWith: current) ?? .none
    case .commands: operandCount == 0 ? commands : .none
    case .choices(let choices): operandCount == 0 ? words(choices.map { .init($0) }, current) : .none
    }
  }

  private func values(of option: OptionTable.Option, _ typed: [UInt8]) -> CompletionAnswer {
    guard case .value(let placeholder) = option.argument else { return .none }
    if !option.choices.isEmpty { return words(option.choices.map { .init($0) }, typed) }
    return switch placeholder {
    case "FILE", "PATH": .files
    case "DIR": .directories
    case "NAME": stored?.names(startingWith: typed) ?? .none
    default: .none
    }
  }

  private func words(_ candidates: [CompletionAnswer.Candidate], _ typed: [UInt8]) -> CompletionAnswer {
    CompletionAnswer(candidates.filter { $0.word.starts(with: typed) })
  }

  /// What is in the store that the line means.
  private var stored: StoredCandidates? {
    StoredCandidates(ParsedOptions(table: table, occurrences: occurrences, operands: []))
  }

  /// Without the full stop.
  private static func firstSentence(_ text: String) -> String {
    let sentence = text.prefix { $0 != "." && $0 != ";" }
    return String(sentence)
  }
}
