import ChunkStore
import Foundation
import TestSupport
import Testing

/// `pfs-bench typed` and `torture typed`: that they measure and try the real thing, and clean up.
@Suite("Typed command") struct TypedCommandTests {
  @Test("measures elements beside bare pointers and ctypes, and leaves nothing behind")
  func measured() throws {
    try Sandbox.use { sandbox in
      let result = try bench(
        sandbox, "typed", "--rounds", "1", "--elements", "100000", "--runs", "1", "--json", "--directory",
        sandbox.work.text)
      expectDone(result)
      let report = try #require(
        try JSONSerialization.jsonObject(with: Data(result.standardOutput)) as? [String: Any])
      let figures = try #require(report["figures"] as? [[String: Any]])
      let names = Set(figures.compactMap { $0["name"] as? String })
      for kind in ["int", "double", "object"] {
        for operation in ["sequential_read", "sequential_write", "random_read", "random_write"] {
          #expect(names.contains("\(kind)_\(operation)") && names.contains("\(kind)_\(operation)_bare"))
        }
      }
      #expect(names.isSuperset(of: ["get_warm", "single_read", "single_write", "large_fill", "large_sum"]))
      #expect(try FileManager.default.contentsOfDirectory(atPath: sandbox.work.text).isEmpty)
    }
  }

  @Test("dumps an object without its type, lists what there is, and says what is not there")
  func dumped() throws {
    try Sandbox.use { sandbox in
      let path = sandbox.work / "typed"
      try TypedStore.create(at: FilePath(path.text))
      let store = try TypedStore(at: FilePath(path.text))
      try store.put("number", 42)
      let array = try store.newArray("array", of: Float.self, count: 1000)
      try array.set(2, to: 1.5)
      try store.seal("array")
      try store.close()
      let dump = try bench(sandbox, "typed", "dump", path.text, "array", "--from", "1", "--limit", "2")
      expectDone(dump)
      #expect(
        String(decoding: dump.standardOutput, as: UTF8.self)
          == "array: array of 1000, sealed, Float/1 little f32\n[1] 0.0\n[2] 1.5\n")
      let list = try bench(sandbox, "typed", "dump", path.text)
      #expect(
        String(decoding: list.standardOutput, as: UTF8.self)
          == "array: array of 1000, sealed, Float/1 little f32\nnumber: value of 1, not sealed, Int/1 little i64\n")
      let none = try bench(sandbox, "typed", "dump", path.text, "none")
      #expect(none.exitStatus == 1 && none.errorText.contains("no object 'none'"), "\(none)")
      #expect(try bench(sandbox, "typed", "dump").exitStatus == 2)
    }
  }

  @Test("torture looks at stores as a loss of power leaves them, and finds nothing")
  func tortured() throws {
    try Sandbox.use { sandbox in
      let result = try bench(
        sandbox, "torture", "typed", "--budget", "250", "--seed", "3", "--store-dir", sandbox.work.text)
      expectDone(result)
      #expect(String(decoding: result.standardOutput, as: UTF8.self).contains("states: 250"), "\(result)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: sandbox.work.text).isEmpty)
    }
  }

  @Test(
    "torture flips bits in stores of typed objects and cuts them, and nothing is silent",
    arguments: [("typed-flip", "300"), ("typed-truncate", "200")])
  func damaged(layer: String, budget: String) throws {
    try Sandbox.use { sandbox in
      let result = try bench(
        sandbox, "torture", layer, "--budget", budget, "--seed", "5", "--store-dir", sandbox.work.text)
      expectDone(result)
      for area in ["chunks: named", "index: named", "CHUNKS: named", "rebuilds:", "0 violations"] {
        #expect(String(decoding: result.standardOutput, as: UTF8.self).contains(area), "\(area): \(result)")
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: sandbox.work.text).isEmpty)
    }
  }

  private func bench(_ sandbox: Sandbox, _ arguments: String...) throws -> CommandResult {
    try Command(
      Sandbox.executable.parent / "pfs-bench", arguments, environment: sandbox.environment,
      workingDirectory: sandbox.work
    ).run()
  }
}
