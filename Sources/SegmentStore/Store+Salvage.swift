import StorageIO

/// A file that was salvaged, or all that is left of it.
public struct SalvagedFile: Sendable {
  public enum Kind: String, Hashable, Sendable {
    /// It was stored, and this is its newest or an older version.
    case file
    /// No intact record says that it was stored: its put was perhaps never finished.
    case uncommitted
    /// Parts of a file whose name and size are lost; it was perhaps deleted.
    case fragment
  }

  public let kind: Kind
  public let id: FileID
  /// Nil for a fragment.
  public let name: FileName?
  /// Where it was written.
  public let path: FilePath
  public let byteCount: Int
  /// The bytes that are not what was stored.
  public let losses: LossReport
}

/// What came out of a salvage.
public struct SalvageSummary: Hashable, Sendable {
  /// Whether the index could be used; if not, files were found by the segments alone.
  public internal(set) var usedIndex = true
  /// Files that are exactly what was stored.
  public internal(set) var wholeFileCount = 0
  public internal(set) var damagedFileCount = 0
  public internal(set) var uncommittedFileCount = 0
  public internal(set) var fragmentCount = 0
  /// Files of which nothing could be written, and damage that is not of one file.
  public internal(set) var findingCount = 0

  /// Whether everything that the store held was written as it was.
  public var isWhole: Bool { damagedFileCount == 0 && findingCount == 0 }
}

extension Store {
  /// Writes all that can be read from the store in the directory `path`, however damaged, into `directory`, which must be
  /// empty or not exist. The store is not changed.
  ///
  /// The newest version of each name goes to `files/NAME`, an older one to `versions/ID/NAME`, one whose name cannot be a
  /// path there to `unnamed/ID`, one that was perhaps never finished to `uncommitted/ID/NAME`, and parts of a file that
  /// nothing else is known of to `fragments/ID`. Bytes that are lost are holes. Where the index cannot be used, files are
  /// found by the segments alone; that needs room in `directory` for an index.
  /// - Parameters:
  ///   - onSalvaged: told each file as it is written, from any thread, several at once.
  ///   - onFinding: told damage that is not of the bytes of one file, from any thread.
  /// - Throws: `.noStore`, `.notAStore` (no segments either), `.exists` (the directory is not empty), `.unusableFile`,
  ///   `.noSpace` (of `directory`), `.busy` (its index is being rebuilt or compacted), `.cancelled`, `.memoryLimitTooSmall`, `.io`; what
  ///   was written until then stays.
  public static func salvage(
    at path: FilePath, into directory: FilePath, _ configuration: Configuration = Configuration(),
    cancellation: Cancellation = Cancellation(), progress: @escaping @Sendable (Int) -> Void = { _ in },
    onSalvaged: @escaping @Sendable (SalvagedFile) -> Void, onFinding: @escaping @Sendable (Finding) -> Void
  ) throws(StoreError) -> SalvageSummary {
    let output = try SalvageDirectory(directory)
    defer { output.removeScratch() }
    let tally = Monitor(SalvageSummary())
    let source = try SalvageSource(
      path, configuration, scratchPath: output.scratchPath, cancellation: cancellation,
      onFinding: { finding in
        if finding.kind != .uncommittedFile { tally.withLock { $0.findingCount += 1 } }
        onFinding(finding)
      })
    tally.withLock { $0.usedIndex = source.scratch == nil }
    let salvage = Salvage(
      store: source.store, output: output, cancellation: cancellation, progress: progress,
      onSalvaged: { file in
        tally.withLock { $0.count(file) }
        onSalvaged(file)
      },
      onFinding: { finding in
        tally.withLock { $0.findingCount += 1 }
        onFinding(finding)
      })
    try salvage.run(source.scratch)
    return tally.withLock { $0 }
  }
}

extension SalvageSummary {
  fileprivate mutating func count(_ file: SalvagedFile) {
    switch file.kind {
    case .uncommitted: uncommittedFileCount += 1
    case .fragment: fragmentCount += 1
    case .file:
      if file.losses.isEmpty { wholeFileCount += 1 } else { damagedFileCount += 1 }
    }
  }
}
