import StorageIO
import TestSupport
import Testing

@testable import StagingFS

@Suite("Staging tree") struct StagingTreeTests {
  let staging: StagingFileSystem

  init() throws { staging = try StagingFileSystem(quota: 1 << 20, defaultLockTimeout: .zero) }

  @Test("takes every way of writing a path for the same path")
  func paths() throws {
    try staging.makeDirectory("/a/b", makingParents: true)
    try staging.write([1], to: "a//b/./c")
    for path in ["/a/b/c", "a/b/c", "/a/b/c/", "//a/b/../b/c", "/a/x/../b/c"] as [StagingPath] {
      #expect(try staging.read(path) == [1], "\(path)")
    }
    #expect(StagingPath("").isRoot && StagingPath("/.").isRoot && StagingPath("a/..").isRoot)
    #expect(StagingPath("/a/b").parent == "/a" && StagingPath("/a").parent == .root)
  }

  @Test func `makes no directories when what is moved finds no room`() throws {
    let staging = try StagingFileSystem(quota: 768 * 5 + 100)
    try staging.makeDirectory("/a")
    let before = staging.statistics()
    let long = StagingPath("/x/y/z").appending(String(repeating: "n", count: 250))
    #expect(stagingError { try staging.move("/a", to: long) }?.code == .quotaExceeded)
    #expect(staging.statistics() == before)
    #expect(try staging.listNames() == ["a"])
  }

  @Test func `moves and copies nothing to where its path would be too long`() throws {
    let staging = try StagingFileSystem(quota: 1 << 20)
    let component = "/" + String(repeating: "n", count: 250)
    let deep = StagingPath("/a" + String(repeating: component, count: 16))
    try staging.makeDirectory(deep, makingParents: true)
    try staging.write([1], to: deep.appending(String(repeating: "f", count: 74)))
    let before = staging.statistics()
    for newPath in ["/longer", "/none/a"] as [StagingPath] {
      #expect(stagingError { try staging.move("/a", to: newPath) }?.code == .badPath)
    }
    #expect(stagingError { try staging.rename("/a", to: "/longer") }?.code == .badPath)
    #expect(stagingError { try staging.copyTree("/a", to: "/longer") }?.code == .badPath)
    #expect(staging.statistics() == before)
    try staging.rename("/a", to: "/bcd")
    #expect(try staging.walk().map(\.path.bytes.count).max() == 4020)
    try staging.copyTree("/bcd", to: "/c")
  }

  @Test(
    "refuses what is no path",
    arguments: ["..", "/a/../../b", "/a\0b", "/" + String(repeating: "x", count: 256)])
  func badPaths(text: String) {
    let path = StagingPath(text)
    #expect(stagingError { _ = try staging.open(path, .write) }?.code == .badPath)
    #expect(stagingError { try staging.makeDirectory(path) }?.code == .badPath)
    #expect(stagingError { try staging.makeDirectory(path, makingParents: true) }?.code == .badPath)
    #expect(stagingError { _ = try staging.list(path) }?.code == .badPath)
    #expect(stagingError { try staging.importTree([(path, [1])]) }?.code == .badPath)
    #expect(!staging.exists(path))
    #expect(staging.statistics().fileCount == 0 && staging.statistics().directoryCount == 0)
  }

  @Test func `refuses a path that is longer than a store takes as a name`() {
    let path = StagingPath(String(repeating: "/abcdefg", count: 512))
    #expect(stagingError { try staging.makeDirectory(path, makingParents: true) }?.code == .badPath)
  }

  @Test func `keeps names that are not UTF-8 and names that look the same apart`() throws {
    let names: [[UInt8]] = [[0xFF, 0xFE], Array("e\u{301}".utf8), Array("\u{e9}".utf8)]
    for (index, name) in names.enumerated() {
      try staging.write([UInt8(index)], to: StagingPath(bytes: [0x2F] + name))
    }
    #expect(try staging.list() == names.sorted { $0.lexicographicallyPrecedes($1) })
    for (index, name) in names.enumerated() {
      #expect(try staging.read(StagingPath(bytes: name)) == [UInt8(index)])
    }
  }

