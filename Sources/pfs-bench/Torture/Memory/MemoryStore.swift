import SegmentStore
import StorageIO

/// The store of one case, made and looked at with plenty of memory.
struct MemoryStore: Sendable {
  let path: FilePath

  init(at path: FilePath, partByteCount: Int, _ sources: MemorySources) throws(BenchFailure) {
    self.path = path
    try BenchFailure.translating { () throws(StoreError) in
      var options = Store.CreationOptions()
      (options.segmentByteCount, options.partByteCount) = (4 << 20, partByteCount)
      try Store.create(at: path, options)
      let store = try Store(at: path)
      for source in MemorySource.allCases {
        _ = try store.put(.file(sources.path(source)), as: FileName(Array(source.rawValue.utf8)))
      }
      for number in 0..<MemorySources.treeFileCount {
        let path = sources.tree.appending("\(number)")
        _ = try store.put(.file(path), as: FileName(Array("many/\(number)".utf8)))
      }
      try store.close()
    }
  }

  /// What is not as it should be after `operation` has said that it is done.
  /// - Parameters:
  ///   - printed: the first bytes of what it wrote to standard output.
  ///   - isTruncated: whether there was more.
  func wrong(
    after operation: MemoryOperation, _ sources: MemorySources, output: FilePath, printed: [UInt8]
  ) -> String? {
    do {
      switch operation.outcome {
      case .stored(let source): try expectStored("new", sources.path(source), scratch: output)
      case .storedTree:
        let store = try Store(at: path)
        for number in 0..<MemorySources.treeFileCount {
          let versions = try store.files(named: FileName(Array("many/\(number)".utf8)))
          guard versions.count == 2 else { return "\(versions.count) versions of 'many/\(number)', 2 expected" }
        }
        try store.close()
        try expectStored("many/7", sources.tree.appending("7"), scratch: output)
      case .restored(let source): return try difference(output, sources.path(source))
      case .restoredRange:
        let range = MemoryOperation.range
        let found = try MemoryStore.bytes(of: output)
        let all = try MemoryStore.bytes(of: sources.path(.large))
        return found == Array(all[range]) ? nil : "the bytes \(range) are others"
      case .printed(let source):
        let bytes = try MemoryStore.bytes(of: sources.path(source))
        return printed.count == min(bytes.count, 1 << 20) && bytes.starts(with: printed) ? nil : "other bytes came out"
      case .restoredTree:
        for number in 0..<MemorySources.treeFileCount {
          let name = "\(number)"
          if let wrong = try difference(output.appending(name), sources.tree.appending(name)) { return wrong }
        }
      case .salvaged: return try difference(output.appending("files").appending("large"), sources.path(.large))
      case .deleted:
        let store = try Store(at: path)
        guard try store.files(named: FileName(Array("large".utf8))).isEmpty else { return "'large' is still there" }
        try store.close()
      case .nothing: break
      }
      return try finding()
    } catch {
      return "\(error)"
    }
  }

  /// What a verification finds, in a store that nobody uses.
  func finding() throws(StoreError) -> String? {
    var found: String?
    let store = try Store(at: path)
    _ = try store.verify { event in if case .finding(let finding) = event { found = found ?? "\(finding)" } }
    for file in try store.files(limit: 1 << 16) where file.status != .ready {
      found = found ?? "file \(file.id) '\(file.name)' is \(file.status)"
    }
    try store.close()
    return found
  }

  private func expectStored(_ name: String, _ source: FilePath, scratch: FilePath) throws {
    let store = try Store(at: path)
    guard let file = try store.files(named: FileName(Array(name.utf8))).last else {
      throw BenchFailure(.different, "'\(name)' is not there")
    }
    try store.get(file.id, to: .file(scratch, replacing: true))
    try store.close()
    if let wrong = try difference(scratch, source) { throw BenchFailure(.different, wrong) }
  }

  private func difference(_ found: FilePath, _ expected: FilePath) throws -> String? {
    let (found, expected) = (try MemoryStore.bytes(of: found), try MemoryStore.bytes(of: expected))
    return found == expected ? nil : "\(found.count) bytes that differ from the \(expected.count) that were stored"
  }

  private static func bytes(of path: FilePath) throws(SystemCallFailure) -> [UInt8] {
    let file = try File.open(path)
    return try file.bytes(at: 0, byteCount: try file.status().byteCount)
  }
}
