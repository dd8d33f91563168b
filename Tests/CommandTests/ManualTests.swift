import Foundation
import TestSupport
import Testing

/// The manual pages, as they are made for an installation.
@Suite("Manual pages") struct ManualTests {
  private static let pages = ["pfs.1", "pfs-bench.1", "pfs-format.5"]
  private static let mandoc = SystemProgram("mandoc")
  private static let man = SystemProgram("man")

  @Test("pass the linter", .enabled(if: mandoc.isInstalled, Comment(rawValue: mandoc.requirement)))
  func lint() throws {
    try withPages { sandbox, _ in
      let mandoc = try #require(ManualTests.mandoc.path)
      let result = try run(sandbox, mandoc, ["-T", "lint", "-W", "style"] + ManualTests.pages)
      expectDone(result)
      #expect(result.outputText.isEmpty && result.errorText.isEmpty, "\(result)")
    }
  }

  @Test("are shown by man without a warning", .enabled(if: man.isInstalled, Comment(rawValue: man.requirement)))
  func shown() throws {
    try withPages { sandbox, _ in
      let man = try #require(ManualTests.man.path)
      for page in ManualTests.pages {
        let result = try run(sandbox, man, ["--warnings", "-E", "UTF-8", "-l", page])
        expectDone(result)
        #expect(result.errorText.isEmpty, "\(result)")
        #expect(result.outputLines.count > 100, "\(result)")
      }
    }
  }

  @Test("have the options of each command, and no others", arguments: ["pfs", "pfs-bench"])
  func options(program: String) throws {
    try withPages { sandbox, page in
      let manual = try page("\(program).1")
      let executable = Sandbox.executable.parent / program
      let helps = try run(sandbox, executable, [program == "pfs" ? "help" : "--help"]).outputText
      let names = ManualTests.commandNames(helps, of: program)
      #expect(names.count > 8, "\(names)")
      let global = ManualTests.optionNames(inHelp: helps)
      if program == "pfs" { #expect(ManualTests.optionNames(inManual: manual, section: ".Sh OPTIONS") == global) }
      for name in names {
        let help = try run(sandbox, executable, [name, "--help"])
        expectDone(help)
        #expect(
          ManualTests.optionNames(inManual: manual, section: ".Ss \(program) \(name)")
            == ManualTests.optionNames(inHelp: help.outputText), "\(program) \(name)")
      }
    }
  }

  @Test("speak of no option that there is not, and of every variable that pfs reads") func written() throws {
    try withPages { sandbox, page in
      let known =
        try ["pfs", "pfs-bench"].map { program in
          try run(sandbox, Sandbox.executable.parent / program, ["manual"]).outputText
        }.joined().replacing("\\-", with: "-") + " Fl -version Fl -help"
      for name in ["pfs.1", "pfs-bench.1"] {
        let written = try ProjectTree.text("docs/man/\(name)").replacing("\\-", with: "-")
        for match in written.matches(of: /(?:Fl -|\s--)([a-z-]+)/) {
          #expect(known.contains("Fl -\(match.1)"), "\(name): --\(match.1)")
        }
      }
      let manual = try page("pfs.1")
      let files = try FileManager.default.subpathsOfDirectory(atPath: (ProjectTree.root / "Sources/pfs").text)
      for file in files where file.hasSuffix(".swift") {
        let source = try ProjectTree.text("Sources/pfs/\(file)")
        for match in source.matches(of: /"((PFS|XDG)_[A-Z_]+)"/) {
          #expect(manual.contains("\(match.1)"), "\(match.1) in \(file)")
        }
      }
    }
  }

