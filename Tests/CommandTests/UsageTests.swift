import Foundation
import TestSupport
import Testing

@Suite("Usage") struct UsageTests {
  @Test(
    "that is wrong is exit status 2 and one clear line",
    arguments: [
      [], ["frobnicate"], ["put"], ["put", ""], ["get"], ["info"], ["delete"], ["get", "1", "2"], ["info", "1", "2"],
      ["init", "surplus"], ["put", "--frobnicate", "x"], ["--frobnicate", "list"], ["get", "1", "-o"], ["--store"],
      ["list", "--sort", "colour"], ["put", "a", "b", "--name", "c"], ["help", "frobnicate"],
    ])
  func wrong(arguments: [String]) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init")
      let result = try sandbox.command(arguments).run()
      expectFailure(result, 2)
    }
  }

  @Test(
    "with a size or number that is none is exit status 2 and says which",
    arguments: [
      ["--memory", "12Q"], ["--memory", ""], ["--memory", "-1"], ["--memory", "MiB"], ["--memory", "0x10"],
      ["--memory", "99999999999999999999"], ["--workers", "0"], ["--workers", "many"], ["--lock-timeout", "soon"],
    ])
  func wrongGlobalValue(arguments: [String]) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init")
      let result = try sandbox.command(arguments + ["list"]).run()
      expectFailure(result, 2, says: "'\(arguments[1])'")
    }
  }

  @Test(
    "with a part or segment size that is none, or out of bounds, is exit status 2 and makes no store",
    arguments: [
      ["--part-size", "12Q"], ["--part-size", "1"], ["--segment-size", "12Q"], ["--segment-size", "1KiB"],
      ["--segment-size", "3MiB"], ["--part-size", "1GiB"],
    ])
  func wrongGeometry(arguments: [String]) throws {
    try Sandbox.use { sandbox in
      expectFailure(try sandbox.command(["init"] + arguments).run(), 2, of: "init")
      #expect(try !sandbox.store.exists())
    }
  }

  @Test(
    "with a part size that the store cannot take is exit status 2 and stores nothing",
    arguments: [
      "12Q", "0", "4095", "64MiB",
    ])
  func wrongPartSize(size: String) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init")
      try (sandbox.work / "file").write("contents")
      expectFailure(try sandbox.pfs("put", "--part-size", size, "file"), 2, of: "put")
      #expect(try sandbox.list().isEmpty)
    }
  }

  @Test(
    "is explained on standard output",
    arguments: [
      ["help"], ["--help"], ["help", "put"], ["put", "--help"], ["help", "get"], ["help", "shell"], ["list", "--help"],
    ])
  func help(arguments: [String]) throws {
    try Sandbox.use { sandbox in
      let result = try sandbox.command(arguments).run()
      expectDone(result)
      #expect(result.standardError.isEmpty, "\(result)")
      #expect(result.outputText.contains("pfs"), "\(result)")
      #expect(result.outputLines.count > 3, "\(result)")
    }
  }

  @Test("names every command in help", arguments: ["init", "put", "get", "delete", "list", "info", "stats", "shell"])
  func commands(command: String) throws {
    try Sandbox.use { sandbox in
      let all = try sandbox.done("help")
      #expect(all.outputText.contains(command))
      let one = try sandbox.done("help", command)
      #expect(one.outputText.contains("pfs \(command)"))
    }
  }

  @Test("asks for the version on standard output")
  func version() throws {
    try Sandbox.use { sandbox in
      let result = try sandbox.pfs("--version")
      expectDone(result)
      #expect(result.outputLines.count == 1)
      #expect(result.outputText.hasPrefix("pfs "))
      #expect(result.standardError.isEmpty)
    }
  }
}
