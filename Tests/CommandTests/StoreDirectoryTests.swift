import Foundation
import TestSupport
import Testing

@Suite("Store directory") struct StoreDirectoryTests {
  private static let readers = [["list"], ["get", "1"], ["info", "1"], ["delete", "1"], ["stats"]]

  @Test("that is not there is exit status 4, and is not made", arguments: readers)
  func missing(arguments: [String]) throws {
    try Sandbox.use { sandbox in
      expectFailure(try sandbox.command(arguments).run(), 4, of: arguments[0], says: sandbox.store.text)
      #expect(try !sandbox.store.exists())
    }
  }

  @Test("is made by put, which says so on standard error")
  func madeByPut() throws {
    try Sandbox.use { sandbox in
      try (sandbox.work / "file").write("contents")
      let result = try sandbox.pfs("put", "file")
      expectDone(result)
      #expect(result.outputText == "1\tfile\n")
      #expect(result.errorText.contains(sandbox.store.text), "\(result)")
      let second = try sandbox.pfs("put", "file")
      #expect(second.standardError.isEmpty, "\(second)")
    }
  }

  @Test("is made by init once, which then keeps what is there")
  func initOnce() throws {
    try Sandbox.use { sandbox in
      let result = try sandbox.pfs("init")
      expectDone(result)
      try (sandbox.work / "file").write("contents")
      try sandbox.put(sandbox.work / "file")
      expectFailure(try sandbox.pfs("init"), 1, of: "init", says: sandbox.store.text)
      #expect(try sandbox.list().count == 1)
    }
  }

  @Test("with other things in it is exit status 4 and stays as it is", arguments: readers + [["put", "file"]])
  func otherDirectory(arguments: [String]) throws {
    try Sandbox.use { sandbox in
      sandbox.isChecked = false
      try (sandbox.work / "file").write("contents")
      try sandbox.store.makeDirectory()
      try (sandbox.store / "letter").write("dear")
      expectFailure(try sandbox.command(arguments).run(), 4, of: arguments[0], says: sandbox.store.text)
      #expect(try sandbox.store.entryNames() == [Array("letter".utf8)])
    }
  }

  @Test("that is a file is refused and stays as it is", arguments: [["list"], ["put", "file"], ["init"]])
  func file(arguments: [String]) throws {
    try Sandbox.use { sandbox in
      sandbox.isChecked = false
      try (sandbox.work / "file").write("contents")
      try sandbox.store.write("a file")
      let result = try sandbox.command(arguments).run()
      #expect([1, 4].contains(result.exitStatus), "\(result)")
      expectOneClearLine(result, of: arguments[0], says: [sandbox.store.text])
      #expect(try sandbox.store.read() == Data("a file".utf8))
    }
  }

  @Test("of a newer version is exit status 1 and says so", arguments: readers + [["put", "file"]])
  func newerVersion(arguments: [String]) throws {
    try withStore { sandbox, superblock in
      // The version follows the eight bytes that mark the file; see docs/FORMAT.md.
      let version = try superblock.read()[8]
      try superblock.overwrite(Data([version + 1]), at: 8)
      expectFailure(
        try sandbox.command(arguments).run(), 1, of: arguments[0], says: sandbox.store.text, "newer",
        "version \(version + 1)")
      try superblock.overwrite(Data([version]), at: 8)
    }
  }

  @Test("with a damaged superblock is exit status 3 and says which file", arguments: [12, 40, 64, 4095])
  func damagedSuperblock(offset: Int) throws {
    try withStore { sandbox, superblock in
      try superblock.flip(at: offset)
      for arguments in StoreDirectoryTests.readers + [["put", "file"]] {
        expectFailure(
          try sandbox.command(arguments).run(), 3, of: arguments[0], says: sandbox.store.text, "STORE")
      }
      try superblock.flip(at: offset)
    }
  }

  @Test("with a superblock cut short is refused in one line", arguments: [0, 1, 8, 12, 4095])
  func shortSuperblock(byteCount: Int) throws {
    try withStore { sandbox, superblock in
      let whole = try superblock.read()
      try superblock.truncate(to: byteCount)
      let result = try sandbox.pfs("list")
      #expect([3, 4].contains(result.exitStatus), "\(result)")
      expectOneClearLine(result, of: "list", says: [sandbox.store.text])
      try superblock.write(whole)
    }
  }

  @Test("without its index is exit status 3, and nothing is made in its place")
  func missingIndex() throws {
    try withStore { sandbox, _ in
      let index = sandbox.store / "index" / "data.mdb"
      let bytes = try index.read()
      try index.remove()
      for arguments in StoreDirectoryTests.readers + [["put", "file"]] {
        expectFailure(try sandbox.command(arguments).run(), 3, of: arguments[0], says: "index")
        #expect(try !index.exists())
      }
      try index.write(bytes)
    }
  }

  @Test("with a damaged index is no signal and no wrong answer", arguments: [0, 16, 4096, 8191, 100_000])
  func damagedIndex(byteCount: Int) throws {
    try withStore { sandbox, _ in
      let index = sandbox.store / "index" / "data.mdb"
      let bytes = try index.read()
      try index.truncate(to: min(byteCount, bytes.count - 1))
      let result = try sandbox.pfs("list")
      expectFailure(result, 3, of: "list", says: "index")
      expectFailure(try sandbox.pfs("put", "file"), 3, of: "put", says: "index")
      try index.write(bytes)
    }
  }

  /// A store with one file; `body` gets its superblock, and puts right what it damages.
  private func withStore(_ body: (Sandbox, BytePath) throws -> Void) throws {
    try Sandbox.use { sandbox in
      try (sandbox.work / "file").write("contents")
      try sandbox.put(sandbox.work / "file")
      try body(sandbox, sandbox.store / "STORE")
      #expect(try sandbox.list().map(\.id) == [1])
    }
  }
}
