import Codecs
import Foundation
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

/// A store of format version 1 as it was written once, in `Tests/Golden/v1`: every later version reads it.
///
/// As long as version 1 is not released it is written anew, after a change of the format, by
/// `PFS_WRITE_GOLDEN=1 swift test --filter GoldenStoreTests`.
@Suite("Golden store", .serialized) struct GoldenStoreTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private static let isWritten = ProcessInfo.processInfo.environment["PFS_WRITE_GOLDEN"] == "1"
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Golden/v1").path

  @Test("is written anew when asked", .enabled(if: isWritten, "set PFS_WRITE_GOLDEN=1 after a change of the format"))
  func write() throws {
    let fixture = try StoreFixture(directory, configuration: WriteMode.mapped.configuration(workerCount: 1))
    for file in GoldenFile.all {
      let source = directory.path(of: "source")
      try FilesOnDisk.write(file.bytes, to: source)
      let attributes: [FileAttributeKey: Any] = [
        .posixPermissions: 0o640, .modificationDate: Date(timeIntervalSince1970: 1_000_000_000.5),
      ]
      try FileManager.default.setAttributes(attributes, ofItemAtPath: source)
      let stored = try fixture.store.put(.file(FilePath(source)), as: FileName(file.name), file.options)
      if file.isDeleted { try fixture.store.delete(stored.id) }
    }
    // Its manifest is in the first segment, its tombstone in the last.
    let early = try #require(try fixture.store.files(named: fileName(GoldenFile.deletedLater)).first)
    try fixture.store.delete(early.id)
    let lines = try fixture.store.allFiles().map { file in GoldenLine(file, try fixture.get(file.id)).description }
    try fixture.finish()
    FilesOnDisk.remove("\(fixture.path)/index/lock.mdb")
    // Space that is set aside need not be in the history of the project.
    try FilesOnDisk.truncate("\(fixture.path)/reserve", to: 0)
    if FileManager.default.fileExists(atPath: GoldenStoreTests.root) { FilesOnDisk.removeTree(GoldenStoreTests.root) }
    try FileManager.default.createDirectory(atPath: GoldenStoreTests.root, withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: fixture.path.description, toPath: "\(GoldenStoreTests.root)/store")
    let text = "# id md5 bytes mode modified parts etag name(hex)\n" + lines.map { $0 + "\n" }.joined()
    try FilesOnDisk.write(Array(text.utf8), to: "\(GoldenStoreTests.root)/files.txt")
  }

  @Test("opens and gives back every file, and can be written to", arguments: WriteMode.allCases)
  func read(mode: WriteMode) throws {
    let copy = directory.path(of: "store")
    try FileManager.default.copyItem(atPath: "\(GoldenStoreTests.root)/store", toPath: copy)
    let expected = try String(decoding: fileBytes("\(GoldenStoreTests.root)/files.txt"), as: UTF8.self)
      .split(separator: "\n").dropFirst().map(String.init)
    #expect(expected.count == GoldenFile.all.count { !$0.isDeleted } - 1)
    let fixture = try StoreFixture(opening: copy, in: directory, mode.configuration())
    let files = try fixture.store.allFiles()
    #expect(try files.map { GoldenLine($0, try fixture.get($0.id)).description } == expected)
    for file in files { #expect(try fixture.store.files(named: file.name).map(\.id).contains(file.id)) }
    #expect(try fixture.store.statistics().sealedSegmentCount == 1)
    #expect(!(try fixture.journalLocations().isEmpty))
    try fixture.store.checkInvariants()

    let highest = try #require(files.last).id
    let stored = try fixture.put(noise(20_000, seed: 1), as: "later")
    #expect(stored.id > highest)
    for file in try fixture.store.allFiles() where file.id != stored.id { try fixture.store.delete(file.id) }
    try fixture.reopen()
    #expect(try fixture.get(stored.id) == noise(20_000, seed: 1))
    try fixture.finish()
  }

  @Test("has the header, records and footer of version 1, byte for byte where they are fixed")
  func format() throws {
    let store = "\(GoldenStoreTests.root)/store"
    let superblock = try Superblock(decoding: fileBytes("\(store)/STORE"))
    #expect(try superblock.encoded() == fileBytes("\(store)/STORE"))
    for name in try FileManager.default.contentsOfDirectory(atPath: "\(store)/segments").sorted() {
      let file = try SegmentFile("\(store)/segments/\(name)")
      #expect(file.header.encoded() == Array(file.bytes.prefix(SegmentHeader.byteCount)))
      #expect(file.header.uuid == superblock.uuid)
      let records = try file.records()
      #expect(!records.isEmpty)
      for record in records {
        #expect(record.encoded() == Array(file.bytes[record.offset..<(record.offset + RecordHeader.byteCount)]))
        guard record.kind == .manifest else { continue }
        let payload = file.payload(record)
        #expect(try Manifest(decoding: payload).encoded() == payload)
      }
    }
  }
}

