import Foundation
import TestSupport
import Testing

@Suite("Configuration") struct ConfigurationTests {
  @Test("finds the store by --store before PFS_STORE before the file before the default")
  func precedence() throws {
    try Sandbox.use { sandbox in
      sandbox.isChecked = false
      let data = try #require(sandbox.environment["XDG_DATA_HOME"])
      let places = ["option", "environment", "file"].map { (sandbox.root / "work" / $0) } + [BytePath(data) / "pfs"]
      let config = sandbox.work / "pfs.yaml"
      try config.write("path: \(places[2])\n")
      for place in places {
        try (sandbox.work / "x").write("x")
        try sandbox.done("--store", place, "put", "x", "--name", place.lastComponent)
      }

      sandbox.environment["PFS_STORE"] = places[1].text
      sandbox.environment["PFS_CONFIG"] = config.text
      #expect(try sandbox.done("--json", "--store", places[0], "list").outputText.contains("\"option\""))
      #expect(try sandbox.list().map(\.name) == ["environment"])
      sandbox.environment["PFS_STORE"] = nil
      #expect(try sandbox.list().map(\.name) == ["file"])
      sandbox.environment["PFS_CONFIG"] = nil
      #expect(try sandbox.list().map(\.name) == ["pfs"])
      sandbox.environment["XDG_DATA_HOME"] = nil
      let home = try #require(sandbox.environment["HOME"])
      try (BytePath(home) / ".local" / "share").makeDirectories()
      try sandbox.done("put", "x", "--name", "home")
      #expect(try (BytePath(home) / ".local" / "share" / "pfs" / "STORE").exists())
    }
  }

  @Test("is read from --config before PFS_CONFIG before ./config.yaml before the default")
  func files() throws {
    try Sandbox.use { sandbox in
      sandbox.isChecked = false
      sandbox.environment["PFS_STORE"] = nil
      let configHome = BytePath(try #require(sandbox.environment["XDG_CONFIG_HOME"]))
      try (configHome / "pfs").makeDirectory()
      let files = [
        sandbox.work / "option.yaml", sandbox.work / "environment.yaml", sandbox.work / "config.yaml",
        configHome / "pfs" / "config.yaml",
      ]
      try (sandbox.work / "x").write("x")
      for (number, file) in files.enumerated() {
        let store = sandbox.root / "work" / "store-\(number)"
        try file.write("# a comment\npath: \(store)\n")
        try sandbox.done("--store", store, "put", "x", "--name", "name-\(number)")
      }
      sandbox.environment["PFS_CONFIG"] = files[1].text
      #expect(try sandbox.done("--config", files[0], "list").outputText.contains("name-0"))
      #expect(try sandbox.list().map(\.name) == ["name-1"])
      sandbox.environment["PFS_CONFIG"] = nil
      #expect(try sandbox.list().map(\.name) == ["name-2"])
      try files[2].write("jekyll: true\nplugins: [a, b]\n")
      #expect(try sandbox.list().map(\.name) == ["name-3"], "a config.yaml of another program is passed over")
      try files[2].remove()
      #expect(try sandbox.list().map(\.name) == ["name-3"])
    }
  }

  @Test(
    "with a wrong key is exit status 2 and names file, line and the key meant",
    arguments: [
      ("pth", "path"), ("memry", "memory"), ("part-size", "part_size"), ("process", "processes"),
      ("locktimeout", "lock_timeout"), ("Codec", "codec"),
    ])
  func wrongKey(key: String, meant: String) throws {
    try Sandbox.use { sandbox in
      let config = sandbox.work / "my.yaml"
      try config.write("# first line\nlevel: 1\n\(key): 1\n")
      let result = try sandbox.pfs("--config", config, "list")
      expectFailure(result, 2, says: "my.yaml", key, meant)
      #expect(result.errorText.contains(/my\.yaml(:3|.*line 3)/), "\(result)")
    }
  }

  @Test(
    "with a value of a wrong type is exit status 2 and names file, line and key",
    arguments: [
      "memory: 12Q", "memory: [1, 2]", "processes: many", "processes: 0", "part_size: {a: 1}", "level: fast",
      "lock_timeout: soon", "codec: rar", "path: [a]",
    ])
  func wrongType(line: String) throws {
    try Sandbox.use { sandbox in
      let config = sandbox.work / "my.yaml"
      try config.write("# first line\n\(line)\n")
      let result = try sandbox.pfs("--config", config, "list")
      let key = String(line.prefix { $0 != ":" })
      expectFailure(result, 2, says: "my.yaml", key)
      #expect(result.errorText.contains(/my\.yaml(:2|.*line 2)/), "\(result)")
    }
  }

  @Test(
    "that is no YAML, or no mapping, is exit status 2 and names the file",
    arguments: [
      "path: [", "- a\n- b\n", "\tpath: x", "path: a\npath: b\n", "path: \"\u{1}\"",
    ])
  func malformed(text: String) throws {
    try Sandbox.use { sandbox in
      try (sandbox.work / "my.yaml").write(text)
      expectFailure(try sandbox.pfs("--config", "my.yaml", "list"), 2, says: "my.yaml")
    }
  }

  @Test("may be empty or only comments", arguments: ["", "\n", "# nothing\n", "---\n"])
  func empty(text: String) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init")
      try (sandbox.work / "my.yaml").write(text)
      expectDone(try sandbox.pfs("--config", "my.yaml", "list"))
    }
  }

  @Test("that is named and not there is an error that names it")
  func missing() throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init")
      let result = try sandbox.pfs("--config", "missing.yaml", "list")
      #expect([1, 2].contains(result.exitStatus), "\(result)")
      expectOneClearLine(result, says: ["missing.yaml"])
    }
  }

  @Test("gives the memory limit, which the option overrules")
  func memory() throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init")
      try (sandbox.work / "x").write("x")
      try (sandbox.work / "my.yaml").write("memory: 4096\n")
      expectFailure(try sandbox.pfs("--config", "my.yaml", "put", "x"), 2, of: "put", says: "smallest")
      expectDone(try sandbox.pfs("--config", "my.yaml", "--memory", "64MiB", "put", "x"))
    }
  }

  @Test("gives the part size of a new store")
  func partSize() throws {
    try Sandbox.use { sandbox in
      try Sample(.random, seed: 1).write(40_960, to: sandbox.work / "x")
      try (sandbox.work / "my.yaml").write("part_size: 4KiB\nprocesses: 1\ncodec: stored\nlock_timeout: 5s\n")
      expectDone(try sandbox.pfs("--config", "my.yaml", "put", "x"))
      let info = try JSON(parsing: sandbox.done("--json", "info", "1", "--parts").standardOutput)
      #expect(info["part_list"]?.elements?.count == 10, "\(info)")
    }
  }
}