  @Test func `tells names apart that begin, or end, with the same bytes, of every length`() throws {
    let staging = try StagingFileSystem(quota: 16 << 20)
    var names: [String] = []
    for byteCount in 1...40 {
      for position in [0, 7, 8, 15, 16, 17, 24, byteCount - 1] where position < byteCount {
        var name = [UInt8](repeating: UInt8(ascii: "a"), count: byteCount)
        name[position] = UInt8(ascii: "b")
        names += [String(repeating: "a", count: byteCount), String(decoding: name, as: UTF8.self)]
      }
    }
    let distinct = Set(names).sorted()
    for name in distinct { try staging.write(Array(name.utf8), to: StagingPath("/" + name)) }
    for name in distinct { #expect(try staging.read(StagingPath("/" + name)) == Array(name.utf8)) }
    // Each second one gets another name, and another one again.
    for (number, name) in distinct.enumerated() where number % 2 == 0 {
      try staging.rename(StagingPath("/" + name), to: "/x")
      #expect(!staging.exists(StagingPath("/" + name)))
      try staging.rename("/x", to: StagingPath("/" + name + "c"))
    }
    for (number, name) in distinct.enumerated() {
      let path = StagingPath("/" + name + (number % 2 == 0 ? "c" : ""))
      #expect(try staging.read(path) == Array(name.utf8))
      try staging.remove(path)
    }
    #expect(try staging.list().isEmpty)
  }

  @Test func `makes directories, with parents and again where that is asked for`() throws {
    #expect(stagingError { try staging.makeDirectory("/a/b") }?.code == .notFound)
    try staging.makeDirectory("/a")
    #expect(stagingError { try staging.makeDirectory("/a") }?.code == .exists)
    try staging.makeDirectory("/a", mayExist: true)
    try staging.makeDirectory("/a/b/c/d", makingParents: true)
    try staging.write([], to: "/a/file")
    #expect(stagingError { try staging.makeDirectory("/a/file", mayExist: true) }?.code == .isNotDirectory)
    #expect(stagingError { try staging.makeDirectory("/a/file/x", makingParents: true) }?.code == .isNotDirectory)
    #expect(stagingError { try staging.makeDirectory("/a/file/x") }?.code == .isNotDirectory)
    #expect(staging.statistics().directoryCount == 4)
    #expect(staging.isDirectory("/a/b/c") && !staging.isFile("/a/b/c") && staging.isFile("/a/file"))
  }

  @Test func `says what is wrong with what a path leads to`() throws {
    try staging.makeDirectory("/d")
    try staging.write([1], to: "/f")
    #expect(stagingError { _ = try staging.open("/d") }?.code == .isDirectory)
    #expect(stagingError { _ = try staging.open("/d", .write) }?.code == .isDirectory)
    #expect(stagingError { _ = try staging.open("/none") }?.code == .notFound)
    #expect(stagingError { _ = try staging.open("/none", .readWrite) }?.code == .notFound)
    #expect(stagingError { _ = try staging.open("/none/x", .write) }?.code == .notFound)
    #expect(stagingError { _ = try staging.open("/f/x", .write) }?.code == .isNotDirectory)
    #expect(stagingError { _ = try staging.open("/f", .createNew) }?.code == .exists)
    #expect(stagingError { _ = try staging.list("/f") }?.code == .isNotDirectory)
    #expect(stagingError { try staging.remove("/d") }?.code == .isDirectory)
    #expect(stagingError { try staging.removeTree("/f") }?.code == .isNotDirectory)
    #expect(stagingError { try staging.copy("/d", to: "/e") }?.code == .isDirectory)
    #expect(stagingError { try staging.copyTree("/f", to: "/e") }?.code == .isNotDirectory)
    #expect(stagingError { _ = try staging.byteCount(of: "/d") }?.code == .isDirectory)
    #expect(stagingError { _ = try staging.status("/none") }?.code == .notFound)
  }

  // MARK: Renaming

  @Test func `moves a directory with all that is in it, and its bytes`() throws {
    try staging.importTree([("/a/b/one", [1]), ("/a/b/c/two", [2]), ("/x", [3])])
    try staging.rename("/a/b", to: "/moved")
    #expect(try staging.read("/moved/c/two") == [2])
    #expect(try staging.listNames("/a") == [])
    #expect(stagingError { try staging.rename("/moved", to: "/new/place") }?.code == .notFound)
    try staging.move("/moved", to: "/new/place")
    #expect(try staging.read("/new/place/one") == [1])
    #expect(stagingError { try staging.rename("/x", to: "/a") }?.code == .exists)
    #expect(stagingError { try staging.rename("/none", to: "/y") }?.code == .notFound)
    #expect(stagingError { try staging.rename("/", to: "/y") }?.code == .invalidArgument)
    try staging.rename("/x", to: "/x")
    #expect(try staging.read("/x") == [3])
    #expect(staging.statistics().fileCount == 3 && staging.statistics().directoryCount == 4)
  }

  @Test(
    "refuses to move or copy a directory into itself, and loses nothing", arguments: ["/a/b", "/a/b/c/d", "/a/n/m"])
  func intoItself(target: String) throws {
    try staging.importTree([("/a/b/c/file", [7])])
    let before = staging.statistics()
    let path = StagingPath(target)
    for error in [
      stagingError { try staging.rename("/a", to: path) }, stagingError { try staging.move("/a", to: path) },
      stagingError { try staging.copyTree("/a", to: path.appending("x")) },
    ] {
      #expect([.invalidArgument, .notFound].contains(error?.code))
    }
    #expect(try staging.read("/a/b/c/file") == [7])
    #expect(staging.statistics() == before)
    // A name that only begins the same is no place within it.
    try staging.rename("/a", to: "/ab")
    #expect(try staging.read("/ab/b/c/file") == [7])
  }

  @Test func `lets a handle go with its file when that is moved while it is open`() throws {
    try staging.makeDirectory("/a")
    let handle = try staging.open("/a/file", .write)
    try handle.write([1, 2])
    try staging.rename("/a/file", to: "/a/other")
    try staging.rename("/a", to: "/b")
    try handle.write([3])
    try handle.close()
    #expect(try staging.read("/b/other") == [1, 2, 3])
    // Also when the handle gives up what it had made.
    let second = try staging.open("/b/second", .createNew)
    try staging.rename("/b/second", to: "/third")
    second.discard()
    #expect(try staging.listNames() == ["b"])
  }

  // MARK: Copying and removing

  @Test func `copies files and trees, which then go their own ways`() throws {
    try staging.importTree([("/a/one", noise(5000)), ("/a/b/two", [2]), ("/a/b/c/three", [3])])
    try staging.copyTree("/a", to: "/copy")
    try staging.copy("/a/one", to: "/single")
    try staging.withFile("/copy/one", .readWrite) { try $0.write([0xAA]) }
    #expect(try staging.read("/a/one") == noise(5000))
    #expect(try staging.read("/single") == noise(5000))
    #expect(try staging.read("/copy/one") == [0xAA] + noise(5000).dropFirst())
    #expect(try staging.read("/copy/b/c/three") == [3])
    #expect(stagingError { try staging.copy("/a/one", to: "/single") }?.code == .exists)
    #expect(stagingError { try staging.copyTree("/a", to: "/copy") }?.code == .exists)
    #expect(stagingError { try staging.copyTree("/a", to: "/no/where") }?.code == .notFound)
    try staging.removeTree("/a")
    #expect(try staging.read("/copy/b/two") == [2])
    #expect(staging.statistics().fileCount == 4)
  }

  @Test func `gives back all that it took when everything is removed`() throws {
    let empty = staging.usedByteCount
    try staging.importTree([("/a/one", noise(5000)), ("/a/b/two", [2]), ("/three", [3])])
    try staging.copyTree("/a", to: "/c")
    try staging.remove("/three")
    try staging.removeTree("/a")
    #expect(staging.statistics().fileCount == 2)
    try staging.removeTree("/")
    #expect(staging.usedByteCount == empty)
    #expect(staging.statistics().fileCount == 0 && staging.statistics().directoryCount == 0)
    #expect(staging.statistics().chunkCount == 0)
  }

  @Test func `of great depth is made, walked, copied and removed`() throws {
    // As deep as a path can be, and then twice as deep.
    let deep = StagingPath(String(repeating: "/d", count: 1000))
    let staging = try StagingFileSystem(quota: 64 << 20)
    try staging.makeDirectory(deep, makingParents: true)
    try staging.write([1], to: deep.appending("file"))
    try staging.copyTree("/d", to: "/e")
    try staging.move("/e", to: deep.appending("below"))
    #expect(try staging.walk().count == 2001)
    try staging.removeTree("/")
    #expect(staging.statistics().directoryCount == 0)
  }

  // MARK: Looking

  @Test func `lists, walks and finds in order of names`() throws {
    try staging.importTree([
      ("/b/x.csv", [1]), ("/b/y.txt", []), ("/a/deep/z.csv", [2]), ("/a/m.csv", []), ("/top.csv", []),
    ])
    #expect(try staging.listNames() == ["a", "b", "top.csv"])
    let walked = try staging.walk().map { directory in
      ("\(directory.path)", directory.directoryNames.count, directory.fileNames.count)
    }
    #expect(walked.map(\.0) == ["/", "/a", "/a/deep", "/b"])
    #expect(walked.map(\.1) == [2, 1, 0, 0] && walked.map(\.2) == [1, 1, 1, 2])
    func found(_ pattern: String) throws -> [String] { try staging.glob(pattern).map(\.description) }
    #expect(try found("/*.csv") == ["/top.csv"])
    #expect(try found("**/*.csv") == ["/a/deep/z.csv", "/a/m.csv", "/b/x.csv", "/top.csv"])
    #expect(try found("/b/?.*") == ["/b/x.csv", "/b/y.txt"])
    #expect(try found("/[!b]/*.csv") == ["/a/m.csv"])
    #expect(try found("/b/[x-z].csv") == ["/b/x.csv"])
    #expect(stagingError { _ = try staging.glob("/[a") }?.code == .badPath)
  }

  @Test func `tells size, dates and how often a file was changed`() throws {
    try staging.write([1, 2, 3], to: "/file")
    let first = try staging.status("/file")
    #expect(first.byteCount == 3 && first.generation == 1 && !first.isDirectory)
    try staging.withFile("/file", .append) { handle in
      try handle.write([4])
      try handle.flush()
      #expect(try staging.byteCount(of: "/file") == 4)
      try handle.write([5])
    }
    let second = try staging.status("/file")
    #expect(second.byteCount == 5 && second.generation == 3)
    #expect(second.createdNanoseconds == first.createdNanoseconds)
    #expect(second.modifiedNanoseconds >= first.modifiedNanoseconds)
    _ = try staging.read("/file")
    #expect(try staging.status("/file") == second)
    try staging.importTree([("/file", [9])])
    #expect(try staging.status("/file").generation == 0)
    #expect(try staging.status("/").isDirectory)
  }

  @Test func `has no more files and directories than its limit says`() throws {
    let staging = try StagingFileSystem(quota: 1 << 20, maximumNodeCount: 4)
    try staging.makeDirectory("/a")
    try staging.importTree([("/a/1", []), ("/a/2", [])])
    let used = staging.usedByteCount
    let error = stagingError { try staging.makeDirectory("/b/c", makingParents: true) }
    #expect(error?.code == .nodeLimitExceeded && error?.requestedByteCount == 2 && error?.availableByteCount == 1)
    #expect(stagingError { try staging.copyTree("/a", to: "/b") }?.code == .nodeLimitExceeded)
    #expect(stagingError { try staging.importTree([("/x", []), ("/y", [])]) }?.code == .nodeLimitExceeded)
    #expect(staging.usedByteCount == used)
    try staging.copy("/a/1", to: "/b")
    #expect(stagingError { _ = try staging.open("/c", .write) }?.code == .nodeLimitExceeded)
    try staging.remove("/b")
    try staging.write([1], to: "/c")
  }
}
