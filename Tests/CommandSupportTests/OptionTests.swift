import CommandSupport
import Testing

@Suite("OptionTable") struct OptionTableTests {
  private static let table = OptionTable([
    OptionTable.Option("store", value: "DIR", help: "The directory of the store."),
    OptionTable.Option("quiet", short: "q", help: "Say nothing but errors."),
    OptionTable.Option("from-command-of-the-shell", value: "COMMAND", help: "Store what a command writes."),
    OptionTable.Option(
      "memory", short: "m", value: "SIZE",
      help: "Use at most this much memory, however large the files are and however many of them there are at once."),
    OptionTable.Option("bare", help: ""),
  ])

  @Test("lays out two columns and wraps sentences") func help() {
    #expect(
      Self.table.helpLines().joined(separator: "\n") == """
              --store DIR             The directory of the store.
          -q, --quiet                 Say nothing but errors.
              --from-command-of-the-shell COMMAND
                                      Store what a command writes.
          -m, --memory SIZE           Use at most this much memory, however large the
                                      files are and however many of them there are at
                                      once.
              --bare
        """)
  }

  @Test("stays within any width that words allow", arguments: [60, 80, 100])
  func width(columns: Int) {
    #expect(Self.table.helpLines(columnLimit: columns).allSatisfy { $0.count <= columns })
  }

  @Test("finds options by their full name only") func lookUp() {
    #expect(Self.table.option(named: "memory")?.shortName == "m")
    #expect(Self.table.option(named: "mem") == nil)
    #expect(Self.table.adding(OptionTable([OptionTable.Option("json", help: "")])).option(named: "json") != nil)
  }

  @Test("has an empty help for no options") func empty() { #expect(OptionTable([]).helpLines() == []) }

  @Test("traps on a name that stands twice") func duplicate() async {
    await #expect(processExitsWith: .failure) {
      _ = OptionTable([OptionTable.Option("a", help: ""), OptionTable.Option("a", help: "")])
    }
    await #expect(processExitsWith: .failure) {
      _ = OptionTable([OptionTable.Option("a", short: "x", help: ""), OptionTable.Option("b", short: "x", help: "")])
    }
    await #expect(processExitsWith: .failure) { _ = OptionTable.Option("a=b", help: "") }
    await #expect(processExitsWith: .failure) { _ = OptionTable.Option("a", short: "é", help: "") }
  }
}

@Suite("CommandHelp") struct CommandHelpTests {
  @Test("puts usage, summary, options and notes in paragraphs of at most 80 columns") func text() {
    let help = CommandHelp(
      usages: ["pfs put [OPTIONS] PATH...", "pfs put --name NAME -"],
      summary: "Stores files. Each is split into parts, which are hashed and compressed at the same time.",
      sections: [
        CommandHelp.Section("Options", OptionTable([OptionTable.Option("batch", help: "All or none.")])),
        CommandHelp.Section("Nothing", OptionTable([])),
      ],
      notes: ["Prints one line a file."])
    #expect(
      help.text() == """
        Usage: pfs put [OPTIONS] PATH...
           or: pfs put --name NAME -

        Stores files. Each is split into parts, which are hashed and compressed at the
        same time.

        Options:
              --batch  All or none.

        Prints one line a file.

        """)
  }

  @Test("continues a long usage under its first word") func longUsage() {
    let help = CommandHelp(usages: ["pfs put [A LONG OPTION] PATH"], summary: "")
    #expect(help.text(columnLimit: 24) == "Usage: pfs put [A LONG\n       OPTION] PATH\n")
  }
}

@Suite("ParsedOptions") struct ParsedOptionsTests {
  private static let table = OptionTable([
    OptionTable.Option("size", value: "SIZE", help: ""), OptionTable.Option("wait", value: "DURATION", help: ""),
    OptionTable.Option("workers", value: "N", help: ""), OptionTable.Option("verbose", short: "v", help: ""),
  ])

  private func options(_ occurrences: (String, String?)..., operands: [[UInt8]] = []) -> ParsedOptions {
    ParsedOptions(
      table: Self.table,
      occurrences: occurrences.map { .init($0.0, value: $0.1.map { Array($0.utf8) }) }, operands: operands)
  }

  @Test("answers for options that were not given") func absent() throws {
    let none = options()
    #expect(!none.contains("verbose"))
    #expect(none.count(of: "verbose") == 0)
    #expect(none.value(of: "size") == nil)
    #expect(try none.text(of: "size") == nil)
    #expect(try none.byteCount(of: "size") == nil)
    #expect(try none.seconds(of: "wait") == nil)
    #expect(try none.integer(of: "workers", in: 1...8) == nil)
    #expect(try none.choice(of: "size", among: ["a"]) == nil)
  }

  @Test("counts repeated options and takes the last value") func repeated() throws {
    let given = options(("verbose", nil), ("size", "1"), ("verbose", nil), ("size", "64KiB"), operands: [[0xFF]])
    #expect(given.count(of: "verbose") == 2)
    #expect(given.values(of: "size") == [Array("1".utf8), Array("64KiB".utf8)])
    #expect(try given.byteCount(of: "size") == 65_536)
    #expect(given.operands == [[0xFF]])
    #expect(try options(("wait", "500ms")).seconds(of: "wait") == 0.5)
    #expect(try options(("size", "b")).choice(of: "size", among: ["a", "b"]) == "b")
  }

  @Test(
    "holds whole numbers to their range",
    arguments: [("1", 1), ("8", 8), ("0", nil), ("9", nil), ("x", nil), ("", nil)] as [(String, Int?)])
  func integers(text: String, expected: Int?) throws {
    let given = options(("workers", text))
    guard let expected else {
      let error = #expect(throws: UsageError.self) { try given.integer(of: "workers", in: 1...8) }
      #expect(error?.code == .invalidValue)
      #expect(error?.message == "option '--workers': '\(text)' is not a whole number from 1 to 8")
      return
    }
    #expect(try given.integer(of: "workers", in: 1...8) == expected)
  }

  @Test("names the option in every error") func errors() {
    let size = #expect(throws: UsageError.self) { try options(("size", "12Q")).byteCount(of: "size") }
    #expect(size?.message == "option '--size': '12Q' is not a size; expected \(ByteSize.acceptedForms)")
    let wait = #expect(throws: UsageError.self) { try options(("wait", "soon")).seconds(of: "wait") }
    #expect(wait?.message == "option '--wait': 'soon' is not a length of time; expected \(TimeSpan.acceptedForms)")
    let choice = #expect(throws: UsageError.self) { try options(("size", "c")).choice(of: "size", among: ["a", "b"]) }
    #expect(choice?.message == "option '--size': 'c' is none of a, b")
    let bytes = ParsedOptions(table: Self.table, occurrences: [.init("size", value: [0x61, 0xFF])], operands: [])
    let text = #expect(throws: UsageError.self) { try bytes.text(of: "size") }
    #expect(text?.message == "option '--size': 'a\\xFF' is not UTF-8 text")
    #expect(bytes.value(of: "size") == [0x61, 0xFF])
  }

  @Test("traps on a name that the table does not have") func unknownName() async {
    await #expect(processExitsWith: .failure) {
      _ = ParsedOptions(table: OptionTable([]), occurrences: [], operands: []).contains("verbose")
    }
  }
}
