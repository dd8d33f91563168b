import LMDB
import StorageIO

/// A damaged store, opened for looking: with its own index if that is whole, else with one that was made from the
/// segments elsewhere.
struct SalvageSource {
  let store: Store
  /// What was found in the segments; nil where the store's own index was used.
  let scratch: RebuildScratch?

  init(
    _ path: FilePath, _ configuration: Store.Configuration, scratchPath: FilePath, cancellation: Cancellation,
    onFinding: @escaping (Finding) -> Void
  ) throws(StoreError) {
    var configuration = configuration
    configuration.recoversAtOpen = false
    let directory: StoreDirectory
    do throws(StoreError) {
      let store = try Store(at: path, configuration)
      try SalvageSource.checkIndex(of: store, cancellation)
      self.store = store
      scratch = nil
      return
    } catch {
      // A damaged store is what this is for; what else is wrong shows below.
      if [.cancelled, .noStore, .busy, .memoryLimitTooSmall].contains(error.code) { throw error }
      directory = try StoreDirectory.salvaging(path, onFinding: onFinding)
      if error.code != .notAStore {
        onFinding(Finding(.index, "\(error.message); files are looked for in the segments"))
      }
    }
    let rebuild = Rebuild(
      superblock: directory.superblock, segments: try directory.openSegments(), highWater: nil,
      limitByteCount: configuration.memoryByteCount, entersUncommitted: true, cancellation: cancellation,
      onFinding: { finding in
        // What is damaged of a file is told when its bytes are written.
        if finding.kind != .part { onFinding(finding) }
      })
    let indexPath = scratchPath.appending("index")
    let foundPath = scratchPath.appending("found")
    try translating { () throws(SystemCallFailure) in
      try Directory.make(indexPath)
      try Directory.make(foundPath)
    }
    let found = try RebuildScratch(in: foundPath, batchCount: rebuild.batchCount)
    _ = try rebuild.run(into: indexPath, found)
    configuration.indexDirectory = indexPath
    store = try Store(directory, configuration)
    scratch = found
  }

  /// Throws unless every file, and every part of it, can be found in the index.
  private static func checkIndex(of store: Store, _ cancellation: Cancellation) throws(StoreError) {
    let index = try store.index
    try index.read { (transaction) throws(StoreError) in
      try index.files.forEach(from: FileID(rawValue: 0), in: transaction) { (id, entry) throws(StoreError) in
        try cancellation.check()
        guard entry.state == .ready else { return true }
        for start in stride(from: 0, to: entry.manifest.partCount, by: 4096) {
          let numbers = start..<min(start + 4096, entry.manifest.partCount)
          _ = try index.parts.parts(numbers, of: entry.manifest, in: transaction)
        }
        guard try index.files.files(named: entry.manifest.name, in: transaction).contains(where: { $0.id == id }) else {
          throw StoreError(index: FormatFailure(.damaged, "file \(id) cannot be found by its name"))
        }
        return true
      }
      let next = try index.counters(in: transaction).nextSegment
      let names = try translating { () throws(SystemCallFailure) in try store.segmentDirectory.entries() }
      for id in names.compactMap(SegmentID.init(fileName:)) where id.rawValue >= next {
        throw StoreError(index: FormatFailure(.damaged, "it is older than segment \(id), which it does not know"))
      }
    }
  }
}
