import Foundation
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

@Suite("Round trip") struct RoundTripTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test(
    "gives back exactly what was put, whatever the size",
    arguments: [0, 1, 4095, 4096, 4097, 8192, 100_000, 1 << 20, (1 << 20) + 1, 9_000_001], WriteMode.allCases)
  func sizes(byteCount: Int, mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration())
    let bytes = Corpus(seed: UInt64(byteCount)).bytes(byteCount)
    let stored = try fixture.put(bytes, as: "file")
    #expect(stored.byteCount == byteCount)
    #expect(stored.partCount == (byteCount + 4095) / 4096)
    #expect(try fixture.get(stored.id) == bytes)
    try fixture.reopen()
    #expect(try fixture.get(stored.id) == bytes)
    try fixture.finish()
  }

  @Test(
    "takes every part size from 4 KiB to half a segment", arguments: [4096, 4097, 65_536, 300_001, 1 << 19],
    WriteMode.allCases)
  func partSizes(partByteCount: Int, mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration())
    var options = PutOptions()
    options.partByteCount = partByteCount
    for encoding in [PutOptions.Encoding.auto, .zlib, .zstd, .lz4, .stored] {
      options.encoding = encoding
      for byteCount in [partByteCount - 1, partByteCount, partByteCount + 1, 3 * partByteCount + 7] {
        let bytes = Corpus(seed: UInt64(byteCount)).bytes(byteCount)
        let stored = try fixture.put(bytes, as: "file", options)
        #expect(stored.partByteCount == partByteCount)
        #expect(try fixture.get(stored.id) == bytes)
      }
    }
    try fixture.finish()
  }

  @Test("refuses part sizes that no segment can hold", arguments: [0, 4095, (1 << 19) + 1, Int.max])
  func wrongPartSizes(partByteCount: Int) throws {
    let fixture = try StoreFixture(directory)
    var options = PutOptions()
    options.partByteCount = partByteCount
    #expect(storeError { _ = try fixture.put([1, 2, 3], as: "file", options) }?.code == .invalidArgument)
    #expect(try fixture.store.allFiles().isEmpty)
    try fixture.finish()
  }

  @Test("stores zeros in no bytes, noise as it is, and text in fewer bytes", arguments: WriteMode.allCases)
  func codecs(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration())
    var generator = SeededGenerator(seed: 1)
    let zeros = [UInt8](repeating: 0, count: 10_000)
    let noise = generator.bytes(10_000)
    let text = Array(String(repeating: "the same sentence again and again; ", count: 300).utf8)
    for (bytes, codec) in [(zeros, "zeros"), (noise, "stored"), (text, "zlib")] {
      let stored = try fixture.put(bytes, as: codec)
      let parts = try fixture.store.parts(of: stored.id, 0..<stored.partCount)
      #expect(parts.map(\.codec) == Array(repeating: codec, count: 3))
      #expect(parts.reduce(0) { $0 + $1.storedByteCount } == stored.storedByteCount)
      #expect(try fixture.get(stored.id) == bytes)
      switch codec {
      case "zeros": #expect(stored.storedByteCount == 0)
      case "stored": #expect(stored.storedByteCount == bytes.count)
      default: #expect(stored.storedByteCount < bytes.count / 4)
      }
    }
    var options = PutOptions()
    options.encoding = .stored
    let plain = try fixture.put(text, as: "plain", options)
    #expect(plain.storedByteCount == text.count)
    #expect(try fixture.get(plain.id) == text)
    try fixture.finish()
  }

  @Test("all levels give back what was put", arguments: 1...9)
  func levels(level: Int) throws {
    let fixture = try StoreFixture(directory)
    var options = PutOptions()
    options.level = level
    let bytes = Corpus(seed: 4).bytes(100_000)
    #expect(try fixture.get(fixture.put(bytes, as: "file", options).id) == bytes)
    try fixture.finish()
  }

  @Test("parts of zeros come back as holes of the output")
  func holes() throws {
    let fixture = try StoreFixture(directory)
    var bytes = [UInt8](repeating: 0, count: 4 << 20)
    bytes[0] = 1
    bytes[bytes.count - 1] = 1
    let stored = try fixture.put(bytes, as: "sparse")
    let target = directory.path(of: "target")
    try fixture.store.get(stored.id, to: .file(FilePath(target), replacing: false))
    #expect(try fileBytes(target) == bytes)
    #expect(try allocatedByteCount(target) <= 64 << 10)
    try fixture.finish()
  }

  @Test(
    "a stream gives the same file as the bytes in it", arguments: [0, 1, 4096, 70_000, 3_000_000], WriteMode.allCases)
  func streamSource(byteCount: Int, mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration())
    let bytes = Corpus(seed: UInt64(byteCount)).bytes(byteCount)
    let pipe = try PipePair(in: directory)
    let feeder = pipe.feed(bytes)
    let streamed = try fixture.store.put(.stream(pipe.reading), as: fileName("streamed"))
    try feeder.result()
    let whole = try fixture.put(bytes, as: "whole")
    #expect(streamed.byteCount == byteCount)
    #expect(streamed.etag == whole.etag)
    #expect(try fixture.get(streamed.id) == bytes)
    try fixture.finish()
  }

  @Test("a stream output carries the bytes in order", arguments: [0, 1, 4097, 3_000_000])
  func streamTarget(byteCount: Int) throws {
    let fixture = try StoreFixture(directory)
    let bytes = Corpus(seed: UInt64(byteCount)).bytes(byteCount)
    let stored = try fixture.put(bytes, as: "file")
    #expect(try fixture.store.streamedBytes(of: stored.id, in: directory) == bytes)
    try fixture.finish()
  }

  @Test("mode and date of a file come back with it, set-user-id does not")
  func attributes() throws {
    let fixture = try StoreFixture(directory)
    let source = directory.path(of: "source")
    try Data([1, 2, 3]).write(to: URL(fileURLWithPath: source))
    let date = Date(timeIntervalSince1970: 1_000_000_000.25)
    try FileManager.default.setAttributes([.modificationDate: date], ofItemAtPath: source)
    try FileManager.default.setAttributes([.posixPermissions: 0o4751], ofItemAtPath: source)
    let stored = try fixture.store.put(.file(FilePath(source)), as: fileName("file"))
    #expect(stored.modifiedNanoseconds == 1_000_000_000_250_000_000)
    #expect(stored.mode == 0o4751)
    let target = directory.path(of: "target")
    try fixture.store.get(stored.id, to: .file(FilePath(target), replacing: false))
    let status = try FileSystem.status(of: FilePath(target))
    #expect(status.mode == 0o751)
    #expect(status.modifiedNanoseconds == stored.modifiedNanoseconds)
    try fixture.finish()
  }

  @Test("an output that is there already is kept unless it is to be replaced")
  func existingTarget() throws {
    let fixture = try StoreFixture(directory)
    let stored = try fixture.put([1, 2, 3], as: "file")
    let target = directory.path(of: "target")
    try Data([9]).write(to: URL(fileURLWithPath: target))
    let error = storeError { try fixture.store.get(stored.id, to: .file(FilePath(target), replacing: false)) }
    #expect(error?.code == .exists)
    #expect(try fileBytes(target) == [9])
    try fixture.store.get(stored.id, to: .file(FilePath(target), replacing: true))
    #expect(try fileBytes(target) == [1, 2, 3])
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted() == ["store", "target"])
    try fixture.finish()
  }

  @Test(
    "a source that changes while it is read is an error, and nothing of it is stored", arguments: WriteMode.allCases)
  func changingSource(mode: WriteMode) throws {
    let fixture = try StoreFixture(directory, configuration: mode.configuration(workerCount: 1))
    let source = directory.path(of: "source")
    let bytes = Corpus(seed: 1).bytes(2_000_000)
    for change in [bytes.count - 1, bytes.count + 1] {
      try Data(bytes).write(to: URL(fileURLWithPath: source))
      let error = storeError {
        _ = try fixture.store.put(.file(FilePath(source)), as: fileName("file")) { _ in
          // The first part is in: the file gets shorter or longer behind it.
          do { try FilesOnDisk.truncate(source, to: change) } catch { Issue.record(error) }
        }
      }
      #expect(error?.code == .sourceChanged)
      #expect(try fixture.store.allFiles().isEmpty)
    }
    try fixture.finish()
  }

  @Test("sources that cannot be stored are refused by what they are")
  func wrongSources() throws {
    let fixture = try StoreFixture(directory)
    try FilesOnDisk.makePipe(directory.path(of: "pipe"))
    for name in ["missing", "pipe", "store", "pipe/below"] {
      let error = storeError {
        _ = try fixture.store.put(.file(FilePath(directory.path(of: name))), as: fileName("file"))
      }
      #expect(error?.code == .unusableFile, "\(name)")
    }
    #expect(try fixture.store.allFiles().isEmpty)
    try fixture.finish()
  }

  @Test("progress adds up to the bytes of the file, both ways")
  func progress() throws {
    let fixture = try StoreFixture(directory)
    let bytes = Corpus(seed: 3).bytes(1_234_567)
    let source = directory.path(of: "source")
    try Data(bytes).write(to: URL(fileURLWithPath: source))
    let count = Monitor(0)
    let stored = try fixture.store.put(.file(FilePath(source)), as: fileName("file")) { done in
      count.withLock { $0 += done }
    }
    #expect(count.withLock { $0 } == bytes.count)
    count.withLock { $0 = 0 }
    try fixture.store.get(stored.id, to: .file(FilePath(directory.path(of: "target")), replacing: false)) { done in
      count.withLock { $0 += done }
    }
    #expect(count.withLock { $0 } == bytes.count)
    try fixture.finish()
  }

  @Test("a closed store refuses everything and says that it is closed")
  func closed() throws {
    let fixture = try StoreFixture(directory)
    let stored = try fixture.put([1], as: "file")
    try fixture.store.checkInvariants()
    try fixture.store.close()
    try fixture.store.close()
    #expect(storeError { _ = try fixture.put([1], as: "file") }?.code == .invalidArgument)
    #expect(storeError { _ = try fixture.get(stored.id) }?.code == .invalidArgument)
    #expect(storeError { try fixture.store.delete(stored.id) }?.code == .invalidArgument)
    #expect(storeError { _ = try fixture.store.allFiles() }?.code == .invalidArgument)
  }
}
