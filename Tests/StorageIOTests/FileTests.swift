import Foundation
import StorageIO
import TestSupport
import Testing

@Suite("Files") struct FileTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func path(_ name: String) -> FilePath { FilePath(directory.path(of: name)) }

  @Test("reads what was written, fewer bytes at the end, none behind it")
  func bytes() throws {
    let file = try File.open(path("file"), [.write, .createNew])
    try file.write([1, 2, 3, 4, 5], at: 3)
    #expect(try file.bytes(at: 0, byteCount: 100) == [0, 0, 0, 1, 2, 3, 4, 5])
    #expect(try file.bytes(at: 6, byteCount: 2) == [4, 5])
    #expect(try file.bytes(at: 8, byteCount: 10).isEmpty)
    #expect(try file.bytes(at: 0, byteCount: 0).isEmpty)
    #expect(try file.status().byteCount == 8)
  }

  @Test("a file that is made gets its mode, and one that exists is not made anew")
  func creation() throws {
    _ = try File.open(path("file"), [.write, .createNew], mode: 0o640)
    #expect(try FilesOnDisk.mode(path("file").description) == 0o640)
    let failure = #expect(throws: SystemCallFailure.self) { _ = try File.open(path("file"), [.write, .createNew]) }
    #expect(failure?.isExists == true)
    #expect(failure?.description.contains("'\(path("file"))'") == true)
    let missing = #expect(throws: SystemCallFailure.self) { _ = try File.open(path("missing")) }
    #expect(missing?.isNotFound == true)
    let nul = #expect(throws: SystemCallFailure.self) { _ = try File.open(FilePath(bytes: [97, 0, 98])) }
    #expect(nul?.errorNumber == EINVAL)
  }

  @Test("a symbolic link is not followed when it must not be")
  func links() throws {
    _ = try File.open(path("file"), [.write, .createNew])
    try FileManager.default.createSymbolicLink(
      atPath: path("link").description, withDestinationPath: path("file").description)
    _ = try File.open(path("link"))
    let failure = #expect(throws: SystemCallFailure.self) { _ = try File.open(path("link"), .noFollow) }
    #expect(failure?.isEscape == true)
    #expect(try FileSystem.status(of: path("link")).kind == .file)
    #expect(try FileSystem.status(of: path("link"), followingLinks: false).kind == .symbolicLink)
  }

  @Test("an unnamed file appears under its name only when published, and never replaces another")
  func publish() throws {
    let parent = try Directory.open(FilePath(directory.path))
    let file = try parent.open([UInt8(ascii: ".")], [.write, .unnamed])
    try file.write([1, 2, 3], at: 0)
    #expect(try parent.entries().isEmpty)
    try file.publish(under: Array("name".utf8), in: parent)
    #expect(try parent.entries() == [Array("name".utf8)])
    let other = try parent.open([UInt8(ascii: ".")], [.write, .unnamed])
    try other.write([9], at: 0)
    let failure = #expect(throws: SystemCallFailure.self) { try other.publish(under: Array("name".utf8), in: parent) }
    #expect(failure?.isExists == true)
    #expect(try File.open(path("name")).bytes(at: 0, byteCount: 9) == [1, 2, 3])
    #expect(try parent.entries().count == 1)
  }

  @Test("a name is replaced by a rename only when that is asked")
  func rename() throws {
    let parent = try Directory.open(FilePath(directory.path))
    for name in ["a", "b"] { try FilesOnDisk.write(Array(name.utf8), to: directory.path(of: name)) }
    let (a, b) = (Array("a".utf8), Array("b".utf8))
    let failure = #expect(throws: SystemCallFailure.self) { try parent.rename(a, to: b, replacing: false) }
    #expect(failure?.isExists == true)
    #expect(try File.open(path("b")).bytes(at: 0, byteCount: 9) == b)
    try parent.rename(a, to: b, replacing: true)
    #expect(try parent.entries() == [b])
    #expect(try File.open(path("b")).bytes(at: 0, byteCount: 9) == a)
  }

  @Test("space is reserved and given back, and the bytes around it stay")
  func space() throws {
    let file = try File.open(path("file"), [.write, .createNew])
    try file.allocate(0..<(1 << 20))
    #expect(try file.status().byteCount == 1 << 20)
    #expect(try file.status().allocatedByteCount >= 1 << 20)
    try file.write([UInt8](repeating: 5, count: 1 << 20), at: 0)
    try file.deallocate(65_536..<(1 << 19))
    #expect(try file.status().allocatedByteCount <= (1 << 20) - (1 << 19) + 131_072)
    #expect(try file.bytes(at: 65_530, byteCount: 12) == [5, 5, 5, 5, 5, 5, 0, 0, 0, 0, 0, 0])
    #expect(try file.bytes(at: (1 << 19) - 2, byteCount: 4) == [0, 0, 5, 5])
  }

  @Test(
    "a reservation that the disk has no room for leaves the file as it was",
    .enabled(if: SmallFileSystem.isAvailable, "needs root to mount"))
  func fullDisk() throws {
    let small = try SmallFileSystem("size=1m", on: directory.path)
    let file = try File.open(FilePath("\(small.path)/file"), [.write, .createNew])
    try file.allocate(0..<100_000)
    let before = try file.status()
    let failure = #expect(throws: SystemCallFailure.self) { try file.allocate(100_000..<(4 << 20)) }
    #expect(failure?.isNoSpace == true)
    #expect(try file.status().byteCount == before.byteCount)
    #expect(try file.status().allocatedByteCount == before.allocatedByteCount)
    try file.allocate(100_000..<500_000)
  }

  @Test(
    "dates before 1970 and far away come back as they were set", arguments: [0, 1, -1, 1_500_000_000, -1_500_000_001])
  func dates(seconds: Int64) throws {
    let file = try File.open(path("file"), [.write, .createNew])
    for rest: Int64 in [0, 1, 999_999_999] {
      try file.setModified(nanoseconds: seconds * 1_000_000_000 + rest)
      #expect(try file.status().modifiedNanoseconds == seconds * 1_000_000_000 + rest)
    }
  }

  @Test("a wait for a pipe ends when it has bytes, when it ends, and when it is cancelled")
  func waiting() throws {
    try FilesOnDisk.makePipe(path("pipe").description)
    let reading = try File.open(path("pipe"), .nonBlocking)
    let writing = try #require(FileHandle(forWritingAtPath: path("pipe").description))
    let askCount = Monitor(0)
    let isCancelled = {
      askCount.withLock { count in
        count += 1
        return count > 2
      }
    }
    #expect(try !reading.waitReadable(unless: isCancelled))
    try writing.write(contentsOf: Data([1]))
    #expect(try reading.waitReadable(unless: { false }))
    try writing.close()
    #expect(try reading.waitReadable(unless: { false }))
  }

  @Test("a call that a signal interrupts is repeated")
  func interrupted() async {
    await #expect(processExitsWith: .success) {
      FilesOnDisk.interruptSystemCalls(by: SIGUSR1)
      let directory = try TemporaryDirectory()
      let path = directory.path(of: "pipe")
      try FilesOnDisk.makePipe(path)
      // Opened for both, so that neither end waits for the other.
      let file = try File.open(FilePath(path), .write)
      let writing = try #require(FileHandle(forWritingAtPath: path))
      let thread = Monitor<pthread_t?>(nil)
      let reader = BackgroundWork<[UInt8]> {
        thread.withLock { $0 = pthread_self() }
        var bytes: [UInt8] = [0]
        let region = try MemoryRegion(byteCount: 1)
        let count = try region.withMutableBytes(0..<1) { (span) throws(SystemCallFailure) in
          try file.readNext(into: &span, from: 0)
        }
        region.withBytes(0..<1) { bytes = $0.copied(0..<count) }
        return bytes
      }
      let target = thread.wait { $0 }
      for _ in 0..<2000 {
        pthread_kill(target, SIGUSR1)
        sched_yield()
      }
      try writing.write(contentsOf: Data([42]))
      #expect(try reader.result() == [42])
    }
  }
}

