import StorageIO
import TestSupport
import Testing

@Suite("Mapped file") struct MappedFileTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func file(_ name: String, pages: Int = 8) throws -> File {
    let file = try File.open(FilePath(directory.path(of: name)), [.write, .createNew])
    try file.write([UInt8](repeating: 7, count: pages * pageByteCount), at: 0)
    return file
  }

  @Test("lends the bytes of the file, and writes reach it")
  func readsAndWrites() throws {
    let file = try file("file")
    let mapping = try MappedFile(file, byteCount: 8 * pageByteCount, isWritable: true)
    #expect(first(mapping, 0..<10) == .success([UInt8](repeating: 7, count: 10)))
    try mapping.withMutableBytes(100..<103, failure: { $0 }) { (bytes) throws(SystemCallFailure) in
      bytes.copy([1, 2, 3], to: 0)
    }
    #expect(try file.bytes(at: 99, byteCount: 5) == [7, 1, 2, 3, 7])
    #expect(!mapping.isFaulted)
  }

  @Test("a page that is gone is an error and not the end of the process", arguments: [true, false])
  func truncated(isWritable: Bool) throws {
    let file = try file("file")
    let mapping = try MappedFile(file, byteCount: 8 * pageByteCount, isWritable: isWritable)
    let lastPage = (7 * pageByteCount)..<(8 * pageByteCount)
    #expect(first(mapping, lastPage) == .success([UInt8](repeating: 7, count: 10)))
    try file.truncate(to: 2 * pageByteCount)
    guard case .failure(let failure) = first(mapping, lastPage) else {
      Issue.record("nothing was thrown")
      return
    }
    #expect(failure.description.contains("'\(file.path)'"))
    #expect(mapping.isFaulted)
    // What is still there can be read on, and another lost page is another error.
    #expect(first(mapping, 0..<10) == .success([UInt8](repeating: 7, count: 10)))
    #expect(throws: SystemCallFailure.self) { try first(mapping, (4 * pageByteCount)..<(5 * pageByteCount)).get() }
  }

  @Test("writing to a page that is gone is an error")
  func truncatedWrite() throws {
    let file = try file("file")
    let mapping = try MappedFile(file, byteCount: 8 * pageByteCount, isWritable: true)
    try file.truncate(to: 0)
    #expect(throws: SystemCallFailure.self) {
      try mapping.withMutableBytes(0..<10, failure: { $0 }) { (bytes) throws(SystemCallFailure) in
        bytes.copy([1, 2, 3], to: 0)
      }
    }
  }

  @Test("guards nest: the fault is told to the access that it belongs to")
  func nested() throws {
    let (lost, kept) = (try file("lost"), try file("kept"))
    let outer = try MappedFile(lost, byteCount: 8 * pageByteCount, isWritable: false)
    let inner = try MappedFile(kept, byteCount: 8 * pageByteCount, isWritable: false)
    try lost.truncate(to: 0)
    // The outer one faults inside the inner access.
    var innerOutcome: Result<[UInt8], SystemCallFailure>?
    let outerFailure = #expect(throws: SystemCallFailure.self) {
      try outer.withBytes(0..<100, failure: { $0 }) { (outerBytes) throws(SystemCallFailure) in
        innerOutcome = first(inner, 0..<10)
        _ = try inner.withBytes(0..<100, failure: { $0 }) { (innerBytes) throws(SystemCallFailure) in
          outerBytes.copied(0..<10) + innerBytes.copied(0..<10)
        }
      }
    }
    #expect(innerOutcome == .success([UInt8](repeating: 7, count: 10)))
    #expect(outerFailure?.description.contains("lost") == true)
    #expect(outer.isFaulted)
    #expect(!inner.isFaulted)
  }

  @Test("an error that the body throws comes out, unless a page was lost")
  func bodyErrors() throws {
    struct Mine: Error {}
    let file = try file("file")
    let mapping = try MappedFile(file, byteCount: 8 * pageByteCount, isWritable: false)
    #expect(throws: Mine.self) {
      try mapping.withBytes(0..<10, failure: { $0 as any Error }) { (_) throws(any Error) in throw Mine() }
    }
    try file.truncate(to: 0)
    #expect(throws: SystemCallFailure.self) {
      try mapping.withBytes(0..<10, failure: { $0 as any Error }) { (bytes) throws(any Error) in
        _ = bytes.copied(0..<10)
        throw Mine()
      }
    }
  }

  @Test("faults of many threads are kept apart")
  func threads() throws {
    let (lost, kept) = (try file("lost"), try file("kept"))
    try lost.truncate(to: 0)
    try Watchdog.run(threads: 8) { thread in
      for _ in 0..<100 {
        let file = thread % 2 == 0 ? lost : kept
        let mapping = try MappedFile(file, byteCount: 8 * pageByteCount, isWritable: false)
        let outcome = first(mapping, pageByteCount..<(pageByteCount + 10))
        #expect((thread % 2 == 0) == (outcome != .success([UInt8](repeating: 7, count: 10))))
      }
    }
  }

  @Test("populating what lies behind the end of the file is an error")
  func populate() throws {
    let file = try file("file", pages: 2)
    let mapping = try MappedFile(file, byteCount: 8 * pageByteCount, isWritable: true)
    try mapping.populateForReading(0..<(2 * pageByteCount))
    try mapping.populateForWriting(10..<20)
    #expect(throws: SystemCallFailure.self) { try mapping.populateForReading(0..<(3 * pageByteCount)) }
    #expect(throws: SystemCallFailure.self) {
      try mapping.populateForWriting((4 * pageByteCount)..<(5 * pageByteCount))
    }
  }

  @Test("pages that are detached keep what was written")
  func detach() throws {
    let file = try file("file")
    let mapping = try MappedFile(file, byteCount: 8 * pageByteCount, isWritable: true)
    let range = pageByteCount..<(3 * pageByteCount)
    try mapping.withMutableBytes(range, failure: { $0 }) { (bytes) throws(SystemCallFailure) in
      bytes.copy([UInt8](repeating: 9, count: 2 * pageByteCount), to: 0)
    }
    mapping.detachPages(0..<(8 * pageByteCount))
    #expect(first(mapping, range) == .success([UInt8](repeating: 9, count: 10)))
    #expect(try file.bytes(at: pageByteCount, byteCount: 3) == [9, 9, 9])
  }
}

/// The first ten bytes of `range`.
private func first(_ mapping: MappedFile, _ range: Range<Int>) -> Result<[UInt8], SystemCallFailure> {
  do throws(SystemCallFailure) {
    return .success(
      try mapping.withBytes(range, failure: { $0 }) { (bytes) throws(SystemCallFailure) in bytes.copied(0..<10) })
  } catch {
    return .failure(error)
  }
}