  @Test("name every field of JSON under its command, and none that there is not") func fields() throws {
    try Sandbox.use { sandbox in
      let manual = try ProjectTree.text("docs/man/pfs.1")
      try Sample(.text, seed: 1).write(3_000_000, to: sandbox.work / "file")
      var seen: Set<String> = []
      for command in [
        ["init"], ["put", "file"], ["put", "file", "--name", "b"], ["list"], ["info", "--parts", "1"],
        ["get", "1", "-o", "copy"], ["get", "1", "--salvage", "-o", "copy2"], ["verify"], ["stats", "--segments"],
        ["delete", "--dry-run", "1"], ["delete", "1"], ["compact"], ["rebuild"], ["salvage", "saved"],
      ] {
        let item =
          command[0] == "put" || command[0] == "list" || command[0] == "info" ? "put , list , info" : command[0]
        let documented = ManualTests.fields(manual, item)
        let result = try sandbox.command(["--json"] + command).run()
        expectDone(result)
        let found = try ManualTests.keys(result.standardOutput)
        let lacking = found.subtracting(documented).subtracting(
          // What is lost is told once, for 'get'.
          command[0] == "salvage" ? ManualTests.fields(manual, "get") : [])
        #expect(lacking.isEmpty, "\(command)")
        seen.formUnion(found)
      }
      // Of damage there is none here; the code has the words.
      let sources = try FileManager.default.subpathsOfDirectory(atPath: (ProjectTree.root / "Sources").text)
        .filter { $0.hasSuffix(".swift") && ($0.hasPrefix("pfs/") || $0.hasPrefix("CommandSupport/")) }
        .map { try ProjectTree.text("Sources/\($0)") }.joined()
      let json = ManualTests.section(manual, ".Sh JSON", end: ".Sh ")
      for match in json.matches(of: /\.Ql (\w+)/) where !seen.contains(String(match.1)) {
        if !sources.contains("\"\(match.1)\"") { Issue.record("the code has no field \(match.1)") }
      }
    }
  }

  // MARK: Pages

  private func withPages(_ body: (Sandbox, _ page: (String) throws -> String) throws -> Void) throws {
    try Sandbox.use { sandbox in
      let made = try run(
        sandbox, ProjectTree.root / "docs/man/make-pages", [Sandbox.executable.parent.text, sandbox.work.text])
      expectDone(made)
      // Without what keeps words from being taken for macros, and dashes as they are typed.
      try body(sandbox) { name in
        String(decoding: try (sandbox.work / name).read(), as: UTF8.self).replacing("\\&", with: "")
          .replacing("\\-", with: "-")
      }
    }
  }

  private func run(_ sandbox: Sandbox, _ program: BytePath, _ arguments: [String]) throws -> CommandResult {
    try Command(program, arguments, environment: sandbox.environment, workingDirectory: sandbox.work).run()
  }

  // MARK: Reading them

  private static func section(_ page: String, _ heading: String, end: String) -> String {
    let behind = page.components(separatedBy: "\n\(heading)\n").dropFirst().joined(separator: "\n")
    return behind.components(separatedBy: "\n\(end)").first ?? ""
  }

  /// Long names and letters, each as it is typed.
  private static func optionNames(inManual page: String, section heading: String) -> Set<String> {
    // What is behind a subsection belongs to the next one, or to the next section.
    let text = section(page, heading, end: ".S")
    return Set(
      text.split(separator: "\n").filter { $0.hasPrefix(".It Fl ") }.flatMap { line in
        line.matches(of: /Fl (\S+)/).map { "-\($0.1)" }
      })
  }

  private static func optionNames(inHelp help: String) -> Set<String> {
    Set(
      help.split(separator: "\n").flatMap { line -> [String] in
        guard let match = line.firstMatch(of: /^ +(?:(-\w), )?(--[a-z-]+)/),
          line.hasPrefix("  -") || line.hasPrefix("      --")
        else { return [] }
        return [match.1.map(String.init), String(match.2)].compactMap { $0 }
      })
  }

  private static func commandNames(_ help: String, of program: String) -> [String] {
    if program == "pfs-bench" {
      return help.matches(of: #/pfs-bench ([a-z]+) /#).map { String($0.1) }
    }
    let lines = help.components(separatedBy: "Commands:\n").dropFirst().joined().split(
      separator: "\n", omittingEmptySubsequences: false)
    return lines.prefix { !$0.isEmpty }.compactMap { $0.split(separator: " ").first.map(String.init) }
  }

  /// The words that the section JSON has for a command.
  private static func fields(_ manual: String, _ item: String) -> Set<String> {
    let json = section(manual, ".Sh JSON", end: ".Sh ")
    let text = section("\n\(json)", ".It Cm \(item)", end: ".It ")
    var fields = Set(text.matches(of: /\.Ql (\w+)/).map { String($0.1) })
    if text.contains("Findings as for") { fields.formUnion(self.fields(manual, "verify")) }
    return fields
  }

  /// The names in all objects of lines of JSON, also inside others.
  private static func keys(_ output: Data) throws -> Set<String> {
    var keys: Set<String> = []
    func add(_ value: Any) {
      if let object = value as? [String: Any] {
        keys.formUnion(object.keys)
        object.values.forEach(add)
      } else if let array = value as? [Any] {
        array.forEach(add)
      }
    }
    for line in output.split(separator: UInt8(ascii: "\n")) { add(try JSONSerialization.jsonObject(with: Data(line))) }
    return keys
  }
}
