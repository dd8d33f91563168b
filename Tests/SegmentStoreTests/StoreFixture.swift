import Foundation
import LMDB
import StorageIO
import TestSupport
import Testing

@testable import SegmentStore

/// How a store writes its segments; what holds in one way must hold in the other.
enum WriteMode: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case mapped, buffered

  var testDescription: String { rawValue }

  func configuration(
    memoryByteCount: Int? = nil, workerCount: Int? = nil, lockTimeoutSeconds: Double = 30
  ) -> Store.Configuration {
    var configuration = Store.Configuration()
    configuration.isMapped = self == .mapped
    if let memoryByteCount { configuration.memoryByteCount = memoryByteCount }
    configuration.workerCount = workerCount
    configuration.lockTimeoutSeconds = lockTimeoutSeconds
    return configuration
  }
}

/// A store in a temporary directory, and short ways to use it. Segments of 1 MiB and parts of 4 KiB unless told
/// otherwise: little data then makes many of both.
final class StoreFixture {
  let directory: TemporaryDirectory
  let path: FilePath
  let configuration: Store.Configuration
  private(set) var store: Store

  init(
    _ directory: TemporaryDirectory, at place: String = "store",
    configuration: Store.Configuration = Store.Configuration(),
    _ adjust: (inout Store.CreationOptions) -> Void = { _ in }
  ) throws {
    self.directory = directory
    self.configuration = configuration
    path = FilePath(directory.path(of: place))
    var options = Store.CreationOptions()
    options.segmentByteCount = 1 << 20
    options.partByteCount = 4096
    adjust(&options)
    try Store.create(at: path, options)
    store = try Store(at: path, configuration)
  }

  /// Opens a store that is there already.
  init(opening path: String, in directory: TemporaryDirectory, _ configuration: Store.Configuration = .init()) throws {
    self.directory = directory
    self.configuration = configuration
    self.path = FilePath(path)
    store = try Store(at: self.path, configuration)
  }

  func put(_ bytes: [UInt8], as name: String, _ options: PutOptions = PutOptions()) throws -> StoredFile {
    try store.put(bytes, as: name, options, in: directory)
  }

  func get(_ id: FileID) throws -> [UInt8] { try store.bytes(of: id, in: directory) }

  func reopen() throws {
    try store.close()
    try open()
  }

  /// Opens the store, which is closed.
  func open() throws { store = try Store(at: path, configuration) }

  /// Checks the whole store and closes it: to be called at the end of every test.
  func finish() throws {
    try store.checkInvariants()
    try store.close()
  }

  // MARK: Below the store

  /// The names of the segment files.
  var segmentNames: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: segmentsPath).sorted() }
  }

  var segmentsPath: String { "\(path)/segments" }

  func segmentPath(_ id: SegmentID) -> String {
    "\(segmentsPath)/\(String(decoding: id.fileName, as: UTF8.self))"
  }

  func segmentEntry(_ id: SegmentID) throws -> SegmentEntry? {
    let index = try store.index
    return try index.read { (transaction) throws(StoreError) in try index.segments.segment(id, in: transaction) }
  }

  /// Where the manifest of a file lies.
  func manifestLocation(_ id: FileID) throws -> RecordLocation? {
    let index = try store.index
    return try index.read { (transaction) throws(StoreError) in
      try index.files.file(id, in: transaction)?.manifestLocation
    }
  }

  func segments(of file: StoredFile) throws -> Set<SegmentID> {
    Set(try store.parts(of: file.id, 0..<file.partCount).map(\.segment))
  }

  /// What a crash would leave: the store directory as it is now, with or without what its readers left in `lock.mdb`.
  func crashImage(_ name: String = "image", keepsLockFile: Bool = false) throws -> String {
    let copy = directory.path(of: name)
    try FileManager.default.copyItem(atPath: path.description, toPath: copy)
    if !keepsLockFile { try FileManager.default.removeItem(atPath: "\(copy)/index/lock.mdb") }
    return copy
  }
}

extension Store {
  func put(
    _ bytes: [UInt8], as name: String, _ options: PutOptions = PutOptions(), in directory: TemporaryDirectory
  ) throws -> StoredFile {
    let source = directory.path(of: "source-\(UUID().uuidString)")
    try Data(bytes).write(to: URL(fileURLWithPath: source))
    defer { FilesOnDisk.remove(source) }
    return try put(.file(FilePath(source)), as: try FileName(Array(name.utf8)), options)
  }

  func bytes(
    of id: FileID, in directory: TemporaryDirectory, _ options: GetOptions = GetOptions()
  ) throws -> [UInt8] {
    let target = directory.path(of: "target-\(UUID().uuidString)")
    defer { FilesOnDisk.remove(target) }
    try get(id, to: .file(FilePath(target), replacing: false), options)
    return try Array(Data(contentsOf: URL(fileURLWithPath: target)))
  }

  /// What comes out of a get to a pipe.
  func streamedBytes(
    of id: FileID, _ range: Range<Int>? = nil, in directory: TemporaryDirectory
  ) throws -> [UInt8] {
    var options = GetOptions()
    options.byteRange = range
    let pipe = try PipePair(in: directory)
    let reader = FileHandle(forReadingAtPath: pipe.path)
    let work = BackgroundWork { try reader?.readToEnd() ?? Data() }
    do {
      try get(id, to: .stream(File.open(FilePath(pipe.path), .write)), options)
    } catch {
      try pipe.writing.close()
      _ = try work.result()
      throw error
    }
    try pipe.writing.close()
    return Array(try work.result())
  }

  /// All files, in order of ids.
  func allFiles() throws(StoreError) -> [StoredFile] { try files(limit: 1 << 20) }
}

/// The error that `body` throws, which must be one of a store.
func storeError(
  _ body: () throws -> Void, sourceLocation: SourceLocation = #_sourceLocation
) -> StoreError? {
  do {
    try body()
    Issue.record("nothing was thrown", sourceLocation: sourceLocation)
  } catch let error as StoreError {
    return error
  } catch {
    Issue.record("\(error)", sourceLocation: sourceLocation)
  }
  return nil
}

func fileName(_ name: String) throws -> FileName { try FileName(Array(name.utf8)) }

/// The bytes of a file on disk.
func fileBytes(_ path: String) throws -> [UInt8] { try Array(Data(contentsOf: URL(fileURLWithPath: path))) }

/// What `du` counts, in bytes.
func allocatedByteCount(_ path: String) throws -> Int {
  try FileSystem.status(of: FilePath(path)).allocatedByteCount
}
