import Foundation
import TestSupport
import Testing

/// The check that the crash-state explorer makes of every state: it passes what is right and tells what is not.
@Suite("The check of a store") struct StoreCheckTests {
  private static let workload = "init,put:a:tiny,put:b:large,batch,delete:a,put:c:sparse"
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory(isInMemory: true) }

  private var path: BytePath { BytePath(directory.path) }
  private var store: BytePath { path / "store" }
  private var marks: BytePath { path / "marks" }

  @Test("finds nothing in what a workload leaves", arguments: [workload, "init", "init,interrupted:b,put:b:small"])
  func intact(workload: String) throws {
    try act(workload)
    let result = try check(workload)
    #expect(result.exitStatus == 0 && result.standardOutput.isEmpty, "\(result)")
  }

  @Test("takes an operation that was begun for done or not done")
  func inFlight() throws {
    try act(StoreCheckTests.workload)
    for dropped in ["done 5", "done 5", "begin 5"] {
      try changeMarks { lines in lines.removeAll { $0.hasPrefix(dropped) } }
      let result = try check(StoreCheckTests.workload, copying: true)
      // Without its begin, the file is one that nobody stored.
      #expect(result.exitStatus == (dropped == "begin 5" ? 3 : 0), "\(result)")
      if dropped == "begin 5" { expectFault(result, "inconsistent", "files that nobody stored") }
    }
  }

  @Test("tells what is lost, back, wrong or left over", arguments: Harm.all)
  func harmed(harm: Harm) throws {
    try act(StoreCheckTests.workload)
    try harm.change(self)
    expectFault(try check(harm.workload), harm.kind, harm.words)
  }

  /// Something that is done to a store, or to what is said of it, and what the check must say.
  struct Harm: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let kind: String
    let words: String
    var workload = StoreCheckTests.workload
    let change: @Sendable (StoreCheckTests) throws -> Void

    static let all: [Harm] = [
      Harm("no store", "lost", "the store is gone") { try $0.store.remove() },
      Harm("no index", "unopenable", "index is missing") { try ($0.store / "index" / "data.mdb").remove() },
      Harm("a payload", "lost", "file 2 'b'") { test in
        // The first part of the large file lies behind the records of the tiny one.
        try (test.store / "segments" / "0000000000000001.seg").flip(at: 8192)
      },
      Harm("no segment", "lost", "file 2 'b'") { try ($0.store / "segments" / "0000000000000001.seg").remove() },
      Harm("a file too many", "inconsistent", "left over") { try ($0.store / "high-water.new").write("x") },
      Harm("a segment too many", "inconsistent", "segment files") { test in
        try (test.store / "segments" / "0000000000000077.tmp").write("x")
      },
      Harm("another seed", "wrong bytes", "were stored", workload: "2/" + StoreCheckTests.workload) { _ in },
      Harm("a put that is lost", "lost", "file 99 'c' was stored, and is gone") { test in
        try test.changeMarks { lines in
          lines = lines.map { $0.hasPrefix("done 5 ") ? "done 5 99 part=400" : $0 }
        }
      },
      Harm("a delete that is lost", "lost", "was deleted, and is back") { test in
        try test.changeMarks { lines in lines = lines.map { $0.hasPrefix("done 4 ") ? "done 4 1" : $0 } }
      },
      Harm("a batch by half", "inconsistent", "files that nobody stored") { test in
        try test.changeMarks { lines in lines = Array(lines.prefix { !$0.hasPrefix("done 3") }) }
      },
      Harm("an id that was used before", "inconsistent", "was given out") { test in
        try test.changeMarks { lines in
          // As if file 9 had been stored, and deleted.
          lines =
            lines.filter { !$0.hasPrefix("done 4 ") && !$0.hasPrefix("begin 4") } + ["begin 1", "done 1 900 part=1"]
          lines += ["begin 4", "done 4 3 900"]
        }
      },
      Harm("a part id that was used before", "inconsistent", "part id") { test in
        try test.changeMarks { lines in
          lines = lines.map { $0.hasPrefix("done 5 ") ? $0.split(separator: " part=")[0] + " part=99999999999" : $0 }
        }
      },
    ]

    init(
      _ name: String, _ kind: String, _ words: String, workload: String = StoreCheckTests.workload,
      change: @escaping @Sendable (StoreCheckTests) throws -> Void
    ) {
      testDescription = name
      self.kind = kind
      self.words = words
      self.workload = workload
      self.change = change
    }
  }

  // MARK: -

  private func expectFault(
    _ result: CommandResult, _ kind: String, _ words: String, at location: SourceLocation = #_sourceLocation
  ) {
    #expect(result.exitStatus == 3, "\(result)", sourceLocation: location)
    let isTold = result.outputLines.contains { $0.contains(": \(kind): ") && $0.contains(words) }
    #expect(isTold, "'\(kind)' and '\(words)' expected: \(result)", sourceLocation: location)
  }

  private func act(_ workload: String) throws {
    expectDone(try bench("act", "--store", store, "--marks", marks, "--workload", workload))
  }

  private func check(_ workload: String, copying: Bool = false) throws -> CommandResult {
    var checked = store
    if copying {
      checked = path / "copy"
      try checked.remove()
      try FileManager.default.copyItem(atPath: store.text, toPath: checked.text)
    }
    return try bench("check", "--depth", "full", "--workload", workload, "--marks", marks, checked)
  }

  private func changeMarks(_ change: (inout [String]) -> Void) throws {
    var lines = String(decoding: try marks.read(), as: UTF8.self).split(separator: "\n").map(String.init)
    change(&lines)
    try marks.write(lines.joined(separator: "\n") + "\n")
  }

  private func bench(_ arguments: any CommandArgument...) throws -> CommandResult {
    try Command(
      Sandbox.executable.parent / "pfs-bench", ["torture"] + arguments,
      environment: ["PATH": "/usr/bin:/bin", "SWIFT_BACKTRACE": "enable=no"], workingDirectory: path
    ).run()
  }
}
