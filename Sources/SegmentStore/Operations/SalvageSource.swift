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
    var directory = try StoreDirectory.salvaging(path, onFinding: onFinding)
    if try directory.replaceLostLocks(in: scratchPath) {
      onFinding(Finding(.storeFile, "locks: the file is missing; whether others use the store is not known"))
    }
    do throws(StoreError) {
      let store = try Store(directory, configuration)
      try SalvageSource.checkIndex(of: store, cancellation)
      self.store = store
      scratch = nil
      return
    } catch {
      // A damaged store is what this is for; what else is wrong shows below.
      if [.cancelled, .busy, .memoryLimitTooSmall, .systemLimit].contains(error.code) { throw error }
      onFinding(Finding(.index, "\(error.message); files are looked for in the segments"))
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

  // MARK: The index

  /// How far a check of the index has come.
  private struct Place {
    var file = FileID(rawValue: 0)
    var partNumber = 0
  }

  /// Parts that are looked up in one transaction, and how many of them a file counts for.
  private static let pagePartCount = 4096
  private static let partsPerFile = 16

  /// Throws unless every file, and every part of it, can be found in the index.
  private static func checkIndex(of store: Store, _ cancellation: Cancellation) throws(StoreError) {
    let index = try store.index
    // The directory first: a segment is entered in the index before its file is made.
    let names = try translating { () throws(SystemCallFailure) in try store.segmentDirectory.entries() }
    let next = try index.read { (transaction) throws(StoreError) in try index.counters(in: transaction).nextSegment }
    for id in names.compactMap(SegmentID.init(fileName:)) where id.rawValue >= next {
      throw StoreError(index: FormatFailure(.damaged, "it is older than segment \(id), which it does not know"))
    }
    var place: Place? = Place()
    while let start = place {
      try cancellation.check()
      place = try index.read { (transaction) throws(StoreError) in try checkPage(from: start, of: index, transaction) }
    }
  }

  /// - Returns: Where the next page begins; nil at the end.
  private static func checkPage(
    from start: Place, of index: Index, _ transaction: borrowing ReadTransaction
  ) throws(StoreError) -> Place? {
    var remainingPartCount = pagePartCount
    var next: Place?
    try index.files.forEach(from: start.file, in: transaction) { (id, entry) throws(StoreError) in
      var place = Place(file: id)
      if id == start.file { place.partNumber = start.partNumber }
      if remainingPartCount <= 0 {
        next = place
        return false
      }
      guard entry.state == .ready else { return true }
      guard try index.files.files(named: entry.manifest.name, in: transaction).contains(where: { $0.id == id }) else {
        throw StoreError(index: FormatFailure(.damaged, "file \(id) cannot be found by its name"))
      }
      let first = min(place.partNumber, entry.manifest.partCount)
      let numbers = first..<min(first + remainingPartCount, entry.manifest.partCount)
      if !numbers.isEmpty { _ = try index.parts.parts(numbers, of: entry.manifest, in: transaction) }
      remainingPartCount -= numbers.count + partsPerFile
      guard numbers.upperBound < entry.manifest.partCount else { return true }
      place.partNumber = numbers.upperBound
      next = place
      return false
    }
    return next
  }
}
