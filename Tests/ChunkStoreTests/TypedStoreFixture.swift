import Foundation
import StorageIO
import TestSupport
import Testing

@testable import ChunkStore

/// A store of small chunks in a directory of its own.
final class TypedStoreFixture {
  let directory: TemporaryDirectory
  let path: FilePath
  private(set) var store: TypedStore

  init(chunkByteCount: Int = 256 << 10) throws {
    directory = try TemporaryDirectory()
    path = FilePath(directory.path(of: "store"))
    try TypedStore.create(at: path, chunkByteCount: chunkByteCount)
    store = try TypedStore(at: path)
  }

  /// Closes the store and opens it again.
  func reopen(isReadOnly: Bool = false) throws {
    try store.close()
    var configuration = TypedStore.Configuration()
    configuration.isReadOnly = isReadOnly
    store = try TypedStore(at: path, configuration)
  }

  /// Closes the store, lets `body` do to its files what it will, and opens it again.
  func reopen(after body: () throws -> Void) throws {
    try store.close()
    try body()
    store = try TypedStore(at: path)
  }

  /// Lets `body` do to a closed store what it will.
  func whileClosed(_ body: () throws -> Void) throws {
    try store.close()
    try body()
  }

  func chunkFile(_ number: UInt64) throws -> File {
    let name = ChunkID(rawValue: number).fileName
    return try File.open(path.appending(ChunkFiles.directoryName).appending(name), .write)
  }

  /// What the chunk files take on disk, in bytes.
  func allocatedByteCount() throws -> Int {
    let directory = try Directory.open(path.appending(ChunkFiles.directoryName))
    return try directory.entries().reduce(0) { try $0 + directory.status(of: $1).allocatedByteCount }
  }
}

/// The code of the store's error that `body` throws; nil when it throws none.
func code(_ body: () throws -> Void) -> ChunkStoreError.Code? {
  do {
    try body()
    return nil
  } catch let error as ChunkStoreError {
    return error.code
  } catch {
    Issue.record("\(error)")
    return nil
  }
}

func fileBytes(_ path: String) throws -> [UInt8] { try Array(Data(contentsOf: URL(fileURLWithPath: path))) }
