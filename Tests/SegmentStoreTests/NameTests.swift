import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Names") struct NameTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// Names around every length at which their key changes, and pairs that only their last bytes tell apart.
  private static let names: [[UInt8]] = {
    let lengths = [1, 2, 255, 463, 464, 465, 480, 488, 489, 511, 512, 1000, 4095]
    let long = [UInt8](repeating: 120, count: 3999)
    return lengths.map { [UInt8](repeating: 110, count: $0) }
      + [long + [1], long + [2], Array((1...255).map { UInt8($0) }), [0xFF], [0xFF, 0xFE], [1], Array("a\nb c".utf8)]
  }()

  @Test("every name of 1 to 4,095 bytes finds its file and no other", arguments: WriteMode.allCases)
  func lengths(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration())
    var ids: [[UInt8]: FileID] = [:]
    for (number, name) in NameTests.names.enumerated() {
      ids[name] = try fixture.put([UInt8(number)], named: name).id
    }
    try fixture.reopen()
    for (number, name) in NameTests.names.enumerated() {
      let found = try fixture.store.files(named: FileName(name))
      #expect(found.map(\.id) == [ids[name]], "a name of \(name.count) bytes")
      #expect(found.map(\.name.bytes) == [name])
      if let id = found.first?.id { #expect(try fixture.get(id) == [UInt8(number)]) }
    }
    try fixture.finish()
  }

  @Test("versions of a name are found oldest first, and the newest is listed")
  func versions() throws {
    let fixture = try StoreFixture(directory)
    for name in [Array("file".utf8), [UInt8](repeating: 110, count: 464), [UInt8](repeating: 110, count: 4000)] {
      var ids = try (0..<5).map { try fixture.put([UInt8($0)], named: name).id }
      #expect(try fixture.store.files(named: FileName(name)).map(\.id) == ids)
      try fixture.store.delete(ids.remove(at: 4))
      try fixture.store.delete(ids.remove(at: 1))
      #expect(try fixture.store.files(named: FileName(name)).map(\.id) == ids)
      #expect(try fixture.store.newestFiles(namePrefix: name, limit: 1).map(\.id) == ids.suffix(1))
    }
    try fixture.finish()
  }

  @Test("a name that begins as another does not find it")
  func prefixes() throws {
    let fixture = try StoreFixture(directory)
    for name in ["a", "a/b", "ab", "a\u{1}"] { _ = try fixture.put([1], as: name) }
    #expect(try fixture.store.files(named: fileName("a")).count == 1)
    #expect(try fixture.store.files(named: fileName("a/")).isEmpty)
    #expect(try fixture.store.newestFiles(namePrefix: Array("a/".utf8), limit: 9).map(\.name.description) == ["a/b"])
    try fixture.finish()
  }

  @Test("pages of a listing join to the whole, whatever their length", arguments: [1, 2, 3, 7, 255, 256, 257, 1000])
  func pages(limit: Int) throws {
    let fixture = try StoreFixture(directory)
    var newest: [[UInt8]: FileID] = [:]
    for name in NameTests.names { newest[name] = try fixture.put([1], named: name).id }
    for name in NameTests.names.suffix(12) { newest[name] = try fixture.put([2], named: name).id }
    var found: [[UInt8]: FileID] = [:]
    var last: FileName?
    var pageCount = 0
    while true {
      let page = try fixture.store.newestFiles(namePrefix: [], after: last, limit: limit)
      for file in page {
        #expect(found.updateValue(file.id, forKey: file.name.bytes) == nil, "\(file.name.bytes.count) bytes twice")
      }
      pageCount += 1
      guard let end = page.last, pageCount <= 100 else { break }
      last = end.name
    }
    let missingByteCounts = newest.filter { found[$0.key] != $0.value }.map(\.key.count)
    #expect(missingByteCounts.isEmpty, "names of these lengths are missing or not the newest")
    #expect(found.count == newest.count)
    try fixture.finish()
  }

  @Test("a listing crosses the pages of the index: 600 names of two versions each, by prefix and from a name")
  func longListing() throws {
    let fixture = try StoreFixture(directory)
    let names = (0..<600).map { number in "dir/" + String(repeating: "0", count: 4 - "\(number)".count) + "\(number)" }
    try fixture.putMany(names + names)
    _ = try fixture.put([1], as: "dir")
    _ = try fixture.put([1], as: "dis")
    let prefix = Array("dir/".utf8)
    let all = try fixture.store.newestFiles(namePrefix: prefix, limit: 10_000)
    #expect(all.map(\.name.description) == names)
    for file in all { #expect(try fixture.store.files(named: file.name).map(\.id).last == file.id) }
    let rest = try fixture.store.newestFiles(namePrefix: prefix, after: fileName("dir/0299"), limit: 10_000)
    #expect(rest.map(\.name.description) == Array(names[300...]))
    // A name that is not there serves as well.
    let between = try fixture.store.newestFiles(namePrefix: prefix, after: fileName("dir/0299a"), limit: 1)
    #expect(between.map(\.name.description) == ["dir/0300"])
    try fixture.finish()
  }

  @Test("files come by id in pages that join to the whole", arguments: [1, 7, 100])
  func idPages(limit: Int) throws {
    let fixture = try StoreFixture(directory)
    let ids = try (0..<20).map { try fixture.put([1], as: "file \($0)").id }
    var found: [FileID] = []
    var next = FileID(rawValue: 0)
    while true {
      let page = try fixture.store.files(from: next, limit: limit)
      found += page.map(\.id)
      guard let last = page.last else { break }
      next = FileID(rawValue: last.id.rawValue + 1)
    }
    #expect(found == ids)
    try fixture.finish()
  }
}

extension StoreFixture {
  func put(_ bytes: [UInt8], named name: [UInt8]) throws -> StoredFile {
    let source = directory.path(of: "source")
    try FilesOnDisk.write(bytes, to: source)
    return try store.put(.file(FilePath(source)), as: try FileName(name))
  }

  /// Stores a small file under each name, in this order, several at a time where names differ.
  func putMany(_ names: [String]) throws {
    let source = directory.path(of: "many")
    try FilesOnDisk.write([1, 2, 3], to: source)
    let store = store
    var rest = names[...]
    while !rest.isEmpty {
      let group = Array(rest.prefix(100))
      rest = rest.dropFirst(100)
      try Watchdog.run(threads: group.count) { number in
        _ = try store.put(.file(FilePath(source)), as: fileName(group[number]))
      }
    }
  }
}
