import Foundation
import TestSupport
import Testing

/// The log of changes that the crash-state explorer works on: whoever replays it has the directory as it is.
@Suite("The recorder") struct RecorderTests {
  private static let everything =
    "init,put:a:tiny,put:b:large,batch,get:b,verify,delete:a,interrupted:c,resume:c,cancelled:b,failing:a,put:c:sparse,"
    + "put:b:empty,reopen,rebuild,delete:b,delete:b,delete:b"

  @Test("logs all that a workload of the engine does to its store", arguments: [1, 2, 3], [true, false])
  func workload(seed: Int, isInMemory: Bool) throws {
    let directory = try TemporaryDirectory(isInMemory: isInMemory)
    try Sandbox.use { sandbox in
      let place = try RecordedPlace(BytePath(directory.path))
      let workload = "\(seed)/\(RecorderTests.everything)"
      expectDone(try act(sandbox, place, workload))
      let recorded = try RecordedDirectory(log: place.log)
      #expect(try recorded.differences(from: place.root) == [])
      // Segments are written through mappings, the index is not; and something is deleted in the middle of a segment.
      for kind in [RecordedDirectory.Event.Kind.page, .write, .zero, .unlink, .rename, .syncEnd, .directorySyncEnd] {
        #expect(recorded.count(kind) > 0, "\(kind)")
      }
      #expect(recorded.count(.failed) == 0)
      // What is in a segment stays as it is until it goes.
      #expect(recorded.overwrittenByteCount(ofFilesEndingIn: ".seg") == 0)
      #expect(recorded.overwrittenByteCount(ofFilesEndingIn: "data.mdb") > 0)
      let marks = recorded.events.filter { $0.kind == .mark }.map(\.text)
      #expect(marks.joined() == String(decoding: try place.marks.read(), as: UTF8.self))
      #expect(marks.count { $0.hasPrefix("begin ") } == 18 && marks.last == "closed\n")
    }
  }

  @Test("makes the same log of the same workload")
  func repeats() throws {
    let directory = try TemporaryDirectory(isInMemory: true)
    try Sandbox.use { sandbox in
      let logs = try (0..<3).map { number in
        let place = try RecordedPlace(BytePath(directory.path) / "\(number)")
        expectDone(try act(sandbox, place, "7/init,put:a:tiny,put:b:large,batch,delete:b,rebuild,put:a:sparse,reopen"))
        return try RecordedDirectory(log: place.log).events.filter { $0.kind != .process }.map { event in
          "\(event.kind) \(event.fields) \(event.bytes)"
        }
      }
      #expect(logs[0] == logs[1] && logs[1] == logs[2])
    }
  }

