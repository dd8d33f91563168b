import Codecs
import LMDB
import StorageIO

/// Writes every file of a damaged store, whole or with holes, and what is left of files that nothing else is known of.
struct Salvage: Sendable {
  let store: Store
  let output: SalvageDirectory
  let cancellation: Cancellation
  let progress: @Sendable (Int) -> Void
  let onSalvaged: @Sendable (SalvagedFile) -> Void
  let onFinding: @Sendable (Finding) -> Void

  private struct Item: Sendable {
    let id: FileID
    let name: FileName
    let isCommitted: Bool
    let byteCount: Int
  }

  /// - Parameter scratch: what was found in the segments, where the store's own index was not used.
  func run(_ scratch: RebuildScratch?) throws(StoreError) {
    _ = try ParallelFiles<Item>(cancellation: cancellation).run(
      produce: { (handOver: (Item) throws(StoreError) -> Void) throws(StoreError) in try forEachItem(handOver) },
      // What stands in the way of one file of a damaged store, or of its large parts, may leave all others alone.
      isFatal: { $0.stopsEverything && ![.indexDamaged, .memoryLimitTooSmall].contains($0.code) },
      work: { (item: Item) throws(StoreError) in try write(item) },
      failed: { (item, error) in report(error, item.id, item.name) })
    if let scratch { try writeFragments(scratch) }
  }

  /// All ready files, page by page.
  private func forEachItem(_ body: (Item) throws(StoreError) -> Void) throws(StoreError) {
    let index = try store.index
    var next: FileID? = FileID(rawValue: 0)
    while let start = next {
      var page: [Item] = []
      next = nil
      try index.read { (transaction) throws(StoreError) in
        try index.files.forEach(from: start, in: transaction) { (id, entry) in
          if page.count == Salvage.pageFileCount {
            next = id
            return false
          }
          if entry.state == .ready {
            page.append(
              Item(
                id: id, name: entry.manifest.name, isCommitted: entry.commit.rawValue != 0,
                byteCount: entry.manifest.byteCount))
          }
          return true
        }
      }
      for item in page { try body(item) }
    }
  }

  private static let pageFileCount = 256

  private func write(_ item: Item) throws(StoreError) {
    let place: SalvageDirectory.Place
    if !item.isCommitted {
      place = output.place(forUncommitted: item.name, item.id)
    } else if try store.files(named: item.name).last?.id == item.id {
      place = output.place(for: item.name, item.id)
    } else {
      place = output.place(forVersion: item.name, item.id)
    }
    do throws(StoreError) {
      try write(item, to: output.open(place))
    } catch  where error.code == .exists {
      // What is stored below this name has made a directory of it meanwhile.
      try write(item, to: output.open(place.other))
    }
  }

  private func write(_ item: Item, to place: (directory: Directory, name: [UInt8])) throws(StoreError) {
    var options = GetOptions()
    options.salvages = true
    let losses = try store.get(
      item.id, to: .entry(place.name, in: place.directory, replacing: false), options, cancellation: cancellation,
      progress: progress)
    onSalvaged(
      SalvagedFile(
        kind: item.isCommitted ? .file : .uncommitted, id: item.id, name: item.name,
        path: place.directory.path.appending(place.name), byteCount: item.byteCount, losses: losses))
  }

  private func report(_ error: StoreError, _ id: FileID, _ name: FileName?) {
    var finding = Finding(.lostFile, error.message)
    (finding.file, finding.name) = (id, name)
    onFinding(finding)
  }

  // MARK: Fragments

  /// Writes the parts of files that were stored and whose manifests are gone.
  private func writeFragments(_ scratch: RebuildScratch) throws(StoreError) {
    // The longest part of each such file is a whole one, which says where the others belong.
    var partByteCounts: [FileID: Int] = [:]
    try scratch.forEachPartOfUnknownFile { (_, part) in
      partByteCounts[part.file] = max(partByteCounts[part.file] ?? 0, part.entry.rawByteCount)
    }
    var ends: [FileID: Int] = [:]
    try scratch.forEachPartOfUnknownFile { (id, part) throws(StoreError) in
      try cancellation.check()
      guard let partByteCount = partByteCounts[part.file] else { return }
      let offset = part.partNumber * partByteCount
      do throws(StoreError) {
        try writeFragment(id, part, at: offset)
        ends[part.file] = max(ends[part.file] ?? 0, offset + part.entry.rawByteCount)
      } catch  where [.corrupt, .io, .memoryLimitTooSmall].contains(error.code) {
        report(error.within("part \(part.partNumber)"), part.file, nil)
      }
    }
    for (file, end) in ends.sorted(by: { $0.key < $1.key }) {
      onSalvaged(
        SalvagedFile(
          kind: .fragment, id: file, name: nil, path: output.path(ofFragment: file), byteCount: end,
          losses: LossReport()))
    }
  }

  private func writeFragment(
    _ id: PartID, _ part: RebuildScratch.FoundPart, at offset: Int
  ) throws(StoreError) {
    let window = BatchWindow<Void>(workers: store.workers, budget: store.budget)
    defer { window.drain() }
    let byteCount = max(1, part.entry.rawByteCount)
    // The size is what a record says: there may be more of it than memory, which would be waited for without end.
    _ = try store.batchPartCount(partByteCount: byteCount, scratchByteCount: 0)
    guard let lease = try window.lease(byteCount, cancellation) else { return }
    let (reader, output) = (store.reader, output)
    try window.submit { (tools) throws(StoreError) in
      let range = 0..<part.entry.rawByteCount
      try reader.withPayload(of: id, part.entry) { (payload) throws(StoreError) in
        try lease.region.withMutableBytes(range) { (destination) throws(StoreError) in
          do throws(CodecFailure) {
            try tools.decoder.decode(payload, with: part.entry.codec, into: &destination)
          } catch {
            throw StoreError(error)
          }
        }
      }
      try lease.region.withBytes(range) { (bytes) throws(StoreError) in
        guard MD5.digest(of: bytes) == part.entry.digest else {
          throw StoreError(.corrupt, "part \(id) of file \(part.file): its bytes do not match their MD5")
        }
        try output.writeFragment(of: part.file, bytes, at: offset)
      }
    }
    try window.collect()
  }
}