/// What one file of a golden store must be, as a line of text.
private struct GoldenLine: CustomStringConvertible {
  let description: String

  init(_ file: StoredFile, _ bytes: [UInt8]) {
    let digits = Array("0123456789abcdef")
    let name = String(file.name.bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    description = [
      "\(file.id)", bytes.withRawSpan { MD5.digest(of: $0) }.description, "\(file.byteCount)",
      String(file.mode, radix: 8), "\(file.modifiedNanoseconds)", "\(file.partCount)", file.etag, name,
    ].joined(separator: " ")
  }
}

/// What goes into a golden store: one of everything that the format can express.
private struct GoldenFile {
  var name: [UInt8]
  var bytes: [UInt8]
  var options = PutOptions()
  var isDeleted = false

  static let deletedLater = "deleted, its tombstone in a later segment"

  static var all: [GoldenFile] {
    let text = Array(String(repeating: "all work and no play makes a dull text; ", count: 800).utf8)
    var plainHalf = PutOptions()
    (plainHalf.encoding, plainHalf.partByteCount) = (.stored, 1 << 19)
    var large = PutOptions()
    large.partByteCount = 100_000
    let half = Array(repeating: text, count: 17).joined().prefix(1 << 19)
    return [
      GoldenFile(name: Array("empty".utf8), bytes: []),
      GoldenFile(name: Array("one byte".utf8), bytes: [42]),
      GoldenFile(name: Array("zeros".utf8), bytes: [UInt8](repeating: 0, count: 20_000)),
      GoldenFile(name: Array("text".utf8), bytes: text),
      GoldenFile(name: Array("noise".utf8), bytes: noise(9000, seed: 1)),
      GoldenFile(name: Array("mixed".utf8), bytes: Corpus(seed: 7).bytes(30_000)),
      GoldenFile(name: Array(deletedLater.utf8), bytes: noise(5000, seed: 2)),
      // Does not fit behind the others: the segment before it is sealed.
      GoldenFile(name: Array("half a segment, plain".utf8), bytes: Array(half), options: plainHalf),
      GoldenFile(name: Array("half a segment, again".utf8), bytes: Array(half), options: plainHalf, isDeleted: true),
      GoldenFile(name: [0xFF, 0xFE, 0x0A, 0x20, 0x80], bytes: [1, 2, 3]),
      GoldenFile(name: [UInt8](repeating: 0x6E, count: 464), bytes: [4]),
      GoldenFile(name: [UInt8](repeating: 0x6E, count: 465), bytes: [5]),
      GoldenFile(name: [UInt8](repeating: 0x6E, count: 4095), bytes: [6]),
      GoldenFile(name: Array("text".utf8), bytes: Array(text.dropFirst()), options: large),
      GoldenFile(name: Array("dir/deleted".utf8), bytes: [7, 8], isDeleted: true),
    ]
  }
}