  @Test("logs what several threads of the real command do, which does the same as without")
  func command() throws {
    try Sandbox.use { sandbox in
      let place = try RecordedPlace(sandbox.root / "recorded")
      let tree = sandbox.work / "tree"
      try tree.makeDirectory()
      for number in 0..<12 {
        try (tree / "file\(number)").write(
          Data((0..<(number * 40_000)).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 7) }))
      }
      let plain = sandbox.root / "plain"
      for (store, environment) in [(plain, [:]), (place.root / "store", place.environment(seed: nil))] {
        for arguments in [
          ["init", "--segment-size", "1MiB", "--part-size", "16KiB"], ["put", "-r", tree.text],
          ["put", "--codec", "stored", (tree / "file11").text], ["delete", "3", "7"], ["rebuild"], ["verify"],
        ] {
          var command = sandbox.command(["--store", store.text, "--workers", "4", "--no-progress"] + arguments)
          command.environment.merge(environment) { $1 }
          expectDone(try command.run())
        }
      }
      let recorded = try RecordedDirectory(log: place.log)
      #expect(try recorded.differences(from: place.root) == [])
      #expect(recorded.count(.process) >= 6)
      #expect(recorded.count(.page) > 50)
      #expect(recorded.events.filter { $0.kind == .failed }.map(\.text) == [])
      let lists = try [plain, place.root / "store"].map { store in
        try JSON.lines(sandbox.done("--store", store, "--json", "list").standardOutput).map { line in
          "\(line["id"] as Any) \(line["name"] as Any) \(line["etag"] as Any)"
        }
      }
      #expect(lists[0] == lists[1] && lists[0].count == 11)
    }
  }

  @Test("logs what one process after another does by each kind of call")
  func calls() throws {
    try Sandbox.use { sandbox in
      let place = try RecordedPlace(sandbox.root / "recorded")
      let script = """
        mkdir a a/b; echo one > a/b/f; echo two >> a/b/f; cat a/b/f a/b/f > g
        truncate -s 10000 g; fallocate -l 20000 g; fallocate -p -o 4 -l 3 g; fallocate -z -o 5000 -l 100 g
        dd if=/dev/zero of=a/h bs=1000 count=7 conv=fsync status=none; printf x | dd of=a/h bs=1 seek=4097 conv=notrunc status=none
        ln g a/linked; mv g a/g; mv a/h a/g; echo more >> a/linked; rm a/linked; mkdir c; mv a/b c/b; rmdir c/b 2>/dev/null
        sync a/g; sync a; : > c/b/f; echo last > c/new
        """
      #expect(try shell(sandbox, place, script).exitStatus == 0)
      let recorded = try RecordedDirectory(log: place.log)
      #expect(try recorded.differences(from: place.root) == [])
      for kind in [RecordedDirectory.Event.Kind.zero, .size, .rename, .unlink, .link, .directorySyncEnd, .syncEnd] {
        #expect(recorded.count(kind) > 0, "\(kind)")
      }
      #expect(recorded.events.contains { $0.kind == .failed && $0.text == "unlink" })
      #expect(recorded.count(.process) > 10)
    }
  }

  @Test("ends a process that changes something in a way that is not recorded", arguments: ["ln -s x link", "cp f g"])
  func refused(change: String) throws {
    try Sandbox.use { sandbox in
      let place = try RecordedPlace(sandbox.root / "recorded")
      let result = try shell(sandbox, place, "echo x > f; \(change)")
      #expect(result.exitStatus == 98 && result.errorText.contains("recorder: "), "\(result)")
    }
  }

  @Test("logs what failed beside what did not")
  func failure() throws {
    try Sandbox.use { sandbox in
      let place = try RecordedPlace(sandbox.root / "recorded")
      var command = bench(sandbox, place, "init,put:a:tiny")
      command.environment.merge(["FAULT_CALLS": "fdatasync", "FAULT_PATH": "/segments/", "FAULT_NUMBER": "1"]) { $1 }
      command.environment["FAULT_ACTION"] = "EIO"
      #expect(try command.run().exitStatus == 3)
      let recorded = try RecordedDirectory(log: place.log)
      #expect(recorded.events.filter { $0.kind == .failed }.map(\.text) == ["fdatasync"])
      #expect(try recorded.differences(from: place.root) == [])
    }
  }

  // MARK: -

  private func act(_ sandbox: Sandbox, _ place: RecordedPlace, _ workload: String) throws -> CommandResult {
    try bench(sandbox, place, workload).run()
  }

  private func bench(_ sandbox: Sandbox, _ place: RecordedPlace, _ workload: String) -> Command {
    var command = Command(
      Sandbox.executable.parent / "pfs-bench",
      ["torture", "act", "--store", place.root / "store", "--marks", place.marks, "--workload", workload],
      environment: sandbox.environment, workingDirectory: sandbox.work)
    command.environment.merge(place.environment(seed: 1)) { $1 }
    return command
  }

  private func shell(_ sandbox: Sandbox, _ place: RecordedPlace, _ script: String) throws -> CommandResult {
    var command = Command(
      BytePath("/bin/sh"), ["-c", script], environment: sandbox.environment, workingDirectory: place.root)
    command.environment.merge(place.environment(seed: nil)) { $1 }
    return try command.run()
  }
}

/// A directory whose changes are recorded, and the files beside it.
struct RecordedPlace {
  let root: BytePath
  let log: BytePath
  let marks: BytePath

  /// Makes `path` and an empty directory in it.
  init(_ path: BytePath) throws {
    root = path / "root"
    log = path / "log"
    marks = path / "marks"
    try root.makeDirectories()
  }

  func environment(seed: Int?) -> [String: String] {
    var environment = [
      "LD_PRELOAD": Fault.library.text, "RECORD_ROOT": root.text, "RECORD_LOG": log.text, "RECORD_MARKS": marks.text,
    ]
    if let seed {
      environment["RECORD_SEED"] = String(seed)
      environment["SWIFT_DETERMINISTIC_HASHING"] = "1"
    }
    return environment
  }
}
