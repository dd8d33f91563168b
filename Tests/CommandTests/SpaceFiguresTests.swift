import Foundation
import FoundationXML
import TestSupport
import Testing

@Suite("Figures of space") struct SpaceFiguresTests {
  @Test("agree with du, and add up for every segment, after puts and deletes", arguments: [false, true])
  func agreement(isOnLoop: Bool) throws {
    if isOnLoop && !LoopFileSystem.isAvailable {
      print("skipped: \(LoopFileSystem.requirement)")
      return
    }
    try Sandbox.use { sandbox in
      if isOnLoop { sandbox.store = try sandbox.mountFileSystem(byteCount: 64 << 20).root / "store" }
      try fill(sandbox)
      let figures = try figures(sandbox)
      #expect(figures.segments.count > 3)
      var sums: [String: Int] = [:]
      for segment in figures.segments {
        try expectSum(segment)
        let id = try #require(segment["id"])
        let digits = String(id)
        let name = String(repeating: "0", count: 16 - digits.count) + digits + ".seg"
        let path = sandbox.store / "segments" / name
        let allocated = try #require(try path.status()).allocatedByteCount
        #expect(segment["bytes_on_disk"] == allocated)
        let kept = try #require(segment["size"]) - (try #require(segment["punched_bytes"]))
        expectWithinOnePercent(kept, allocated, "segment \(id) without what was given back")
        for (field, value) in segment { sums[field, default: 0] += value }
      }
      for field in ["live_bytes", "dead_bytes", "punched_bytes", "free_bytes", "overhead_bytes"] {
        #expect(figures.store[field] == sums[field], "\(field)")
      }
      #expect(try #require(sums["punched_bytes"]) > 2 << 20, "nothing was given back: \(sums)")
      #expect(try #require(sums["dead_bytes"]) > 0)
      expectWithinOnePercent(
        try #require(figures.store["segment_bytes_on_disk"]),
        try du(sandbox.store / "segments") - directoryByteCount(sandbox),
        "segments")
      expectWithinOnePercent(try #require(figures.store["store_bytes_on_disk"]), try du(sandbox.store), "store")
      expectWithinOnePercent(
        try #require(figures.store["index_bytes_on_disk"]), try du(sandbox.store / "index" / "data.mdb"), "index")
    }
  }

  @Test("are checked: a record that is needed and was given back is reported by verify")
  func givenBack() throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--segment-size", "1MiB", "--part-size", "64KiB")
      try Sample(.random, seed: 4).write(300_000, to: sandbox.work / "file")
      let id = try sandbox.put(sandbox.work / "file", "--codec", "stored")
      let before = try sandbox.done("--json", "verify")
      #expect(!before.outputText.contains("given back"))
      let segment = try #require(try sandbox.segmentPaths().first)
      try run("/usr/bin/fallocate", "-p", "-o", "16384", "-l", "8192", segment)
      let result = try sandbox.pfs("--json", "verify")
      #expect(result.exitStatus == 3)
      let findings = try JSON.lines(result.standardOutput).filter { $0["finding"] != nil }
      #expect(
        findings.contains { "\($0)".contains("8192 bytes of a record that is needed, from 16384 on") }, "\(result)")
      sandbox.damagedIdentifiers = [id]
    }
  }

  @Test("are in the map: XML that shows each segment, whose numbers are those of stats", arguments: [0, 1, 90])
  func map(segmentCount: Int) throws {
    try Sandbox.use { sandbox in
      // Each of these is something in XML, or forbidden there.
      sandbox.store = sandbox.root / (Array("a&b<c>\"'--]]>\u{1}\u{FFFE}\u{202E}".utf8) + [0xFF])
      try sandbox.done("--store", sandbox.store, "init", "--segment-size", "64KiB", "--part-size", "16KiB")
      if segmentCount > 0 {
        try Sample(.random, seed: 2).write(
          segmentCount == 1 ? 20_000 : segmentCount * 52_000, to: sandbox.work / "file")
        try sandbox.done("--store", sandbox.store, "put", "file")
        try sandbox.done("--store", sandbox.store, "put", "file", "--name", "other")
        try sandbox.done("--store", sandbox.store, "delete", "file")
      }
      try (sandbox.work / "map.svg").write("an older one")
      let stats = try sandbox.done(
        "--store", sandbox.store, "--json", "stats", "--segments", "--map", "map.svg")
      let tiles = try tiles(in: try (sandbox.work / "map.svg").read())
      let segments = try segments(in: stats)
      #expect(segmentCount == 0 ? segments.isEmpty : segments.count >= segmentCount)
      #expect(tiles.count == segments.count)
      for (tile, segment) in zip(tiles, segments) {
        for field in ["live", "dead", "punched", "free", "overhead"] {
          #expect(tile[field] == segment["\(field)_bytes"])
        }
        #expect(tile["size"] == segment["size"] && tile["disk"] == segment["bytes_on_disk"])
        try expectSum(segment)
      }
      let names = try sandbox.work.entryNames().map { String(decoding: $0, as: UTF8.self) }
      #expect(Set(names).isSubset(of: ["file", "map.svg"]))
      let streamed = try sandbox.done("--store", sandbox.store, "stats", "--map", "-")
      #expect(try streamed.standardOutput == (sandbox.work / "map.svg").read())
    }
  }

  @Test("go into no device, link or directory, and leave nothing behind there")
  func refusedTargets() throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init")
      let (link, directory) = (sandbox.work / "link.svg", sandbox.work / "directory")
      try FileManager.default.createSymbolicLink(atPath: link.text, withDestinationPath: "/dev/null")
      try directory.makeDirectory()
      for target in [link, directory, sandbox.work / "missing" / "map.svg"] {
        let result = try sandbox.pfs("stats", "--map", target)
        #expect(result.exitStatus == 1 && result.errorLines.count == 1, "\(result)")
      }
      expectFailure(try sandbox.pfs("stats", "--map", ""), 2, of: "stats", says: "--map")
      #expect(
        try Set(sandbox.work.entryNames().map { String(decoding: $0, as: UTF8.self) }) == ["link.svg", "directory"])
    }
  }

  // MARK: -

  /// Puts, deletes some, puts more.
  private func fill(_ sandbox: Sandbox) throws {
    try sandbox.done("init", "--segment-size", "1MiB", "--part-size", "64KiB")
    for number in 0..<6 {
      let path = sandbox.work / "file-\(number)"
      try Sample(.random, seed: UInt64(number)).write(number % 2 == 0 ? 1_300_000 : 9000, to: path)
      try sandbox.put(path)
    }
    try sandbox.done("delete", "file-0", "file-1", "file-4")
    try Sample(.random, seed: 9).write(700_000, to: sandbox.work / "later")
    try sandbox.put(sandbox.work / "later")
  }

  private func figures(_ sandbox: Sandbox) throws -> (store: [String: Int], segments: [[String: Int]]) {
    let result = try sandbox.done("--json", "stats", "--segments")
    let object = try #require(try JSON.lines(result.standardOutput).first)
    return (numbers(of: object), try segments(in: result))
  }

  private func segments(in result: CommandResult) throws -> [[String: Int]] {
    let object = try #require(try JSON.lines(result.standardOutput).first)
    return try #require(object["segment_list"]?.elements).map { numbers(of: $0) }
  }

  private func numbers(of object: JSON) -> [String: Int] {
    Dictionary(
      uniqueKeysWithValues: (object.names ?? []).compactMap { name in object[name]?.integer.map { (name, $0) } })
  }

  private func expectSum(_ segment: [String: Int]) throws {
    let parts = try ["live_bytes", "dead_bytes", "punched_bytes", "free_bytes", "overhead_bytes"].map { field in
      try #require(segment[field], "\(segment)")
    }
    #expect(parts.allSatisfy { $0 >= 0 } && parts.reduce(0, +) == segment["size"], "\(segment)")
  }

  private func expectWithinOnePercent(_ value: Int, _ expected: Int, _ what: String) {
    #expect(abs(value - expected) * 100 <= expected, "\(what): \(value), du says \(expected)")
  }

  private func directoryByteCount(_ sandbox: Sandbox) throws -> Int {
    try #require(try (sandbox.store / "segments").status()).allocatedByteCount
  }

  private func du(_ path: BytePath) throws -> Int {
    let text = try run("/usr/bin/du", "-s", "--block-size=1", path).outputText
    return try #require(Int(text.prefix { $0.isNumber }), "\(text)")
  }

  @discardableResult private func run(
    _ program: String, _ arguments: any CommandArgument...
  ) throws -> CommandResult {
    let result = try Command(
      BytePath(program), arguments, environment: ["PATH": "/usr/bin:/bin"], workingDirectory: BytePath("/")
    ).run()
    guard result.exitStatus == 0 else { throw TestFailure("\(result)") }
    return result
  }

  /// The numbers of the tiles of a map.
  private func tiles(in data: Data) throws -> [[String: Int]] {
    let reader = TileReader()
    let parser = XMLParser(data: data)
    parser.delegate = reader
    guard parser.parse() else { throw TestFailure("no XML: \(String(describing: parser.parserError))") }
    #expect(reader.rootName == "svg")
    #expect(reader.titleCount >= reader.tiles.count + 1)
    return reader.tiles
  }
}

private final class TileReader: NSObject, XMLParserDelegate {
  private(set) var rootName: String?
  private(set) var titleCount = 0
  private(set) var tiles: [[String: Int]] = []

  func parser(
    _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
    attributes: [String: String]
  ) {
    rootName = rootName ?? name
    if name == "title" { titleCount += 1 }
    guard name == "g", attributes["data-size"] != nil else { return }
    tiles.append(
      Dictionary(
        uniqueKeysWithValues: attributes.compactMap { name, value in
          Int(value).map { (String(name.dropFirst("data-".count)), $0) }
        }))
  }
}
