import Foundation
import TestSupport
import Testing

/// The terminal session of README.md: that its commands say what it shows.
@Suite("README") struct ReadmeTests {
  private struct Step {
    let command: String
    var output: [String] = []
  }

  @Test("shows a terminal session as it is") func session() throws {
    let steps = try ReadmeTests.steps()
    #expect(steps.count > 10, "the session was not found")
    try Sandbox.use { sandbox in
      sandbox.isChecked = false
      let outputs = try run(steps.map(\.command), sandbox)
      #expect(outputs.count == steps.count)
      for (step, output) in zip(steps, outputs) {
        let (expected, found) = (ReadmeTests.comparable(step.output), ReadmeTests.comparable(output))
        #expect(
          ReadmeTests.matches(found, expected),
          "\(step.command)\nREADME:\n\(expected.joined(separator: "\n"))\nit says:\n\(found.joined(separator: "\n"))")
      }
      #expect(try (sandbox.work / "film.mov").hasSameBytes(as: sandbox.work / "copy.mov"))
      #expect(try (sandbox.work / "photos" / "b.jpg").hasSameBytes(as: sandbox.work / "restored" / "b.jpg"))
      #expect(try (sandbox.work / "other").hasSameBytes(as: sandbox.work / "mydb"))
      #expect(try (sandbox.work / "head").read() == (sandbox.work / "copy.mov").read().prefix(512))
    }
  }

  // MARK: What the README says

  /// The commands behind `$` in the section, without the comments, each with the lines below it.
  private static func steps() throws -> [Step] {
    let text = try ProjectTree.text("README.md")
    let section = text.components(separatedBy: "\n## Two minutes\n").dropFirst().first?
      .components(separatedBy: "\n## ").first
    var steps: [Step] = []
    for line in section?.split(separator: "\n") ?? [] where line.hasPrefix("    ") {
      let line = line.dropFirst(4)
      if line.hasPrefix("$ ") {
        let command = String(line.dropFirst(2)).components(separatedBy: " # ")[0]
        steps.append(Step(command: command.trimmingCharacters(in: .whitespaces)))
      } else if !steps.isEmpty {
        steps[steps.count - 1].output.append(String(line))
      }
    }
    return steps
  }

  // MARK: What the commands say

  /// What a terminal shows of each command.
  private func run(_ commands: [String], _ sandbox: Sandbox) throws -> [[String]] {
    let programs = sandbox.work / "programs"
    try programs.makeDirectory()
    try (programs / "pfs").makeSymbolicLink(to: Sandbox.executable.text)
    try (programs / "pg_dump").write("#!/bin/sh\ncat mydb\n")
    try (programs / "psql").write("#!/bin/sh\ncat > other\n")
    for name in ["pg_dump", "psql"] { try (programs / name).setMode(0o755) }
    try Sample(.random, seed: 1).write(12 << 20, to: sandbox.work / "film.mov")
    try Sample(.random, seed: 2).write(300_000, to: sandbox.work / "mydb")
    try (sandbox.work / "photos").makeDirectory()
    for (seed, name) in [(3, "a.jpg"), (4, "b.jpg")] {
      try Sample(.random, seed: UInt64(seed)).write(1_500_000, to: sandbox.work / "photos" / name)
    }
    let mark = "-- end of a command"
    let script = "stty cols 120\n" + commands.map { "\($0)\necho '\(mark)'\n" }.joined()
    try (sandbox.work / "session").write(script)
    var environment = sandbox.environment
    for name in ["PFS_STORE", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] { environment[name] = nil }
    environment["PATH"] = "\(programs):/usr/bin:/bin"
    environment["TERM"] = "xterm"
    let result = try Command(
      BytePath("/usr/bin/script"), ["--quiet", "--return", "--command", "bash session", "/dev/null"],
      environment: environment, workingDirectory: sandbox.work
    ).run()
    expectDone(result)
    let home = (sandbox.root / "home").text
    let text = ReadmeTests.shown(result.outputText).replacingOccurrences(of: home, with: "/home/me")
    return ReadmeTests.withPhotosInOrder(text).components(separatedBy: "\(mark)\n").dropLast().map { output in
      output.split(separator: "\n").map { String($0) }
    }
  }

  /// What is left on a terminal: a bar is erased by a carriage return and a sequence.
  private static func shown(_ text: String) -> String {
    text.replacingOccurrences(of: "\r\n", with: "\n").components(separatedBy: "\n").map { line in
      line.components(separatedBy: "\r\u{1B}[K").last ?? line
    }.joined(separator: "\n")
  }

  /// Which file of a tree is stored first is up to the file system.
  private static func withPhotosInOrder(_ text: String) -> String {
    guard text.contains("2\tphotos/b.jpg") else { return text }
    return text.replacingOccurrences(of: "photos/a.jpg", with: "photos/-.jpg")
      .replacingOccurrences(of: "photos/b.jpg", with: "photos/a.jpg")
      .replacingOccurrences(of: "photos/-.jpg", with: "photos/b.jpg")
  }

  /// The lines without what differs from run to run; of lines that are ids and names, which end in any order, sorted.
  private static func comparable(_ lines: [String]) -> [String] {
    let lines = lines.map { line in
      line.replacing(/\d{4}-\d\d-\d\d \d\d:\d\d/, with: "(date)")
        .replacing(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/, with: "(uuid)")
        .replacing(/in \d+\.\d s/, with: "in (time)")
        // What the file system counts in blocks, of the index too.
        .replacing(/[\d.]+ [KM]?i?B(?= freed| came back| of disk)/, with: "(size)")
        .trimmingCharacters(in: .whitespaces)
    }
    return lines.allSatisfy { $0.contains("\t") } ? lines.sorted() : lines
  }

  /// Whether the lines are those expected, where three dots at the end of a line, or on one of their own, stand for the
  /// rest.
  private static func matches(_ lines: [String], _ expected: [String]) -> Bool {
    if expected.last == "..." { return matches(Array(lines.prefix(expected.count - 1)), expected.dropLast()) }
    return lines.count == expected.count
      && zip(lines, expected).allSatisfy { line, pattern in
        pattern.hasSuffix("...") ? line.hasPrefix(pattern.dropLast(3)) : line == pattern
      }
  }
}
