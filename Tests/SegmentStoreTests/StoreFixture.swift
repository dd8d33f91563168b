import Foundation
import TestSupport
import Testing

@testable import SegmentStore

/// A store in a temporary directory, and short ways to use it.
final class StoreFixture {
  let directory: TemporaryDirectory
  let path: FilePath
  let configuration: Store.Configuration
  private(set) var store: Store

  init(
    _ directory: TemporaryDirectory, configuration: Store.Configuration = Store.Configuration(),
    _ adjust: (inout Store.CreationOptions) -> Void = { _ in }
  ) throws {
    self.directory = directory
    self.configuration = configuration
    path = FilePath(directory.path(of: "store"))
    var options = Store.CreationOptions()
    adjust(&options)
    try Store.create(at: path, options)
    store = try Store(at: path, configuration)
  }

  func put(_ bytes: [UInt8], as name: String, _ options: PutOptions = PutOptions()) throws -> StoredFile {
    let source = directory.path(of: "source-\(UUID().uuidString)")
    try Data(bytes).write(to: URL(fileURLWithPath: source))
    defer { _ = try? FileManager.default.removeItem(atPath: source) }
    return try store.put(.file(FilePath(source)), as: try FileName(Array(name.utf8)), options)
  }

  func get(_ id: FileID) throws -> [UInt8] {
    let target = directory.path(of: "target-\(UUID().uuidString)")
    defer { _ = try? FileManager.default.removeItem(atPath: target) }
    try store.get(id, to: .file(FilePath(target), replacing: false))
    return try Array(Data(contentsOf: URL(fileURLWithPath: target)))
  }

  func reopen() throws {
    try store.close()
    store = try Store(at: path, configuration)
  }

  /// Checks the whole store and closes it: to be called at the end of every test.
  func finish() throws {
    try store.checkInvariants()
    try store.close()
  }
}
