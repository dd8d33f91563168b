import TestSupport
import Testing

@testable import StorageIO

@Suite("Paths") struct FilePathTests {
  @Test(
    "parent and last component of every shape of path",
    arguments: [
      ("a", ".", "a"), ("a/b", "a", "b"), ("/a", "/", "a"), ("/a/b", "/a", "b"), ("a/", ".", "a"), ("/a//", "/", "a"),
      ("/", "/", ""), ("//", "/", ""), ("a/b/", "a", "b"), ("./a", ".", "a"), ("..", ".", ".."), ("a/..", "a", ".."),
      ("a b/\n", "a b", "\n"),
    ])
  func parts(path: String, parent: String, last: String) {
    #expect(FilePath(path).parent == FilePath(parent))
    #expect(FilePath(path).lastComponent == Array(last.utf8))
  }

  @Test("appending puts one slash between")
  func appending() {
    #expect(FilePath("a").appending("b") == FilePath("a/b"))
    #expect(FilePath("a/").appending("b") == FilePath("a/b"))
    #expect(FilePath("/").appending("b") == FilePath("/b"))
    #expect(FilePath("").appending("b") == FilePath("b"))
    #expect(FilePath(bytes: [0xFF]).appending([0xFE]).bytes == [0xFF, 0x2F, 0xFE])
  }
}

@Suite("Little-endian fields") struct LittleEndianTests {
  @Test("are read as they were written, at any offset")
  func roundTrip() {
    let seed = TestSeed("little-endian fields", default: 91)
    var generator = seed.generator
    for _ in 0..<1000 {
      let offset = generator.below(20)
      let (a, b, c) = (
        generator.next(), UInt32(truncatingIfNeeded: generator.next()), Int64(truncatingIfNeeded: generator.next())
      )
      var writer = ByteWriter(byteCount: 48)
      writer.put(a, at: offset)
      writer.put(b, at: offset + 8)
      writer.put(c, at: offset + 12)
      let reader = ByteReader(writer.bytes)
      #expect(reader.get(offset, as: UInt64.self) == a, "\(seed)")
      #expect(reader.get(offset + 8, as: UInt32.self) == b)
      #expect(reader.get(offset + 12, as: Int64.self) == c)
      #expect(writer.bytes[offset] == UInt8(truncatingIfNeeded: a))
      #expect(reader.isZero(0..<offset) && reader.isZero((offset + 20)..<48))
    }
  }
}

@Suite("File systems") struct FileSystemTests {
  @Test("a kind is known by its number, and by what it promises")
  func kinds() {
    for magic: UInt32 in [0xEF53, 0x5846_5342, 0x0102_1994] {
      #expect(FileSystem.Kind(magic: magic).protectsMappedWrites && !FileSystem.Kind(magic: magic).isRemote)
    }
    for magic: UInt32 in [0x6969, 0xFF53_4D42, 0x6573_5546] { #expect(FileSystem.Kind(magic: magic).isRemote) }
    for magic: UInt32 in [0x9123_683E, 0x794C_7630, 1] {
      #expect(!FileSystem.Kind(magic: magic).protectsMappedWrites && !FileSystem.Kind(magic: magic).isRemote)
    }
    #expect(FileSystem.Kind(magic: 1).description == "unknown (0x1)")
  }

  @Test("what does not exist has no kind and no space")
  func missing() {
    #expect(throws: SystemCallFailure.self) { try FileSystem.kind(of: "/missing/path") }
    #expect(throws: SystemCallFailure.self) { try FileSystem.freeByteCount(at: "/missing/path") }
  }
}

@Suite("Random bytes") struct RandomTests {
  @Test("two of the same length differ", arguments: [8, 16, 256])
  func differ(byteCount: Int) throws {
    let (first, second) = (try Random.bytes(byteCount), try Random.bytes(byteCount))
    #expect(first.count == byteCount && second.count == byteCount)
    #expect(first != second)
  }
}