@Suite("Directories") struct DirectoryTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test("are made with their mode, one by one or with all above them")
  func make() throws {
    let root = FilePath(directory.path)
    try Directory.make(root.appending("a"), mode: 0o750)
    #expect(try FilesOnDisk.mode(root.appending("a").description) == 0o750)
    let failure = #expect(throws: SystemCallFailure.self) { try Directory.make(root.appending("a")) }
    #expect(failure?.isExists == true)
    try FileSystem.makeDirectories(root.appending("b").appending("c").appending("d"))
    try FileSystem.makeDirectories(root.appending("b").appending("c").appending("d"))
    #expect(try FilesOnDisk.mode(root.appending("b/c").description) == 0o700)
  }

  @Test("list every name but the two dots, and remove files and directories, there or not")
  func entries() throws {
    let opened = try Directory.open(FilePath(directory.path))
    let names = (0..<300).map { Array("file \($0)".utf8) } + [[0xFF, 0xFE], Array("...".utf8), Array("a\nb".utf8)]
    for name in names { _ = try opened.open(name, [.write, .createNew]) }
    #expect(Set(try opened.entries()) == Set(names))
    for name in names { try opened.removeFile(name) }
    try opened.removeFile(Array("missing".utf8))
    try opened.removeDirectory(Array("missing".utf8))
    #expect(try opened.entries().isEmpty)
  }

  @Test("open beneath makes what is missing and reaches what is there")
  func beneath() throws {
    let root = try Directory.open(FilePath(directory.path))
    let components = ["a", "b c", "d"].map { Array($0.utf8) }
    for _ in 0..<2 {
      let inner = try root.openBeneath(makingDirectories: components)
      _ = try inner.open(Array("file".utf8), [.write, .create])
    }
    #expect(FileManager.default.fileExists(atPath: "\(directory.path)/a/b c/d/file"))
    #expect(try root.openBeneath(makingDirectories: []).entries() == [Array("a".utf8)])
  }

  @Test(
    "open beneath never leaves the directory",
    arguments: [
      ["..", "x"], ["a", "..", "..", "x"], ["/etc"], ["link"], ["a", "link", "x"], ["a/../../x"], ["loop", "x"],
    ])
  func escapes(components: [String]) throws {
    let manager = FileManager.default
    let outside = directory.path(of: "outside")
    let inside = directory.path(of: "inside")
    for path in [outside, "\(inside)/a"] {
      try manager.createDirectory(atPath: path, withIntermediateDirectories: true)
    }
    try manager.createSymbolicLink(atPath: "\(inside)/link", withDestinationPath: outside)
    try manager.createSymbolicLink(atPath: "\(inside)/a/link", withDestinationPath: "../../outside")
    try manager.createSymbolicLink(atPath: "\(inside)/loop", withDestinationPath: "loop")
    let root = try Directory.open(FilePath(inside))
    let failure = #expect(throws: SystemCallFailure.self) {
      _ = try root.openBeneath(makingDirectories: components.map { Array($0.utf8) })
    }
    #expect(failure?.isEscape == true || failure?.isNotFound == true, "\(failure?.description ?? "")")
    #expect(try manager.contentsOfDirectory(atPath: outside).isEmpty)
    #expect(try manager.contentsOfDirectory(atPath: directory.path).sorted() == ["inside", "outside"])
  }
}
