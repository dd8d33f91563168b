import StorageIO
import Synchronization

/// The directory `chunks/`: files by number, made, mapped and removed.
final class ChunkFiles: Sendable {
  static let directoryName = Array("chunks".utf8)
  /// Chunks that nobody uses are kept mapped up to so many: the system allows 65,530 mappings.
  private static let keptMapCount = 4096

  let directory: Directory
  let storePrefix: UInt64
  let isWritable: Bool
  let changed = ChangedChunks()
  private let maps = Mutex<[ChunkID: ChunkMap]>([:])

  init(directory: Directory, storePrefix: UInt64, isWritable: Bool) {
    self.directory = directory
    self.storePrefix = storePrefix
    self.isWritable = isWritable
  }

  /// The chunks whose files are there, in order, whatever is in them.
  func all() throws(ChunkStoreError) -> [ChunkID] {
    try translating { () throws(SystemCallFailure) in try directory.entries() }
      .compactMap { ChunkID(fileName: $0) }.sorted()
  }

  /// The chunk in memory; nil when there is no such file.
  /// - Throws: `.corrupt` when the file is not the chunk that it should be, whole.
  func find(_ id: ChunkID) throws(ChunkStoreError) -> ChunkMap? {
    // A map that has lost a page holds zeros in its place for ever.
    if let map = maps.withLock({ $0[id] }), !map.mapping.isFaulted { return map }
    let file: File
    do throws(SystemCallFailure) {
      file = try directory.open(
        id.fileName, isWritable ? [.write, .noFollow, .nonBlocking] : [.noFollow, .nonBlocking])
    } catch {
      if error.isNotFound { return nil }
      throw ChunkStoreError(error)
    }
    let byteCount = try checkedByteCount(of: file, id)
    let map = try translating { () throws(SystemCallFailure) in
      try ChunkMap(id, file, byteCount: byteCount, isWritable: isWritable, directory: directory, changed: changed)
    }
    keep(map)
    return map
  }

  /// As ``find(_:)``, for a chunk that must be there.
  func map(_ id: ChunkID) throws(ChunkStoreError) -> ChunkMap {
    guard let map = try find(id) else {
      throw ChunkStoreError(.corrupt, "chunk \(id): its file is missing from '\(directory.path)'")
    }
    return map
  }

  /// A file in memory in whatever size it has, without a look at its header; nil when it is too short for an object, or not
  /// a file.
  func mapAsItIs(_ id: ChunkID) throws(ChunkStoreError) -> ChunkMap? {
    try translating { () throws(SystemCallFailure) in
      let file = try directory.open(id.fileName, [.noFollow, .nonBlocking])
      let status = try file.status()
      guard status.kind == .file, status.byteCount > ChunkHeader.byteCount else { return nil }
      return try ChunkMap(
        id, file, byteCount: status.byteCount, isWritable: false, directory: directory, changed: changed)
    }
  }

  /// Makes the file of a chunk, all of it a hole but for its header. Its name is durable with ``syncNames()``.
  func create(_ id: ChunkID, byteCount: Int) throws(ChunkStoreError) -> ChunkMap {
    do throws(SystemCallFailure) {
      let file = try directory.open(id.fileName, [.write, .createNew, .noFollow])
      do throws(SystemCallFailure) {
        let header = ChunkHeader(storePrefix: storePrefix, chunk: id, chunkByteCount: byteCount)
        try file.write(header.encoded(), at: 0)
        try file.truncate(to: byteCount)
        let map = try ChunkMap(
          id, file, byteCount: byteCount, isWritable: true, directory: directory, changed: changed)
        map.noteChange()
        keep(map)
        return map
      } catch {
        try directory.removeFile(id.fileName)
        throw error
      }
    } catch {
      throw ChunkStoreError(error)
    }
  }

  func remove(_ id: ChunkID) throws(SystemCallFailure) {
    maps.withLock { $0[id] = nil }
    changed.remove(id)
    try directory.removeFile(id.fileName)
  }

  /// Makes names that were added or removed durable.
  func syncNames() throws(SystemCallFailure) { try directory.sync() }

  private func keep(_ map: ChunkMap) {
    maps.withLock { maps in
      if maps.count >= ChunkFiles.keptMapCount {
        for index in maps.indices.reversed() where isKnownUniquelyReferenced(&maps.values[index]) {
          maps.remove(at: index)
        }
      }
      maps[map.id] = map
    }
  }

  private func checkedByteCount(of file: File, _ id: ChunkID) throws(ChunkStoreError) -> Int {
    func damage(_ message: String) -> ChunkStoreError { ChunkStoreError(.corrupt, "chunk \(id): \(message)") }
    let (status, bytes) = try translating { () throws(SystemCallFailure) in
      let status = try file.status()
      return (status, status.kind == .file ? try file.bytes(at: 0, byteCount: ChunkHeader.byteCount) : [])
    }
    let header: ChunkHeader
    do throws(FormatFailure) { header = try ChunkHeader(decoding: bytes) } catch {
      throw error.kind == .newerVersion
        ? ChunkStoreError(.newerFormat, "chunk \(id): \(error.message)") : damage(error.message)
    }
    guard header.storePrefix == storePrefix, header.chunk == id else {
      throw damage("the file is chunk \(header.chunk) of store \(hex(header.storePrefix)), not of \(hex(storePrefix))")
    }
    guard status.byteCount == header.chunkByteCount, header.chunkByteCount >= 2 * ChunkHeader.byteCount,
      header.chunkByteCount <= ChunkFormat.maximumChunkByteCount
    else { throw damage("\(header.chunkByteCount) bytes expected, the file has \(status.byteCount)") }
    return header.chunkByteCount
  }
}
